//! Requests in flight: so much at once of all users together, and half of that of one.
//!
//! A user who has half is told to come again, whoever else is there: there is room for the next one who comes.
//!
//! Source of the whole: k8s.io/apiserver/pkg/server/filters/maxinflight.go; of the fairness: the seats of
//! k8s.io/apiserver/pkg/util/flowcontrol, without its queues.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What is in flight, in units: requests, or bytes.
#[derive(Debug)]
pub(crate) struct Lane {
    units_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    by_user: HashMap<String, usize>,
}

impl Lane {
    /// A lane of so many units.
    #[must_use]
    pub(crate) fn new(units_max: usize) -> Arc<Self> {
        Arc::new(Self { units_max, state: Mutex::default() })
    }

    /// How many units are taken.
    #[must_use]
    pub(crate) fn taken(&self) -> usize {
        self.locked().taken
    }

    /// Takes units for a user until what is returned is dropped; none where there is no room, or the user has half of it.
    #[must_use]
    pub(crate) fn take(self: &Arc<Self>, user: &str, units: usize) -> Option<Taken> {
        let mut state = self.locked();
        let own = state.by_user.get(user).copied().unwrap_or_default().saturating_add(units);
        let all = state.taken.saturating_add(units);
        if all > self.units_max || own > self.units_max / 2 {
            return None;
        }
        state.taken = all;
        state.by_user.insert(user.to_owned(), own);
        drop(state);
        Some(Taken { lane: Arc::clone(self), user: user.to_owned(), units })
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Units of a lane.
#[derive(Debug)]
pub(crate) struct Taken {
    lane: Arc<Lane>,
    user: String,
    units: usize,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut state = self.lane.locked();
        state.taken = state.taken.saturating_sub(self.units);
        let left = state.by_user.get_mut(&self.user).map(|own| {
            *own = own.saturating_sub(self.units);
            *own
        });
        if left == Some(0) {
            state.by_user.remove(&self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn half_of_a_lane_is_for_the_others() {
        let lane = Lane::new(10);
        let greedy: Vec<Taken> = (0..20).filter_map(|_| lane.take("greedy", 1)).collect();
        assert_eq!((greedy.len(), lane.taken()), (5, 5));
        let others: Vec<Taken> = ["a", "b", "c", "d", "e", "f"].iter().filter_map(|user| lane.take(user, 1)).collect();
        assert_eq!((others.len(), lane.taken()), (5, 10));
        drop(greedy);
        assert!(lane.take("f", 1).is_some() && lane.take("greedy", 6).is_none());
    }

    proptest! {
        #[test]
        fn what_is_given_back_is_there_again(steps in proptest::collection::vec((0..4_u8, 0..9_usize, any::<bool>()), 0..60)) {
            let lane = Lane::new(16);
            let mut held: Vec<Taken> = Vec::new();
            for (user, units, takes) in steps {
                if takes {
                    held.extend(lane.take(&user.to_string(), units));
                } else if !held.is_empty() {
                    drop(held.swap_remove(units % held.len()));
                }
                prop_assert_eq!(lane.taken(), held.iter().map(|it| it.units).sum::<usize>());
                prop_assert!(lane.taken() <= 16);
            }
            drop(held);
            prop_assert_eq!(lane.taken(), 0);
            prop_assert!(lane.locked().by_user.is_empty());
        }
    }
}
