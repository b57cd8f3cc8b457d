//! Random requests, sent to a kind of ours and to its twin: a CRD in the real kube-apiserver.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use kindsmith_tests::twin::pair::{Pair, Side};
use kindsmith_tests::twin::plan::{
    Ask, Body, Step, VERSION, apply_sequence, scale_sequence, sequence, versions_sequence,
};
use kindsmith_tests::{ControlPlane, Dev, wait};
use proptest::strategy::{BoxedStrategy, Just, Strategy as _};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::{Value, json};

/// How many requests are sent when this variable does not say another number.
const REQUESTS: (&str, usize) = ("KINDSMITH_TWIN_REQUESTS", 3000);

/// Which part of them is sent about the scale subresource, besides.
const SCALE_PART: usize = 5;

/// Which part of them is sent by several managers, besides.
const APPLY_PART: usize = 2;

/// Which part of them is sent to a kind that is kept in releases, besides.
const RELEASE_PART: usize = 2;

/// Which part of them is sent in two versions, besides, to each backend.
const VERSIONS_PART: usize = 10;

/// Where random sequences start from, when this variable does not say another number.
const SEED: (&str, u64) = ("KINDSMITH_TWIN_SEED", 1);

/// How many sequences run at once.
const WORKERS: u64 = 4;

/// The stack of a worker: strategies and futures are large without optimisation.
const STACK_BYTES: usize = 32 << 20;

/// With how many differences there is enough to look at.
const ENOUGH: usize = 10;

/// After how many requests the progress is told.
const PROGRESS: usize = 500;

const GROUP: &str = "twins.example.com";

/// What keeps the objects of our kind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backend {
    /// The embedded store.
    Store,
    /// HelmReleases, in the embedded store.
    Release,
}

fn version() -> Value {
    json!({
        "name": "v1", "served": true, "storage": true,
        "subresources": {"status": {}, "scale": {
            "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.count", "labelSelectorPath": ".status.phase"}},
        "selectableFields": [{"jsonPath": ".spec.mode"}],
        "additionalPrinterColumns": [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
            {"name": "Mode", "type": "string", "jsonPath": ".spec.mode", "priority": 1},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
        ],
        "schema": {"openAPIV3Schema": {"type": "object", "required": ["spec"], "properties": {
            "spec": {"type": "object", "properties": {
                "size": {"type": "integer", "minimum": 0, "maximum": 10, "default": 1},
                "mode": {"type": "string", "enum": ["fast", "safe"]},
                "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "maxItems": 3, "items": {"type": "object", "required": ["name"], "properties": {
                        "name": {"type": "string"}, "number": {"type": "integer", "format": "int32"},
                        "protocol": {"type": "string", "default": "TCP"}}}},
                "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "settings": {"type": "object", "additionalProperties": {"type": "string"}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "nullable": true}}},
            "status": {"type": "object", "properties": {"phase": {"type": "string"}, "count": {"type": "integer"}}}
        }}}
    })
}

/// How many versions the kind has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Versions {
    /// `v1` alone.
    One,
    /// `v1`, which is stored, and `v1beta1`, of which each knows fields that the other does not.
    Two,
}

/// The version, and one whose schema differs.
fn two_versions(mut stored: Value) -> Vec<Value> {
    let text = json!({"type": "string"});
    let with_default = |default: &str| json!({"type": "string", "default": default});
    let closed = |fields: Value| json!({"type": "object", "properties": fields});
    let open =
        |fields: Value| json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": fields});
    let mut other = stored.clone();
    other["name"] = json!("v1beta1");
    other["storage"] = json!(false);
    let spec = "/schema/openAPIV3Schema/properties/spec/properties";
    let own = json!({
        "new": text, "late": with_default("L"), "early": text, "loose": closed(json!({"a": text})),
        "open": open(json!({
            "tls": closed(json!({"a": text})),
            "list": {"type": "array", "items": closed(json!({"a": text}))},
            "map": {"type": "object", "additionalProperties": closed(json!({"a": text, "late": with_default("L")}))}})),
    });
    let others = json!({
        "old": text, "late": text, "early": with_default("E"), "loose": open(json!({"a": text})),
        "open": open(json!({
            "tls": closed(json!({"a": text, "b": with_default("B")})),
            "map": {"type": "object", "additionalProperties": closed(json!({"a": text}))}})),
    });
    for (version, fields) in [(&mut stored, own), (&mut other, others)] {
        let fields = fields.as_object().cloned().unwrap_or_default();
        if let Some(known) = version.pointer_mut(spec).and_then(Value::as_object_mut) {
            known.extend(fields);
        }
    }
    if let Some(port) = other.pointer_mut(&format!("{spec}/ports/items/properties")) {
        port["weight"] = json!({"type": "integer", "default": 3});
    }
    other["additionalPrinterColumns"] = json!([{"name": "Old", "type": "string", "jsonPath": ".spec.old"}]);
    other["selectableFields"] = json!([{"jsonPath": ".spec.old"}, {"jsonPath": ".spec.mode"}]);
    vec![stored, other]
}

