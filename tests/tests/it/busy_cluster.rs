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
const ROUNDS: usize = 20;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_watches_begin_with_all_that_was_written_before() -> Result<()> {
    let (_control_plane, _kindsmith, client) = with_redises().await?;
    let config_map = json!({"metadata": {"name": "busy"}, "data": {"round": "0"}});
    done(&client, "POST", CONFIG_MAPS, Some(&config_map)).await?;
    let other = client.clone();
    let busy = tokio::spawn(async move {
        for round in 0_usize.. {
            let change = json!({"data": {"round": round.to_string()}});
            let _ = done(&other, "PATCH", &format!("{CONFIG_MAPS}/busy"), Some(&change)).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let name = format!("busy-{round}");
        let redis = json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": name}});
        done(&client, "POST", REDISES, Some(&redis)).await?;
        if let Some(last) = round.checked_sub(1) {
            // Past Kindsmith, which has to hear of it.
            done(&client, "DELETE", &format!("{RELEASES}/redis-busy-{last}"), None).await?;
        }
        let wanted = BTreeSet::from([name]);
        let began = begun_with(&client).await?;
        ensure!(began == wanted, "the watch begins with {began:?}, and there is {wanted:?}");
        let asked = Instant::now();
        let listed = listed(&client).await?;
        times.push(asked.elapsed());
        ensure!(listed == wanted, "the list has {listed:?}, and there is {wanted:?}");
    }
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
