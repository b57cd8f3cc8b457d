//! How a server ends, step by step, so that no client loses a request.
//!
//! Flow, after k8s.io/apiserver/pkg/server/genericapiserver.go (preparedGenericAPIServer.RunWithContext):
//!
//! ```text
//! signal ─▶ terminating: not ready any more, everything is served, HTTP/1.1 connections close after an answer
//!   │ delay
//!   ▼
//! closing: no further connection, GOAWAY on HTTP/2; watches end, spread over a window; other requests end by themselves
//!   │ window + what requests may take
//!   ▼
//! the hard end: what is left is cut off
//! ```
//!
//! The delay is for load balancers: they need a while to see that we are not ready. Watches end spread out, so that their
//! clients do not all begin anew elsewhere at once.

use std::{sync::Arc, time::Duration};

use rand::Rng as _;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long each step of the end lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownTimes {
    /// How long everything is served after readiness is gone.
    pub delay: Duration,
    /// Over how long watches end.
    pub watch_window: Duration,
    /// How long requests may go on after that.
    pub drain_max: Duration,
}

impl Default for ShutdownTimes {
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(10),
            watch_window: Duration::from_secs(10),
            drain_max: Duration::from_secs(30),
        }
    }
}

impl ShutdownTimes {
    /// For a server that no load balancer stands before: it ends as soon as it can.
    #[must_use]
    pub fn at_once() -> Self {
        Self { delay: Duration::ZERO, watch_window: Duration::ZERO, drain_max: Duration::from_secs(3) }
    }
}

/// Where a server is between its start and its end.
#[derive(Debug)]
pub struct Lifecycle {
    times: ShutdownTimes,
    terminating: CancellationToken,
    closing: CancellationToken,
    streams: TaskTracker,
}

impl Lifecycle {
    /// A server that ends when `signal` comes.
    #[must_use]
    pub fn new(signal: CancellationToken, times: ShutdownTimes) -> Arc<Self> {
        Arc::new(Self { times, terminating: signal, closing: CancellationToken::new(), streams: TaskTracker::new() })
    }

    /// Whether the signal has come: we are not ready.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.terminating.is_cancelled()
    }

    /// Waits until no further connection is to be accepted.
    pub async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// Waits until one watch is to end. Each has another moment within the window.
    pub async fn watch_end(&self) {
        self.closing.cancelled().await;
        let part: f64 = rand::rng().random();
        tokio::time::sleep(self.times.watch_window.mul_f64(part)).await;
    }

    /// Runs a stream that has taken its connection over. The server waits for its end.
    pub fn run_stream(&self, stream: impl Future<Output = ()> + Send + 'static) {
        self.streams.spawn(stream);
    }

    /// Waits for the streams that have taken their connections over.
    pub(super) async fn streams_ended(&self) {
        self.streams.close();
        self.streams.wait().await;
    }

    /// Waits for the signal and the delay, and then begins to close. Returns when what is left is to be cut off.
    pub(super) async fn run(&self) -> Instant {
        self.terminating.cancelled().await;
        tracing::info!(delay = ?self.times.delay, "not ready any more; serving on for a while");
        tokio::time::sleep(self.times.delay).await;
        self.closing.cancel();
        tracing::info!(window = ?self.times.watch_window, "accepting no connections any more; ending watches");
        Instant::now() + self.times.watch_window + self.times.drain_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: ShutdownTimes = ShutdownTimes {
        delay: Duration::from_secs(5),
        watch_window: Duration::from_secs(100),
        drain_max: Duration::from_secs(7),
    };

    #[tokio::test(start_paused = true)]
    async fn steps_come_one_after_the_other() {
        let signal = CancellationToken::new();
        let lifecycle = Lifecycle::new(signal.clone(), TIMES);
        let began = Instant::now();
        let running = tokio::spawn({
            let lifecycle = Arc::clone(&lifecycle);
            async move { lifecycle.run().await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!lifecycle.is_terminating());
        signal.cancel();
        assert!(lifecycle.is_terminating());
        lifecycle.closing().await;
        assert_eq!(began.elapsed().as_secs(), 6);
        assert_eq!((running.await.unwrap() - began).as_secs(), 113);
    }

    #[tokio::test(start_paused = true)]
    async fn watches_end_spread_over_the_window() {
        let signal = CancellationToken::new();
        signal.cancel();
        let lifecycle = Lifecycle::new(signal, TIMES);
        lifecycle.run().await;
        let began = Instant::now();
        let watches = (0..1000).map(|_| async {
            lifecycle.watch_end().await;
            began.elapsed().as_secs()
        });
        let ends = futures::future::join_all(watches).await;
        assert!(ends.iter().all(|end| *end <= 100), "{ends:?}");
        for tenth in 0..10 {
            let ended = ends.iter().filter(|end| **end / 10 == tenth).count();
            assert!((40..=180).contains(&ended), "{ended} of 1000 watches end in a tenth of the window");
        }
    }
}
