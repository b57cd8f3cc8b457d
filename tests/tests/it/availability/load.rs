//! Writers that know what was acknowledged to them, and watches that go on where they were cut.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use kindsmith_tests::{ControlPlane, wait};
use kube::{
    Api, ResourceExt as _,
    api::{
        ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams, WatchEvent,
        WatchParams,
    },
};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Each writes an instance of its own.
const WRITERS: usize = 6;

const WATCHES: usize = 4;

/// The pause between two writes, or before another try.
const PAUSE: Duration = Duration::from_millis(50);

/// How long one request may take; then it is tried again.
const REQUEST_MAX: Duration = Duration::from_secs(5);

/// How long watches may take to tell of the last write.
const SEEN_MAX: Duration = Duration::from_secs(40);

/// A write that was not acknowledged, or a watch that cannot go on.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) at: Instant,
    what: String,
}

impl Failure {
    /// Whether kube-apiserver gave the request up before a byte of it was sent. Its Go transport had taken it for a
    /// connection on which GOAWAY came in that moment, and closes a body that it has not read (`net/http`:
    /// `cleanupWriteRequest`, `rewindBody`). No server can tell or help it.
    pub(crate) fn was_never_sent(&self) -> bool {
        self.what.contains("net/http: cannot rewind body after connection loss")
    }
}

/// What a watch has told of each instance, in order.
type Told = BTreeMap<String, Vec<u64>>;

#[derive(Default)]
struct Shared {
    acknowledged: Mutex<BTreeMap<String, BTreeSet<u64>>>,
    told: Vec<Mutex<Told>>,
    failures: Mutex<Vec<Failure>>,
    broken: Mutex<Vec<String>>,
    resumed: AtomicU64,
    last_write: Mutex<Option<Instant>>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Running writers and watches.
pub(crate) struct Load {
    shared: Arc<Shared>,
    instances: Api<DynamicObject>,
    end: CancellationToken,
    writers: JoinSet<()>,
    watches: JoinSet<()>,
}

/// What it came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    writes: usize,
    events: usize,
    resumed: u64,
    skipped: usize,
}

/// What the cluster remembers of the changes there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum History {
    /// All.
    Kept,
    /// None from before its start: states that were overwritten before it could be watched again are told by nobody.
    Forgotten,
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { writes, events, resumed, skipped } = self;
        let skipped = match skipped {
            0 => String::new(),
            skipped => format!(" ({skipped} states were overwritten before they could be told)"),
        };
        write!(
            formatter,
            "{writes} writes acknowledged, {events} events on {WATCHES} watches that were resumed {resumed} times, \
             nothing lost{skipped}"
        )
    }
}

/// A definition of what is written, in HelmReleases.
pub(crate) fn definition(plural: &str, kind: &str) -> String {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "n": {"type": "integer"}}}}});
    json!({
        "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": format!("{plural}.lives.example.com")},
        "spec": {"group": "lives.example.com", "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
            "backend": {"helmRelease": {
                "chartRef": {"kind": "OCIRepository", "name": plural, "namespace": "charts"},
                "prefix": format!("{plural}-")}}},
    })
    .to_string()
}

/// The resource of the definition `jobs`.
pub(crate) fn jobs() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("lives.example.com", "v1", "Job"), "jobs")
}

impl Load {
    /// Makes instances of the definition `jobs`, opens watches, and begins to write, all through kube-apiserver.
    pub(crate) async fn start(control_plane: &ControlPlane) -> Result<Load> {
        let client = control_plane.client().await?;
        let instances: Api<DynamicObject> = Api::namespaced_with(client, "default", &jobs());
        for writer in 0..WRITERS {
            let object = json!({"apiVersion": "lives.example.com/v1", "kind": "Job",
                "metadata": {"name": name(writer)}, "spec": {"n": 0}});
            let object: DynamicObject = serde_json::from_value(object)?;
            instances.create(&PostParams::default(), &object).await.context("making an instance")?;
        }
        let version = instances.list(&ListParams::default()).await?.metadata.resource_version.unwrap_or_default();
        let told = (0..WATCHES).map(|_| Mutex::default()).collect();
        let shared = Arc::new(Shared { told, ..Shared::default() });
        let (end, mut writers, mut watches) = (CancellationToken::new(), JoinSet::new(), JoinSet::new());
        for index in 0..WATCHES {
            watches.spawn(watch(instances.clone(), version.clone(), index, Arc::clone(&shared)));
        }
        for writer in 0..WRITERS {
            writers.spawn(write(instances.clone(), name(writer), Arc::clone(&shared), end.clone()));
        }
        Ok(Load { shared, instances, end, writers, watches })
    }

