//! Bounding the number of entries that updates leave.
//!
//! Follows managedfields/internal/capmanagers.go of apimachinery.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entries::{Identity, Managed, Operation};

/// How many entries of updates an object keeps; older ones become one per version.
pub(super) const UPDATE_MANAGERS_MAX: usize = 10;

/// The manager of entries that have become one.
const BUCKET: &str = "ancient-changes";

pub(super) fn cap(managed: &mut Managed) {
    let updaters = managed.fields.iter().filter(|(_, own)| own.operation == Operation::Update);
    let mut updaters: Vec<String> = updaters.map(|(manager, _)| manager.clone()).collect();
    if updaters.len() <= UPDATE_MANAGERS_MAX {
        return;
    }
    updaters.sort_by_key(|manager| (managed.times.get(manager).copied().unwrap_or_default(), manager.clone()));
    let mut left = updaters.len();
    let mut first_of: BTreeMap<Arc<str>, String> = BTreeMap::new();
    for manager in updaters {
        if left <= UPDATE_MANAGERS_MAX {
            return;
        }
        let Some(own) = managed.fields.get(&manager).cloned() else { continue };
        let Some(first) = first_of.get(&own.version) else {
            first_of.insert(own.version.clone(), manager);
            continue;
        };
        let bucket = Identity {
            manager: BUCKET.to_owned(),
            operation: Operation::Update,
            api_version: own.version.to_string(),
            subresource: String::new(),
        };
        let bucket = bucket.identifier();
        if !managed.fields.contains_key(&bucket)
            && let Some(oldest) = managed.fields.remove(first)
        {
            managed.fields.insert(bucket.clone(), oldest);
        }
        let known = managed.fields.get(&bucket).map(|bucket| bucket.set.clone()).unwrap_or_default();
        let set = own.set.union(&known).into();
        managed.fields.insert(bucket.clone(), super::updater::VersionedSet { set, ..own });
        // As upstream, where the bucket may be the one whose turn it is.
        managed.fields.remove(&manager);
        left -= 1;
        match managed.times.get(&manager).copied() {
            Some(time) => managed.times.insert(bucket, time),
            None => managed.times.remove(&bucket),
        };
    }
}
