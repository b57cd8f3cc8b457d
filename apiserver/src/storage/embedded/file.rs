//! Tables of the file, and reads of them.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use redb::{Builder, Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde_json::Value;

use super::{FILE_NAME, OpenError, status};
use crate::storage::host::{HostError, HostEvent, HostList, HostResource, Key, ListAt, encoded, key_of};

/// Objects by [`object_key`].
pub(super) const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");

/// Changes by revision: a JSON array of the resource's key, the object before and the object after.
pub(super) const HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history");

/// Numbers by name.
pub(super) const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// The revision of the last write.
pub(super) const REVISION: &str = "revision";

/// The newest revision whose changes are forgotten.
pub(super) const COMPACTED: &str = "compacted";

/// How many bytes the changes take that are not forgotten. What a former version noted is not counted.
pub(super) const HISTORY_BYTES: &str = "history-bytes";

/// When transactions were: the revision of the last change in one, and the time in seconds since 1970.
pub(super) const TIMES: TableDefinition<'_, u64, u64> = TableDefinition::new("times");

/// Pages of the file that are kept in memory, in bytes. Lists and watches have a cache of their own.
const PAGE_CACHE_BYTES: usize = 4 << 20;

/// The open file.
pub(super) struct StoreFile {
    pub(super) database: Database,
    /// The revision of the last change that is on the disk.
    newest: AtomicU64,
}

/// A change as the history has it.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Recorded {
    /// The key of the resource.
    pub(super) resource: String,
    /// The object before, if there was one.
    pub(super) before: Option<Value>,
    /// The object after, if there is one.
    pub(super) after: Option<Value>,
    /// The object as it was last, at the revision of its deletion.
    pub(super) last: Option<Value>,
}

/// A fault of the store as an error of the host.
pub(super) fn broken(error: impl std::fmt::Display) -> HostError {
    HostError::Malformed(format!("the store cannot be used: {error}"))
}

pub(super) fn resource_key(resource: &HostResource) -> String {
    format!("{}/{}", resource.group, resource.plural)
}

pub(super) fn object_key(resource: &HostResource, namespace: Option<&str>, name: &str) -> String {
    format!("{}\0{}\0{name}", resource_key(resource), namespace.unwrap_or_default())
}

