//! Maps and objects: of the object, or made while running.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map as JsonMap, Value as Json};

use super::{EvalError, Value};
use crate::declared::{Declared, Field, Shape, names};

/// A map or an object.
#[derive(Debug, Clone)]
pub enum Map<'a> {
    /// Part of the object, and what its schema says of it.
    Json {
        /// The fields.
        fields: &'a JsonMap<String, Json>,
        /// The declaration (`Shape::Map` or `Shape::Object`).
        declared: &'a Declared,
    },
    /// Made while running.
    Owned(Arc<OwnedMap<'a>>),
}

/// A key, by type and value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Text(Arc<str>),
}

impl Key {
    /// The key that a value is, if it can be one.
    fn of(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Int(value) => Some(Self::Int(*value)),
            Value::Uint(value) => Some(Self::Uint(*value)),
            Value::String(text) => Some(Self::Text(Arc::from(text.as_str()))),
            _ => None,
        }
    }

    /// The keys that a value finds, its own type's first: a number finds an equal one of another type.
    fn candidates(value: &Value<'_>) -> [Option<Self>; 2] {
        let other = match value {
            Value::Int(value) => u64::try_from(*value).ok().map(Self::Uint),
            Value::Uint(value) => i64::try_from(*value).ok().map(Self::Int),
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and bounded")]
            Value::Double(value) if value.fract() == 0.0 && value.abs() < 2.0_f64.powi(63) => {
                let uint = (*value >= 0.0).then_some(Self::Uint(*value as u64));
                return [Some(Self::Int(*value as i64)), uint];
            }
            _ => None,
        };
        [Self::of(value), other]
    }
}

/// A map that was made while running; the order is that of insertion.
#[derive(Debug, Clone, Default)]
pub struct OwnedMap<'a> {
    entries: Vec<(Value<'a>, Value<'a>)>,
    index: HashMap<Key, usize>,
}

impl<'a> OwnedMap<'a> {
    /// Adds an entry, in the place of one with the same key.
    ///
    /// # Errors
    /// The key is of a type that cannot be one.
    pub fn put(&mut self, key: Value<'a>, value: Value<'a>) -> Result<(), EvalError> {
        let Some(held) = Key::of(&key) else {
            return Err(EvalError::failed(format!("unsupported key type: {}", key.type_name())));
        };
        match self.index.get(&held).and_then(|index| self.entries.get_mut(*index)) {
            Some(entry) => entry.1 = value,
            None => {
                self.index.insert(held, self.entries.len());
                self.entries.push((key, value));
            }
        }
        Ok(())
    }

    /// Adds an entry that is not there.
    ///
    /// # Errors
    /// The key is of a type that cannot be one, or is there.
    pub fn insert(&mut self, key: Value<'a>, value: Value<'a>) -> Result<(), EvalError> {
        if self.get(&key).is_some() {
            return Err(EvalError::failed(format!("insert failed: key {} already exists", key.print())));
        }
        self.put(key, value)
    }

    fn get(&self, key: &Value<'_>) -> Option<&Value<'a>> {
        let index = Key::candidates(key).into_iter().flatten().find_map(|key| self.index.get(&key))?;
        self.entries.get(*index).map(|(_, value)| value)
    }
}

impl<'a> Map<'a> {
    /// Whether it is an object with declared fields.
    pub fn is_object(&self) -> bool {
        matches!(self, Self::Json { declared: Declared { shape: Shape::Object { .. }, .. }, .. })
    }

    /// Reports whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many entries it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Json { fields, .. } => fields.len(),
            Self::Owned(map) => map.entries.len(),
        }
    }

    /// The value of a key; a field of an object by the name that expressions have for it. None if there is none.
    ///
    /// # Errors
    /// The value is not what the schema says.
    pub fn get(&self, key: &Value<'_>) -> Result<Option<Value<'a>>, EvalError> {
        match self {
            Self::Json { fields, declared } => match (&declared.shape, key.as_str()) {
                (Shape::Map { values }, Some(name)) => {
                    fields.get(name).map(|value| Value::from_json(value, values)).transpose()
                }
                (Shape::Object { fields: known }, Some(escaped)) => {
                    // Most names need no escape, and are what they are called.
                    let direct = known.get_key_value(escaped).filter(|(_, field)| field.escaped == escaped);
                    // A reserved name may also be written as it is.
                    let means = |name: &str, field: &Field| {
                        field.escaped == escaped || (name == escaped && names::is_reserved(name))
                    };
                    let known = direct.or_else(|| known.iter().find(|(name, field)| means(name, field)));
                    // A field that is null is as one that is not there.
                    let found = known.and_then(|(name, field)| Some((fields.get(name)?, field)));
                    found
                        .filter(|(value, _)| !value.is_null())
                        .map(|(value, field)| Value::from_json(value, &field.declared))
                        .transpose()
                }
                (_, None) => Err(EvalError::failed(format!("unsupported key type: {}", key.type_name()))),
                _ => Ok(None),
            },
            Self::Owned(map) => Ok(map.get(key).cloned()),
        }
    }

    /// A field by its name in JSON.
    ///
    /// # Errors
    /// As [`Map::get`].
    pub(super) fn json_field(&self, name: &str) -> Result<Option<Value<'a>>, EvalError> {
        match self {
            Self::Json { fields, declared } => match &declared.shape {
                Shape::Object { fields: known } => {
                    let found = known.get(name).and_then(|field| Some((fields.get(name)?, field)));
                    found
                        .filter(|(value, _)| !value.is_null())
                        .map(|(value, field)| Value::from_json(value, &field.declared))
                        .transpose()
                }
                _ => self.get(&Value::text(name)),
            },
            Self::Owned(_) => self.get(&Value::text(name)),
        }
    }

    /// The keys.
    pub fn keys(&self) -> Vec<Value<'a>> {
        match self {
            Self::Json { fields, declared } => match &declared.shape {
                Shape::Object { fields: known } => known
                    .iter()
                    .filter(|(name, _)| fields.get(*name).is_some_and(|value| !value.is_null()))
                    .map(|(_, field)| Value::text(field.escaped.as_str()))
                    .collect(),
                _ => fields.keys().map(|name| Value::String(super::Text::Borrowed(name))).collect(),
            },
            Self::Owned(map) => map.entries.iter().map(|(key, _)| key.clone()).collect(),
        }
    }
}
