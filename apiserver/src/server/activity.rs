//! Whether a connection has something to do.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Body, BoxError};

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

/// The body of an answer, whose request runs until it is sent.
pub(super) struct Running {
    body: Body,
    _run: Run,
}

impl Running {
    pub(super) fn new(body: Body, run: Run) -> Self {
        Self { body, _run: run }
    }
}

impl HttpBody for Running {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
