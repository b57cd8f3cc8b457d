//! The watch cache: the present objects of one version of a kind, the recent changes, and who follows them.
//!
//! Flow: one writer (`fill`, `apply`, `progress`) under one lock; readers copy references out of it; watchers get events
//! through a bounded queue each. Guarantees: a watcher sees every change after its start once, in order, or its stream
//! ends; a slow watcher is ended and no other notices. Assumption: calls of the writer come in the order of the host's
//! changes. The lock is never held over an await.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, watch};

use super::{
    host::{encoded, tree},
    texts::Texts,
};

mod event;
mod held_json;
mod read;
mod watcher;

#[cfg(test)]
mod tests;

pub use event::{CacheEvent, Change, EventKind, frame};
pub use held_json::HeldJson;
pub use read::{CacheError, CacheListAt, Listing, WatchStart};
pub use watcher::{Watcher, WatcherItem};

/// An object as it is served, encoded once.
#[derive(Debug)]
pub struct Entry {
    /// The namespace, if the kind has one.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The revision of its last change.
    pub revision: u64,
    /// Labels, for selectors.
    pub labels: Texts,
    /// Selectable fields, for selectors.
    pub fields: Texts,
    /// The object as compact JSON.
    pub json: HeldJson,
}

/// For how many of the newest events the line of the watch is held.
const FRAMES_MAX: usize = 256;

/// Bounds of a cache.
#[derive(Clone, Copy, Debug)]
pub struct CacheLimits {
    /// The most changes that are remembered for watches that resume and for lists at an older revision.
    pub history_events_max: usize,
    /// How many bytes these take at most, as they are held.
    pub history_bytes_max: usize,
    /// How many are remembered however old they are.
    pub history_events_min: usize,
    /// How long the others are remembered. A client that was away for longer lists again.
    pub history_age_max: Duration,
    /// Watchers at once.
    pub watchers_max: usize,
    /// Events that wait for a slow watcher before it is ended.
    pub watcher_queue_events_max: usize,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            // Source: `defaultUpperBoundCapacity` in k8s.io/apiserver/pkg/storage/cacher/watch_cache_history.go.
            history_events_max: 100 << 10,
            history_bytes_max: 64 << 20,
            history_events_min: 128,
            // As long as etcd remembers what kube-apiserver's clients ask for.
            history_age_max: Duration::from_secs(5 * 60),
            watchers_max: 10_000,
            watcher_queue_events_max: 1024,
        }
    }
}

/// What orders objects, in lists and in their pages: as etcd orders them, so that all objects of `team-a` come before
/// those of `team`.
#[must_use]
pub fn key(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}

struct Following {
    namespace: Option<String>,
    /// What came up to this revision is known to the client: it may have heard of it elsewhere before this cache did.
    after: u64,
    queue: mpsc::Sender<Arc<CacheEvent>>,
}

#[derive(Default)]
struct State {
    /// By [`key`].
    entries: BTreeMap<String, Arc<Entry>>,
    history: VecDeque<Arc<CacheEvent>>,
    history_bytes: usize,
    /// The state before this revision's changes is not known.
    oldest: u64,
    /// Between these two revisions the watch of the host was lost: what was in between is not known.
    gap: Option<(u64, u64)>,
    watchers: Vec<Following>,
    closed: bool,
}

impl State {
    /// The present objects of a namespace, or all.
    fn within(&self, namespace: Option<&str>) -> impl Iterator<Item = (&String, &Arc<Entry>)> {
        let first = namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default();
        self.entries.range(first..).take_while(move |(_, entry)| is_in(namespace, entry))
    }

    /// Notes that what was between two revisions is not known. Of two such gaps the older is forgotten with all before it.
    fn open_gap(&mut self, after: u64, until: u64) {
        if until <= after.saturating_add(1) {
            return;
        }
        if let Some((_, end)) = self.gap.replace((after, until)) {
            self.oldest = self.oldest.max(end);
        }
        // Who follows from in there knows objects, perhaps, that were gone at its end: it has to list again.
        self.watchers.retain(|watcher| !is_between(watcher.after, (after, until)));
    }

    /// Whether what followed a revision is known.
    fn check_known(&self, revision: u64) -> Result<(), CacheError> {
        match self.gap.filter(|gap| is_between(revision, *gap)) {
            Some((_, end)) => Err(CacheError::Expired { oldest: end }),
            None if revision < self.oldest => Err(CacheError::Expired { oldest: self.oldest }),
            None => Ok(()),
        }
    }

    /// Remembers the newest change.
    fn remember(&mut self, event: &Arc<CacheEvent>) {
        self.history_bytes += event.held_bytes();
        self.history.push_back(Arc::clone(event));
    }

    /// Forgets the oldest changes: those that are too many or take too much, and those that are too old.
    fn forget(&mut self, limits: &CacheLimits, now: Instant) {
        while let Some(first) = self.history.front() {
            let old = now.saturating_duration_since(first.at) > limits.history_age_max;
            let max = if old { limits.history_events_min } else { limits.history_events_max };
            if self.history.len() <= max && self.history_bytes <= limits.history_bytes_max {
                return;
            }
            self.oldest = self.oldest.max(first.revision);
            self.history_bytes = self.history_bytes.saturating_sub(first.held_bytes());
            self.history.pop_front();
        }
    }
}

/// The watch cache.
pub struct WatchCache {
    limits: CacheLimits,
    state: Mutex<State>,
    /// The newest revision; none before the first list.
    revision: watch::Sender<Option<u64>>,
}

