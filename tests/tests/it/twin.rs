//! Random requests, sent to a kind of ours and to its twin: a CRD in the real kube-apiserver.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Result, ensure};
use kindsmith_tests::twin::definition::{Backend, Definition, Schemas};
use kindsmith_tests::twin::ground::Ground;
use kindsmith_tests::twin::pair::Pair;
use kindsmith_tests::twin::plan::{
    Ask, Body, Step, VERSION, apply_sequence, changes_sequence, odd_sequence, rich_sequence, scale_sequence, sequence,
    versions_sequence,
};
use kindsmith_tests::{ControlPlane, Dev, Kindsmith};
use kube::Client;
use proptest::strategy::{BoxedStrategy, Just, Strategy};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde_json::json;

use crate::answers;

/// How many requests are sent when this variable does not say another number.
const REQUESTS: (&str, usize) = ("KINDSMITH_TWIN_REQUESTS", 3000);

/// Where random sequences start from, when this variable does not say another number.
const SEED: (&str, u64) = ("KINDSMITH_TWIN_SEED", 1);

/// Which kinds alone are compared, by their labels, with commas between them.
const KINDS: &str = "KINDSMITH_TWIN_KINDS";

/// How many sequences run at once.
const WORKERS: u64 = 4;

/// The stack of a worker: strategies and futures are large without optimisation.
const STACK_BYTES: usize = 32 << 20;

/// With how many differences there is enough to look at.
const ENOUGH: usize = 10;

/// After how many requests the progress is told.
const PROGRESS: usize = 500;

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

async fn run(ground: &Ground, namespace: &str, steps: &[Step]) -> Result<(usize, Vec<String>)> {
    let mut pair = Pair::new(ground, namespace).await?;
    for step in steps {
        if let Some(difference) = pair.step(step).await? {
            return Ok((pair.requests, vec![difference]));
        }
    }
    pair.finish().await
}

/// Both servers, and the administrator's clients of them. They end in this order.
struct Arena {
    /// What serves our kinds on the same control plane as the twins.
    _kindsmith: Option<Kindsmith>,
    /// What serves our kinds beside the control plane of the twins.
    _dev: Option<Dev>,
    _control_plane: ControlPlane,
    clients: [Client; 2],
}

impl Arena {
    async fn dev() -> Result<Self> {
        let (control_plane, dev) = tokio::try_join!(ControlPlane::start(), Dev::start(Vec::<String>::new()))?;
        let clients = [dev.client().await?, control_plane.client().await?];
        Ok(Self { _kindsmith: None, _dev: Some(dev), _control_plane: control_plane, clients })
    }

    async fn cluster() -> Result<Self> {
        let control_plane = ControlPlane::start().await?;
        control_plane.install_flux_crds().await?;
        let kindsmith = Kindsmith::start(&control_plane).await?;
        let client = control_plane.client().await?;
        let clients = [client.clone(), client];
        Ok(Self { _kindsmith: Some(kindsmith), _dev: None, _control_plane: control_plane, clients })
    }

    /// Defines kinds on both sides, and returns when these serve them.
    async fn define(&self, definitions: impl IntoIterator<Item = Definition>) -> Result<Vec<Arc<Ground>>> {
        let mut grounds = Vec::new();
        for definition in definitions {
            grounds.push(Arc::new(Ground::define(definition, &self.clients).await?));
        }
        for ground in &grounds {
            ground.served().await?;
        }
        Ok(grounds)
    }
}

fn definition(label: &str, backend: Backend, schemas: Schemas) -> Definition {
    Definition { label: label.to_owned(), backend, schemas }
}

