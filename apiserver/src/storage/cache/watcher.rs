//! One follower of a cache.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::{mpsc, watch};

use super::{CacheEvent, Entry};

/// What a watcher gets.
#[derive(Clone, Debug)]
pub enum WatcherItem {
    /// An object of the present state.
    Initial(Arc<Entry>),
    /// The present state is complete.
    InitialEnd {
        /// The revision of the state.
        revision: u64,
    },
    /// A change.
    Event(Arc<CacheEvent>),
}

/// One follower of a cache. Dropping it ends the watch.
pub struct Watcher {
    pending: VecDeque<WatcherItem>,
    events: mpsc::Receiver<Arc<CacheEvent>>,
    seen: u64,
    newest: watch::Receiver<Option<u64>>,
}

impl Watcher {
    pub(super) fn new(
        pending: VecDeque<WatcherItem>,
        events: mpsc::Receiver<Arc<CacheEvent>>,
        seen: u64,
        newest: watch::Receiver<Option<u64>>,
    ) -> Self {
        Self { pending, events, seen, newest }
    }

    /// The next item; none when the watch was ended. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<WatcherItem> {
        if let Some(item) = self.pending.pop_front() {
            return Some(item);
        }
        let event = self.events.recv().await?;
        self.seen = self.seen.max(event.revision);
        Some(WatcherItem::Event(event))
    }

    /// The revision up to which everything was taken out of this watcher.
    #[must_use]
    pub fn revision(&self) -> u64 {
        // With nothing queued, all changes up to the newest revision were taken. The revision moves after the events of
        // it are queued, so reading it first cannot run ahead of them.
        let newest = self.newest.borrow().unwrap_or_default();
        if self.pending.is_empty() && self.events.is_empty() { self.seen.max(newest) } else { self.seen }
    }
}