fn manifest(kind: &str, backend: Backend, versions: Versions) -> Value {
    let names = json!({"kind": "Twin", "plural": "twins", "singular": "twin", "listKind": "TwinList"});
    let mut version = version();
    if backend == Backend::Release {
        // The status of a release is Flux', so that nobody but Flux writes it.
        version["subresources"] = json!({"status": {}});
        version["schema"]["openAPIV3Schema"]["properties"]["status"] =
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    }
    let is_ours = kind == "ApplicationDefinition";
    if is_ours && backend == Backend::Release {
        version["subresources"] = json!({});
    }
    let versions = match versions {
        Versions::One => vec![version],
        Versions::Two => two_versions(version),
    };
    let mut spec = json!({"group": GROUP, "scope": "Namespaced", "names": names, "versions": versions});
    let api_version = if is_ours {
        spec["backend"] = match backend {
            Backend::Store => json!({"store": {}}),
            Backend::Release => json!({"helmRelease": {
                "chartRef": {"kind": "OCIRepository", "name": "twin", "namespace": "charts"}, "prefix": "twin-"}}),
        };
        "kindsmith.dev/v1alpha1"
    } else {
        "apiextensions.k8s.io/v1"
    };
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": format!("twins.{GROUP}")}, "spec": spec})
}

fn number<T: std::str::FromStr>((name, otherwise): (&str, T)) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// What the workers count.
#[derive(Default)]
struct Tally {
    requests: AtomicUsize,
    sequences: AtomicUsize,
    differences: Mutex<BTreeMap<String, String>>,
}

