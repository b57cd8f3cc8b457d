//! A kind on HelmReleases, through kube-apiserver as clients use it, beside the same operation on HelmReleases directly.
//!
//! Prints a table: the time as the client sees it, and the ratio; then the memory of an instance.

use std::time::Duration;

use anyhow::{Context as _, Result};
use http::{Method, Request};
use kindsmith_tests::{ControlPlane, Kindsmith, process, wait};
use kube::Client;
use measure::{Cost, Delivery, FanOut, IN_FLIGHT, Side, both, in_turns, row};
use serde_json::{Value, json};

mod measure;

const OBJECTS: usize = 5_000;
const VALUES_BYTES: usize = 1_500;
const UPDATES: usize = 1_000;
/// Requests that are sent one after the other.
const ALONE: usize = 500;
const LISTS: usize = 5;
const WATCHERS: usize = 50;
const EVENTS: usize = 100;

const OURS: &str = "/apis/bench.example.com/v1/namespaces/default/cups";

/// Releases that are nobody's instances.
const THEIRS: &str = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/plain/helmreleases";

fn definition() -> Value {
    json!({
        "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": "cups.bench.example.com"},
        "spec": {"group": "bench.example.com", "scope": "Namespaced", "names": {"kind": "Cup", "plural": "cups"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object",
                    "properties": {"step": {"type": "integer"}, "pad": {"type": "string"}}}}}}}],
            "backend": {"helmRelease": {
                "chartRef": {"kind": "OCIRepository", "name": "cup", "namespace": "charts"}, "prefix": "cup-"}}},
    })
}

/// Values that no two releases share and that hardly compress: memory must not look better than it is.
fn values(index: usize) -> Value {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    // Numerical Recipes' generator; its high bits are the good ones.
    let next =
        |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    let states = std::iter::successors(Some(index as u64), next).skip(2);
    let pad: String = states.take(VALUES_BYTES).map(|state| char::from(DIGITS[(state >> 59) as usize])).collect();
    json!({"step": 0, "pad": pad})
}

fn cup(index: usize) -> Value {
    json!({"apiVersion": "bench.example.com/v1", "kind": "Cup", "metadata": {"name": format!("{index:05}")},
        "spec": values(index)})
}

fn release(index: usize) -> Value {
    json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": format!("plain-{index:05}"), "labels": {"bench.example.com/plain": "true"}},
        "spec": {"chartRef": {"kind": "OCIRepository", "name": "plain", "namespace": "charts"}, "interval": "5m",
            "values": values(index)}})
}

/// How many requests of a verb our apiserver has answered, and how long it took over them all, in seconds.
async fn answered(own: &Client, verb: &str) -> Result<(f64, f64)> {
    let metrics = own.request_text(Request::get("/metrics").body(Vec::new())?).await?;
    let total = |what: &str| {
        let name = format!("apiserver_request_duration_seconds_{what}{{");
        let of_verb = metrics.lines().filter(|line| {
            line.starts_with(&name) && line.contains(&format!("verb=\"{verb}\"")) && line.contains("resource=\"cups\"")
        });
        of_verb.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>()
    };
    Ok((total("count"), total("sum")))
}

/// Tells how much of the time of a request passes before it comes to us and after we have answered.
async fn tell_the_way(own: &Client, verb: &str, before: (f64, f64), ours: Cost, direct: Cost) -> Result<()> {
    let after = answered(own, verb).await?;
    let here = (after.1 - before.1) * 1_000.0 / (after.0 - before.0).max(1.0);
    let (whole, direct) = (ours.time.as_secs_f64() * 1_000.0, direct.time.as_secs_f64() * 1_000.0);
    let way = whole - here;
    println!(
        "  of that on the way to us and back: {way:.3} ms; if we took no time but that of the direct request: {:.2}x",
        direct / (direct + way)
    );
    Ok(())
}

