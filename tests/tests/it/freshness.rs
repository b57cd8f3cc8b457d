//! How soon clients find a kind that is new or changed: kube-aggregator would look by itself after up to a minute.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kindsmith_tests::{ControlPlane, Kindsmith, wait};
use kube::Client;
use serde_json::{Value, json};

/// How often a definition is made, and how often one is changed.
const TIMES: usize = 10;

/// How often kubectl is the client, with its RESTMapper and a cache that is empty.
const KUBECTL_TIMES: usize = 3;

/// The goal.
const SEEN_MEDIAN_MAX: Duration = Duration::from_secs(2);

/// What a loaded machine needs besides, once.
const SEEN_MAX: Duration = Duration::from_secs(10);

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

fn definition(index: usize, short_name: &str) -> String {
    // Every other one is in a group of its own.
    let group =
        if index.is_multiple_of(2) { "fresh.example.com".to_owned() } else { format!("fresh{index}.example.com") };
    json!({
        "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": format!("news{index}.{group}")},
        "spec": {"group": group, "scope": "Namespaced",
            "names": {"kind": format!("News{index}"), "plural": format!("news{index}"), "shortNames": [short_name]},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}}}],
            "backend": {"helmRelease": {
                "chartRef": {"kind": "OCIRepository", "name": format!("news{index}"), "namespace": "charts"},
                "prefix": format!("news{index}-")}}},
    })
    .to_string()
}

/// Whether discovery of kube-apiserver has a resource with a short name.
async fn is_found(client: &Client, plural: &str, short_name: &str) -> Result<()> {
    let request = http::Request::get("/apis").header("Accept", AGGREGATED).body(Vec::new())?;
    let groups: Value = client.request(request).await?;
    let groups = groups["items"].as_array().context("discovery has no groups")?;
    let versions = groups.iter().filter_map(|group| group["versions"].as_array()).flatten();
    let mut resources = versions.filter_map(|version| version["resources"].as_array()).flatten();
    let found = resources.find(|it| it["resource"] == plural).with_context(|| format!("{plural} is not there"))?;
    ensure!(found["shortNames"] == json!([short_name]), "{}", found["shortNames"]);
    Ok(())
}

async fn until_found(client: &Client, plural: &str, short_name: &str) -> Result<Duration> {
    let began = Instant::now();
    wait::until(&format!("{plural} to be found"), SEEN_MAX, || is_found(client, plural, short_name)).await?;
    Ok(began.elapsed())
}

fn told(what: &str, times: &mut [Duration]) -> Result<()> {
    times.sort();
    let (first, median, last) = (times[0], times[times.len() / 2], times[times.len() - 1]);
    println!(
        "freshness: {what} is found after {:.2} s at least, {:.2} s in the median, {:.2} s at most ({} times)",
        first.as_secs_f64(),
        median.as_secs_f64(),
        last.as_secs_f64(),
        times.len()
    );
    ensure!(median < SEEN_MEDIAN_MAX, "{what} is found too late");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_find_kinds_that_are_new_or_changed_at_once() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let _kindsmith = Kindsmith::start(&control_plane).await?;
    let client = control_plane.client().await?;
    // The first has to wait for the definitions' own API.
    control_plane.apply(&definition(1_000, "n")).await?;
    wait::until("the first to be found", Duration::from_secs(60), || is_found(&client, "news1000", "n")).await?;

    let (mut new, mut changed) = (Vec::new(), Vec::new());
    for index in 0..TIMES {
        let plural = format!("news{index}");
        control_plane.apply(&definition(index, &format!("a{index}"))).await?;
        new.push(until_found(&client, &plural, &format!("a{index}")).await?);
        control_plane.apply(&definition(index, &format!("b{index}"))).await?;
        changed.push(until_found(&client, &plural, &format!("b{index}")).await?);
    }
    told("a new kind", &mut new)?;
    told("a changed kind", &mut changed)?;

    let mut mapped = Vec::new();
    for index in TIMES..TIMES + KUBECTL_TIMES {
        control_plane.apply(&definition(index, &format!("a{index}"))).await?;
        let began = Instant::now();
        let cache = tempfile::tempdir()?;
        let flag = format!("--cache-dir={}", cache.path().display());
        let (plural, flag) = (format!("news{index}"), flag.as_str());
        let asked = || async {
            // What was found before must not answer.
            let _ = std::fs::remove_dir_all(cache.path());
            control_plane.kubectl(["get", plural.as_str(), flag]).ok().await.map(drop)
        };
        wait::until("kubectl to know it", SEEN_MAX, asked).await?;
        mapped.push(began.elapsed());
    }
    told("a new kind, by kubectl without a cache,", &mut mapped)
}
