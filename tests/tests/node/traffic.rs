//! Instances under constant traffic through kube-apiserver: what was asked, what was answered, and what watches saw.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use kindsmith_tests::{node::Node, wait};
use kube::{
    Api,
    api::{DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::ground::{TENANT, redises};

/// Clients that read, one request after the other.
const READERS: u32 = 39;

/// How often each of them asks, and the one that writes: 200 requests a second in all, where the machine is fast enough.
const PAUSE: Duration = Duration::from_millis(200);

/// Watches that stay open, or are opened anew where they were.
const WATCHES: usize = 20;

/// The instance that is written.
const WRITTEN: &str = "written";

/// The annotation that says how often it was.
const TURN: &str = "example.com/turn";

/// How long an answer may take.
const REQUEST_MAX: Duration = Duration::from_secs(20);

/// How long a watch lasts that nobody ends.
const WATCH_SECONDS: u32 = 280;

/// How long watches may take to see what was written last.
const SEEN_MAX: Duration = Duration::from_secs(30);

/// How kube-apiserver's proxy begins to tell that a connection to us broke, or that there was none.
///
/// Source: k8s.io/kube-aggregator/pkg/apiserver/handler_proxy.go (`responder.Error`) and what it is told by Go's net/http.
const BROKEN_BY_PROXY: [&str; 2] = ["error trying to reach service", "stream error"];

/// What happened.
#[derive(Debug, Default)]
struct Counts {
    reads: AtomicU64,
    writes: AtomicU64,
    ended: AtomicU64,
    slowest_ms: AtomicU64,
    /// How often which failure was answered.
    failed: Mutex<BTreeMap<String, u64>>,
    /// The turns that were acknowledged.
    acknowledged: Mutex<Vec<u64>>,
}

impl Counts {
    fn failed(&self, what: &str, error: &anyhow::Error) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner).entry(format!("{what}: {error:#}")).or_default() +=
            1;
    }
}

/// The turns that a watch saw, in their order.
type Seen = Arc<Mutex<Vec<u64>>>;

/// Running traffic.
pub(crate) struct Traffic {
    counts: Arc<Counts>,
    seen: Vec<Seen>,
    end_requests: CancellationToken,
    end_watches: CancellationToken,
    requests: JoinSet<()>,
    watches: JoinSet<()>,
    began: Instant,
}

/// What the traffic was.
#[derive(Debug)]
pub(crate) struct Figures {
    requests: u64,
    per_second: f64,
    slowest_ms: u64,
    writes: u64,
    ended: u64,
    /// What failed because kube-apiserver's proxy lost a connection, as it said.
    broken: BTreeMap<String, u64>,
    /// What else failed.
    failed: BTreeMap<String, u64>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |failures: &BTreeMap<String, u64>| failures.values().sum::<u64>();
        write!(
            f,
            "{} requests ({:.0}/s, slowest {} ms): {} failed, {} were broken by kube-apiserver's proxy; {} writes were each \
             seen once by all of {WATCHES} watches, which were opened anew {} times",
            self.requests,
            self.per_second,
            self.slowest_ms,
            count(&self.failed),
            count(&self.broken),
            self.writes,
            self.ended,
        )?;
        self.broken.iter().chain(&self.failed).try_for_each(|(what, times)| write!(f, "\n    {times} x {what}"))
    }
}

impl Figures {
    /// Fails if anything failed, but for so many requests that kube-apiserver's proxy broke.
    pub(crate) fn check(&self, broken_max: u64) -> Result<()> {
        ensure!(self.failed.is_empty(), "requests failed: {:#?}", self.failed);
        let broken: u64 = self.broken.values().sum();
        ensure!(broken <= broken_max, "kube-apiserver's proxy broke {broken} requests: {:#?}", self.broken);
        ensure!(self.writes > 10 && self.requests > 200, "that was no load: {self}");
        Ok(())
    }
}

impl Traffic {
    /// Makes an instance, opens watches, and begins to ask.
    pub(crate) async fn start(node: &Node) -> Result<Traffic> {
        let client = node.control_plane().client().await?;
        let redises = redises(&client);
        let object = json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis",
            "metadata": {"name": WRITTEN, "namespace": TENANT}});
        let object: DynamicObject = serde_json::from_value(object)?;
        match redises.create(&PostParams::default(), &object).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            made => drop(made.context("making an instance")?),
        }
        let counts = Arc::new(Counts::default());
        let (end_requests, end_watches) = (CancellationToken::new(), CancellationToken::new());
        let version = redises.list(&ListParams::default()).await?.metadata.resource_version.unwrap_or_default();
        let mut watches = JoinSet::new();
        let seen: Vec<Seen> = (0..WATCHES).map(|_| Seen::default()).collect();
        for seen in &seen {
            let watch =
                watch(redises.clone(), version.clone(), Arc::clone(&counts), Arc::clone(seen), end_watches.clone());
            watches.spawn(watch);
        }
        let mut requests = JoinSet::new();
        requests.spawn(write(redises.clone(), Arc::clone(&counts), end_requests.clone()));
        for number in 0..READERS {
            // Not all at once.
            let later = PAUSE * number / READERS;
            requests.spawn(read(redises.clone(), later, Arc::clone(&counts), end_requests.clone()));
        }
        Ok(Traffic { counts, seen, end_requests, end_watches, requests, watches, began: Instant::now() })
    }

    /// Ends it, when watches have seen everything.
    pub(crate) async fn stop(mut self) -> Result<Figures> {
        self.end_requests.cancel();
        while let Some(ended) = self.requests.join_next().await {
            ended.context("a client panicked")?;
        }
        let elapsed = self.began.elapsed();
        let counts = &self.counts;
        let acknowledged = std::mem::take(&mut *counts.acknowledged.lock().unwrap_or_else(PoisonError::into_inner));
        let failed = || std::mem::take(&mut *counts.failed.lock().unwrap_or_else(PoisonError::into_inner));
        let seen = wait::until("all watches to see what was written last", SEEN_MAX, || async {
            self.seen.iter().try_for_each(|seen| saw(seen, &acknowledged))
        });
        seen.await.with_context(|| format!("failures: {:#?}", failed()))?;
        self.end_watches.cancel();
        while let Some(ended) = self.watches.join_next().await {
            ended.context("a watch panicked")?;
        }
        let is_proxys = |what: &String| what.contains("503") && BROKEN_BY_PROXY.iter().any(|text| what.contains(text));
        let (broken, failed): (BTreeMap<_, _>, BTreeMap<_, _>) =
            failed().into_iter().partition(|(it, _)| is_proxys(it));
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let requests =
            count(&counts.reads) + count(&counts.writes) + broken.values().sum::<u64>() + failed.values().sum::<u64>();
        Ok(Figures {
            requests,
            per_second: requests as f64 / elapsed.as_secs_f64(),
            slowest_ms: count(&counts.slowest_ms),
            writes: count(&counts.writes),
            ended: count(&counts.ended),
            broken,
            failed,
        })
    }
}

