//! Answers that are being sent: pieces of a bounded size, and an end to those that nobody takes.
//!
//! An answer waits for its client while it has given a piece and is not asked for the next one. Who takes nothing for too
//! long loses the stream, or the connection where that has one answer at a time; so nothing is held for ever.

use std::{
    any::Any,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::{sync::Notify, time::Instant};

use super::{Body, BoxError, activity::Run};

/// How much is given at once.
const PIECE_BYTES: usize = 64 * 1024;

tokio::task_local! {
    static SENDING: Arc<Sending>;
}

/// What lives until the body of an answer was sent. An extension of the answer.
#[derive(Clone)]
pub struct UntilSent {
    _held: Arc<dyn Any + Send + Sync>,
}

impl UntilSent {
    /// Keeps something until then.
    #[must_use]
    pub fn keep(held: impl Any + Send + Sync) -> Self {
        Self { _held: Arc::new(held) }
    }
}

/// How far the answer of a task is.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// Since when the client is waited for.
    since: Mutex<Option<Instant>>,
    gives: Notify,
}

impl Sending {
    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gave(&self) {
        *self.since() = Some(Instant::now());
        self.gives.notify_one();
    }

    fn asked(&self) {
        *self.since() = None;
    }

    /// Waits until the client has taken nothing for so long.
    async fn stalled(&self, max: Duration) {
        loop {
            let since = *self.since();
            match since {
                None => self.gives.notified().await,
                Some(since) if since.elapsed() >= max => return,
                Some(since) => tokio::time::sleep_until(since + max).await,
            }
        }
    }
}

/// Runs a task that sends answers, one after the other, until it ends or an answer is not taken for so long.
pub(super) async fn watched<F: Future>(task: F, max: Duration) -> Option<F::Output> {
    let sending = Arc::new(Sending::default());
    let stalled = Arc::clone(&sending);
    tokio::select! {
        ended = SENDING.scope(sending, task) => Some(ended),
        () = stalled.stalled(max) => None,
    }
}

/// Runs each stream of an HTTP/2 connection in a task of its own, which ends when its answer is not taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams {
    /// How long a piece may wait.
    pub(super) stalled_max: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let stalled_max = self.stalled_max;
        tokio::spawn(async move {
            if watched(stream, stalled_max).await.is_none() {
                tracing::debug!("an answer that nobody takes was ended");
            }
        });
    }
}

/// The body of an answer, whose request runs until it is sent.
pub(super) struct Sent {
    body: Body,
    /// What of the last piece was not given yet.
    rest: Bytes,
    sending: Option<Arc<Sending>>,
    _run: Run,
    _until_sent: Option<UntilSent>,
}

impl Sent {
    /// The body of an answer that the task of a stream or a connection sends.
    pub(super) fn new(body: Body, run: Run, until_sent: Option<UntilSent>) -> Self {
        let sending = SENDING.try_with(Arc::clone).ok();
        Self { body, rest: Bytes::new(), sending, _run: run, _until_sent: until_sent }
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(sending) = &self.sending {
            sending.asked();
        }
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end => return Poll::Ready(end),
            }
        }
        let bytes = self.rest.remaining().min(PIECE_BYTES);
        let piece = self.rest.split_to(bytes);
        if let Some(sending) = &self.sending {
            sending.gave();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        let mut hint = self.body.size_hint();
        if let Some(exact) = hint.exact() {
            hint.set_exact(exact + rest);
        }
        hint
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        // The next answer of the connection begins.
        if let Some(sending) = &self.sending {
            sending.asked();
        }
    }
}

#[cfg(test)]
mod tests;
