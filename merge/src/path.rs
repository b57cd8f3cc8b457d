//! Path elements: one step from an object to a field, an entry or an item.
//!
//! Follows fieldpath/{element,path,serialize-pe}.go of structured-merge-diff.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::value;

/// One of the fields that tell an item of a list from the others.
#[derive(Debug, Clone)]
pub struct KeyField {
    /// The name of the field.
    pub name: Arc<str>,
    /// Its value.
    pub value: Value,
}

/// How to get from a value to one inside it. Cheap to clone.
#[derive(Debug, Clone)]
pub enum PathElement {
    /// A field of an object or an entry of a map.
    Field(Arc<str>),
    /// The item of a list that has these fields; they are sorted by name.
    Key(Arc<[KeyField]>),
    /// The item of a set that is this value.
    Value(Arc<Value>),
    /// An item by its place.
    Index(i64),
}

impl PathElement {
    /// A field by its name.
    pub fn field(name: &str) -> Self {
        Self::Field(Arc::from(name))
    }

    /// An item by its fields, in any order.
    pub fn key(mut fields: Vec<KeyField>) -> Self {
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        Self::Key(fields.into())
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Field(_) => 0,
            Self::Key(_) => 1,
            Self::Value(_) => 2,
            Self::Index(_) => 3,
        }
    }
}

impl Ord for PathElement {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Field(a), Self::Field(b)) => a.cmp(b),
            (Self::Key(a), Self::Key(b)) => compare_keys(a, b),
            (Self::Value(a), Self::Value(b)) => value::compare(a, b),
            (Self::Index(a), Self::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for PathElement {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for PathElement {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for PathElement {}

fn compare_keys(a: &[KeyField], b: &[KeyField]) -> Ordering {
    let fields = |(a, b): (&KeyField, &KeyField)| a.name.cmp(&b.name).then_with(|| value::compare(&a.value, &b.value));
    let unequal = a.iter().zip(b).map(fields).find(|order| order.is_ne());
    unequal.unwrap_or_else(|| a.len().cmp(&b.len()))
}

impl fmt::Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(fields) => {
                f.write_str("[")?;
                for (at, field) in fields.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(f, "{comma}{}={}", field.name, value::text(&field.value))?;
                }
                f.write_str("]")
            }
            Self::Value(value) => write!(f, "[={}]", value::text(value)),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A path as errors and conflicts show it: `.spec.ports[name="http"].port`.
pub fn path_text(path: &[PathElement]) -> String {
    path.iter().map(ToString::to_string).collect()
}
