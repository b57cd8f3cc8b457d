//! Objects of a store as a list that is the same `Arc` while nothing changes, and what differs between two lists.
//!
//! A look at a thousand objects of which one changed is then a look at one.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use kube::Resource;
use kube_runtime::reflector::Store;

/// Objects as a list. The same `Arc` as before is the same object.
pub(crate) type List<T> = Arc<Vec<Arc<T>>>;

/// Counts the changes of a store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes(Arc<AtomicU64>);

impl Changes {
    /// There was one; it can be read from the store already.
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    /// How many there were. Read before the store, it is never more than can be seen there.
    pub(crate) fn counted(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// A store whose objects are listed anew only after a change.
pub(crate) struct Listed<K>
where
    K: Resource + 'static,
    K::DynamicType: Eq + std::hash::Hash + Clone,
{
    store: Store<K>,
    changes: Changes,
    /// The list that was made last, and after how many changes.
    made: Mutex<Option<(u64, List<K>)>>,
}

impl<K> Listed<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Eq + std::hash::Hash + Clone,
{
    /// The objects of a store whose changes are counted there.
    pub(crate) fn new(store: Store<K>, changes: Changes) -> Self {
        Self { store, changes, made: Mutex::default() }
    }

    /// All objects, in an order that changes only with them.
    pub(crate) fn all(&self) -> List<K> {
        let counted = self.changes.counted();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        match &*made {
            Some((at, all)) if *at == counted => Arc::clone(all),
            _ => {
                let all = Arc::new(self.store.state());
                *made = Some((counted, Arc::clone(&all)));
                all
            }
        }
    }

    /// Waits until everything was seen once; an error means that the watch is gone.
    pub(crate) async fn ready(&self) {
        let _ = self.store.wait_until_ready().await;
    }
}

/// The pairs of two lists that are not the same `Arc`, with their index; none when one list is longer.
pub(crate) fn differing<'l, T>(
    before: &'l [Arc<T>],
    now: &'l [Arc<T>],
) -> Option<impl Iterator<Item = (usize, &'l Arc<T>, &'l Arc<T>)>> {
    let pairs = before.iter().zip(now).enumerate();
    let others = pairs.filter(|(_, (before, now))| !Arc::ptr_eq(before, now));
    (before.len() == now.len()).then(|| others.map(|(index, (before, now))| (index, before, now)))
}

/// Whether two lists hold the same `Arc`s.
pub(crate) fn are_same<T>(before: &List<T>, now: &List<T>) -> bool {
    Arc::ptr_eq(before, now) || differing(before, now).is_some_and(|mut others| others.next().is_none())
}

/// How many changes are remembered.
const REMEMBERED_MAX: usize = 256;

/// What changed last, for those who have seen the rest.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// After how many changes it begins.
    begin: u64,
    keys: VecDeque<String>,
}

impl Journal {
    /// Something changed; without a key it may be anything.
    pub(crate) fn note(&mut self, key: Option<&str>) {
        match key {
            Some(key) => self.keys.push_back(key.to_owned()),
            None => {
                self.begin = self.noted().saturating_add(1);
                self.keys.clear();
            }
        }
        if self.keys.len() > REMEMBERED_MAX {
            self.keys.pop_front();
            self.begin = self.begin.saturating_add(1);
        }
    }

    /// Number of changes ever noted.
    pub(crate) fn noted(&self) -> u64 {
        self.begin.saturating_add(self.keys.len() as u64)
    }

    /// The keys of what changed after change number `seen`; none if that is too old to tell.
    pub(crate) fn since(&self, seen: u64) -> Option<impl Iterator<Item = &str>> {
        let skipped = usize::try_from(seen.checked_sub(self.begin)?).ok()?;
        Some(self.keys.iter().skip(skipped).map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_differ_where_an_object_was_replaced() {
        let (one, two, other) = (Arc::new(1), Arc::new(2), Arc::new(2));
        let before = [Arc::clone(&one), Arc::clone(&two)];
        let now = [Arc::clone(&one), Arc::clone(&other)];
        let found: Vec<usize> = differing(&before, &now).unwrap().map(|(index, ..)| index).collect();
        assert_eq!(found, [1]);
        assert!(differing(&before, &now[..1]).is_none());
        let list = |items: &[Arc<i32>]| -> List<i32> { Arc::new(items.to_vec()) };
        assert!(are_same(&list(&before), &list(&before)));
        assert!(!are_same(&list(&before), &list(&now)));
        assert!(!are_same(&list(&before), &list(&before[..1])));
    }

    #[test]
    fn a_journal_knows_what_changed_since_or_that_it_does_not() {
        let mut journal = Journal::default();
        journal.note(Some("a"));
        let seen = journal.noted();
        journal.note(Some("b"));
        journal.note(Some("c"));
        let since = |journal: &Journal, seen| -> Option<Vec<String>> {
            journal.since(seen).map(|keys| keys.map(str::to_owned).collect())
        };
        assert_eq!(since(&journal, seen), Some(vec!["b".to_owned(), "c".to_owned()]));
        assert_eq!(since(&journal, journal.noted()), Some(Vec::new()));
        journal.note(None);
        assert_eq!(since(&journal, seen), None);
        assert_eq!(since(&journal, journal.noted()), Some(Vec::new()));
        let seen = journal.noted();
        for _ in 0..=REMEMBERED_MAX {
            journal.note(Some("d"));
        }
        assert_eq!(since(&journal, seen), None);
        assert_eq!(since(&journal, seen + 1).map(|keys| keys.len()), Some(REMEMBERED_MAX));
    }
}