impl StoreFile {
    pub(super) fn open(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join(FILE_NAME);
        let fail = |reason: String| OpenError::Broken { path: path.clone(), reason };
        let database = Builder::new().set_cache_size(PAGE_CACHE_BYTES).create(&path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path: directory.to_owned() },
            error => fail(error.to_string()),
        })?;
        let transaction = database.begin_write().map_err(|error| fail(error.to_string()))?;
        transaction.open_table(OBJECTS).map_err(|error| fail(error.to_string()))?;
        transaction.open_table(HISTORY).map_err(|error| fail(error.to_string()))?;
        transaction.open_table(TIMES).map_err(|error| fail(error.to_string()))?;
        let newest = {
            let mut numbers = transaction.open_table(NUMBERS).map_err(|error| fail(error.to_string()))?;
            let newest = numbers.get(REVISION).map_err(|error| fail(error.to_string()))?.map(|held| held.value());
            if newest.is_none() {
                // Revisions are never "0", which means "any" to clients.
                numbers.insert(REVISION, 1).map_err(|error| fail(error.to_string()))?;
                numbers.insert(COMPACTED, 1).map_err(|error| fail(error.to_string()))?;
            }
            newest.unwrap_or(1)
        };
        transaction.commit().map_err(|error| fail(error.to_string()))?;
        Ok(Self { database, newest: AtomicU64::new(newest) })
    }

    /// The revision of the last change that is on the disk.
    pub(super) fn newest(&self) -> u64 {
        self.newest.load(Ordering::SeqCst)
    }

    /// Changes up to a revision are on the disk.
    pub(super) fn advance(&self, revision: u64) {
        self.newest.fetch_max(revision, Ordering::SeqCst);
    }

    pub(super) fn get(
        &self,
        resource: &HostResource,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Value>, HostError> {
        let transaction = self.database.begin_read().map_err(broken)?;
        let objects = transaction.open_table(OBJECTS).map_err(broken)?;
        let held = objects.get(object_key(resource, namespace, name).as_str()).map_err(broken)?;
        held.map(|held| serde_json::from_slice(held.value()).map_err(broken)).transpose()
    }

    pub(super) fn list(
        &self,
        resource: &HostResource,
        namespace: Option<&str>,
        at: ListAt,
    ) -> Result<HostList, HostError> {
        let transaction = self.database.begin_read().map_err(broken)?;
        let numbers = transaction.open_table(NUMBERS).map_err(broken)?;
        let number = |name: &str| numbers.get(name).map(|held| held.map_or(1, |held| held.value())).map_err(broken);
        let (newest, compacted) = (number(REVISION)?, number(COMPACTED)?);
        let objects = transaction.open_table(OBJECTS).map_err(broken)?;
        let prefix = match namespace {
            Some(namespace) => format!("{}\0{namespace}\0", resource_key(resource)),
            None => format!("{}\0", resource_key(resource)),
        };
        let mut found: BTreeMap<Key, Bytes> = BTreeMap::new();
        for held in objects.range(prefix.as_str()..).map_err(broken)? {
            let (key, value) = held.map_err(broken)?;
            if !key.value().starts_with(&prefix) {
                break;
            }
            let mut parts = key.value().rsplitn(3, '\0');
            let mut part = || parts.next().unwrap_or_default().to_owned();
            let (name, namespace) = (part(), part());
            found.insert((namespace, name), Bytes::copy_from_slice(value.value()));
        }
        let revision = match at {
            ListAt::MostRecent => newest,
            ListAt::Exactly(revision) if revision < compacted => return Err(status::list_expired()),
            ListAt::Exactly(revision) if revision > newest => return Err(status::too_new(revision, newest)),
            ListAt::Exactly(revision) => {
                let history = transaction.open_table(HISTORY).map_err(broken)?;
                let wanted = resource_key(resource);
                for held in history.range(revision + 1..).map_err(broken)?.rev() {
                    let (_, value) = held.map_err(broken)?;
                    let change: Recorded = serde_json::from_slice(value.value()).map_err(broken)?;
                    if change.resource != wanted {
                        continue;
                    }
                    let Some(shown) = change.before.as_ref().or(change.after.as_ref()) else { continue };
                    let key = key_of(shown);
                    if namespace.is_some_and(|namespace| namespace != key.0) {
                        continue;
                    }
                    match change.before {
                        Some(before) => found.insert(key, encoded(&before)),
                        None => found.remove(&key),
                    };
                }
                revision
            }
        };
        Ok(HostList { items: found.into_iter().collect(), revision })
    }

    /// The changes of a resource after a revision.
    pub(super) fn changes(&self, resource: &HostResource, after: u64) -> Result<Vec<HostEvent>, HostError> {
        let transaction = self.database.begin_read().map_err(broken)?;
        let numbers = transaction.open_table(NUMBERS).map_err(broken)?;
        let compacted = numbers.get(COMPACTED).map_err(broken)?.map_or(1, |held| held.value());
        if after < compacted {
            return Err(status::watch_expired(after, compacted));
        }
        let wanted = resource_key(resource);
        let history = transaction.open_table(HISTORY).map_err(broken)?;
        let mut events = Vec::new();
        for held in history.range(after + 1..).map_err(broken)? {
            let (revision, value) = held.map_err(broken)?;
            let change: Recorded = serde_json::from_slice(value.value()).map_err(broken)?;
            if change.resource == wanted {
                events.extend(event(revision.value(), change));
            }
        }
        Ok(events)
    }
}

/// A recorded change as followers get it.
pub(super) fn event(revision: u64, change: Recorded) -> Option<HostEvent> {
    match (change.after, change.last) {
        (Some(object), _) => Some(HostEvent::Applied { revision, object }),
        (None, Some(object)) => Some(HostEvent::Deleted { revision, object }),
        (None, None) => None,
    }
}
