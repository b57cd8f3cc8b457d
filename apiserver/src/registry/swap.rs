//! The one place where the current snapshot is: readers load it, the builder stores the next one in a single step.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::Snapshot;

/// The current snapshot.
pub struct Registry {
    current: ArcSwap<Snapshot>,
    swapped: watch::Sender<u64>,
}

impl Default for Registry {
    fn default() -> Self {
        Self { current: ArcSwap::from_pointee(Snapshot::default()), swapped: watch::Sender::new(0) }
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
        self.swapped.send_modify(|count| *count += 1);
    }

    /// Tells of each swap.
    #[must_use]
    pub fn swaps(&self) -> watch::Receiver<u64> {
        self.swapped.subscribe()
    }
}
