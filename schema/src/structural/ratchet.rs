//! Ratcheting: which old value a new one corresponds to, and whether it changed.
//!
//! Follows apiserver/pkg/cel/common/{equality,maplist}.go. Fields correlate by name, items only in lists of type map,
//! by their keys. Fields that the schema does not know correlate with nothing.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::{Map, Value};

use super::node::Node;
use kindsmith_text::print;

/// A new value's old value and the structural schema of both.
#[derive(Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) old: &'a Value,
    pub(crate) schema: &'a Node,
}

/// Old items by their keys.
type KeyedItems<'a> = HashMap<String, &'a Value>;

/// What was found out during one validation; each pair is compared once.
#[derive(Default)]
pub(crate) struct Ratchet<'a> {
    equal: RefCell<HashMap<(usize, usize), bool>>,
    keyed: RefCell<HashMap<usize, KeyedItems<'a>>>,
}

impl<'a> Pair<'a> {
    /// The pair of the field `name`.
    pub(crate) fn field(self, name: &str) -> Option<Self> {
        let old = self.old.as_object()?.get(name)?;
        let schema = self.schema.field(name)?;
        Some(Self { old, schema })
    }
}

impl<'a> Ratchet<'a> {
    /// The pair of the item `new` of a list.
    pub(crate) fn item(&self, pair: Pair<'a>, new: &Value) -> Option<Pair<'a>> {
        let keys = map_keys(pair.schema)?;
        let schema = pair.schema.items.as_deref()?;
        let old = pair.old.as_array()?;
        let key = item_key(new.as_object()?, keys)?;
        let mut keyed = self.keyed.borrow_mut();
        let items = keyed.entry(address(pair.old)).or_insert_with(|| {
            let mut items = KeyedItems::new();
            for item in old {
                if let Some(key) = item.as_object().and_then(|item| item_key(item, keys)) {
                    items.entry(key).or_insert(item);
                }
            }
            items
        });
        items.get(&key).map(|old| Pair { old, schema })
    }

    /// Whether the new value is the old one.
    pub(crate) fn unchanged(&self, pair: Pair<'a>, new: &Value) -> bool {
        let key = (address(pair.old), address(new));
        if let Some(known) = self.equal.borrow().get(&key) {
            return *known;
        }
        let equal = self.compare(pair, new);
        self.equal.borrow_mut().insert(key, equal);
        equal
    }

    fn compare(&self, pair: Pair<'a>, new: &Value) -> bool {
        match (pair.old, new) {
            (Value::Array(old), Value::Array(items)) => {
                if old.len() != items.len() {
                    return false;
                }
                if pair.schema.list_type() != "map" {
                    return old == items;
                }
                items.iter().all(|item| self.item(pair, item).is_some_and(|pair| self.unchanged(pair, item)))
            }
            (Value::Object(old), Value::Object(map)) => {
                old.len() == map.len()
                    && map.iter().all(|(name, value)| pair.field(name).is_some_and(|pair| self.unchanged(pair, value)))
            }
            (old, new) => old == new,
        }
    }
}

/// The keys of a list of type map.
fn map_keys(schema: &Node) -> Option<&[String]> {
    let keys = &schema.extensions.list_map_keys;
    (schema.list_type() == "map" && !keys.is_empty()).then_some(keys)
}

/// The key of an item, if all of its parts are there and scalar.
fn item_key(item: &Map<String, Value>, keys: &[String]) -> Option<String> {
    let mut key = String::new();
    for name in keys {
        match item.get(name)? {
            scalar @ (Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                key.push('\0');
                key.push_str(&scalar_key(scalar));
            }
            _ => return None,
        }
    }
    Some(key)
}

/// A text that two scalars share when Go holds them equal: integers and floats differ.
pub(crate) fn scalar_key(value: &Value) -> String {
    match value {
        Value::String(text) => print::quoted(text),
        Value::Number(number) => match number.as_i64() {
            Some(int) => format!("i{int}"),
            None => format!("f{number}"),
        },
        other => other.to_string(),
    }
}

/// Values are compared where they stand, so their address names them.
fn address(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}
