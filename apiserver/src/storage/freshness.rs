//! Whether a cache has all that was written before a read began.
//!
//! Flow: the host is asked for its revision alone; when the cache has reached it, the cache is as good as the host. Where the
//! revision moves with other resources, a list of the host can prove it (see `present`). Guarantee: the question began after
//! the read did, so a client reads its own writes. Reads that come together share one question.
//!
//! Source: k8s.io/apiserver/pkg/storage/cacher (ConsistentListFromCache). There the store is asked for progress when the
//! cache lags behind; a cluster's API has no such request, so a cluster is waited for briefly and listed otherwise.

use std::{
    future::Future,
    sync::{
        MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

use super::{
    cache::WatchCache,
    feed::Feed,
    host::{Host, HostError, HostResource, Progress},
    present,
};
use crate::request::Namespace;

/// How long to wait for a host that tells of all progress at once.
const PROMPT_WAIT: Duration = Duration::from_secs(3);

/// How long to wait for a cluster: events of its own writes come within this, and for writes of other resources the next
/// news may be a minute away.
const OCCASIONAL_WAIT: Duration = Duration::from_millis(50);

/// So many waits, one after the other, come to nothing before there is no more waiting for a while.
const FUTILE_WAITS: u32 = 3;

/// How long there is no waiting at first; each further wait that comes to nothing doubles it.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// How long there is none at most.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Whether who asks is served by other means when it is hardly worth waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// It waits all the same.
    Always,
    /// It does not wait where waiting has come to nothing again and again: the cluster is busy with other resources, and
    /// the news of that comes once a minute.
    WhereItHelps,
}

/// What came of waiting, of late.
#[derive(Clone, Copy, Debug, Default)]
struct Experience {
    /// Waits that came to nothing, one after the other.
    futile: u32,
    /// When the last of them ended: those that began before it are the same one.
    ended: Option<Instant>,
    /// Until then there is no waiting.
    pause_until: Option<Instant>,
}

impl Experience {
    fn is_worth_it(&self, now: Instant) -> bool {
        self.pause_until.is_none_or(|until| now >= until)
    }

    fn came_to_nothing(&mut self, began: Instant, now: Instant) {
        if self.ended.is_some_and(|ended| began < ended) {
            return;
        }
        self.ended = Some(now);
        self.futile = self.futile.saturating_add(1);
        if let Some(more) = self.futile.checked_sub(FUTILE_WAITS) {
            self.pause_until = Some(now + (PAUSE_MIN * 2_u32.saturating_pow(more.min(10))).min(PAUSE_MAX));
        }
    }
}

/// A question that those share who came before it began.
struct Shared<T> {
    /// Questions that began.
    begun: AtomicU64,
    /// The newest answer, and the number of its question. Whoever holds the lock asks; those who wait for it take the answer
    /// when it is new enough.
    answered: Mutex<(u64, Option<T>)>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { begun: AtomicU64::new(0), answered: Mutex::new((0, None)) }
    }
}

impl<T: Clone> Shared<T> {
    /// The answer to a question that begins after this call.
    async fn ask<F: Future<Output = T>>(&self, question: impl FnOnce() -> F) -> T {
        let before = self.begun.load(Ordering::SeqCst);
        let mut answered = self.answered.lock().await;
        if let (number, Some(answer)) = &*answered
            && *number > before
        {
            return answer.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let answer = question().await;
        *answered = (number, Some(answer.clone()));
        answer
    }
}

/// Questions about one host resource.
#[derive(Default)]
pub struct Freshness {
    revision: Shared<Result<u64, HostError>>,
    /// Whether the feed had all that was there.
    whole: Shared<Result<bool, HostError>>,
    experience: std::sync::Mutex<Experience>,
}

impl Freshness {
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
        let Ok(revision) = self.revision.ask(|| host.revision(resource)).await else { return false };
        let began = Instant::now();
        let waits = waiting == Waiting::Always || self.experience().is_worth_it(began);
        let wait = match host.progress() {
            _ if !waits => Duration::ZERO,
            Progress::Prompt => PROMPT_WAIT,
            Progress::Occasional => OCCASIONAL_WAIT,
        };
        let reached = cache.wait_for(revision, began + wait).await.is_ok();
        if reached {
            *self.experience() = Experience::default();
        } else if waits {
            self.experience().came_to_nothing(began, Instant::now());
        }
        reached
    }

    /// Whether a feed has everything of a namespace, or of all, that was written before this call, after a wait. The host is
    /// asked for a list.
    ///
    /// # Errors
    /// What the host says.
    pub async fn is_fed(
        &self,
        host: &dyn Host,
        resource: &HostResource,
        feed: &Feed,
        namespace: Option<Namespace<'_>>,
    ) -> Result<bool, HostError> {
        let question = || present::in_feed(host, resource, feed, namespace);
        match namespace {
            None => self.whole.ask(question).await,
            // What is in one namespace is little, and asked for by few.
            Some(_) => question().await,
        }
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
        host::{Generation, Persistence, WriteOptions},
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
        let options = WriteOptions {
            persistence: Persistence::Durable,
            field_manager: "test".to_owned(),
            generation: Generation::Host,
        };
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
        let (mut experience, start) = (Experience::default(), Instant::now());
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        let mut wait = |from: u64, until: u64| {
            experience.came_to_nothing(after(from), after(until));
            experience
        };
        for _ in 0..100 {
            wait(0, 1);
        }
        assert!(wait(1, 2).is_worth_it(after(2)), "all who wait at the same time have waited once");
        let paused = wait(2, 3);
        assert!(!paused.is_worth_it(after(3)) && paused.is_worth_it(after(4)));
        let paused = wait(4, 5);
        assert!(!paused.is_worth_it(after(6)) && paused.is_worth_it(after(7)));
        let paused = (10..100).map(|second| wait(second, second)).last().unwrap();
        assert!(!paused.is_worth_it(after(128)) && paused.is_worth_it(after(129)));
    }

    #[tokio::test]
    async fn no_question_is_answered_from_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = Embedded::open(directory.path()).unwrap();
        let freshness = Freshness::default();
        let resource = namespaces();
        let ask = || freshness.revision.ask(|| store.revision(&resource));
        let together = futures::future::join_all((0..100).map(|_| ask()));
        assert!(together.await.iter().all(Result::is_ok));
        let begun = freshness.revision.begun.load(Ordering::SeqCst);
        ask().await.unwrap();
        assert_eq!(freshness.revision.begun.load(Ordering::SeqCst), begun + 1);
    }
}
