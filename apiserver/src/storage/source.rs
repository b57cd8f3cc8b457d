//! The watch of a host resource, kept going: list, watch, and again when the watch is lost.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use rand::Rng as _;
use tokio_util::sync::CancellationToken;

use super::host::{Host, HostError, HostEvent, HostList, HostResource, ListAt};
use crate::rights;

/// The first pause after a failure.
const BACKOFF_MIN: Duration = Duration::from_millis(50);

/// The longest pause after failures: what is cached is old until the host was heard again.
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// What is told of the state of a host resource. Calls come one at a time, in order.
pub trait Sink: Send + Sync + 'static {
    /// Everything at a revision.
    fn fill(&self, list: HostList);

    /// One change.
    fn event(&self, event: HostEvent);

    /// The host cannot be read at present.
    fn unavailable(&self, error: &HostError);
}

/// Why a round ended.
enum Ended {
    /// The watch ended, as watches do, after this revision.
    Lost(u64),
    /// The revision is not remembered by the host: list again.
    Expired,
    /// The host failed.
    Failed(HostError, Option<u64>),
}

/// What came of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// Something was heard from the host.
    Moved,
    /// Nothing was.
    Stood,
}

/// How a round is told in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    Normal,
    /// It follows one that failed, as others did before.
    Low,
}

/// How long to wait before the next round: longer each time, and from the beginning once the host was heard. So a
/// connection that breaks again and again costs a moment each time.
struct Pace {
    pause: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { pause: BACKOFF_MIN }
    }
}

impl Pace {
    fn next(&mut self, round: Round) -> Duration {
        if round == Round::Moved {
            self.pause = BACKOFF_MIN;
        }
        let wait = self.pause;
        self.pause = (wait * 2).min(BACKOFF_MAX);
        wait
    }
}

/// Follows a host resource until `shutdown`. A watch that ends is resumed after the last revision; when the host does not
/// remember it, everything is listed anew.
pub async fn run_source<S: Sink>(
    host: Arc<dyn Host>,
    resource: HostResource,
    sink: Arc<S>,
    shutdown: CancellationToken,
) {
    let mut after = None;
    let mut pace = Pace::default();
    let mut told: Option<String> = None;
    loop {
        let round = round(
            host.as_ref(),
            &resource,
            sink.as_ref(),
            after,
            if told.is_some() { Tone::Low } else { Tone::Normal },
        );
        let ended = tokio::select! {
            () = shutdown.cancelled() => return,
            ended = round => ended,
        };
        let (reached, failure) = match ended {
            Ended::Lost(revision) => (Some(revision), None),
            Ended::Expired => (None, None),
            Ended::Failed(error, revision) => (revision, Some(error)),
        };
        match failure {
            Some(error) => {
                // What lasts is told once.
                let text = error.to_string();
                if told.as_ref() != Some(&text) {
                    let error = rights::told(&error);
                    tracing::warn!(resource = resource.plural, error, "host resource cannot be watched; trying again");
                    told = Some(text);
                }
                sink.unavailable(&error);
            }
            None => told = None,
        }
        let wait = pace.next(if reached.is_some() && reached != after { Round::Moved } else { Round::Stood });
        after = reached;
        let jittered = wait.mul_f64(0.5 + rand::rng().random::<f64>() / 2.0);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(jittered) => {}
        }
    }
}

async fn round<S: Sink>(host: &dyn Host, resource: &HostResource, sink: &S, after: Option<u64>, tone: Tone) -> Ended {
    let mut revision = match after {
        Some(revision) => revision,
        None => match timed(host.list(resource, None, ListAt::MostRecent)).await {
            (elapsed, Ok(list)) => {
                let revision = list.revision;
                let (resource, objects) = (&resource.plural, list.items.len());
                if tone == Tone::Normal {
                    tracing::info!(resource, objects, elapsed_us = elapsed.as_micros(), "host resource listed");
                }
                sink.fill(list);
                revision
            }
            (_, Err(error)) => return Ended::Failed(error, None),
        },
    };
    let mut events = match host.watch(resource, revision).await {
        Ok(events) => events,
        Err(error) => return failed(error, revision),
    };
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                revision = match &event {
                    HostEvent::Applied { revision, .. }
                    | HostEvent::Deleted { revision, .. }
                    | HostEvent::Progress { revision } => *revision,
                };
                sink.event(event);
            }
            Err(error) => return failed(error, revision),
        }
    }
    Ended::Lost(revision)
}

async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let began = Instant::now();
    let outcome = work.await;
    (began.elapsed(), outcome)
}

fn failed(error: HostError, revision: u64) -> Ended {
    match error {
        HostError::Status(status) if status.code == 410 => Ended::Expired,
        // What is served again may be another, and what was may be gone.
        error @ HostError::NotServed(_) => Ended::Failed(error, None),
        error => Ended::Failed(error, Some(revision)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_nothing_is_heard_and_begin_anew_when_something_was() {
        let mut pace = Pace::default();
        let grown: Vec<Duration> = (0..12).map(|_| pace.next(Round::Stood)).collect();
        assert_eq!(grown[..3], [BACKOFF_MIN, BACKOFF_MIN * 2, BACKOFF_MIN * 4]);
        assert_eq!(grown[11], BACKOFF_MAX);
        for _ in 0..3 {
            assert_eq!(pace.next(Round::Moved), BACKOFF_MIN);
        }
        assert_eq!(pace.next(Round::Stood), BACKOFF_MIN * 2);
    }
}
