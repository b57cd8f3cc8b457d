//! Whether a cache has all that was written before a read began.
//!
//! Flow: the host is asked for its revision alone; when the cache has reached it, the cache is as good as the host.
//! Reads that come together share one question. Guarantee: the question began after the read did, so a client reads its
//! own writes.
//!
//! Source: k8s.io/apiserver/pkg/storage/cacher (ConsistentListFromCache). There the store is asked for progress when the
//! cache lags behind; a cluster's API has no such request, so a cluster is waited for briefly and listed otherwise.

use std::{
    sync::{
        MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
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

/// So many waits in a row come to nothing before lists go past them.
const FUTILE_WAITS: u32 = 3;

/// How long lists go past waiting at first; each further wait that comes to nothing doubles it.
const PAST_MIN: Duration = Duration::from_secs(1);

/// How long they do at most.
const PAST_MAX: Duration = Duration::from_secs(30);

/// Whether who asks is served by other means when it is hardly worth waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It waits all the same.
    Always,
    /// It does not wait where waiting has come to nothing again and again: the cluster is busy with other resources, and the
    /// news of that comes once a minute.
    WhereItHelps,
}

/// What came of waiting, of late.
#[derive(Clone, Copy, Debug, Default)]
struct Experience {
    /// Waits that came to nothing, one after the other.
    futile: u32,
    /// Until then it is not worth trying.
    past_until: Option<Instant>,
}

impl Experience {
    fn is_worth_it(&self, now: Instant) -> bool {
        self.past_until.is_none_or(|until| now >= until)
    }

    fn waited(&mut self, reached: bool, now: Instant) {
        if reached {
            *self = Self::default();
            return;
        }
        self.futile = self.futile.saturating_add(1);
        if let Some(more) = self.futile.checked_sub(FUTILE_WAITS) {
            self.past_until = Some(now + (PAST_MIN * 2_u32.saturating_pow(more.min(10))).min(PAST_MAX));
        }
    }
}

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
    experience: std::sync::Mutex<Experience>,
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

    fn experience(&self) -> MutexGuard<'_, Experience> {
        self.experience.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the cache has everything that was written before this call, perhaps after a wait.
    pub async fn reached(
        &self,
        host: &dyn Host,
        resource: &HostResource,
        cache: &WatchCache,
        waiting: Waiting,
    ) -> bool {
        if !cache.is_ready() {
            return false;
        }
        if waiting == Waiting::WhereItHelps && !self.experience().is_worth_it(Instant::now()) {
            return false;
        }
        let Ok(revision) = self.revision(host, resource).await else { return false };
        let wait = match host.progress() {
            Progress::Prompt => PROMPT_WAIT,
            Progress::Occasional => OCCASIONAL_WAIT,
        };
        let reached = cache.wait_for(revision, Instant::now() + wait).await.is_ok();
        self.experience().waited(reached, Instant::now());
        reached
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::storage::{
        builtin::namespaces,
        cache::CacheLimits,
        embedded::Embedded,
        host::{Persistence, WriteOptions},
    };

    #[tokio::test]
    async fn a_cache_that_lags_behind_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let store = Embedded::open(directory.path()).unwrap();
        let cache = WatchCache::new(CacheLimits::default());
        let freshness = Arc::new(Freshness::default());
        assert!(
            !freshness.reached(store.as_ref(), &namespaces(), &cache, Waiting::Always).await,
            "nothing is known yet"
        );
        cache.fill(Vec::new(), 1);
        assert!(freshness.reached(store.as_ref(), &namespaces(), &cache, Waiting::Always).await);
        let team = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}});
        let options = WriteOptions { persistence: Persistence::Durable, field_manager: "test".to_owned() };
        store.create(&namespaces(), team, &options).await.unwrap();
        let resource = namespaces();
        let reached = freshness.reached(store.as_ref(), &resource, &cache, Waiting::Always);
        let told = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            cache.progress(2);
        };
        let (reached, ()) = tokio::join!(reached, told);
        assert!(reached);
    }

    #[test]
    fn what_comes_to_nothing_again_and_again_is_tried_seldom() {
        let (mut experience, began) = (Experience::default(), Instant::now());
        let after = |seconds: u64| began + Duration::from_secs(seconds);
        for _ in 1..FUTILE_WAITS {
            experience.waited(false, began);
        }
        assert!(experience.is_worth_it(began));
        experience.waited(false, began);
        assert!(!experience.is_worth_it(began) && experience.is_worth_it(after(1)));
        experience.waited(false, after(1));
        assert!(!experience.is_worth_it(after(2)) && experience.is_worth_it(after(3)));
        for _ in 0..100 {
            experience.waited(false, after(3));
        }
        assert!(!experience.is_worth_it(after(32)) && experience.is_worth_it(after(33)));
        experience.waited(true, after(33));
        experience.waited(false, after(33));
        assert!(experience.is_worth_it(after(33)), "one that helped makes up for all before");
    }

    #[tokio::test]
    async fn no_question_is_answered_from_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = Embedded::open(directory.path()).unwrap();
        let freshness = Freshness::default();
        let resource = namespaces();
        let together = futures::future::join_all((0..100).map(|_| freshness.revision(store.as_ref(), &resource)));
        assert!(together.await.iter().all(Result::is_ok));
        let begun = freshness.begun.load(Ordering::SeqCst);
        freshness.revision(store.as_ref(), &resource).await.unwrap();
        assert_eq!(freshness.begun.load(Ordering::SeqCst), begun + 1);
    }
}
