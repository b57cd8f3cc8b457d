//! What benches share: a side that is asked, what a request costs, how fast events reach watchers, and rows of a table.

use std::{
    fs,
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures::{AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _, stream};
use http::{Method, Request, header};
use kindsmith_tests::process;
use kube::{Client, client::Body};
use serde_json::Value;
use tokio::sync::mpsc;

/// Requests under way at a time, unless a bench says otherwise.
pub(crate) const IN_FLIGHT: usize = 16;

/// A server, its clients' way to it, and its processes.
pub(crate) struct Side {
    pub(crate) client: Client,
    pub(crate) processes: Vec<u32>,
}

impl Side {
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<usize> {
        let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        let body = body.map(ToString::to_string).unwrap_or_default();
        self.send(path, request.body(Body::from(body.into_bytes()))?).await
    }

    /// Asks as client-go does, which takes gzip; the answer is not unpacked. Gives the bytes that were sent.
    pub(crate) async fn ask_compressed(&self, path: &str) -> Result<usize> {
        let request = Request::get(path).header(header::ACCEPT_ENCODING, "gzip");
        self.send(path, request.body(Body::empty())?).await
    }

    async fn send(&self, path: &str, request: Request<Body>) -> Result<usize> {
        let answer = self.client.send(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect_bytes().await?;
        ensure!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&body));
        Ok(body.len())
    }

    /// Merges a patch into an object.
    #[allow(dead_code, reason = "each bench uses a part")]
    pub(crate) async fn patch(&self, path: &str, patch: &Value) -> Result<usize> {
        let request = Request::patch(path).header(header::CONTENT_TYPE, "application/merge-patch+json");
        Ok(self.client.request_text(request.body(patch.to_string().into_bytes())?).await?.len())
    }

    /// Processor time of all processes so far.
    pub(crate) fn processor_time(&self) -> Duration {
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
    pub(crate) async fn measure<F: Future<Output = Result<usize>>>(
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
pub(crate) struct Cost {
    pub(crate) time: Duration,
    pub(crate) processor: Duration,
}

/// How long a process is left alone before its memory is measured: what was freed goes back after a second.
const REST: Duration = Duration::from_secs(3);

/// Leaves processes alone for a while.
#[allow(dead_code, reason = "not each bench measures memory after a load")]
pub(crate) async fn rest() {
    tokio::time::sleep(REST).await;
}

pub(crate) fn row(what: &str, ours: Cost, theirs: Cost, goal: &str) {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1_000.0;
    let ratio = |ours: Duration, theirs: Duration| milliseconds(theirs) / milliseconds(ours).max(0.001);
    println!(
        "{what:<28} {:>9.3} {:>9.3} {:>6.2}x | {:>9.3} {:>9.3} {:>6.2}x   {goal}",
        milliseconds(ours.time),
        milliseconds(theirs.time),
        ratio(ours.time, theirs.time),
        milliseconds(ours.processor),
        milliseconds(theirs.processor),
        ratio(ours.processor, theirs.processor),
    );
}

/// Asks both the same. Theirs first, so that a warm client is not what makes ours fast; the second of two rounds counts.
pub(crate) async fn both<F: Future<Output = Result<usize>>>(
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

/// Requests that one side gets before it is the other's turn.
const TURN: usize = 20;

/// Asks both the same, one request after the other and in turns, so that what else the machine does is shared by both.
/// The time is the median.
#[allow(dead_code, reason = "each bench uses a part")]
pub(crate) async fn in_turns<F: Future<Output = Result<usize>>>(
    sides: (&Side, &Side),
    count: usize,
    ask: impl Fn(usize, bool) -> F,
) -> Result<(Cost, Cost)> {
    let (ours, theirs) = sides;
    let (mut times, mut processor) = ([Vec::new(), Vec::new()], [Duration::ZERO; 2]);
    for begin in (0..count).step_by(TURN) {
        for (own, side) in [(false, theirs), (true, ours)] {
            let before = side.processor_time();
            for index in begin..count.min(begin + TURN) {
                let asked = Instant::now();
                ask(index, own).await?;
                times[usize::from(own)].push(asked.elapsed());
            }
            processor[usize::from(own)] += side.processor_time() - before;
        }
    }
    let each = u32::try_from(count)?;
    let [of_theirs, of_ours] = [0, 1].map(|side| {
        times[side].sort_unstable();
        Cost { time: times[side].get(count / 2).copied().unwrap_or_default(), processor: processor[side] / each }
    });
    Ok((of_ours, of_theirs))
}

/// An object that is changed, and those who watch its collection.
pub(crate) struct FanOut<'a> {
    /// The collection, as a path.
    pub(crate) collection: &'a str,
    /// The object's name.
    pub(crate) object: &'a str,
    /// The merge patch of a step; it must change the object, and the object then holds `"step":<step>`.
    pub(crate) patch: fn(usize) -> Value,
    /// How many watch.
    pub(crate) watchers: usize,
    /// How many steps there are, counted from 1.
    pub(crate) events: usize,
}

/// Delivered events, and how long they took.
pub(crate) struct Delivery {
    pub(crate) delivered: usize,
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
    /// Processor time of one event.
    pub(crate) processor: Duration,
}

impl FanOut<'_> {
    pub(crate) async fn measure(&self, side: &Side) -> Result<Delivery> {
        let client = &side.client;
        let first = format!("{}?limit=1", self.collection);
        let list: Value = client.request(Request::get(first).body(Vec::new())?).await?;
        let revision = list["metadata"]["resourceVersion"].as_str().context("the list has no revision")?;
        let (arrived, mut arrivals) = mpsc::unbounded_channel::<(usize, Instant)>();
        let path = format!("{}?watch=true&resourceVersion={revision}&timeoutSeconds=300", self.collection);
        let events = self.events;
        let watchers = stream::iter(0..self.watchers)
            .map(|_| async {
                let lines = client.request_stream(Request::get(path.as_str()).body(Vec::new())?).await?.lines();
                let arrived = arrived.clone();
                anyhow::Ok(tokio::spawn(async move {
                    let mut lines = Box::pin(lines.take(events));
                    while let Some(Ok(line)) = lines.next().await {
                        let now = Instant::now();
                        let step = line.split_once("\"step\":").map(|(_, rest)| rest);
                        let step = step.and_then(|rest| rest.split(['}', ',']).next()?.parse().ok());
                        if step.is_some_and(|step| arrived.send((step, now)).is_err()) {
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
        let mut sent = Vec::with_capacity(events);
        for step in 1..=events {
            let request = Request::patch(format!("{}/{}", self.collection, self.object))
                .header(header::CONTENT_TYPE, "application/merge-patch+json")
                .body((self.patch)(step).to_string().into_bytes())?;
            sent.push(Instant::now());
            client.request_text(request).await?;
        }
        let mut delays = Vec::with_capacity(self.watchers * events);
        let end = tokio::time::Instant::now() + Duration::from_secs(60);
        while let Ok(Some((step, at))) = tokio::time::timeout_at(end, arrivals.recv()).await {
            let sent = step.checked_sub(1).and_then(|index| sent.get(index));
            delays.extend(sent.map(|sent| at.saturating_duration_since(*sent)));
        }
        for watcher in watchers {
            watcher.abort();
        }
        delays.sort();
        let at = |share: f64| delays.get((delays.len() as f64 * share) as usize).copied().unwrap_or_default();
        let processor = (side.processor_time() - processor) / u32::try_from(events)?;
        Ok(Delivery { delivered: delays.len(), median: at(0.5), p99: at(0.99), processor })
    }
}

/// What processes have in memory.
#[allow(dead_code, reason = "each bench uses a part")]
pub(crate) fn mebibytes(processes: &[u32]) -> u64 {
    processes.iter().filter_map(|id| process::resident_bytes(*id)).sum::<u64>() >> 20
}
