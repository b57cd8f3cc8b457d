//! Waiting for something with a deadline: a condition that never comes is an error that says which.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// How often a condition is looked at again.
pub const INTERVAL: Duration = Duration::from_millis(50);

/// Calls `attempt` until it succeeds; after `deadline` the error says `what` was awaited and why the last attempt failed.
///
/// An attempt that hangs counts as failed when the deadline comes.
///
/// # Errors
/// The deadline passed.
pub async fn until<T, F, Fut>(what: &str, deadline: Duration, mut attempt: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let end = Instant::now() + deadline;
    let mut last = None;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, attempt()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => last = Some(error),
            Err(_) => {}
        }
        if Instant::now() + INTERVAL >= end {
            let why = last.map_or_else(|| "no answer".to_owned(), |error| format!("{error:#}"));
            bail!("waited {} s for {what}: {why}", deadline.as_secs());
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