    /// How many writes were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        held(&self.shared.acknowledged).values().map(BTreeSet::len).sum()
    }

    /// When a write was acknowledged last.
    pub(crate) fn last_write(&self) -> Option<Instant> {
        *held(&self.shared.last_write)
    }

    /// The requests that failed since a moment.
    pub(crate) fn failures_since(&self, moment: Instant) -> Vec<Failure> {
        held(&self.shared.failures).iter().filter(|failure| failure.at >= moment).cloned().collect()
    }

    /// Ends the writing, waits until every watch has told of the last write, and fails if anything was lost.
    pub(crate) async fn stop(mut self, history: History) -> Result<Outcome> {
        self.end.cancel();
        while let Some(ended) = self.writers.join_next().await {
            ended.context("a writer panicked")?;
        }
        let acknowledged = held(&self.shared.acknowledged).clone();
        wait::until("all watches to have told of the last write", SEEN_MAX, || async {
            for told in &self.shared.told {
                let told = held(told);
                for (instance, written) in &acknowledged {
                    let last = told.get(instance).and_then(|told| told.last()).copied();
                    ensure!(last >= written.last().copied(), "{instance}: {last:?} of {:?}", written.last());
                }
            }
            Ok(())
        })
        .await?;
        self.watches.shutdown().await;
        let broken = held(&self.shared.broken).clone();
        ensure!(broken.is_empty(), "{broken:#?}");
        let mut skipped = 0;
        for (instance, written) in &acknowledged {
            let stored = n(&self.instances.get(instance).await?);
            ensure!(stored >= written.last().copied().unwrap_or_default(), "{instance}: {stored} is stored");
            for told in &self.shared.told {
                let told = held(told).get(instance).cloned().unwrap_or_default();
                ensure!(told.is_sorted(), "{instance}: a watch went back: {told:?}");
                let missing: Vec<&u64> = written.iter().filter(|n| told.binary_search(n).is_err()).collect();
                skipped += missing.len();
                ensure!(
                    history == History::Forgotten || missing.is_empty(),
                    "{instance}: a watch never told of {missing:?}"
                );
            }
        }
        let events = self.shared.told.iter().map(|told| held(told).values().map(Vec::len).sum::<usize>()).sum();
        let resumed = self.shared.resumed.load(Ordering::Relaxed);
        Ok(Outcome { writes: acknowledged.values().map(BTreeSet::len).sum(), events, resumed, skipped })
    }
}

fn name(writer: usize) -> String {
    format!("job-{writer}")
}

fn n(object: &DynamicObject) -> u64 {
    object.data.pointer("/spec/n").and_then(Value::as_u64).unwrap_or_default()
}

async fn write(instances: Api<DynamicObject>, name: String, shared: Arc<Shared>, end: CancellationToken) {
    let mut next = 1_u64;
    while !end.is_cancelled() {
        let patch = json!({"spec": {"n": next}});
        let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let patched = timeout(REQUEST_MAX, instances.patch(&name, &params, &patch)).await;
        let patched = patched.map_err(|_| anyhow!("no answer in time")).and_then(|answer| Ok(answer?));
        match patched {
            Ok(object) if n(&object) == next => {
                held(&shared.acknowledged).entry(name.clone()).or_default().insert(next);
                *held(&shared.last_write) = Some(Instant::now());
                next += 1;
            }
            Ok(object) => {
                held(&shared.broken).push(format!("{name}: {next} was written, the answer is {}", n(&object)))
            }
            Err(error) => {
                let what = format!("{name}: {error:#}");
                held(&shared.failures).push(Failure { at: Instant::now(), what });
            }
        }
        sleep(PAUSE).await;
    }
}

/// Watches as a client does: on at the last revision that it has heard of.
async fn watch(instances: Api<DynamicObject>, mut version: String, index: usize, shared: Arc<Shared>) {
    loop {
        let params = WatchParams::default().timeout(290);
        match timeout(REQUEST_MAX, instances.watch(&params, &version)).await {
            Ok(Ok(events)) => {
                let mut events = events.boxed();
                while let Ok(Some(event)) = events.try_next().await {
                    match event {
                        WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                            version = object.resource_version().unwrap_or_default();
                            let mut told = held(&shared.told[index]);
                            let told = told.entry(object.name_any()).or_default();
                            // What others change on a release is an event too.
                            if told.last() != Some(&n(&object)) {
                                told.push(n(&object));
                            }
                        }
                        WatchEvent::Bookmark(bookmark) => version = bookmark.metadata.resource_version,
                        WatchEvent::Deleted(object) => {
                            held(&shared.broken).push(format!("{} was said to be deleted", object.name_any()));
                        }
                        WatchEvent::Error(status) if status.code == 410 => {
                            held(&shared.broken).push(format!("a watch cannot go on at {version}: {status:?}"));
                            return;
                        }
                        WatchEvent::Error(_) => break,
                    }
                }
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 410 => {
                held(&shared.broken).push(format!("a watch cannot go on at {version}: {status:?}"));
                return;
            }
            Ok(Err(_)) | Err(_) => {}
        }
        shared.resumed.fetch_add(1, Ordering::Relaxed);
        sleep(PAUSE).await;
    }
}

/// Failures for an error message.
pub(crate) fn told(failures: &[Failure]) -> String {
    let first: Vec<&str> = failures.iter().take(3).map(|failure| failure.what.as_str()).collect();
    format!("{} requests failed, the first: {first:#?}", failures.len())
}
