//! Whether a cache has all that was written before a read began.
//!
//! Flow: the host is asked for its revision alone; when the cache has reached it, the cache is as good as the host.
//! Reads that come together share one question. Guarantee: the question began after the read did, so a client reads its
//! own writes.
//!
//! Source: k8s.io/apiserver/pkg/storage/cacher (ConsistentListFromCache). There the store is asked for progress when the
//! cache lags behind; a cluster's API has no such request, so a cluster is waited for briefly and listed otherwise.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use super::{
    cache::WatchCache,
    host::{Host, HostError, HostResource, Progress},
};

/// How long to wait for a host that tells of all progress at once.
const PROMPT_WAIT: Duration = Duration::from_secs(3);

/// How long to wait for a cluster: events of its own writes come within this, and for writes of other resources the next
/// news may be a minute away.
const OCCASIONAL_WAIT: Duration = Duration::from_millis(50);

#[derive(Default)]
struct Answered {
    number: u64,
    revision: Option<Result<u64, HostError>>,
}

/// Questions for the revision of one host resource.
#[derive(Default)]
pub struct Freshness {
    /// Questions that began.
    begun: AtomicU64,
    /// The newest answer. Whoever holds the lock asks; those who wait for it take the answer when it is new enough.
    answered: Mutex<Answered>,
}

impl Freshness {
    /// The host's revision at some time after this call.
    ///
    /// # Errors
    /// What the host says.
    pub async fn revision(&self, host: &dyn Host, resource: &HostResource) -> Result<u64, HostError> {
        let before = self.begun.load(Ordering::SeqCst);
        let mut answered = self.answered.lock().await;
        if answered.number > before
            && let Some(revision) = &answered.revision
        {
            return revision.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let revision = host.revision(resource).await;
        *answered = Answered { number, revision: Some(revision.clone()) };
        revision
    }

    /// Whether the cache has everything that was written before this call, perhaps after a wait.
    pub async fn reached(&self, host: &dyn Host, resource: &HostResource, cache: &WatchCache) -> bool {
        if !cache.is_ready() {
            return false;
        }
        let Ok(revision) = self.revision(host, resource).await else { return false };
        let wait = match host.progress() {
            Progress::Prompt => PROMPT_WAIT,
            Progress::Occasional => OCCASIONAL_WAIT,
        };
        cache.wait_for(revision, Instant::now() + wait).await.is_ok()
    }
}
