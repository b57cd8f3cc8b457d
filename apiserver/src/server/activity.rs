//! Whether a connection has something to do.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Requests that run on a connection, answers that are still being sent among them.
#[derive(Debug)]
pub(super) struct Activity {
    first: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    running: usize,
    idle_since: Instant,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let state = State { running: 0, idle_since: Instant::now() };
        Arc::new(Self { first: CancellationToken::new(), state: Mutex::new(state) })
    }

    /// A request begins. It runs until what is returned is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Run {
        self.first.cancel();
        self.change(|state| state.running += 1);
        Run(Arc::clone(self))
    }

    /// Waits for the first request.
    pub(super) async fn begun(&self) {
        self.first.cancelled().await;
    }

    /// Waits until nothing has run for so long.
    pub(super) async fn idle(&self, max: Duration) {
        loop {
            let (running, until) = self.change(|state| (state.running, state.idle_since + max));
            let now = Instant::now();
            match running {
                0 if until <= now => return,
                0 => tokio::time::sleep_until(until).await,
                _ => tokio::time::sleep(max).await,
            }
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A request that runs.
#[derive(Debug)]
pub(super) struct Run(Arc<Activity>);

impl Drop for Run {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.running = state.running.saturating_sub(1);
            state.idle_since = Instant::now();
        });
    }
}
