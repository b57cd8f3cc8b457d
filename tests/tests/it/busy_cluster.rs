//! Reads of the most recent state in a cluster whose revision other resources move all the time.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures::{AsyncBufReadExt as _, StreamExt as _};
use kube::Client;
use serde_json::{Value, json};

use crate::releases::{REDISES, RELEASES, done, with_redises};

/// How often instances come and go.
const ROUNDS: usize = 5;

/// How many of them.
const RELEASES_AT_ONCE: usize = 60;

/// Between changes that move the revision.
const PAUSE: Duration = Duration::from_millis(10);

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// What makes a list first come as events.
const INITIAL: &str = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";

fn name_of(object: &Value) -> Result<String> {
    Ok(object["metadata"]["name"].as_str().context("an object has no name")?.to_owned())
}

async fn listed(client: &Client) -> Result<BTreeSet<String>> {
    let list = done(client, "GET", REDISES, None).await?;
    list["items"].as_array().context("no list")?.iter().map(name_of).collect()
}

/// The names that a watch begins with.
async fn begun_with(client: &Client) -> Result<BTreeSet<String>> {
    let request = http::Request::get(format!("{REDISES}?{INITIAL}")).body(Vec::new())?;
    let mut lines = Box::pin(client.request_stream(request).await?.lines());
    let mut names = BTreeSet::new();
    loop {
        let line = tokio::time::timeout(Duration::from_secs(10), lines.next()).await.context("no event")?;
        let event: Value = serde_json::from_str(&line.context("the watch ended")??)?;
        match event["type"].as_str() {
            Some("ADDED") => drop(names.insert(name_of(&event["object"])?)),
            Some("BOOKMARK") => return Ok(names),
            _ => anyhow::bail!("unexpected: {event}"),
        }
    }
}

/// Makes releases of all names at once, past Kindsmith, which has to hear of them.
async fn make(client: &Client, release: &Value, names: &BTreeSet<String>) -> Result<()> {
    let made = names.iter().map(|name| {
        let mut release = release.clone();
        release["metadata"]["name"] = json!(format!("redis-{name}"));
        async move { done(client, "POST", RELEASES, Some(&release)).await.map(drop) }
    });
    futures::future::try_join_all(made).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_watches_begin_with_all_that_was_written_before() -> Result<()> {
    let (_control_plane, kindsmith, client) = with_redises().await?;
    // Kindsmith is asked itself: on the way through kube-apiserver it would hear of all meanwhile.
    let own = kindsmith.client().await?;
    let config_map = json!({"metadata": {"name": "busy"}, "data": {"round": "0"}});
    done(&client, "POST", CONFIG_MAPS, Some(&config_map)).await?;
    let other = client.clone();
    let busy = tokio::spawn(async move {
        for round in 0_usize.. {
            let change = json!({"data": {"round": round.to_string()}});
            done(&other, "PATCH", &format!("{CONFIG_MAPS}/busy"), Some(&change)).await?;
            tokio::time::sleep(PAUSE).await;
        }
        anyhow::Ok(())
    });
    let redis = json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": "model"}});
    done(&client, "POST", REDISES, Some(&redis)).await?;
    let release = done(&client, "GET", &format!("{RELEASES}/redis-model"), None).await?;
    let labels = &release["metadata"]["labels"];
    let release = json!({"apiVersion": release["apiVersion"], "kind": release["kind"], "spec": release["spec"],
        "metadata": {"labels": labels}});
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        done(&client, "DELETE", RELEASES, None).await?;
        let began = begun_with(&own).await?;
        ensure!(began.is_empty(), "the watch begins with {began:?}, which are gone");
        let names: BTreeSet<String> = (0..RELEASES_AT_ONCE).map(|index| format!("busy-{round}-{index}")).collect();
        make(&client, &release, &names).await?;
        let began = begun_with(&own).await?;
        ensure!(began == names, "the watch begins with {began:?}, and there are {names:?}");
        let asked = Instant::now();
        let listed = listed(&own).await?;
        times.push(asked.elapsed());
        ensure!(listed == names, "the list has {listed:?}, and there are {names:?}");
    }
    ensure!(!busy.is_finished(), "the cluster was not busy");
    busy.abort();
    times.sort();
    let milliseconds = |at: usize| times[at].as_secs_f64() * 1_000.0;
    println!(
        "busy cluster: a list takes {:.1} ms in the median, {:.1} ms at most ({ROUNDS} times)",
        milliseconds(ROUNDS / 2),
        milliseconds(ROUNDS - 1)
    );
    Ok(())
}
