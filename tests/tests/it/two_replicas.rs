//! Two apiservers write the same object at once: who was late is told, nothing is lost, and who owns what is right.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures::future::try_join_all;
use kindsmith_tests::{ControlPlane, Replicated};
use kube::{Client, client::Body};
use serde_json::{Value, json};

use crate::{
    main_job::apply_definitions,
    releases::{REDISES, RELEASES, ask, done, served},
};

/// How many write through each replica.
const WRITERS: usize = 3;

/// How often each of them counts, and applies.
const ROUNDS: usize = 8;

const CONFLICT: &str = "Operation cannot be fulfilled on redises.apps.example.com \"shared\": the object has been \
    modified; please apply your changes to the latest version and try again";

/// Adds one to what is there until all rounds have landed; says how often it was late.
async fn count(client: &Client) -> Result<usize> {
    let one = format!("{REDISES}/shared");
    let (mut landed, mut late) = (0, 0);
    while landed < ROUNDS {
        let mut read = done(client, "GET", &one, None).await?;
        let held = read["spec"]["config"]["count"].as_str().context("there is no count")?.parse::<usize>()?;
        read["spec"]["config"]["count"] = json!((held + 1).to_string());
        match ask(client, "PUT", &format!("{one}?fieldManager=counter"), Some(&read)).await? {
            (200, _) => landed += 1,
            (409, answer) if answer["message"] == CONFLICT && answer["reason"] == "Conflict" => late += 1,
            (code, answer) => bail!("{code}: {answer}"),
        }
    }
    Ok(late)
}

/// Applies a key of its own, without force; says how often it was late.
async fn apply(client: &Client, writer: &str) -> Result<usize> {
    let (mut round, mut late) = (0, 0);
    while round < ROUNDS {
        let wanted = json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": "shared"},
            "spec": {"config": {writer: round.to_string()}}});
        let request = http::Request::patch(format!("{REDISES}/shared?fieldManager={writer}"))
            .header("content-type", "application/apply-patch+yaml")
            .body(Body::from(wanted.to_string().into_bytes()))?;
        let answer = client.send(request).await?;
        let code = answer.status().as_u16();
        let body = answer.into_body().collect_bytes().await?;
        let body: Value = serde_json::from_slice(&body)?;
        match code {
            200 => round += 1,
            409 if body["message"] == CONFLICT => late += 1,
            _ => bail!("{code}: {body}"),
        }
    }
    Ok(late)
}

/// The keys of the configuration that a manager owns.
fn owned(instance: &Value, manager: &str, operation: &str) -> Vec<String> {
    let fields = instance["metadata"]["managedFields"].as_array().into_iter().flatten();
    let of = fields.filter(|entry| entry["manager"] == manager && entry["operation"] == operation);
    let keys = of.filter_map(|entry| entry["fieldsV1"]["f:spec"]["f:config"].as_object()).flatten();
    keys.map(|(key, _)| key.clone()).filter(|key| key != ".").collect()
}

#[tokio::test]
async fn writes_of_one_object_through_two_apiservers_all_land_or_are_told() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Replicated::start(&control_plane, 2, &[]).await?;
    apply_definitions(&|args: &[&str]| control_plane.kubectl(args.iter().copied())).await?;
    let replicas = [kindsmith.client(0).await?, kindsmith.client(1).await?];
    for replica in &replicas {
        served(replica, REDISES).await?;
    }
    let shared = json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": "shared"},
        "spec": {"config": {"count": "0", "kept": "x"}}});
    let made = done(&replicas[0], "POST", &format!("{REDISES}?fieldManager=maker"), Some(&shared)).await?;

    let writers: Vec<(usize, String)> = (0..WRITERS * 2).map(|index| (index % 2, format!("writer-{index}"))).collect();
    let counting = try_join_all(writers.iter().map(|(replica, _)| count(&replicas[*replica])));
    let applying = try_join_all(writers.iter().map(|(replica, name)| apply(&replicas[*replica], name)));
    let both = async { futures::future::try_join(counting, applying).await };
    let (late, late_applies) = tokio::time::timeout(Duration::from_secs(120), both).await.context("too slow")??;
    let (late, late_applies): (usize, usize) = (late.iter().sum(), late_applies.iter().sum());
    println!(
        "{} writes landed; {late} updates and {late_applies} applies were told that they were late",
        writers.len() * ROUNDS * 2
    );
    ensure!(late > 0, "nobody was ever late: nothing was tried");

    let seen = done(&replicas[1], "GET", &format!("{REDISES}/shared"), None).await?;
    let config = &seen["spec"]["config"];
    let counted = json!((writers.len() * ROUNDS).to_string());
    ensure!(config["count"] == counted && config["kept"] == "x", "it is {config}");
    // Every write that landed is one generation, as each changed a value.
    let generation = 1 + writers.len() * ROUNDS * 2;
    ensure!(seen["metadata"]["generation"] == generation, "the generation is {}", seen["metadata"]["generation"]);
    ensure!(seen["metadata"]["uid"] == made["metadata"]["uid"], "it is another object");
    let last = json!((ROUNDS - 1).to_string());
    for (_, writer) in &writers {
        ensure!(config[writer] == last, "{writer} left {config}");
        let keys = owned(&seen, writer, "Apply");
        ensure!(keys == [format!("f:{writer}")], "{writer} owns {keys:?}");
    }
    let (counter, maker) = (owned(&seen, "counter", "Update"), owned(&seen, "maker", "Update"));
    ensure!(counter == ["f:count"] && maker == ["f:kept"], "counter owns {counter:?}, maker {maker:?}");
    let managers = seen["metadata"]["managedFields"].as_array().map_or(0, Vec::len);
    ensure!(managers == writers.len() + 2, "the managed fields are {}", seen["metadata"]["managedFields"]);
    let same = done(&replicas[0], "GET", &format!("{REDISES}/shared"), None).await?;
    ensure!(same == seen, "one replica says {same}, the other {seen}");
    let release = done(&control_plane.client().await?, "GET", &format!("{RELEASES}/redis-shared"), None).await?;
    ensure!(release["spec"]["values"] == seen["spec"], "the release has {}", release["spec"]["values"]);
    Ok(())
}
