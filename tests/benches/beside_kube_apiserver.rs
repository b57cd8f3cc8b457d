//! One kind served by `kindsmith dev` and, as a CRD, by kube-apiserver: the same requests to both, one after the other.
//!
//! Prints a table: the time as the client sees it, the processor time that the server spent (with its etcd), and the
//! ratios. The client's own work is in the first and not in the second, so on a small machine the second says more.

use std::{
    fs,
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures::{AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _, stream};
use http::{Method, Request, header};
use kindsmith_tests::{ControlPlane, Dev, process, wait};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const OBJECTS: usize = 5_000;
const OBJECT_BYTES: usize = 2_048;
const IN_FLIGHT: usize = 16;
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

/// A server, its clients' way to it, and its processes.
struct Side {
    client: Client,
    processes: Vec<u32>,
}

impl Side {
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<usize> {
        let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        let body = body.map(ToString::to_string).unwrap_or_default();
        let answer = self.client.send(request.body(Body::from(body.into_bytes()))?).await?;
        let status = answer.status();
        let body = answer.into_body().collect_bytes().await?;
        ensure!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&body));
        Ok(body.len())
    }

    /// Processor time of all processes so far.
    fn processor_time(&self) -> Duration {
        let ticks = self.processes.iter().filter_map(|id| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            let rest = stat.rsplit_once(')')?.1;
            let times = rest.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
            Some(times.sum::<u64>())
        });
        // Linux counts in hundredths of a second here, on all machines.
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    /// Time and processor time of one of many requests.
    async fn measure<F: Future<Output = Result<usize>>>(
        &self,
        count: usize,
        in_flight: usize,
        ask: impl Fn(usize) -> F,
    ) -> Result<Cost> {
        let (began, processor) = (Instant::now(), self.processor_time());
        stream::iter(0..count).map(ask).buffer_unordered(in_flight).try_collect::<Vec<usize>>().await?;
        let each = u32::try_from(count)?;
        Ok(Cost { time: began.elapsed() / each, processor: (self.processor_time() - processor) / each })
    }
}

/// What one request costs.
#[derive(Clone, Copy)]
struct Cost {
    time: Duration,
    processor: Duration,
}

fn row(what: &str, ours: Cost, theirs: Cost, goal: &str) {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0;
    let ratio = |ours: Duration, theirs: Duration| milliseconds(theirs) / milliseconds(ours).max(0.001);
    println!(
        "{what:<28} {:>9.3} {:>9.3} {:>6.1}x | {:>9.3} {:>9.3} {:>6.1}x   {goal}",
        milliseconds(ours.time),
        milliseconds(theirs.time),
        ratio(ours.time, theirs.time),
        milliseconds(ours.processor),
        milliseconds(theirs.processor),
        ratio(ours.processor, theirs.processor),
    );
}

/// Asks both the same. Theirs first, so that a warm client is not what makes ours fast; the second of two rounds counts.
async fn both<F: Future<Output = Result<usize>>>(
    sides: (&Side, &Side),
    count: usize,
    in_flight: usize,
    ask: impl Fn(usize, bool) -> F,
) -> Result<(Cost, Cost)> {
    let (ours, theirs) = sides;
    theirs.measure(count.div_ceil(4), in_flight, |index| ask(index, false)).await?;
    let of_theirs = theirs.measure(count, in_flight, |index| ask(index, false)).await?;
    ours.measure(count.div_ceil(4), in_flight, |index| ask(index, true)).await?;
    let of_ours = ours.measure(count, in_flight, |index| ask(index, true)).await?;
    Ok((of_ours, of_theirs))
}

/// Delivered events, and how long they took.
struct FanOut {
    delivered: usize,
    median: Duration,
    p99: Duration,
    processor: Duration,
}

async fn fan_out(side: &Side) -> Result<FanOut> {
    let client = &side.client;
    let list: Value = client.request(Request::get(format!("{COLLECTION}?limit=1")).body(Vec::new())?).await?;
    let revision = list["metadata"]["resourceVersion"].as_str().context("the list has no revision")?;
    let (arrived, mut arrivals) = mpsc::unbounded_channel::<(usize, Instant)>();
    let path = format!("{COLLECTION}?watch=true&resourceVersion={revision}&timeoutSeconds=300");
    let watchers = stream::iter(0..WATCHERS)
        .map(|_| async {
            let lines = client.request_stream(Request::get(path.as_str()).body(Vec::new())?).await?.lines();
            let arrived = arrived.clone();
            anyhow::Ok(tokio::spawn(async move {
                let mut lines = Box::pin(lines);
                let mut seen = 0;
                while let Some(Ok(line)) = lines.next().await {
                    let now = Instant::now();
                    let step = line.split_once("\"step\":").map(|(_, rest)| rest);
                    let step = step.and_then(|rest| rest.split(['}', ',']).next()?.parse().ok());
                    if let Some(step) = step
                        && arrived.send((step, now)).is_err()
                    {
                        return;
                    }
                    seen += 1;
                    if seen == EVENTS {
                        return;
                    }
                }
            }))
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect::<Vec<_>>()
        .await?;
    drop(arrived);
    let processor = side.processor_time();
    let mut sent = Vec::with_capacity(EVENTS);
    // The objects begin with step 0: to write that again would be no event.
    for step in 1..=EVENTS {
        let patch = json!({"spec": {"step": step}});
        let request = Request::patch(format!("{COLLECTION}/cup-00000"))
            .header(header::CONTENT_TYPE, "application/merge-patch+json")
            .body(patch.to_string().into_bytes())?;
        sent.push(Instant::now());
        client.request_text(request).await?;
    }
    let mut delays = Vec::with_capacity(WATCHERS * EVENTS);
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    while let Ok(Some((step, at))) = tokio::time::timeout_at(end, arrivals.recv()).await {
        delays.extend(
            step.checked_sub(1).and_then(|index| sent.get(index)).map(|sent| at.saturating_duration_since(*sent)),
        );
    }
    for watcher in watchers {
        watcher.abort();
    }
    delays.sort();
    let at = |share: f64| delays.get((delays.len() as f64 * share) as usize).copied().unwrap_or_default();
    Ok(FanOut { delivered: delays.len(), median: at(0.5), p99: at(0.99), processor: side.processor_time() - processor })
}

fn mebibytes(processes: &[u32]) -> u64 {
    processes.iter().filter_map(|id| process::resident_bytes(*id)).sum::<u64>() >> 20
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
    let full = mebibytes(&ours.processes);

    let (of_theirs, of_ours) = (fan_out(&theirs).await?, fan_out(&ours).await?);
    let cost = |fan_out: &FanOut, time| Cost { time, processor: fan_out.processor / EVENTS as u32 };
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
