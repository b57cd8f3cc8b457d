//! A list that is taken page by page while the cluster's revision moves for other reasons.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::wait;
use kube::Client;
use serde_json::{Value, json};

use crate::releases::{REDISES, done, with_redises};

const INSTANCES: usize = 12;

/// How often kube-apiserver was asked for collections of HelmReleases.
async fn collections_read(client: &Client) -> Result<u64> {
    let metrics = client.request_text(http::Request::get("/metrics").body(Vec::new())?).await?;
    let asked = metrics.lines().filter(|line| {
        line.starts_with("apiserver_request_total")
            && line.contains("resource=\"helmreleases\"")
            && line.contains("verb=\"LIST\"")
    });
    let counts = asked.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    Ok(counts.sum())
}

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().into_iter().flatten();
    items.filter_map(|item| item["metadata"]["name"].as_str()).map(str::to_owned).collect()
}

#[tokio::test]
async fn all_pages_are_of_one_revision_and_the_cluster_is_asked_for_it_once() -> Result<()> {
    let (_control_plane, _kindsmith, client) = with_redises().await?;
    let mut all = Vec::new();
    for index in 0..INSTANCES {
        let name = format!("cache-{index:02}");
        let redis = json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": name}});
        done(&client, "POST", REDISES, Some(&redis)).await?;
        all.push(name);
    }
    // A write of something else: no watch of HelmReleases tells of its revision soon.
    let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}});
    let other = done(&client, "POST", "/api/v1/namespaces/default/configmaps", Some(&other)).await?;
    let moved: u64 = other["metadata"]["resourceVersion"].as_str().context("no revision")?.parse()?;

    let mut page = done(&client, "GET", &format!("{REDISES}?limit=5"), None).await?;
    let revision = page["metadata"]["resourceVersion"].clone();
    ensure!(
        revision.as_str().and_then(|text| text.parse::<u64>().ok()).is_some_and(|at| at >= moved),
        "it is of {revision}"
    );
    let before = collections_read(&client).await?;
    // What comes and goes meanwhile is on no page.
    let late =
        json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": "cache-05-late"}});
    done(&client, "POST", REDISES, Some(&late)).await?;
    done(&client, "DELETE", &format!("{REDISES}/cache-11"), None).await?;
    let (mut seen, mut pages) = (names(&page), 1);
    while let Some(token) = page["metadata"]["continue"].as_str().filter(|token| !token.is_empty()) {
        page = done(&client, "GET", &format!("{REDISES}?limit=5&continue={token}"), None).await?;
        ensure!(page["metadata"]["resourceVersion"] == revision, "a page is of {}", page["metadata"]);
        seen.extend(names(&page));
        pages += 1;
    }
    ensure!((&seen, pages) == (&all, 3), "{pages} pages have {seen:?}");
    let asked = collections_read(&client).await? - before;
    ensure!(asked == 0, "the cluster was asked for a collection {asked} times for the pages behind the first");

    wait::until("the cache to go on", Duration::from_secs(10), || async {
        let now = names(&done(&client, "GET", &format!("{REDISES}?resourceVersion=0"), None).await?);
        ensure!(now.contains(&"cache-05-late".to_owned()) && !now.contains(&"cache-11".to_owned()), "it has {now:?}");
        Ok(())
    })
    .await
}
