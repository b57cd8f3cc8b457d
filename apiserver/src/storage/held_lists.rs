//! Lists that were read from the host for clients that take them page by page.
//!
//! Every page is of one revision. A cluster moves that for its other resources too, so the cache may not know it yet; without
//! this the host would be asked for everything again with each page.

use std::{future::Future, sync::Arc, time::Duration};

use moka::{future::Cache, policy::EvictionPolicy};

use super::{cache::Entry, coalesced::Coalesced};
use crate::encode::status::ApiError;

/// The most bytes of all lists together.
const BYTES_MAX: u64 = 32 * 1024 * 1024;

/// For how long a list is held. Who comes later for the next page has it read from the host.
const AGE_MAX: Duration = Duration::from_secs(60);

/// What an object takes besides its JSON, about.
const ENTRY_BYTES: usize = 256;

/// The collection that a list is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CollectionKey {
    /// The uid of the definition, and its generation: another one shows objects otherwise.
    pub definition: (String, i64),
    /// The version of the kind, with its group.
    pub api_version: String,
    /// The resource.
    pub resource: String,
    /// The namespace; none for all.
    pub namespace: Option<String>,
}

/// Which list it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListKey {
    /// The collection.
    pub collection: CollectionKey,
    /// The revision.
    pub revision: u64,
}

/// Objects in the order of their keys.
pub type HeldList = Arc<Vec<Arc<Entry>>>;

/// A list as it was read, with its revision.
pub type ReadList = Result<(HeldList, u64), ApiError>;

/// Lists of all kinds, bounded together.
pub struct HeldLists {
    lists: Cache<ListKey, HeldList>,
    /// Lists of the most recent state that are being read.
    reads: Coalesced<CollectionKey, ReadList>,
}

impl Default for HeldLists {
    fn default() -> Self {
        // Whoever begins a list wants it next; those who are done do not come back.
        let lists = Cache::builder().eviction_policy(EvictionPolicy::lru()).max_capacity(BYTES_MAX).weigher(weight);
        Self { lists: lists.time_to_live(AGE_MAX).build(), reads: Coalesced::default() }
    }
}

fn weight(_: &ListKey, list: &HeldList) -> u32 {
    let bytes: usize = list.iter().map(|entry| entry.json.bytes() + ENTRY_BYTES).sum();
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl HeldLists {
    /// Reads the most recent state of a collection, or waits with others for one list that is read for all of them.
    ///
    /// # Errors
    /// As the read has it.
    pub async fn most_recent<R>(&self, key: CollectionKey, read: R) -> ReadList
    where
        R: Future<Output = ReadList> + Send + 'static,
    {
        self.reads.ask(key, read).await
    }

    /// A list that is held.
    pub async fn get(&self, key: &ListKey) -> Option<HeldList> {
        self.lists.get(key).await
    }

    /// Holds a list for a while, if there is room for it.
    pub async fn hold(&self, key: ListKey, list: HeldList) {
        self.lists.insert(key, list).await;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::storage::texts::Texts;

    fn list(bytes: usize) -> HeldList {
        let entry = Entry {
            namespace: None,
            name: "a".to_owned(),
            revision: 1,
            labels: Texts::default(),
            fields: Texts::default(),
            json: Bytes::from(vec![b' '; bytes]).into(),
        };
        Arc::new(vec![Arc::new(entry)])
    }

    #[tokio::test]
    async fn lists_are_held_by_revision_and_within_their_bound() {
        let collection = CollectionKey {
            definition: ("u".to_owned(), 1),
            api_version: "example.com/v1".to_owned(),
            resource: "cups".to_owned(),
            namespace: None,
        };
        let key = |revision| ListKey { collection: collection.clone(), revision };
        let lists = HeldLists::default();
        lists.hold(key(1), list(10)).await;
        assert_eq!(lists.get(&key(1)).await.map(|held| held.len()), Some(1));
        assert!(lists.get(&key(2)).await.is_none());
        for revision in 2..10 {
            lists.hold(key(revision), list(10 << 20)).await;
        }
        lists.lists.run_pending_tasks().await;
        assert!(lists.lists.weighted_size() <= BYTES_MAX);
        assert!(lists.get(&key(9)).await.is_some(), "the newest is held, whatever was asked for before");
    }
}
