//! Lists: of the object, or made while running.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{EvalError, Value};
use crate::declared::{Declared, ListMerge, Shape};

/// A list.
#[derive(Debug, Clone)]
pub enum List<'a> {
    /// Part of the object, and what its schema says of it.
    Json {
        /// The items.
        items: &'a [Json],
        /// The list's declaration (`Shape::List`).
        declared: &'a Declared,
    },
    /// Made while running.
    Owned(Arc<Vec<Value<'a>>>),
    /// A list of the object with another added to it: it is still a set or a map where the first was.
    Joined {
        /// The items.
        items: Arc<Vec<Value<'a>>>,
        /// The declaration of the first.
        declared: &'a Declared,
    },
}

impl<'a> List<'a> {
    /// Reports whether it has no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many items it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Json { items, .. } => items.len(),
            Self::Owned(items) | Self::Joined { items, .. } => items.len(),
        }
    }

    /// An item.
    ///
    /// # Errors
    /// The item is not what the schema says, which validation does not let through.
    pub fn get(&self, index: usize) -> Option<Result<Value<'a>, EvalError>> {
        match self {
            Self::Json { items, declared } => {
                let item = items.get(index)?;
                Some(match &declared.shape {
                    Shape::List { items, .. } => Value::from_json(item, items),
                    _ => Err(EvalError::no_overload()),
                })
            }
            Self::Owned(items) | Self::Joined { items, .. } => items.get(index).cloned().map(Ok),
        }
    }

    /// All items in turn.
    pub fn iter(&self) -> impl Iterator<Item = Result<Value<'a>, EvalError>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// All items.
    ///
    /// # Errors
    /// As [`List::get`].
    pub fn items(&self) -> Result<Vec<Value<'a>>, EvalError> {
        match self {
            Self::Json { .. } => self.iter().collect(),
            Self::Owned(items) | Self::Joined { items, .. } => Ok(items.as_ref().clone()),
        }
    }

    /// How it is compared and added to.
    pub fn merge(&self) -> &ListMerge {
        let declared = match self {
            Self::Json { declared, .. } | Self::Joined { declared, .. } => declared,
            Self::Owned(_) => return &ListMerge::Atomic,
        };
        match &declared.shape {
            Shape::List { merge, .. } => merge,
            _ => &ListMerge::Atomic,
        }
    }

    /// Whether an item equals `value`.
    ///
    /// # Errors
    /// As [`List::get`].
    pub fn contains(&self, value: &Value<'a>) -> Result<bool, EvalError> {
        for item in self.iter() {
            if item?.equals(value)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `self + other`: a union for sets, by key for maps, else one after the other
    /// (`unstructuredSetList.Add`, `unstructuredMapList.Add`).
    ///
    /// # Errors
    /// As [`List::get`].
    pub fn join(self, other: &Self) -> Result<Self, EvalError> {
        let (merge, declared) = match &self {
            Self::Json { declared, .. } | Self::Joined { declared, .. } => (self.merge().clone(), Some(*declared)),
            Self::Owned(_) => (ListMerge::Atomic, None),
        };
        let mut items = match self {
            // The only owner need not copy: macros build lists item by item.
            Self::Owned(items) | Self::Joined { items, .. } => {
                Arc::try_unwrap(items).unwrap_or_else(|held| (*held).clone())
            }
            Self::Json { .. } => self.items()?,
        };
        match &merge {
            ListMerge::Atomic => {
                for item in other.iter() {
                    items.push(item?);
                }
            }
            ListMerge::Set => {
                for item in other.iter() {
                    let item = item?;
                    if !contains(&items, &item)? {
                        items.push(item);
                    }
                }
            }
            ListMerge::Map(keys) => {
                for item in other.iter() {
                    let item = item?;
                    let mut held = None;
                    for (index, candidate) in items.iter().enumerate() {
                        if same_keys(candidate, &item, keys)? {
                            held = Some(index);
                            break;
                        }
                    }
                    match held.and_then(|index| items.get_mut(index)) {
                        Some(held) => *held = item,
                        None => items.push(item),
                    }
                }
            }
        }
        let items = Arc::new(items);
        Ok(match declared {
            Some(declared) => Self::Joined { items, declared },
            None => Self::Owned(items),
        })
    }
}

fn contains<'a>(items: &[Value<'a>], value: &Value<'a>) -> Result<bool, EvalError> {
    for item in items {
        if item.equals(value)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether two items of a map list have the same key. A missing part of the key equals a missing one.
pub(super) fn same_keys<'a>(left: &Value<'a>, right: &Value<'a>, keys: &[String]) -> Result<bool, EvalError> {
    let (Value::Map(left), Value::Map(right)) = (left, right) else { return Ok(false) };
    for key in keys {
        let same = match (left.json_field(key)?, right.json_field(key)?) {
            (Some(left), Some(right)) => left.equals(&right)?,
            (None, None) => true,
            _ => false,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}
