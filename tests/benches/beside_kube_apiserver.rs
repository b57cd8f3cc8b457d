//! One kind served by `kindsmith dev` and, as a CRD, by kube-apiserver: the same requests to both, one after the other.
//!
//! Prints a table: the time as the client sees it, the processor time that the server spent (with its etcd), and the
//! ratios. The client's own work is in the first and not in the second, so on a small machine the second says more.

use std::{fs, time::Duration};

use anyhow::Result;
use http::Method;
use kindsmith_tests::{ControlPlane, Dev, wait};
use measure::{Cost, Delivery, FanOut, IN_FLIGHT, Side, both, mebibytes, row};
use serde_json::{Value, json};

mod measure;

const OBJECTS: usize = 5_000;
const OBJECT_BYTES: usize = 2_048;
const GETS: usize = 3_000;
const LISTS: usize = 8;
const LABELS: usize = 50;
const LABEL_LISTS: usize = 200;
const WATCHERS: usize = 1_000;
const EVENTS: usize = 100;

/// Memory that ours may have resident with all objects.
const RESIDENT_MAX_BYTES: u64 = 50 << 20;

const COLLECTION: &str = "/apis/bench.example.com/v1/namespaces/default/cups";

const SCHEMA: &str = "
        type: object
        properties:
          spec: {type: object, properties: {step: {type: integer}, pad: {type: string}}}
";

fn definition() -> String {
    format!(
        "
apiVersion: kindsmith.dev/v1alpha1
kind: ApplicationDefinition
metadata: {{name: cups.bench.example.com}}
spec:
  group: bench.example.com
  scope: Namespaced
  names: {{kind: Cup, plural: cups}}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:{SCHEMA}
  backend: {{store: {{}}}}
"
    )
}

fn crd() -> String {
    format!(
        "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: cups.bench.example.com}}
spec:
  group: bench.example.com
  scope: Namespaced
  names: {{kind: Cup, plural: cups, singular: cup, listKind: CupList}}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:{SCHEMA}
"
    )
}

fn cup(index: usize) -> Value {
    json!({"apiVersion": "bench.example.com/v1", "kind": "Cup",
        "metadata": {"name": format!("cup-{index:05}"), "labels": {"shelf": format!("s{}", index % LABELS)}},
        "spec": {"step": index, "pad": "x".repeat(OBJECT_BYTES - 500)}})
}

async fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let manifest = folder.path().join("cups.yaml");
    fs::write(&manifest, definition())?;
    let dev = Dev::start([manifest.display().to_string()]).await?;
    let control_plane = ControlPlane::start().await?;
    control_plane.apply(&crd()).await?;
    let ours = Side { client: dev.client().await?, processes: dev.process_ids() };
    let theirs = Side { client: control_plane.client().await?, processes: control_plane.process_ids() };
    for side in [&ours, &theirs] {
        wait::until("the kind to be served", Duration::from_secs(30), || side.ask(Method::GET, COLLECTION, None))
            .await?;
    }
    let empty = mebibytes(&ours.processes);
    let side = |own: bool| if own { &ours } else { &theirs };

    println!(
        "{OBJECTS} objects of {OBJECT_BYTES} bytes; times in ms for one request, {IN_FLIGHT} in flight (lists: 1)"
    );
    println!("{:<28} {:>9} {:>9} {:>7} | {:>9} {:>9} {:>7}", "", "ours", "theirs", "ratio", "ours", "theirs", "ratio");
    println!("{:<28} {:^27} | {:^27}   goal", "", "time", "processor time");

    let objects: Vec<Value> = (0..OBJECTS).map(cup).collect();
    let create = |index: usize, own: bool| side(own).ask(Method::POST, COLLECTION, Some(&objects[index]));
    let of_theirs = theirs.measure(OBJECTS, IN_FLIGHT, |index| create(index, false)).await?;
    let of_ours = ours.measure(OBJECTS, IN_FLIGHT, |index| create(index, true)).await?;
    row("create", of_ours, of_theirs, "");

    let paths: Vec<String> = (0..GETS).map(|index| format!("{COLLECTION}/cup-{:05}", index * 7 % OBJECTS)).collect();
    let costs = both((&ours, &theirs), GETS, IN_FLIGHT, |index, own| side(own).ask(Method::GET, &paths[index], None));
    let (of_ours, of_theirs) = costs.await?;
    row("get", of_ours, of_theirs, ">= 5x");

    let lists = [
        ("list, resourceVersion=0", format!("{COLLECTION}?resourceVersion=0"), LISTS, ">= 10x"),
        ("list, most recent", COLLECTION.to_owned(), LISTS, ""),
        ("list of a label (100)", format!("{COLLECTION}?labelSelector=shelf%3Ds7"), LABEL_LISTS, ""),
    ];
    for (what, path, count, goal) in &lists {
        let costs = both((&ours, &theirs), *count, 1, |_, own| side(own).ask(Method::GET, path, None));
        let (of_ours, of_theirs) = costs.await?;
        row(what, of_ours, of_theirs, goal);
    }
    let path = format!("{COLLECTION}?resourceVersion=0");
    let costs = both((&ours, &theirs), LISTS, 1, |_, own| side(own).ask_compressed(&path));
    let (of_ours, of_theirs) = costs.await?;
    row("list RV=0, gzip", of_ours, of_theirs, ">= 10x");
    measure::rest().await;
    let full = mebibytes(&ours.processes);

    let fan_out = FanOut {
        collection: COLLECTION,
        object: "cup-00000",
        patch: |step| json!({"spec": {"step": step}}),
        watchers: WATCHERS,
        events: EVENTS,
    };
    let (of_theirs, of_ours) = (fan_out.measure(&theirs).await?, fan_out.measure(&ours).await?);
    let cost = |of: &Delivery, time| Cost { time, processor: of.processor };
    row("watch: event, median", cost(&of_ours, of_ours.median), cost(&of_theirs, of_theirs.median), "");
    row("watch: event, p99", cost(&of_ours, of_ours.p99), cost(&of_theirs, of_theirs.p99), ">= 1x");
    println!(
        "{WATCHERS} watchers, {EVENTS} events: delivered {} and {} of {}",
        of_ours.delivered,
        of_theirs.delivered,
        WATCHERS * EVENTS
    );
    println!(
        "resident: ours {full} MiB with all objects ({empty} MiB empty, goal <= {}), {} MiB with all watchers; theirs {} MiB",
        RESIDENT_MAX_BYTES >> 20,
        mebibytes(&ours.processes),
        mebibytes(&theirs.processes)
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