async fn run() -> Result<()> {
    let control_plane = ControlPlane::builder().durable().start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Kindsmith::start(&control_plane).await?;
    control_plane.kubectl(["create", "namespace", "plain"]).ok().await?;
    control_plane.apply(&definition().to_string()).await?;
    let apiserver = kindsmith.apiserver_id().context("the apiserver does not run")?;
    let hosts = control_plane.process_ids();
    let theirs = Side { client: control_plane.client().await?, processes: hosts.clone() };
    let ours = Side { client: theirs.client.clone(), processes: [hosts, vec![apiserver]].concat() };
    wait::until("the kind to be served", Duration::from_secs(120), || ours.ask(Method::GET, OURS, None)).await?;
    let resident = || process::resident_bytes(apiserver).unwrap_or_default();
    measure::rest().await;
    let empty = resident();
    let side = |own: bool| if own { &ours } else { &theirs };

    println!(
        "{OBJECTS} objects with {VALUES_BYTES} bytes of values; times in ms for one request, {IN_FLIGHT} in flight"
    );
    println!("{:<28} {:>9} {:>9} {:>7} | {:>9} {:>9} {:>7}", "", "ours", "direct", "ratio", "ours", "direct", "ratio");
    println!("{:<28} {:^27} | {:^27}   goal", "", "time", "processor time");

    let objects: Vec<(Value, Value)> = (0..OBJECTS + ALONE).map(|index| (cup(index), release(index))).collect();
    let create = |index: usize, own: bool| {
        let (path, body) = if own { (OURS, &objects[index].0) } else { (THEIRS, &objects[index].1) };
        side(own).ask(Method::POST, path, Some(body))
    };
    let of_theirs = theirs.measure(OBJECTS, IN_FLIGHT, |index| create(index, false)).await?;
    let of_ours = ours.measure(OBJECTS, IN_FLIGHT, |index| create(index, true)).await?;
    row("create", of_ours, of_theirs, "");
    measure::rest().await;
    let full = resident();

    let path = |index: usize, own: bool| {
        if own { format!("{OURS}/{index:05}") } else { format!("{THEIRS}/plain-{index:05}") }
    };
    let update = |index: usize, own: bool| async move {
        let change = json!({"step": index + 1});
        let patch = if own { json!({"spec": change}) } else { json!({"spec": {"values": change}}) };
        side(own).patch(&path(index, own), &patch).await
    };
    let of_theirs = theirs.measure(UPDATES, IN_FLIGHT, |index| update(index, false)).await?;
    let of_ours = ours.measure(UPDATES, IN_FLIGHT, |index| update(index, true)).await?;
    row("update (merge patch)", of_ours, of_theirs, "");
    let own = kindsmith.client().await?;
    let before = answered(&own, "POST").await?;
    let (of_ours, of_theirs) = in_turns((&ours, &theirs), ALONE, |index, own| create(OBJECTS + index, own)).await?;
    row("create, one at a time", of_ours, of_theirs, ">= 0.77x");
    tell_the_way(&own, "POST", before, of_ours, of_theirs).await?;
    let before = answered(&own, "PATCH").await?;
    let (of_ours, of_theirs) = in_turns((&ours, &theirs), ALONE, |index, own| update(OBJECTS - 1 - index, own)).await?;
    row("update, one at a time", of_ours, of_theirs, ">= 0.77x");
    tell_the_way(&own, "PATCH", before, of_ours, of_theirs).await?;

    // What the way through kube-apiserver to us and back costs, with hardly any work at its end.
    let get = |index: usize, own: bool| async move {
        side(own).ask(Method::GET, &format!("{}?resourceVersion=0", path(index, own)), None).await
    };
    let (of_ours, of_theirs) = in_turns((&ours, &theirs), UPDATES, get).await?;
    row("get RV=0, one at a time", of_ours, of_theirs, "");

    let get = |index: usize, own: bool| async move { side(own).ask(Method::GET, &path(index, own), None).await };
    let (of_ours, of_theirs) = both((&ours, &theirs), UPDATES, IN_FLIGHT, get).await?;
    row("get", of_ours, of_theirs, "");

    let list = |_, own: bool| async move {
        let collection = if own { OURS } else { THEIRS };
        side(own).ask(Method::GET, &format!("{collection}?resourceVersion=0"), None).await
    };
    let (of_ours, of_theirs) = both((&ours, &theirs), LISTS, 1, list).await?;
    row("list RV=0, no gzip", of_ours, of_theirs, "");
    let list = |_, own: bool| async move {
        let collection = if own { OURS } else { THEIRS };
        side(own).ask_compressed(&format!("{collection}?resourceVersion=0")).await
    };
    // The first one is when the objects are compressed.
    let first = ours.measure(1, 1, |index| list(index, true)).await?;
    let (of_ours, of_theirs) = both((&ours, &theirs), LISTS, 1, list).await?;
    row("list RV=0, gzip", of_ours, of_theirs, ">= 10x");
    let (of_ours, of_theirs) = (list(0, true).await?, list(0, false).await?);
    println!(
        "the first list with gzip: {:.1} ms; bytes sent: {of_ours} and {of_theirs}",
        first.time.as_secs_f64() * 1_000.0
    );

    let fan_out = |collection, object, patch| FanOut { collection, object, patch, watchers: WATCHERS, events: EVENTS };
    let direct = fan_out(THEIRS, "plain-04999", |step| json!({"spec": {"values": {"step": step}}}));
    let of_theirs = direct.measure(&theirs).await?;
    let of_ours = fan_out(OURS, "04999", |step| json!({"spec": {"step": step}})).measure(&ours).await?;
    let cost = |of: &Delivery, time| Cost { time, processor: of.processor };
    row("watch: event, median", cost(&of_ours, of_ours.median), cost(&of_theirs, of_theirs.median), "");
    row("watch: event, p99", cost(&of_ours, of_ours.p99), cost(&of_theirs, of_theirs.p99), ">= 0.83x");
    println!("delivered {} and {} of {}", of_ours.delivered, of_theirs.delivered, WATCHERS * EVENTS);

    // Every release is held once, whether it is an instance or not.
    let encoded = ours.ask(Method::GET, &format!("{THEIRS}/plain-00000"), None).await?;
    measure::rest().await;
    let end = resident();
    let beyond = |resident: u64, objects: usize| {
        let each = resident.saturating_sub(empty) / objects as u64;
        each.saturating_sub(2 * encoded as u64)
    };
    println!(
        "resident: {} MiB empty, {} MiB with {OBJECTS} instances and as many other releases of {encoded} bytes: {} bytes an \
         instance beyond both releases; {} at the end, with the changes that are remembered (goal <= 3072)",
        empty >> 20,
        full >> 20,
        beyond(full, OBJECTS),
        beyond(end, OBJECTS + ALONE)
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
