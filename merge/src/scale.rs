//! The owners of the replicas, as `/scale` shows them.
//!
//! Follows managedfields/scalehandler.go of apimachinery.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::entries::{EntriesError, Managed};
use super::path::PathElement;
use super::set::Set;
use super::updater::{Managers, VersionedSet};

/// The API version of a scale.
const SCALE: &str = "autoscaling/v1";

static REPLICAS: LazyLock<Vec<PathElement>> =
    LazyLock::new(|| vec![PathElement::field("spec"), PathElement::field("replicas")]);

/// Where the replicas are in each API version of a kind; nothing for versions without scale.
pub type ScalePaths = BTreeMap<String, Option<Vec<PathElement>>>;

/// Writes who owns the replicas of `parent` into `scale`.
///
/// # Errors
/// The entries of the parent cannot be decoded.
pub fn to_scale(parent: &Value, paths: &ScalePaths, scale: &mut Value) -> Result<(), EntriesError> {
    let Managed { fields, times } = Managed::of(parent)?;
    let own = |(manager, own): (String, VersionedSet)| {
        let path = paths.get(own.version.as_ref())?.as_ref()?;
        let set = own.set.has(path).then(|| Set::of([REPLICAS.as_slice()]))?;
        Some((manager, VersionedSet { set: set.into(), version: SCALE.into(), operation: own.operation }))
    };
    let fields = fields.into_iter().filter_map(own).collect();
    Managed { fields, times }.write(scale);
    Ok(())
}

/// Writes the owners of `parent` into it, as they are once `scale` was written at the API version of the parent.
///
/// # Errors
/// The entries of one of the two cannot be decoded.
pub fn to_parent(parent: &mut Value, scale: &Value, api_version: &str, paths: &ScalePaths) -> Result<(), EntriesError> {
    let before = Managed::of(parent)?;
    let mut scaled = Managed::of(scale)?.fields;
    let mut fields = Managers::new();
    for (manager, own) in before.fields {
        let Some(path) = paths.get(own.version.as_ref()) else { continue };
        match path.as_ref().filter(|path| own.set.has(path)) {
            Some(path) if scaled.remove(&manager).is_none() => {
                // Somebody else has taken the replicas.
                let set = own.set.difference(&Set::of([path.as_slice()]));
                if !set.is_empty() {
                    fields.insert(manager, VersionedSet { set: set.into(), ..own });
                }
            }
            _ => {
                fields.insert(manager, own);
            }
        }
    }
    let path = paths.get(api_version).and_then(Option::as_ref);
    let times = before.times;
    for (manager, own) in scaled {
        if let Some(path) = path.filter(|_| own.set.has(&REPLICAS)) {
            let set = Set::of([path.as_slice()]).into();
            fields.insert(manager, VersionedSet { set, version: api_version.into(), operation: own.operation });
        }
    }
    Managed { fields, times }.write(parent);
    Ok(())
}
