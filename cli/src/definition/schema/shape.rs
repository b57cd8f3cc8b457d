//! What a JSON schema says about a value, as far as a structural schema has words for it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Number, Value};

use super::types::Types;

/// Keywords about sizes, the values that they speak of, and which of two says more.
pub(super) const SIZES: [(&str, Types, Tighter); 6] = [
    ("minLength", Types::STRING, Tighter::Larger),
    ("maxLength", Types::STRING, Tighter::Smaller),
    ("minItems", Types::ARRAY, Tighter::Larger),
    ("maxItems", Types::ARRAY, Tighter::Smaller),
    ("minProperties", Types::OBJECT, Tighter::Larger),
    ("maxProperties", Types::OBJECT, Tighter::Smaller),
];

/// Which of two limits lets fewer values pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tighter {
    Larger,
    Smaller,
}

/// `minimum` or `maximum`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bound {
    pub(super) value: Number,
    /// Whether the value itself is out of bounds.
    pub(super) exclusive: bool,
}

/// What holds for the fields of an object that `properties` does not name.
#[derive(Clone, Debug)]
pub(super) enum Additional {
    /// Nothing is said.
    Unsaid,
    /// There are none.
    Closed,
    /// There may be any.
    Open,
    /// All have this schema.
    Entry(Box<Shape>),
}

/// What is said about a value. A keyword holds only for values of the types that it speaks of.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) types: Types,
    /// `enum`, without nulls: whether null is allowed is for the types to say.
    pub(super) choices: Option<Vec<Value>>,
    pub(super) lower: Option<Bound>,
    pub(super) upper: Option<Bound>,
    /// All of them hold.
    pub(super) patterns: Vec<String>,
    /// See [`SIZES`].
    pub(super) sizes: BTreeMap<&'static str, u64>,
    /// `format`, `multipleOf`, `x-kubernetes-…`.
    pub(super) exact: Map<String, Value>,
    pub(super) items: Option<Box<Shape>>,
    pub(super) properties: BTreeMap<String, Shape>,
    pub(super) required: BTreeSet<String>,
    pub(super) additional: Additional,
    /// `title`, `description`, `default`.
    pub(super) notes: Map<String, Value>,
}

impl Shape {
    /// Values of these types, of which no more is said.
    pub(super) fn of(types: Types) -> Self {
        Self {
            types,
            choices: None,
            lower: None,
            upper: None,
            patterns: Vec::new(),
            sizes: BTreeMap::new(),
            exact: Map::new(),
            items: None,
            properties: BTreeMap::new(),
            required: BTreeSet::new(),
            additional: Additional::Unsaid,
            notes: Map::new(),
        }
    }

    /// Any value.
    pub(super) fn anything() -> Self {
        Self::of(Types::ALL)
    }

    /// Whether null is all that it can be.
    pub(super) fn is_null(&self) -> bool {
        self.types.without(Types::NULL) == Types::NONE
    }

    /// The fields and types that it speaks of, without what bounds their values.
    pub(super) fn loosened(self) -> Self {
        let mut notes = self.notes;
        notes.remove("default");
        Self {
            items: self.items.map(|items| Box::new(items.loosened())),
            properties: self.properties.into_iter().map(|(name, field)| (name, field.loosened())).collect(),
            additional: match self.additional {
                Additional::Entry(entry) => Additional::Entry(Box::new(entry.loosened())),
                other => other,
            },
            notes,
            ..Self::of(self.types)
        }
    }
}
