//! Many definitions at once: how soon all are served, what it takes to begin with them, and what one change costs.
//!
//! Prints a table; the costs of a change beside a few definitions and beside many are of the same run.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::{Method, Request};
use kindsmith_tests::{ControlPlane, Kindsmith, wait};
use kube::Client;
use measure::{IN_FLIGHT, Side, mebibytes};
use serde_json::{Map, Value, json};

#[allow(dead_code, reason = "each bench uses a part")]
mod measure;

const FEW: usize = 10;
const MANY: usize = 1_000;

/// How large the schema of each is, about.
const SCHEMA_BYTES: usize = 8 << 10;

/// Changes whose costs are measured.
const CHANGES: usize = 40;

/// Changes whose time is measured, each when all is calm.
const DELAYS: usize = 9;

const DEFINITIONS: &str = "/apis/kindsmith.dev/v1alpha1/applicationdefinitions";

/// Groups that definitions are in.
const GROUPS: usize = 4;

fn group(index: usize) -> String {
    format!("many{}.example.com", index % GROUPS)
}

fn schema() -> Value {
    let mut properties = Map::new();
    let mut bytes = 0;
    while bytes < SCHEMA_BYTES {
        let property = json!({"type": "object", "description": "what a part of an application is told", "properties": {
            "size": {"type": "string", "pattern": "^[0-9]+(Mi|Gi)$", "default": "10Gi"},
            "replicas": {"type": "integer", "minimum": 0, "maximum": 9, "default": 2},
            "mode": {"type": "string", "enum": ["fast", "safe"]},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        }});
        bytes += property.to_string().len();
        properties.insert(format!("part{}", properties.len()), property);
    }
    json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}})
}

fn definition(index: usize, schema: &Value) -> Value {
    let (group, plural) = (group(index), format!("things{index:04}"));
    json!({
        "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": format!("Thing{index:04}"), "plural": plural},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
            "backend": {"helmRelease": {
                "chartRef": {"kind": "OCIRepository", "name": format!("thing{index}"), "namespace": "charts"},
                "prefix": format!("thing{index:04}-")}}},
    })
}

/// How many of our kinds an API server lists.
async fn listed(client: &Client) -> Result<usize> {
    let mut found = 0;
    for index in 0..GROUPS {
        let request = Request::get(format!("/apis/{}/v1", group(index))).body(Vec::new())?;
        // A group that is not there yet has none.
        let list: Value = client.request(request).await.unwrap_or_default();
        let resources = list["resources"].as_array().into_iter().flatten();
        found += resources.filter(|it| it["name"].as_str().is_some_and(|name| !name.contains('/'))).count();
    }
    Ok(found)
}