impl Tally {
    fn found(&self) -> usize {
        self.differences.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

async fn run(ours: &Side, theirs: &Side, namespace: &str, steps: &[Step]) -> Result<(usize, Vec<String>)> {
    let mut pair = Pair::new(ours, theirs, namespace).await?;
    for step in steps {
        if let Some(difference) = pair.step(step).await? {
            return Ok((pair.requests, vec![difference]));
        }
    }
    pair.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_kind_of_ours_answers_as_its_twin_does() -> Result<()> {
    compare(Backend::Store, Versions::One, || sequence().boxed(), number(REQUESTS)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn the_scale_of_a_kind_of_ours_answers_as_its_twins_does() -> Result<()> {
    compare(Backend::Store, Versions::One, || scale_sequence().boxed(), number(REQUESTS) / SCALE_PART).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn many_managers_own_fields_of_a_kind_of_ours_as_of_its_twin() -> Result<()> {
    compare(Backend::Store, Versions::One, || apply_sequence().boxed(), number(REQUESTS) / APPLY_PART).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_kind_kept_in_releases_answers_as_its_twin_does() -> Result<()> {
    let of_release = |step: &Step| match step {
        // A 2.0 over a 2 is a generation of its own to kube-apiserver, and nothing new to a release: see docs/differences.md.
        Step::Ask(ask) => ask.tail.is_empty() && !ask.mentions("status") && !ask.mentions("2.0"),
        Step::Watch { .. } => true,
    };
    let sequences =
        move || sequence().prop_map(move |steps| steps.into_iter().filter(of_release).collect::<Vec<_>>()).boxed();
    compare(Backend::Release, Versions::One, sequences, number(REQUESTS) / RELEASE_PART).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_kind_in_two_versions_answers_as_its_twin_does() -> Result<()> {
    compare(Backend::Store, Versions::Two, || versions_sequence().boxed(), number(REQUESTS) / VERSIONS_PART).await
}

/// More than a request may have: the limit is 3 MiB.
const TOO_LARGE_BYTES: usize = (3 << 20) + 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn bodies_that_are_too_large_are_refused_as_its_twin_refuses_them() -> Result<()> {
    let ask = |method, name, content_type| {
        let spec = json!({"free": {"pad": "x".repeat(TOO_LARGE_BYTES)}});
        let body = json!({"apiVersion": "{group}/v1", "kind": "Twin", "metadata": {"name": "a"}, "spec": spec});
        Step::Ask(Ask {
            version: VERSION,
            method,
            name,
            tail: "",
            query: "fieldManager=m1".to_owned(),
            content_type,
            accept: "application/json",
            body: Body::Text(body.to_string()),
        })
    };
    let steps = move || {
        let steps = vec![
            ask("POST", None, "application/json"),
            ask("PUT", Some("a"), "application/json"),
            ask("PATCH", Some("a"), "application/merge-patch+json"),
            ask("PATCH", Some("a"), "application/json-patch+json"),
            ask("PATCH", Some("a"), "application/apply-patch+yaml"),
            ask("DELETE", Some("a"), "application/json"),
        ];
        Just(steps).boxed()
    };
    compare(Backend::Store, Versions::One, steps, 6).await
}

async fn compare(
    backend: Backend,
    versions: Versions,
    sequences: impl Fn() -> BoxedStrategy<Vec<Step>> + Copy + Send + 'static,
    wanted: usize,
) -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    let dev = Dev::start(Vec::<String>::new()).await?;
    control_plane.apply(&manifest("CustomResourceDefinition", backend, versions).to_string()).await?;
    dev.kubectl(["apply", "-f", "-"])
        .stdin(&manifest("ApplicationDefinition", backend, versions).to_string())
        .ok()
        .await?;
    let ours = Side { client: dev.client().await?, group: GROUP.to_owned() };
    let theirs = Side { client: control_plane.client().await?, group: GROUP.to_owned() };
    for side in [&ours, &theirs] {
        wait::until("the kind is served", Duration::from_secs(20), async || {
            let path = format!("/apis/{GROUP}/v1/twins");
            Ok(side.client.request_text(http::Request::get(path).body(Vec::new())?).await.map(drop)?)
        })
        .await?;
    }

    let seed = number(SEED);
    let tally = Arc::new(Tally::default());
    let mut workers = Vec::new();
    for worker in 0..WORKERS {
        let (ours, theirs, tally) = (ours.clone(), theirs.clone(), Arc::clone(&tally));
        let runtime = tokio::runtime::Handle::current();
        let builder = std::thread::Builder::new().stack_size(STACK_BYTES);
        workers.push(builder.spawn(move || {
            let strategy = sequences();
            for round in 0.. {
                if tally.requests.load(Ordering::Relaxed) >= wanted || tally.found() >= ENOUGH {
                    break;
                }
                // A runner is spent once it has had its cases.
                let mut bytes = [0; 32];
                bytes[..8].copy_from_slice(&(seed * WORKERS + worker).to_le_bytes());
                bytes[8..16].copy_from_slice(&u64::to_le_bytes(round));
                let config = Config {
                    cases: 1,
                    max_shrink_iters: 60,
                    max_shrink_time: 60_000,
                    failure_persistence: None,
                    ..Config::default()
                };
                let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
                let outcome = runner.run(&strategy, |steps| {
                    let index = tally.sequences.fetch_add(1, Ordering::Relaxed);
                    let namespace = format!("twin-{index}");
                    match runtime.block_on(run(&ours, &theirs, &namespace, &steps)) {
                        Ok((requests, differences)) => {
                            let before = tally.requests.fetch_add(requests, Ordering::Relaxed);
                            if before / PROGRESS != (before + requests) / PROGRESS {
                                println!("twin: {} of {wanted} requests", before + requests);
                            }
                            match differences.first() {
                                None => Ok(()),
                                Some(first) => Err(TestCaseError::fail(first.clone())),
                            }
                        }
                        Err(error) => Err(TestCaseError::fail(format!("{error:#}"))),
                    }
                });
                if let Err(proptest::test_runner::TestError::Fail(reason, steps)) = outcome {
                    let reason = reason.to_string();
                    let headline = reason.lines().nth(1).unwrap_or(&reason).trim().to_owned();
                    let steps: Vec<String> = steps.iter().map(|step| format!("  {step:?}")).collect();
                    let report = format!("in\n{}\nat {reason}", steps.join("\n"));
                    tally.differences.lock().unwrap_or_else(PoisonError::into_inner).entry(headline).or_insert(report);
                }
            }
        })?);
    }
    for worker in workers {
        let ended = tokio::task::spawn_blocking(move || worker.join()).await?;
        ensure!(ended.is_ok(), "a worker panicked");
    }
    let differences = tally.differences.lock().unwrap_or_else(PoisonError::into_inner);
    for report in differences.values() {
        println!("difference {report}\n");
    }
    println!(
        "twin: {} requests in {} sequences from seed {seed}, {} differences",
        tally.requests.load(Ordering::Relaxed),
        tally.sequences.load(Ordering::Relaxed),
        differences.len()
    );
    ensure!(differences.is_empty(), "{} differences", differences.len());
    Ok(())
}
