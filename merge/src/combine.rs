//! Merging two values: what is applied into what is there.
//!
//! Follows typed/merge.go of structured-merge-diff, with its order of items.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value};

use super::compare::{entries, items};
use super::path::PathElement;
use super::typed::{Errors, ValidationError, item_element, prefix};
use super::types::{ListType, MapType, Relationship, Shape, TypeId, Types};
use super::validate::scalar_error;

type Side<'a> = Option<&'a Value>;

/// The merged value; nothing when there is nothing left of it.
pub(super) fn merge(types: &Types, id: TypeId, a: Side<'_>, b: Side<'_>, errors: &mut Errors) -> Option<Value> {
    if a.is_none() && b.is_none() {
        errors.push(ValidationError::new("at least one of lhs and rhs must be provided".to_owned()));
        return None;
    }
    let atom = types.atom(id);
    let (kinds_a, kinds_b) = (atom.deduce(a), atom.deduce(b));
    let handle = |kinds, errors: &mut Errors| match atom.shape(kinds) {
        Some(shape) => merge_shape(types, shape, a, b, errors),
        None => {
            errors.push(ValidationError::new(atom.invalid()));
            None
        }
    };
    if b.is_none() {
        return handle(kinds_a, errors);
    }
    if a.is_some() && kinds_a != kinds_b {
        // The value changes its kind. Only the errors of the old one count.
        handle(kinds_a, errors);
    }
    handle(kinds_b, errors)
}

fn merge_shape(types: &Types, shape: Shape<'_>, a: Side<'_>, b: Side<'_>, errors: &mut Errors) -> Option<Value> {
    match shape {
        Shape::Scalar(scalar) => {
            let (wrong_a, wrong_b) = (scalar_error(scalar, a, "lhs: "), scalar_error(scalar, b, "rhs: "));
            if let (Some(a), Some(b)) = (wrong_a, wrong_b) {
                errors.extend([a, b]);
                return None;
            }
            b.or(a).cloned()
        }
        Shape::List(list) => {
            let (items_a, items_b) = (items(a), items(b));
            let empty = items_a.is_none_or(<[_]>::is_empty) && items_b.is_none_or(<[_]>::is_empty);
            if list.relationship == Relationship::Atomic || empty {
                return b.or(a).cloned();
            }
            merge_lists(types, list, items_a.unwrap_or_default(), items_b.unwrap_or_default(), errors)
        }
        Shape::Map(map) => {
            let (entries_a, entries_b) = (entries(a), entries(b));
            let empty = entries_a.is_none_or(Map::is_empty) && entries_b.is_none_or(Map::is_empty);
            if map.relationship == Relationship::Atomic || empty {
                return b.or(a).cloned();
            }
            merge_maps(types, map, entries_a, entries_b, errors)
        }
    }
}

fn merge_maps(
    types: &Types,
    map: &MapType,
    a: Option<&Map<String, Value>>,
    b: Option<&Map<String, Value>>,
    errors: &mut Errors,
) -> Option<Value> {
    let mut out = Map::new();
    let mut entry = |name: &String, a: Side<'_>, b: Side<'_>| {
        let first = errors.len();
        if let Some(value) = merge(types, map.entry(name), a, b, errors) {
            out.insert(name.clone(), value);
        }
        if errors.len() > first {
            prefix(errors, first, &PathElement::field(name));
        }
    };
    for (name, value) in a.into_iter().flatten() {
        entry(name, Some(value), b.and_then(|b| b.get(name)));
    }
    for (name, value) in b.into_iter().flatten() {
        if a.is_none_or(|a| !a.contains_key(name)) {
            entry(name, None, Some(value));
        }
    }
    (!out.is_empty()).then_some(Value::Object(out))
}

/// The items of one side: their elements in order, and the item of each; null for one that is there twice.
struct Indexed<'a> {
    elements: Vec<PathElement>,
    items: BTreeMap<PathElement, &'a Value>,
}

static NULL: Value = Value::Null;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Twice {
    Refused,
    Tolerated,
}

fn index<'a>(types: &Types, list: &ListType, items: &'a [Value], twice: Twice, errors: &mut Errors) -> Indexed<'a> {
    let mut out = Indexed { elements: Vec::with_capacity(items.len()), items: BTreeMap::new() };
    for (at, item) in items.iter().enumerate() {
        let element = match item_element(types, list, item) {
            Ok(element) => element,
            Err(error) => {
                errors.push(ValidationError::new(format!("element {at}: {error}")));
                continue;
            }
        };
        let known = out.items.contains_key(&element);
        if known && twice == Twice::Refused {
            errors.push(ValidationError::new(format!("duplicate entries for key {element}")));
            continue;
        }
        out.items.insert(element.clone(), if known { &NULL } else { item });
        out.elements.push(element);
    }
    out
}

/// Both lists keep their order; where they disagree, that of the second counts.
fn merge_lists(types: &Types, list: &ListType, a: &[Value], b: &[Value], errors: &mut Errors) -> Option<Value> {
    let first = errors.len();
    let right = index(types, list, b, Twice::Refused, errors);
    let left = index(types, list, a, Twice::Tolerated, errors);
    if errors.len() > first {
        return None;
    }
    let mut out = Vec::with_capacity(a.len().max(b.len()));
    // As upstream: errors inside items are not reported, they were when the items were typed.
    let mut put = |a: Side<'_>, b: Side<'_>| out.extend(merge(types, list.element, a, b, &mut Errors::new()));
    let shared = right.elements.iter().filter(|element| left.items.contains_key(*element));
    let mut shared: VecDeque<&PathElement> = shared.collect();
    let mut next = shared.pop_front();
    let mut merged = BTreeSet::new();
    let (mut l, mut r) = (0, 0);
    while l < left.elements.len() || r < right.elements.len() {
        if let (Some(element), Some(other)) = (left.elements.get(l), right.elements.get(r)) {
            if element == other {
                merged.insert(element);
                put(left.items.get(element).copied(), right.items.get(element).copied());
                (l, r) = (l + 1, r + 1);
                next = shared.pop_front();
                continue;
            }
            if right.items.contains_key(element) && next.is_some_and(|next| next != element) {
                // Shared, but not the one whose turn it is.
                l += 1;
                continue;
            }
        }
        if let Some(element) = left.elements.get(l) {
            if !right.items.contains_key(element) {
                // The item itself, since one that is there twice is not in the index.
                put(a.get(l), None);
                l += 1;
                continue;
            }
            if merged.contains(element) {
                l += 1;
            }
        }
        if let Some(element) = right.elements.get(r) {
            merged.insert(element);
            put(left.items.get(element).copied(), right.items.get(element).copied());
            r += 1;
            if next == Some(element) {
                next = shared.pop_front();
            }
        }
    }
    (!out.is_empty()).then_some(Value::Array(out))
}
