//! The paths of an object as `fieldsV1` names them, each with a number that tells its place in an order.
//!
//! The number is made of the path alone: what others change on the object moves no other path. Paths of the same shape,
//! such as the `role` of each user, have numbers next to each other, as their owners are alike.

use std::{collections::HashMap, hash::Hasher as _};

use fnv::FnvHasher;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use kindsmith_merge::{KeyField, PathElement, SET_DEPTH_MAX};

/// The most paths of an object; what fits into a request has fewer.
const PATHS_MAX: usize = 1 << 19;

/// The most sets of fields that tell items of lists from each other.
pub(super) const KEYS_MAX: usize = 16;

/// The members of `metadata` that have owners.
const OWNED_METADATA: [&str; 4] = ["labels", "annotations", "finalizers", "ownerReferences"];

/// How many bits of a number are the shape of the path.
const SHAPE_BITS: u32 = 16;

/// The bits of a number, each dependent on all (the finalizer of splitmix64, Steele et al., 2014).
pub(super) fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// How items of lists are named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ItemNames {
    /// The fields whose values tell items from each other.
    pub(super) keys: Vec<Vec<String>>,
    /// Whether items are named by their value.
    pub(super) values: bool,
}

/// A path, as the numbers of its beginning and of its shape.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Path {
    path: u64,
    shape: u64,
    depth: u64,
}

impl Path {
    /// One step further, as `fieldsV1` names it: `f:spec`.
    pub(super) fn below(self, name: &str) -> Self {
        let hash = |key: u64, text: &str| {
            let mut hasher = FnvHasher::with_key(key);
            hasher.write(text.as_bytes());
            mixed(hasher.finish())
        };
        let depth = self.depth + 1;
        let shape = if name.starts_with("f:") { name } else { name.get(..2).unwrap_or_default() };
        Self { path: hash(mixed(self.path.wrapping_add(depth)), name), shape: hash(mixed(depth), shape), depth }
    }

    /// The number of the path.
    pub(super) fn number(self) -> u64 {
        (self.shape >> SHAPE_BITS << (64 - SHAPE_BITS)) | (self.path >> SHAPE_BITS)
    }
}

/// A path of an object.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Its last step.
    pub(super) name: String,
    /// The place that it is below, which comes before it.
    pub(super) parent: Option<usize>,
}

/// The paths of an object.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    places: Vec<Place>,
    by_number: HashMap<u64, usize>,
}

impl Places {
    /// The paths of an instance, or nothing when there are too many.
    pub(super) fn of(instance: &Value, names: &ItemNames) -> Option<Self> {
        let mut places = Self::default();
        let root = Path::default();
        if let Some(metadata) = instance.get("metadata") {
            let at = places.add("f:metadata".to_owned(), root, None)?;
            for member in OWNED_METADATA {
                if let (Some(held), Some((path, parent))) = (metadata.get(member), at) {
                    places.step(format!("f:{member}"), held, path, Some(parent), names)?;
                }
            }
        }
        if let Some(spec) = instance.get("spec") {
            places.step("f:spec".to_owned(), spec, root, None, names)?;
        }
        Some(places)
    }

    /// The numbers of the paths, sorted.
    pub(super) fn numbers(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.by_number.keys().copied().collect();
        numbers.sort_unstable();
        numbers
    }

    /// The path of a number.
    pub(super) fn at(&self, number: u64) -> Option<usize> {
        self.by_number.get(&number).copied()
    }

    /// The paths, each behind the one it is below.
    pub(super) fn all(&self) -> &[Place] {
        &self.places
    }

    /// None when there are too many; the inner none when the path is there already.
    fn add(&mut self, name: String, above: Path, parent: Option<usize>) -> Option<Option<(Path, usize)>> {
        if self.places.len() >= PATHS_MAX {
            return None;
        }
        let path = above.below(&name);
        let at = self.places.len();
        match self.by_number.entry(path.number()) {
            std::collections::hash_map::Entry::Occupied(_) => return Some(None),
            std::collections::hash_map::Entry::Vacant(entry) => entry.insert(at),
        };
        self.places.push(Place { name, parent });
        Some(Some((path, at)))
    }

    fn step(
        &mut self,
        name: String,
        value: &Value,
        above: Path,
        parent: Option<usize>,
        names: &ItemNames,
    ) -> Option<()> {
        let Some((path, at)) = self.add(name, above, parent)? else { return Some(()) };
        // Deeper sets are not read either.
        if path.depth >= u64::try_from(SET_DEPTH_MAX).ok()? {
            return Some(());
        }
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    self.step(format!("f:{key}"), value, path, Some(at), names)?;
                }
            }
            Value::Array(items) => {
                for item in items {
                    if names.values && !item.is_object() && !item.is_array() {
                        let element = PathElement::Value(std::sync::Arc::new(item.clone()));
                        self.add(element.to_wire(), path, Some(at))?;
                    }
                    for keys in &names.keys {
                        if let Some(element) = key_of(item, keys) {
                            self.step(element.to_wire(), item, path, Some(at), names)?;
                        }
                    }
                }
            }
            _ => {}
        }
        Some(())
    }
}

/// The item as these fields name it, if it has them all.
fn key_of(item: &Value, keys: &[String]) -> Option<PathElement> {
    let field = |name: &String| {
        let value = item.get(name)?;
        Some(KeyField { name: name.as_str().into(), value: value.clone() })
    };
    Some(PathElement::key(keys.iter().map(field).collect::<Option<_>>()?))
}