/// Whether a watch saw each turn that was acknowledged, in order and once.
fn saw(seen: &Seen, acknowledged: &[u64]) -> Result<()> {
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(seen.is_sorted_by(|one, other| one < other), "a watch saw turns twice, or out of order: {seen:?}");
    let missed = acknowledged.iter().filter(|turn| seen.binary_search(turn).is_err()).collect::<Vec<_>>();
    ensure!(missed.is_empty(), "a watch missed the turns {missed:?}");
    Ok(())
}

/// Watches, and goes on where it was when the server ends the watch, as every client does.
async fn watch(
    redises: Api<DynamicObject>,
    mut version: String,
    counts: Arc<Counts>,
    seen: Seen,
    end: CancellationToken,
) {
    let params = WatchParams::default().timeout(WATCH_SECONDS).fields(&format!("metadata.name={WRITTEN}"));
    loop {
        let followed = async {
            let mut events = redises.watch(&params, &version).await.context("opening a watch")?.boxed();
            while let Some(event) = events.try_next().await.context("reading a watch")? {
                let object = match event {
                    WatchEvent::Error(status) => return Err(anyhow!("a watch was told {status:?}")),
                    WatchEvent::Bookmark(bookmark) => {
                        version = bookmark.metadata.resource_version;
                        continue;
                    }
                    WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object) => object,
                };
                if let Some(newer) = object.metadata.resource_version {
                    version = newer;
                }
                let turn = object.metadata.annotations.and_then(|them| them.get(TURN)?.parse::<u64>().ok());
                seen.lock().unwrap_or_else(PoisonError::into_inner).extend(turn);
            }
            anyhow::Ok(())
        };
        let ended = tokio::select! {
            () = end.cancelled() => return,
            ended = followed => ended,
        };
        counts.ended.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = ended {
            counts.failed("watch", &error);
            sleep(PAUSE).await;
        }
    }
}

async fn write(redises: Api<DynamicObject>, counts: Arc<Counts>, end: CancellationToken) {
    let begun = jiff::Timestamp::now().as_millisecond();
    let mut turn = u64::try_from(begun).unwrap_or_default();
    let (params, mut ticks) = (PatchParams::default(), ticks());
    while next(&mut ticks, &end).await {
        turn += 1;
        let patch = Patch::Merge(json!({"metadata": {"annotations": {TURN: turn.to_string()}}}));
        if ask("patch", async { redises.patch(WRITTEN, &params, &patch).await.map(drop) }, &counts).await {
            counts.writes.fetch_add(1, Ordering::Relaxed);
            counts.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).push(turn);
        }
    }
}

async fn read(redises: Api<DynamicObject>, later: Duration, counts: Arc<Counts>, end: CancellationToken) {
    sleep(later).await;
    let (mut turn, mut ticks) = (0_u64, ticks());
    while next(&mut ticks, &end).await {
        turn += 1;
        let done = match turn.is_multiple_of(10) {
            true => ask("list", async { redises.list(&ListParams::default()).await.map(drop) }, &counts).await,
            false => ask("get", async { redises.get(WRITTEN).await.map(drop) }, &counts).await,
        };
        counts.reads.fetch_add(u64::from(done), Ordering::Relaxed);
    }
}

fn ticks() -> Interval {
    let mut ticks = interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

/// Waits for the next turn; false at the end.
async fn next(ticks: &mut Interval, end: &CancellationToken) -> bool {
    tokio::select! {
        () = end.cancelled() => false,
        _ = ticks.tick() => true,
    }
}

/// Whether it was done; else it is counted as what it was answered with.
async fn ask(what: &str, request: impl Future<Output = kube::Result<()>>, counts: &Counts) -> bool {
    let began = Instant::now();
    let answered = timeout(REQUEST_MAX, request).await;
    let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    counts.slowest_ms.fetch_max(took, Ordering::Relaxed);
    match answered {
        Ok(Ok(())) => return true,
        Ok(Err(kube::Error::Api(status))) => counts.failed(what, &anyhow!("{}: {}", status.code, status.message)),
        Ok(Err(error)) => counts.failed(what, &error.into()),
        Err(_) => counts.failed(what, &anyhow!("no answer in {} s", REQUEST_MAX.as_secs())),
    }
    false
}
