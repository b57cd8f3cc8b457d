//! The one place where the current snapshot is: readers load it, the builder stores the next one in a single step.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::watch;

use super::Snapshot;

/// The current snapshot.
pub struct Registry {
    current: ArcSwap<Snapshot>,
    swapped: watch::Sender<u64>,
    swapped_at: ArcSwapOption<SystemTime>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            current: ArcSwap::from_pointee(Snapshot::default()),
            swapped: watch::Sender::new(0),
            swapped_at: ArcSwapOption::empty(),
        }
    }
}

impl Registry {
    /// The snapshot to work on. It stays as it is however long it is held.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Makes a snapshot the current one.
    pub fn swap(&self, next: Snapshot) {
        self.current.store(Arc::new(next));
        self.swapped_at.store(Some(Arc::new(SystemTime::now())));
        self.swapped.send_modify(|count| *count += 1);
    }

    /// How often a snapshot became the current one.
    #[must_use]
    pub fn swap_count(&self) -> u64 {
        *self.swapped.borrow()
    }

    /// When the current snapshot became so, in seconds of Unix time; none before the first swap.
    #[must_use]
    pub fn swapped_at(&self) -> Option<f64> {
        let at = self.swapped_at.load_full()?;
        at.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs_f64())
    }

    /// Tells of each swap.
    #[must_use]
    pub fn swaps(&self) -> watch::Receiver<u64> {
        self.swapped.subscribe()
    }
}
