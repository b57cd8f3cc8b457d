//! Settings of a definition that changed reach many releases bit by bit, over a restart, and touch nothing else.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kindsmith_tests::{ControlPlane, Kindsmith, wait};
use kube::Client;
use serde_json::{Value, json};

use crate::{
    main_job::apply_definitions,
    releases::{REDISES, RELEASES, done, served},
};

const INSTANCES: usize = 60;

/// More than the operator changes in a second would be a storm.
const PER_SECOND_MAX: f64 = 15.0;

const DEFINITION: &str = "/apis/kindsmith.dev/v1alpha1/applicationdefinitions/redises.apps.example.com";

/// The releases, by name: whether they have the setting, and their values.
async fn releases(client: &Client) -> Result<Vec<(bool, Value)>> {
    let list = done(client, "GET", RELEASES, None).await?;
    let items = list["items"].as_array().context("there are no releases")?;
    let one = |release: &Value| (release["spec"]["timeout"] == "7m", release["spec"]["values"].clone());
    Ok(items.iter().map(one).collect())
}

/// What the status says: updated, and of how many.
async fn told(client: &Client) -> Result<(u64, u64)> {
    let rollout = done(client, "GET", DEFINITION, None).await?["status"]["rollout"].take();
    Ok((rollout["updated"].as_u64().unwrap_or_default(), rollout["total"].as_u64().unwrap_or_default()))
}

#[tokio::test]
async fn settings_reach_many_releases_bit_by_bit_and_over_a_restart_of_the_operator() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Kindsmith::start(&control_plane).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    apply_definitions(&call).await?;
    let client = control_plane.client().await?;
    served(&client, REDISES).await?;
    let create = |index: usize| {
        let redis = json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis",
            "metadata": {"name": format!("cache-{index:02}")}, "spec": {"replicas": 1 + index % 5}});
        let client = client.clone();
        async move { done(&client, "POST", REDISES, Some(&redis)).await.map(drop) }
    };
    stream::iter((0..INSTANCES).map(create)).buffer_unordered(8).try_collect::<()>().await?;
    let before = releases(&client).await?;
    ensure!(before.len() == INSTANCES && before.iter().all(|(has, _)| !has), "{} releases", before.len());

    let settings = json!({"spec": {"backend": {"helmRelease": {"timeout": "7m"}}}});
    done(&client, "PATCH", DEFINITION, Some(&settings)).await?;
    let began = Instant::now();
    let mut steps = Vec::new();
    let some = wait::until("a third to be updated", Duration::from_secs(30), || async {
        let (updated, total) = told(&client).await?;
        ensure!(total == INSTANCES as u64 && updated < total && updated >= total / 3, "{updated}/{total}");
        Ok(updated)
    });
    steps.push(some.await?);
    kindsmith.stop_operator()?;
    // What it had sent is still carried out.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let at_rest = releases(&client).await?.iter().filter(|(has, _)| *has).count();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let still = releases(&client).await?.iter().filter(|(has, _)| *has).count();
    ensure!(at_rest == still && still < INSTANCES, "{at_rest} had the settings, {still} have them without an operator");
    kindsmith.start_operator()?;
    let mut all = || async {
        let (updated, total) = told(&client).await?;
        ensure!(updated == total, "{updated}/{total}");
        Ok(updated)
    };
    steps.push(wait::until("all to be updated", Duration::from_secs(120), &mut all).await?);
    let elapsed = began.elapsed();
    let after = releases(&client).await?;
    ensure!(after.iter().all(|(has, _)| *has), "the status is ahead of the releases");
    let values = |all: &[(bool, Value)]| all.iter().map(|(_, values)| values.clone()).collect::<Vec<_>>();
    ensure!(values(&after) == values(&before), "values were touched");
    let per_second = INSTANCES as f64 / elapsed.as_secs_f64();
    println!(
        "rollout: {INSTANCES} releases in {:.1} s, {still} of them before the operator was restarted",
        elapsed.as_secs_f64()
    );
    ensure!(per_second < PER_SECOND_MAX, "{per_second:.0} releases were changed each second");
    ensure!(steps.is_sorted(), "the status went back: {steps:?}");
    Ok(())
}
