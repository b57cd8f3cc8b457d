//! Watches that are held while other steps run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::{AsyncBufReadExt, TryStreamExt};
use http::Request;
use http_body_util::BodyExt;
use kube::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::answer::{self, Answer, DEADLINE};

/// How long both sides must have been quiet, and how long that is waited for when they have not seen as much.
const QUIET: (Duration, Duration) = (Duration::from_millis(150), Duration::from_secs(3));

/// A watch of one side, read in the background until it is dropped: one that is left open would use up the streams
/// of its connection.
pub struct Watching {
    start: Answer,
    events: Arc<Mutex<Vec<Value>>>,
    _reader: Option<AbortOnDropHandle<()>>,
}

impl Watching {
    /// Opens a watch. What is no stream is kept as the answer that it is.
    ///
    /// # Errors
    /// The connection failed.
    pub async fn open(client: &Client, request: Request<Vec<u8>>) -> Result<Watching> {
        let what = request.uri().to_string();
        let answer = tokio::time::timeout(DEADLINE, client.send(request.map(Into::into))).await;
        let answer = answer.with_context(|| format!("no watch in {} s: {what}", DEADLINE.as_secs()))??;
        let code = answer.status().as_u16();
        let events = Arc::new(Mutex::new(Vec::new()));
        let mut start = Answer { code, headers: Vec::new(), body: Value::Null };
        if code != 200 {
            let bytes = answer.into_body().collect_bytes().await?;
            start.body = answer::body(&bytes);
            return Ok(Watching { start, events, _reader: None });
        }
        let kept = Arc::clone(&events);
        let reader = AbortOnDropHandle::new(tokio::spawn(async move {
            let bytes = answer.into_body().into_data_stream().map_err(std::io::Error::other);
            let mut lines = bytes.into_async_read().lines();
            while let Ok(Some(line)) = lines.try_next().await {
                let Ok(mut event) = serde_json::from_str::<Value>(&line) else { return };
                let ends_the_start = !event["object"]["metadata"]["annotations"].is_null();
                if event["type"] == "BOOKMARK" && !ends_the_start {
                    continue;
                }
                if event["type"] == "BOOKMARK" && event["object"]["metadata"]["resourceVersion"].is_string() {
                    // Where the store stands; others write to it, too.
                    event["object"]["metadata"]["resourceVersion"] = json!("");
                }
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            }
        }));
        Ok(Watching { start, events, _reader: Some(reader) })
    }

    fn count(&self) -> usize {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits until both have seen as much and nothing more comes.
    pub async fn settle(ours: &Watching, theirs: &Watching) {
        let deadline = Instant::now() + QUIET.1;
        let mut since = (Instant::now(), ours.count(), theirs.count());
        loop {
            sleep(Duration::from_millis(20)).await;
            let counts = (ours.count(), theirs.count());
            if counts != (since.1, since.2) {
                since = (Instant::now(), counts.0, counts.1);
            }
            if (counts.0 == counts.1 && since.0.elapsed() > QUIET.0) || Instant::now() > deadline {
                return;
            }
        }
    }

    /// Everything that was seen, as one answer.
    pub fn end(self) -> Answer {
        let events = std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner));
        let mut answer = self.start;
        if answer.body.is_null() {
            answer.body = json!({"events": events});
        }
        answer
    }
}