async fn until_listed(client: &Client, count: usize) -> Result<Duration> {
    let began = Instant::now();
    loop {
        let found = listed(client).await?;
        if found >= count {
            return Ok(began.elapsed());
        }
        ensure!(began.elapsed() < Duration::from_secs(300), "{found} of {count} kinds are served after five minutes");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How many definitions are not `Ready`.
async fn unready(client: &Client) -> Result<usize> {
    let list: Value =
        client.request(Request::get(format!("{DEFINITIONS}?resourceVersion=0")).body(Vec::new())?).await?;
    let ready = |definition: &Value| {
        let conditions = definition["status"]["conditions"].as_array();
        conditions.is_some_and(|conditions| conditions.iter().any(|it| it["type"] == "Ready" && it["status"] == "True"))
    };
    Ok(list["items"].as_array().context("no list of definitions")?.iter().filter(|it| !ready(it)).count())
}

async fn until_ready(client: &Client) -> Result<Duration> {
    let began = Instant::now();
    loop {
        let unready = unready(client).await?;
        if unready == 0 {
            return Ok(began.elapsed());
        }
        ensure!(began.elapsed() < Duration::from_secs(300), "{unready} definitions are not Ready after five minutes");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What a process that is at rest takes of the processor between two looks.
const AT_REST: Duration = Duration::from_millis(20);

/// The same for kube-apiserver and etcd, which are never quite at rest.
const CALM: Duration = Duration::from_millis(200);

/// The processor time of each side when nothing happens any more.
async fn settled(sides: &[&Side], at_rest: Duration) -> Result<Vec<Duration>> {
    let mut before: Vec<Duration> = Vec::new();
    loop {
        let now: Vec<Duration> = sides.iter().map(|side| side.processor_time()).collect();
        let still = |(now, before): (&Duration, &Duration)| now.saturating_sub(*before) <= at_rest;
        if before.len() == now.len() && now.iter().zip(&before).all(still) {
            return Ok(now);
        }
        before = now;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
}

/// Changes a definition, and waits until that is served.
async fn change(column: &str, client: &Client, own: &Client) -> Result<Duration> {
    let name = format!("things0000.{}", group(0));
    // The name of a column is seen in any Table of the kind.
    let columns = json!([{"name": column, "type": "string", "jsonPath": ".spec.part0.size"}]);
    let patch = json!([{"op": "add", "path": "/spec/versions/0/additionalPrinterColumns", "value": columns}]);
    let request = Request::patch(format!("{DEFINITIONS}/{name}"))
        .header(http::header::CONTENT_TYPE, "application/json-patch+json")
        .body(patch.to_string().into_bytes())?;
    let began = Instant::now();
    client.request_text(request).await?;
    let table = || {
        let path = format!("/apis/{}/v1/namespaces/default/things0000?resourceVersion=0&limit=1", group(0));
        let media_type = "application/json;as=Table;v=v1;g=meta.k8s.io";
        Request::get(path).header(http::header::ACCEPT, media_type).body(Vec::new())
    };
    while !own.request_text(table()?).await?.contains(column) {
        ensure!(began.elapsed() < Duration::from_secs(30), "the change is not served");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(began.elapsed())
}

/// What a change of one definition costs: the time until it is served, and the processor time of each side.
struct Cost {
    served: Duration,
    processor: Vec<Duration>,
}

async fn changes(existing: usize, client: &Client, own: &Client, sides: &[&Side], host: &Side) -> Result<Cost> {
    let mut delays = Vec::with_capacity(DELAYS);
    for round in 0..DELAYS {
        // For a while after a change kube-apiserver reads the OpenAPI of the group again, and both processors are its own.
        settled(&[host], CALM).await?;
        delays.push(change(&format!("Delay{round}Of{existing}"), client, own).await?);
    }
    delays.sort();
    let before = settled(sides, AT_REST).await?;
    for round in 0..CHANGES {
        change(&format!("Round{round}Of{existing}"), client, own).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let after = settled(sides, AT_REST).await?;
    let each = u32::try_from(CHANGES)?;
    let processor = after.iter().zip(before).map(|(after, before)| (*after - before) / each).collect();
    Ok(Cost { served: delays[DELAYS / 2], processor })
}

async fn run() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Kindsmith::start(&control_plane).await?;
    let client = control_plane.client().await?;
    let own = kindsmith.client().await?;
    let of = |id: Option<u32>| anyhow::Ok(vec![id.context("a process does not run")?]);
    let operator = Side { client: client.clone(), processes: of(kindsmith.operator_id())? };
    let apiserver = Side { client: own.clone(), processes: of(kindsmith.apiserver_id())? };
    let host = Side { client: client.clone(), processes: control_plane.process_ids() };
    let schema = schema();
    let definitions: Vec<Value> = (0..MANY).map(|index| definition(index, &schema)).collect();
    let through = Side { client: client.clone(), processes: Vec::new() };
    let apply = |range: std::ops::Range<usize>| {
        let through = &through;
        let requests = definitions[range].iter().map(move |it| through.ask(Method::POST, DEFINITIONS, Some(it)));
        stream::iter(requests).buffer_unordered(IN_FLIGHT).try_collect::<Vec<usize>>()
    };
    println!("definitions with schemas of {} bytes, in {GROUPS} groups", schema.to_string().len());
    println!("{:<58} {:>12}   goal", "", "measured");

    wait::until("the definitions' own API", Duration::from_secs(60), || apply(0..1)).await?;
    apply(1..FEW).await?;
    until_listed(&own, FEW).await?;
    until_ready(&client).await?;
    let few = changes(FEW, &client, &own, &[&operator, &apiserver], &host).await?;

    let (began, processors) = (Instant::now(), (operator.processor_time(), apiserver.processor_time()));
    let applied = apply(FEW..MANY).await;
    let applying = began.elapsed();
    applied?;
    until_listed(&own, MANY).await?;
    let served = began.elapsed();
    until_ready(&client).await?;
    let ready = began.elapsed();
    println!("{:<58} {:>10.1} s", format!("kube-apiserver takes {} definitions", MANY - FEW), applying.as_secs_f64());
    println!(
        "{:<58} {:>10.1} s   < 10 s",
        "all served by the apiserver, after that",
        (served - applying).as_secs_f64()
    );
    println!("{:<58} {:>10.1} s", "all Ready, from the first on", ready.as_secs_f64());
    let spent = |side: &Side, before: Duration| (side.processor_time() - before).as_secs_f64();
    println!("{:<58} {:>10.1} s", "processor time of the operator until then", spent(&operator, processors.0));
    println!("{:<58} {:>10.1} s", "processor time of the apiserver until then", spent(&apiserver, processors.1));
    let many = changes(MANY, &client, &own, &[&operator, &apiserver], &host).await?;
    let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0;
    let compare = |what: &str, few: Duration, many: Duration| {
        let (few, many) = (milliseconds(few), milliseconds(many));
        println!("{what:<58} {:>12}   the same", format!("{few:.1}/{many:.1} ms"));
    };
    compare(&format!("a change beside {FEW}/{MANY} definitions: served after"), few.served, many.served);
    compare("  processor time of the operator", few.processor[0], many.processor[0]);
    compare("  processor time of the apiserver", few.processor[1], many.processor[1]);
    println!("{:<58} {:>8} MiB   <= 150 MiB", "resident: operator", mebibytes(&operator.processes));
    println!("{:<58} {:>8} MiB   <= 150 MiB", "resident: apiserver", mebibytes(&apiserver.processes));

    settled(&[&host], CALM).await?;
    kindsmith.stop_apiserver()?;
    settled(&[&host], CALM).await?;
    let began = Instant::now();
    kindsmith.start_apiserver().await?;
    until_listed(&own, MANY).await?;
    println!(
        "{:<58} {:>10.1} s   < 2 s",
        "all served after a cold start of the apiserver",
        began.elapsed().as_secs_f64()
    );
    println!(
        "{:<58} {:>8} MiB   <= 150 MiB",
        "resident: apiserver, begun with all",
        mebibytes(&of(kindsmith.apiserver_id())?)
    );
    Ok(())
}

fn main() -> Result<()> {
    // `cargo test` runs benches too, unoptimised: there is nothing to measure then.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(run())
}