impl WatchCache {
    /// An empty cache that is not ready.
    #[must_use]
    pub fn new(limits: CacheLimits) -> Arc<Self> {
        Arc::new(Self { limits, state: Mutex::default(), revision: watch::Sender::new(None) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the state of the host at a revision. At first it makes the cache ready; after a lost watch only what really
    /// differs becomes events, so watchers see nothing twice.
    pub fn fill(&self, entries: Vec<Arc<Entry>>, revision: u64) {
        let mut state = self.state();
        let first = self.revision.borrow().is_none();
        let next: BTreeMap<String, Arc<Entry>> = entries.into_iter().map(|entry| (key_of(&entry), entry)).collect();
        if first {
            state.entries = next;
            state.oldest = revision;
        } else {
            state.open_gap(self.revision(), revision);
            let mut changes: Vec<Change> = Vec::new();
            for (key, held) in &state.entries {
                if !next.contains_key(key) {
                    changes.push(Change::Deleted { revision, last: stamped(held, revision) });
                }
            }
            let mut applied: Vec<Arc<Entry>> = next
                .iter()
                .filter(|(key, entry)| state.entries.get(*key).is_none_or(|held| held.revision != entry.revision))
                .map(|(_, entry)| Arc::clone(entry))
                .collect();
            applied.sort_by_key(|entry| entry.revision);
            // Changes that were made while the watch was lost come in the order in which they were made; deletions, whose
            // time is not known, at the end.
            for entry in applied {
                self.change(&mut state, Change::Applied(entry));
            }
            for change in changes {
                self.change(&mut state, change);
            }
        }
        // Under the lock, so that no list carries changes that are newer than its revision.
        self.advance(revision);
    }

    /// Takes one change of the host.
    pub fn apply(&self, change: Change) {
        let revision = match &change {
            Change::Applied(entry) => entry.revision,
            Change::Deleted { revision, .. } => *revision,
        };
        let mut state = self.state();
        self.change(&mut state, change);
        self.advance(revision);
    }

    /// Nothing changed up to a revision.
    pub fn progress(&self, revision: u64) {
        let mut state = self.state();
        state.forget(&self.limits, Instant::now());
        self.advance(revision);
    }

    fn advance(&self, revision: u64) {
        self.revision.send_if_modified(|held| {
            let newer = held.is_none_or(|held| held < revision);
            if newer {
                *held = Some(revision);
            }
            newer
        });
    }

    fn change(&self, state: &mut State, change: Change) {
        let event = match change {
            Change::Applied(entry) => {
                let previous = state.entries.insert(key_of(&entry), Arc::clone(&entry));
                let kind = if previous.is_some() { EventKind::Modified } else { EventKind::Added };
                CacheEvent::new(entry.revision, kind, entry, previous)
            }
            Change::Deleted { revision, last } => {
                let Some(previous) = state.entries.remove(&key_of(&last)) else { return };
                CacheEvent::new(revision, EventKind::Deleted, last, Some(previous))
            }
        };
        let event = Arc::new(event);
        state.remember(&event);
        if let Some(late) = state.history.len().checked_sub(FRAMES_MAX + 1).and_then(|at| state.history.get(at)) {
            late.forget_frame();
        }
        state.forget(&self.limits, event.at);
        // A full queue or a client that left ends the watcher: dropping the sender ends its stream after what is queued.
        state.watchers.retain(|watcher| {
            if event.revision > watcher.after && is_in(watcher.namespace.as_deref(), &event.entry) {
                watcher.queue.try_send(Arc::clone(&event)).is_ok()
            } else {
                !watcher.queue.is_closed()
            }
        });
    }

    /// Encodes all objects anew without telling anybody: nothing was written, they are only shown by another schema.
    pub fn reproject(&self, mut show: impl FnMut(&Arc<Entry>) -> Arc<Entry>) {
        let mut state = self.state();
        for entry in state.entries.values_mut() {
            *entry = show(entry);
        }
    }

    /// The kind is gone: all watches end, and none begins.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.watchers.clear();
    }

    /// Whether the first list of the host has come.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.revision.borrow().is_some()
    }

    /// The newest revision; 0 before the first list.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision.borrow().unwrap_or_default()
    }

    /// How many objects there are.
    #[must_use]
    pub fn objects(&self) -> usize {
        self.state().entries.len()
    }

    /// How many follow.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.state().watchers.len()
    }

    /// One object.
    #[must_use]
    pub fn get(&self, namespace: Option<&str>, name: &str) -> Option<Arc<Entry>> {
        self.state().entries.get(&key(namespace, name)).cloned()
    }
}

fn key_of(entry: &Entry) -> String {
    key(entry.namespace.as_deref(), &entry.name)
}

/// Whether a revision is after the first and before the second.
fn is_between(revision: u64, (after, until): (u64, u64)) -> bool {
    after < revision && revision < until
}

/// Whether an object is in a namespace; without one, all are.
fn is_in(namespace: Option<&str>, entry: &Entry) -> bool {
    namespace.is_none() || entry.namespace.as_deref() == namespace
}

/// An entry with another resourceVersion, for a deletion that was not seen.
fn stamped(entry: &Arc<Entry>, revision: u64) -> Arc<Entry> {
    // What cannot be read, which is a fault of ours, is told as it was.
    let Some(mut object) = entry.json.text().as_ref().and_then(tree) else { return Arc::clone(entry) };
    object["metadata"]["resourceVersion"] = serde_json::Value::String(revision.to_string());
    Arc::new(Entry {
        namespace: entry.namespace.clone(),
        name: entry.name.clone(),
        revision,
        labels: entry.labels.clone(),
        fields: entry.fields.clone(),
        json: HeldJson::from(encoded(&object)).deflated(),
    })
}