/// What is sent to one kind.
struct Comparison {
    definition: Definition,
    sequences: fn() -> BoxedStrategy<Vec<Step>>,
    /// How many requests.
    wanted: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_kind_in_the_store_answers_as_its_twin_does() -> Result<()> {
    let requests = number(REQUESTS);
    let to = |label, schemas, sequences, part: usize| Comparison {
        definition: definition(label, Backend::Store, schemas),
        sequences,
        wanted: requests / part,
    };
    let large = Comparison {
        definition: definition("large", Backend::Store, Schemas::One),
        sequences: || too_large_sequence().boxed(),
        wanted: 6,
    };
    let comparisons = [
        to("main", Schemas::One, || sequence().boxed(), 1),
        to("scale", Schemas::One, || scale_sequence().boxed(), 5),
        to("apply", Schemas::One, || apply_sequence().boxed(), 2),
        to("two", Schemas::Two, || versions_sequence().boxed(), 10),
        to("change", Schemas::Changing, || changes_sequence(Backend::Store).boxed(), 20),
        to("rich", Schemas::Rich, || rich_sequence().boxed(), 10),
        to("odd", Schemas::One, || odd_sequence().boxed(), 10),
        large,
    ];
    Arena::dev().await?.compare_all(&comparisons, Backend::Store).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_kind_kept_in_releases_answers_as_its_twin_does() -> Result<()> {
    let one = Comparison {
        definition: definition("main", Backend::Release, Schemas::One),
        sequences: || of_release(sequence()),
        wanted: number(REQUESTS) / 2,
    };
    let found = Arena::dev().await?.compare(&one).await?;
    ensure!(found == 0, "{found} differences");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn a_kind_kept_in_releases_of_a_cluster_answers_as_its_twin_does() -> Result<()> {
    let requests = number(REQUESTS);
    let to = |label, schemas, sequences, part: usize| Comparison {
        definition: definition(label, Backend::Release, schemas),
        sequences,
        wanted: requests / part,
    };
    let comparisons = [
        to("main", Schemas::One, || of_release(sequence()), 15),
        to("scale", Schemas::One, || of_release(scale_sequence()), 30),
        to("apply", Schemas::One, || of_release(apply_sequence()), 15),
        to("two", Schemas::Two, || of_release(versions_sequence()), 10),
        to("change", Schemas::Changing, || of_release(changes_sequence(Backend::Release)), 30),
        to("rich", Schemas::Rich, || of_release(rich_sequence()), 15),
        to("odd", Schemas::One, || of_release(odd_sequence()), 15),
    ];
    Arena::cluster().await?.compare_all(&comparisons, Backend::Release).await
}

/// Without the requests whose answers are meant to be others for a kind that is kept in releases: see docs/differences.md.
fn of_release(sequences: impl Strategy<Value = Vec<Step>> + 'static) -> BoxedStrategy<Vec<Step>> {
    let is_one = |step: &Step| match step {
        // A 2.0 over a 2 is a generation of its own to kube-apiserver, and nothing new to a release, which has no room for a
        // selfLink either.
        Step::Ask(ask) => !ask.mentions("2.0") && !ask.mentions("selfLink"),
        Step::Watch { .. } | Step::Change(_) | Step::Raw(_) => true,
    };
    sequences.prop_map(move |steps| steps.into_iter().filter(is_one).collect()).boxed()
}

/// More than a request may have: the limit is 3 MiB.
const TOO_LARGE_BYTES: usize = (3 << 20) + 1;

/// Bodies that are too large.
fn too_large_sequence() -> impl Strategy<Value = Vec<Step>> {
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
    Just(vec![
        ask("POST", None, "application/json"),
        ask("PUT", Some("a"), "application/json"),
        ask("PATCH", Some("a"), "application/merge-patch+json"),
        ask("PATCH", Some("a"), "application/json-patch+json"),
        ask("PATCH", Some("a"), "application/apply-patch+yaml"),
        ask("DELETE", Some("a"), "application/json"),
    ])
}

impl Arena {
    /// Sends everything, and the table of odd requests.
    ///
    /// # Errors
    /// Answers differ.
    async fn compare_all(&self, comparisons: &[Comparison], backend: Backend) -> Result<()> {
        let only = std::env::var(KINDS).ok();
        let is_wanted = |label: &str| only.as_deref().is_none_or(|only| only.split(',').any(|wanted| wanted == label));
        let mut differences = 0;
        for comparison in comparisons.iter().filter(|comparison| is_wanted(&comparison.definition.label)) {
            differences += self.compare(comparison).await?;
        }
        if is_wanted("answers") {
            let began = Instant::now();
            let grounds = self.define([definition("answers", backend, Schemas::One)]).await?;
            let (requests, found) = answers::differences(&grounds[0], "answers").await?;
            for report in &found {
                println!("difference at {report}\n");
            }
            let (found, seconds) = (found.len(), began.elapsed().as_secs());
            println!("twin answers, {backend:?}: {requests} requests, {found} differences, {seconds} s");
            differences += found;
        }
        ensure!(differences == 0, "{differences} differences");
        Ok(())
    }

    /// Sends so many requests in random sequences to a kind on both sides. Returns how many differences there are.
    async fn compare(&self, Comparison { definition, sequences, wanted }: &Comparison) -> Result<usize> {
        let (sequences, wanted) = (*sequences, *wanted);
        let began = Instant::now();
        // A definition that changes is one sequence's alone.
        let kinds = if definition.schemas == Schemas::Changing { WORKERS } else { 1 };
        let of = |index| Definition { label: format!("{}{index}", definition.label), ..definition.clone() };
        let grounds = self.define((0..kinds).map(of)).await?;
        let seed = number(SEED);
        let tally = Arc::new(Tally::default());
        let mut workers = Vec::new();
        for worker in 0..WORKERS {
            let tally = Arc::clone(&tally);
            let ground = Arc::clone(&grounds[usize::try_from(worker % kinds)?]);
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
                        let namespace = format!("{}-{index}", ground.definition.label);
                        match runtime.block_on(run(&ground, &namespace, &steps)) {
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
                        tally
                            .differences
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .entry(headline)
                            .or_insert(report);
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
            "twin {}, {:?}, {:?}: {} requests in {} sequences from seed {seed}, {} differences, {} s",
            definition.label,
            definition.backend,
            definition.schemas,
            tally.requests.load(Ordering::Relaxed),
            tally.sequences.load(Ordering::Relaxed),
            differences.len(),
            began.elapsed().as_secs()
        );
        Ok(differences.len())
    }
}
