//! What readers ask of a cache: the objects at a revision, and the changes after one.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use tokio::sync::mpsc;

use super::{Entry, Following, WatchCache, Watcher, WatcherItem, is_in, key_of};

/// Which state to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheListAt {
    /// Whatever there is.
    Any,
    /// This revision or a newer one.
    NotOlderThan(u64),
    /// Exactly this revision.
    Exactly(u64),
}

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchStart {
    /// With the changes after a revision.
    After(u64),
    /// With the present state.
    InitialEvents {
        /// Up to this revision the caller knows the state to be complete, whatever the cache was told: a cluster's revision
        /// moves with other resources, too. 0 where the cache's own revision is all that is known.
        complete_to: u64,
    },
}

/// Objects at one revision.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The objects, by namespace and name.
    pub entries: Vec<Arc<Entry>>,
    /// The revision.
    pub revision: u64,
}

/// Why the cache cannot answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CacheError {
    /// The first list of the host has not come.
    #[error("storage is (re)initializing")]
    NotReady,
    /// The revision is older than what is remembered.
    #[error("too old resource version, the oldest known is {oldest}")]
    Expired {
        /// The oldest revision that can be asked for.
        oldest: u64,
    },
    /// The revision is newer than what is known.
    #[error("too large resource version, the newest known is {current}")]
    TooNew {
        /// The newest revision.
        current: u64,
    },
    /// There are as many watchers as are allowed.
    #[error("too many watches of this resource, try again later")]
    TooManyWatchers,
}

impl WatchCache {
    /// Objects of a namespace, or all.
    ///
    /// # Errors
    /// When the state that is asked for is not known (yet, or any more).
    pub fn list(&self, namespace: Option<&str>, at: CacheListAt) -> Result<Listing, CacheError> {
        let state = self.state();
        let current = (*self.revision.borrow()).ok_or(CacheError::NotReady)?;
        match at {
            CacheListAt::NotOlderThan(revision) if revision > current => Err(CacheError::TooNew { current }),
            CacheListAt::Exactly(revision) if revision > current => Err(CacheError::TooNew { current }),
            CacheListAt::Exactly(revision) => {
                state.check_known(revision)?;
                // Undo what came later, newest first: what is left for a key is how the object was.
                let mut undone: BTreeMap<String, Option<&Arc<Entry>>> = BTreeMap::new();
                let later = state.history.iter().rev().take_while(|event| event.revision > revision);
                for event in later.filter(|event| is_in(namespace, &event.entry)) {
                    undone.insert(key_of(&event.entry), event.previous.as_ref());
                }
                let present = state.within(namespace).filter(|(key, _)| !undone.contains_key(*key));
                let mut entries: Vec<(&String, &Arc<Entry>)> = present.collect();
                entries.extend(undone.iter().filter_map(|(key, entry)| Some((key, (*entry)?))));
                entries.sort_by_key(|(key, _)| *key);
                Ok(Listing { entries: entries.into_iter().map(|(_, entry)| Arc::clone(entry)).collect(), revision })
            }
            CacheListAt::Any | CacheListAt::NotOlderThan(_) => {
                let entries = state.within(namespace).map(|(_, entry)| Arc::clone(entry)).collect();
                Ok(Listing { entries, revision: current })
            }
        }
    }

    /// Waits until a revision is known.
    ///
    /// # Errors
    /// When it is not known at the deadline.
    pub async fn wait_for(&self, revision: u64, deadline: Instant) -> Result<(), CacheError> {
        let mut known = self.revision.subscribe();
        let reached = known.wait_for(|held| held.is_some_and(|held| held >= revision));
        match tokio::time::timeout_at(deadline.into(), reached).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(CacheError::TooNew { current: self.revision() }),
        }
    }

    /// Follows the changes of a namespace, or of all. What is there and what comes meet without a gap.
    ///
    /// # Errors
    /// When the revision to begin at is not remembered, or there are too many watchers.
    pub fn watch(&self, namespace: Option<String>, start: WatchStart) -> Result<Watcher, CacheError> {
        let mut state = self.state();
        let current = (*self.revision.borrow()).ok_or(CacheError::NotReady)?;
        state.watchers.retain(|watcher| !watcher.queue.is_closed());
        if state.watchers.len() >= self.limits.watchers_max {
            return Err(CacheError::TooManyWatchers);
        }
        let mut pending = VecDeque::new();
        let (begin, after) = match start {
            WatchStart::InitialEvents { complete_to } => {
                let complete = current.max(complete_to);
                pending.extend(
                    state.within(namespace.as_deref()).map(|(_, entry)| WatcherItem::Initial(Arc::clone(entry))),
                );
                pending.push_back(WatcherItem::InitialEnd { revision: complete });
                // What came and went before that is not in the state, and its news may be late.
                (complete, complete)
            }
            WatchStart::After(revision) => {
                state.check_known(revision)?;
                let later = state.history.iter().filter(|event| event.revision > revision);
                let later = later.filter(|event| is_in(namespace.as_deref(), &event.entry));
                pending.extend(later.map(|event| WatcherItem::Event(Arc::clone(event))));
                (revision.max(current), revision)
            }
        };
        let (queue, events) = mpsc::channel(self.limits.watcher_queue_events_max);
        if !state.closed {
            state.watchers.push(Following { namespace, after, queue });
        }
        Ok(Watcher::new(pending, events, begin, self.revision.subscribe()))
    }
}
