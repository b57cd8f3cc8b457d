//! A cluster from which Flux was taken: what is gone is said to be gone, and what cannot be read is not.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{ControlPlane, Kindsmith, wait};
use serde_json::{Value, json};

use crate::{
    main_job::apply_definitions,
    own_rights::accounts,
    releases::{REDISES, ask, done, served},
};

const CRD: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/helmreleases.helm.toolkit.fluxcd.io";
const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/kindsmith-apiserver";
const HEALED: Duration = Duration::from_secs(5);
const DELETED: Duration = Duration::from_secs(40);

fn redis(name: &str) -> Value {
    json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": name}})
}

/// The number of instances in a list; what was answered where there is none.
async fn count(client: &kube::Client) -> Result<Result<usize, (u16, Value)>> {
    let (code, list) = ask(client, "GET", REDISES, None).await?;
    Ok(match list["items"].as_array() {
        Some(items) if code == 200 => Ok(items.len()),
        _ => Err((code, list)),
    })
}

#[tokio::test]
async fn what_is_gone_is_empty_and_what_cannot_be_read_is_not() -> Result<()> {
    let control_plane = ControlPlane::builder().controller_manager().start().await?;
    control_plane.install_flux_crds().await?;
    let accounts = accounts(&control_plane).await?;
    let _kindsmith = Kindsmith::start_as(&control_plane, accounts).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    apply_definitions(&call).await?;
    let client = control_plane.client().await?;
    served(&client, REDISES).await?;
    let owner = done(&client, "POST", REDISES, Some(&redis("a"))).await?;
    let owners = json!([{"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "name": "a",
        "uid": owner["metadata"]["uid"]}]);
    let dependent = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "dependent", "namespace": "default", "ownerReferences": owners}});
    let config_maps = "/api/v1/namespaces/default/configmaps";
    done(&client, "POST", config_maps, Some(&dependent)).await?;
    let mut informer = call(&["get", "redises", "--watch", "--output-watch-events", "--no-headers"]).spawn()?;
    let first = informer.next_line().await?.context("no event")?;
    ensure!(first.starts_with("ADDED"), "{first}");

    // What may not be read is an error, and is never taken for nothing.
    let mut role = done(&client, "GET", ROLE, None).await?;
    let rules = role["rules"].take();
    let without: Vec<Value> = rules
        .as_array()
        .into_iter()
        .flatten()
        .filter(|rule| rule["resources"] != json!(["helmreleases"]))
        .cloned()
        .collect();
    done(&client, "PATCH", ROLE, Some(&json!({"rules": without}))).await?;
    wait::until("the refusal", Duration::from_secs(10), || async {
        let found = count(&client).await?;
        let Err((code, answer)) = found else { anyhow::bail!("it is still allowed: {found:?}") };
        ensure!(code == 403 || code >= 500, "{code}: {answer}");
        Ok(())
    })
    .await?;
    let namespace = json!({"metadata": {"name": "held"}});
    done(&client, "POST", "/api/v1/namespaces", Some(&namespace)).await?;
    done(&client, "DELETE", "/api/v1/namespaces/held", None).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    done(&client, "GET", &format!("{config_maps}/dependent"), None).await.context("it was collected")?;
    ensure!(ask(&client, "GET", "/api/v1/namespaces/held", None).await?.0 == 200, "a namespace went unseen");
    done(&client, "PATCH", ROLE, Some(&json!({"rules": rules}))).await?;
    wait::until("instances", HEALED, || async {
        ensure!(count(&client).await?.ok() == Some(1), "the instance is not back");
        Ok(())
    })
    .await?;

    // Gone for good: the list is empty, watches hear of it, namespaces go, what depended is collected.
    done(&client, "DELETE", CRD, None).await?;
    wait::until("an empty list", Duration::from_secs(20), || async {
        ensure!(ask(&client, "GET", CRD, None).await?.0 == 404, "the definition is still there");
        let found = count(&client).await?;
        ensure!(found.as_ref().ok() == Some(&0), "{found:?}");
        Ok(())
    })
    .await?;
    while !informer.next_line().await?.context("no event")?.starts_with("DELETED") {}
    let (code, answer) = ask(&client, "DELETE", REDISES, None).await?;
    ensure!(code == 200, "the collection cannot be deleted: {code}: {answer}");
    let (code, answer) = ask(&client, "GET", &format!("{REDISES}/a"), None).await?;
    ensure!(code == 404 && answer["details"]["name"] == "a", "{code}: {answer}");
    let (code, answer) = ask(&client, "POST", REDISES, Some(&redis("b"))).await?;
    let message = answer["message"].as_str().unwrap_or_default();
    ensure!(code == 503 && message.contains("helmreleases.helm.toolkit.fluxcd.io"), "{code}: {answer}");
    let told = ["wait", "--for=jsonpath={.status.conditions[?(@.type==\"Served\")].reason}=BackendNotServed"];
    let definition = ["--timeout=20s", "applicationdefinition", "redises.apps.example.com"];
    call(&[&told[..], &definition].concat()).ok().await?;
    done(&client, "POST", "/api/v1/namespaces", Some(&json!({"metadata": {"name": "plain"}}))).await?;
    done(&client, "DELETE", "/api/v1/namespaces/plain", None).await?;
    wait::until("the namespaces and the dependent to go", DELETED, || async {
        for path in ["/api/v1/namespaces/plain", "/api/v1/namespaces/held", &format!("{config_maps}/dependent")] {
            let (code, found) = ask(&client, "GET", path, None).await?;
            ensure!(code == 404, "{path} is there: {}", found["status"]);
        }
        Ok(())
    })
    .await?;

    // And back.
    control_plane.install_flux_crds().await?;
    wait::until("instances to be made", HEALED, || async {
        done(&client, "POST", REDISES, Some(&redis("c"))).await?;
        ensure!(count(&client).await?.ok() == Some(1), "it is not listed");
        Ok(())
    })
    .await?;
    while !informer.next_line().await?.context("no event")?.starts_with("ADDED") {}
    call(&[&["wait", "--for=condition=Served"][..], &definition].concat()).ok().await?;
    Ok(())
}
