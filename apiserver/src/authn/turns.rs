//! Reviews at once, in all and for one address: who shows made-up credentials costs the cluster no more than this.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Questions to the cluster at once.
pub(super) const REVIEWS_MAX: usize = 50;

/// Of these, for tokens that come from one address.
pub(super) const REVIEWS_OF_ADDRESS_MAX: usize = 10;

/// Who may ask the cluster now.
pub(super) struct Turns {
    all: Semaphore,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { all: Semaphore::new(REVIEWS_MAX), by_address: Mutex::default() }
    }
}

/// The right to ask, until it is dropped.
pub(super) struct Turn<'a> {
    _of_address: OfAddress<'a>,
    _permit: SemaphorePermit<'a>,
}

/// A question that counts for an address.
struct OfAddress<'a> {
    turns: &'a Turns,
    address: IpAddr,
}

impl Turns {
    /// Waits for a turn. None when so many questions are asked for the address already.
    pub(super) async fn take(&self, address: IpAddr) -> Option<Turn<'_>> {
        let of_address = {
            let mut held = self.held();
            let count = held.entry(address).or_default();
            if *count >= REVIEWS_OF_ADDRESS_MAX {
                return None;
            }
            *count += 1;
            OfAddress { turns: self, address }
        };
        Some(Turn { _permit: self.all.acquire().await.ok()?, _of_address: of_address })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OfAddress<'_> {
    fn drop(&mut self) {
        let mut held = self.turns.held();
        if let Some(count) = held.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&self.address);
            }
        }
    }
}
