//! Equal questions that wait together get one answer.
//!
//! One question of a key runs at a time. Whoever asks meanwhile waits with the others who do, and the next run is for all of
//! them: so an answer is never older than its question.

use std::{
    collections::HashMap,
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};
use tokio::sync::Mutex as Turn;

/// The questions of one key.
struct Slot<T: Clone> {
    /// Held by the question that runs.
    turn: Arc<Turn<()>>,
    /// The question that others may still join, as it does not run yet.
    next: Option<WeakShared<BoxFuture<'static, T>>>,
}

type Slots<K, T> = Mutex<HashMap<K, Slot<T>>>;

/// Questions by their key.
pub struct Coalesced<K, T: Clone> {
    slots: Arc<Slots<K, T>>,
}

impl<K, T: Clone> Default for Coalesced<K, T> {
    fn default() -> Self {
        Self { slots: Arc::default() }
    }
}

impl<K, T> Coalesced<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Asks, or waits with those who ask the same. A question ends when nobody waits for it any more.
    pub async fn ask<F>(&self, key: K, question: F) -> T
    where
        F: Future<Output = T> + Send + 'static,
    {
        // Dropped last.
        let _leave = Leave { slots: &self.slots, key: key.clone() };
        self.join(key, question).await
    }

    fn join<F>(&self, key: K, question: F) -> Shared<BoxFuture<'static, T>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut slots = locked(&self.slots);
        let slot = slots.entry(key.clone()).or_insert_with(|| Slot { turn: Arc::default(), next: None });
        if let Some(next) = slot.next.as_ref().and_then(WeakShared::upgrade) {
            return next;
        }
        let (turn, all) = (Arc::clone(&slot.turn), Arc::clone(&self.slots));
        let asked = async move {
            let _turn = turn.lock_owned().await;
            // From here on it is too late to join.
            if let Some(slot) = locked(&all).get_mut(&key) {
                slot.next = None;
            }
            question.await
        };
        let asked = asked.boxed().shared();
        slot.next = asked.downgrade();
        asked
    }
}

/// Forgets a key that nobody asks for any more.
struct Leave<'s, K: Eq + Hash, T: Clone> {
    slots: &'s Slots<K, T>,
    key: K,
}

impl<K: Eq + Hash, T: Clone> Drop for Leave<'_, K, T> {
    fn drop(&mut self) {
        let mut slots = locked(self.slots);
        // Each question holds the turn, or waits for it.
        if slots.get(&self.key).is_some_and(|slot| Arc::strong_count(&slot.turn) == 1) {
            slots.remove(&self.key);
        }
    }
}

fn locked<K, T: Clone>(slots: &Slots<K, T>) -> MutexGuard<'_, HashMap<K, Slot<T>>> {
    slots.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use tokio::time::sleep;

    use super::*;

    #[derive(Default)]
    struct Host {
        runs: Arc<AtomicUsize>,
        coalesced: Coalesced<&'static str, usize>,
    }

    impl Host {
        /// The number of the run that answered.
        async fn ask(&self, key: &'static str) -> usize {
            let runs = Arc::clone(&self.runs);
            let question = async move {
                let run = runs.fetch_add(1, Ordering::SeqCst);
                sleep(Duration::from_secs(1)).await;
                run
            };
            self.coalesced.ask(key, question).await
        }

        fn slots(&self) -> usize {
            locked(&self.coalesced.slots).len()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_while_another_runs_waits_for_the_next_run() {
        let host = Arc::new(Host::default());
        let ask = |after: u64| {
            let host = Arc::clone(&host);
            async move {
                sleep(Duration::from_millis(after)).await;
                host.ask("a").await
            }
        };
        let (first, second, third, fourth, fifth) = tokio::join!(ask(0), ask(100), ask(200), ask(900), ask(1500));
        assert_eq!((first, second, third, fourth, fifth), (0, 1, 1, 1, 2));
        assert_eq!(host.slots(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_takes_nothing_from_the_others() {
        let host = Arc::new(Host::default());
        let impatient = tokio::time::timeout(Duration::from_millis(300), host.ask("a"));
        let patient = async {
            sleep(Duration::from_millis(100)).await;
            host.ask("a").await
        };
        let other = host.ask("b");
        let (left, stayed, other) = tokio::join!(impatient, patient, other);
        assert!(left.is_err());
        assert_eq!((stayed, other), (2, 1), "the question that nobody waited for was given up");
        assert_eq!(host.slots(), 0);
        // Two wait together, of whom the first leaves.
        let first = tokio::time::timeout(Duration::from_millis(300), host.ask("a"));
        let (running, left, stayed) = tokio::join!(host.ask("a"), first, host.ask("a"));
        assert!(left.is_err());
        assert_eq!((running, stayed, host.slots()), (3, 4, 0));
    }
}
