//! The paths that a value holds.
//!
//! Follows typed/tofieldset.go of structured-merge-diff.

use std::collections::BTreeMap;

use serde_json::Value;

use super::path::PathElement;
use super::set::Set;
use super::typed::{Errors, ValidationError, item_element};
use super::types::{ListType, Relationship, Shape, TypeId, Types};

/// Adds the paths below the value to `set`; says whether the value itself is a leaf.
pub(super) fn collect(types: &Types, id: TypeId, value: &Value, set: &mut Set, errors: &mut Errors) -> bool {
    let atom = types.atom(id);
    match atom.shape(atom.deduce(Some(value))) {
        None => {
            errors.push(ValidationError::new(atom.invalid()));
            false
        }
        Some(Shape::Scalar(_)) => true,
        Some(Shape::List(list)) if list.relationship == Relationship::Atomic => true,
        Some(Shape::Map(map)) if map.relationship == Relationship::Atomic => true,
        Some(Shape::List(list)) => {
            if let Value::Array(items) = value {
                collect_list(types, list, items, set, errors);
            }
            false
        }
        Some(Shape::Map(map)) => {
            let Value::Object(entries) = value else { return false };
            for (name, value) in entries {
                let mut below = Set::default();
                let leaf = collect(types, map.entry(name), value, &mut below, errors);
                let empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
                let declared = map.fields.get_key_value(name.as_str()).map(|(name, _)| name);
                // The name of a declared field is shared by all sets.
                let element = match declared {
                    Some(name) => PathElement::Field(name.clone()),
                    None => PathElement::field(name),
                };
                set.insert_below(&element, below);
                if leaf || empty || declared.is_none() {
                    set.insert_member(element);
                }
            }
            false
        }
    }
}

/// An item that is there twice is one path, without those inside it.
fn collect_list(types: &Types, list: &ListType, items: &[Value], set: &mut Set, errors: &mut Errors) {
    let mut found: BTreeMap<PathElement, Option<&Value>> = BTreeMap::new();
    for item in items {
        if let Ok(element) = item_element(types, list, item) {
            found.entry(element).and_modify(|single| *single = None).or_insert(Some(item));
        }
    }
    for (element, single) in found {
        if let Some(item) = single {
            let mut below = Set::default();
            collect(types, list.element, item, &mut below, errors);
            set.insert_below(&element, below);
        }
        set.insert_member(element);
    }
}
