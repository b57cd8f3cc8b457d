//! A value without some of its items, or with them alone.
//!
//! Follows typed/remove.go of structured-merge-diff, with its peculiarities.

use serde_json::{Map, Value};

use super::path::PathElement;
use super::set::Set;
use super::typed::item_element;
use super::types::{ListType, MapType, Relationship, Shape, TypeId, Types};

/// Whether items that are extracted bring the fields that are their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFields {
    /// Only what is in the set.
    AsListed,
    /// The keys of every item that is in the set, or that has something in it.
    Added,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Remove,
    Extract,
}

/// Null when nothing is left.
pub(super) fn remove(types: &Types, id: TypeId, value: &Value, items: &Set, mode: Mode) -> Value {
    let atom = types.atom(id);
    let whole = || if mode == Mode::Extract { value.clone() } else { Value::Null };
    match (atom.shape(atom.deduce(Some(value))), value) {
        (Some(Shape::Scalar(_)), _) => value.clone(),
        (Some(Shape::List(list)), Value::Array(own)) if own.is_empty() || list.relationship == Relationship::Atomic => {
            whole()
        }
        (Some(Shape::Map(map)), Value::Object(own)) if own.is_empty() || map.relationship == Relationship::Atomic => {
            whole()
        }
        (Some(Shape::List(list)), Value::Array(own)) => list_items(types, list, own, items, mode),
        (Some(Shape::Map(map)), Value::Object(own)) => map_entries(types, map, own, items, mode),
        _ => Value::Null,
    }
}

fn list_items(types: &Types, list: &ListType, own: &[Value], items: &Set, mode: Mode) -> Value {
    let mut out = Vec::with_capacity(own.len());
    for item in own {
        let (listed, below) = match item_element(types, list, item) {
            Ok(element) => (items.has_member(&element), items.below(&element).filter(|below| !below.is_empty())),
            Err(_) => (false, None),
        };
        match (mode, below) {
            (Mode::Remove, _) if listed => {}
            (_, Some(below)) => out.push(remove(types, list.element, item, below, mode)),
            (Mode::Extract, None) if !listed => {}
            (_, None) => out.push(item.clone()),
        }
    }
    if out.is_empty() { Value::Null } else { Value::Array(out) }
}

fn map_entries(types: &Types, map: &MapType, own: &Map<String, Value>, items: &Set, mode: Mode) -> Value {
    let mut out = Map::new();
    for (name, value) in own {
        let id = map.entry(name);
        let element = match map.fields.get_key_value(name.as_str()) {
            Some((name, _)) => PathElement::Field(name.clone()),
            None => PathElement::field(name),
        };
        if items.has_member(&element) {
            if mode == Mode::Extract {
                // As upstream: with the paths of this level.
                out.insert(name.clone(), remove(types, id, value, items, mode));
            }
            continue;
        }
        match items.below(&element).filter(|below| !below.is_empty()) {
            Some(below) => {
                out.insert(name.clone(), remove(types, id, value, below, mode));
            }
            None if mode == Mode::Remove => {
                out.insert(name.clone(), value.clone());
            }
            None => {}
        }
    }
    if out.is_empty() { Value::Null } else { Value::Object(out) }
}

/// `items` with the keys of all items on its paths that are in `own`.
pub(super) fn with_key_fields(items: &Set, own: &Set) -> Set {
    let mut keys = Set::default();
    items.for_each(&mut |path| {
        if !own.has(path) {
            return;
        }
        for (at, element) in path.iter().enumerate() {
            if let PathElement::Key(fields) = element {
                for field in fields.iter() {
                    let mut path = path[..=at].to_vec();
                    path.push(PathElement::Field(field.name.clone()));
                    keys.insert(&path);
                }
            }
        }
    });
    items.union(&keys)
}
