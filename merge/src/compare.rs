//! What differs between two values.
//!
//! Follows typed/compare.go of structured-merge-diff.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::path::PathElement;
use super::set::Set;
use super::typed::{Errors, ValidationError, item_element, prefix};
use super::types::{ListType, MapType, Relationship, Shape, TypeId, Types};
use super::validate::scalar_error;
use super::value;

/// What it takes to get from one value to another. No path is in more than one of the sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Paths that only the first value has.
    pub removed: Set,
    /// Paths that both have, with different values.
    pub modified: Set,
    /// Paths that only the second value has.
    pub added: Set,
}

impl Comparison {
    /// Whether nothing differs.
    pub fn is_same(&self) -> bool {
        self.removed.is_empty() && self.modified.is_empty() && self.added.is_empty()
    }

    /// Forgets `fields` and everything below them.
    pub fn exclude(&mut self, fields: &Set) {
        for set in [&mut self.removed, &mut self.modified, &mut self.added] {
            *set = set.recursive_difference(fields);
        }
    }

    fn insert_below(&mut self, element: &PathElement, below: Self) {
        self.removed.insert_below(element, below.removed);
        self.modified.insert_below(element, below.modified);
        self.added.insert_below(element, below.added);
    }

    fn mark(&mut self, element: PathElement, marks: Marks) {
        if marks.removed {
            self.removed.insert_member(element.clone());
        }
        if marks.modified {
            self.modified.insert_member(element.clone());
        }
        if marks.added {
            self.added.insert_member(element);
        }
    }
}

/// In which of the sets a value itself is.
#[derive(Clone, Copy, Default)]
pub(super) struct Marks {
    removed: bool,
    modified: bool,
    added: bool,
}

type Side<'a> = Option<&'a Value>;

/// Adds the differences below the values to `out`; says in which sets the values themselves are.
pub(super) fn compare(
    types: &Types,
    id: TypeId,
    a: Side<'_>,
    b: Side<'_>,
    out: &mut Comparison,
    errors: &mut Errors,
) -> Marks {
    if a.is_none() && b.is_none() {
        errors.push(ValidationError::new("at least one of lhs and rhs must be provided".to_owned()));
        return Marks::default();
    }
    let atom = types.atom(id);
    let (kinds_a, kinds_b) = (atom.deduce(a), atom.deduce(b));
    let mut walk = Walk { types, marks: Marks::default() };
    let mut handle = |kinds, out: &mut Comparison, errors: &mut Errors| match atom.shape(kinds) {
        Some(shape) => walk.shape(shape, a, b, out, errors),
        None => errors.push(ValidationError::new(atom.invalid())),
    };
    if b.is_none() {
        handle(kinds_a, out, errors);
    } else {
        if a.is_some() && kinds_a != kinds_b {
            // The value has changed its kind: what was of the old one goes, what is of the new one comes.
            handle(kinds_a, out, errors);
        }
        handle(kinds_b, out, errors);
    }
    let mut marks = walk.marks;
    marks.added |= a.is_none();
    marks.removed |= b.is_none();
    marks
}

struct Walk<'t> {
    types: &'t Types,
    marks: Marks,
}

impl Walk<'_> {
    fn shape(&mut self, shape: Shape<'_>, a: Side<'_>, b: Side<'_>, out: &mut Comparison, errors: &mut Errors) {
        match shape {
            Shape::Scalar(scalar) => {
                let wrong_a = scalar_error(scalar, a, "lhs: ");
                let wrong_b = scalar_error(scalar, b, "rhs: ");
                match (wrong_a, wrong_b) {
                    (Some(a), Some(b)) => errors.extend([a, b]),
                    _ => self.leaf(a, b),
                }
            }
            Shape::List(list) => {
                let (items_a, items_b) = (items(a), items(b));
                let empty = items_a.is_none_or(<[_]>::is_empty) && items_b.is_none_or(<[_]>::is_empty);
                if list.relationship == Relationship::Atomic || empty {
                    self.leaf(a, b);
                } else {
                    self.lists(list, items_a.unwrap_or_default(), items_b.unwrap_or_default(), out, errors);
                }
            }
            Shape::Map(map) => {
                let (entries_a, entries_b) = (entries(a), entries(b));
                let empty = entries_a.is_none_or(Map::is_empty) && entries_b.is_none_or(Map::is_empty);
                if map.relationship == Relationship::Atomic || empty {
                    self.leaf(a, b);
                } else {
                    self.maps(map, entries_a, entries_b, out, errors);
                }
            }
        }
    }

    fn leaf(&mut self, a: Side<'_>, b: Side<'_>) {
        if let (Some(a), Some(b)) = (a, b) {
            self.marks.modified |= !value::equal(a, b);
        }
    }

    fn maps(
        &self,
        map: &MapType,
        a: Option<&Map<String, Value>>,
        b: Option<&Map<String, Value>>,
        out: &mut Comparison,
        errors: &mut Errors,
    ) {
        for (name, value) in a.into_iter().flatten() {
            self.entry(map, name, (Some(value), b.and_then(|b| b.get(name))), out, errors);
        }
        for (name, value) in b.into_iter().flatten() {
            if a.is_none_or(|a| !a.contains_key(name)) {
                self.entry(map, name, (None, Some(value)), out, errors);
            }
        }
    }

    fn entry(
        &self,
        map: &MapType,
        name: &str,
        (a, b): (Side<'_>, Side<'_>),
        out: &mut Comparison,
        errors: &mut Errors,
    ) {
        let first = errors.len();
        let mut below = Comparison::default();
        let marks = compare(self.types, map.entry(name), a, b, &mut below, errors);
        if !(marks.added || marks.removed || marks.modified) && below == Comparison::default() && errors.len() == first
        {
            return;
        }
        let element = PathElement::field(name);
        prefix(errors, first, &element);
        out.insert_below(&element, below);
        out.mark(element, marks);
    }

    fn lists(&self, list: &ListType, a: &[Value], b: &[Value], out: &mut Comparison, errors: &mut Errors) {
        let mut found: BTreeMap<PathElement, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
        let sides = a.iter().enumerate().map(|item| (true, item)).chain(b.iter().enumerate().map(|item| (false, item)));
        for (first, (at, item)) in sides {
            match item_element(self.types, list, item) {
                Ok(element) => {
                    let both = found.entry(element).or_default();
                    if first { both.0.push(item) } else { both.1.push(item) }
                }
                Err(error) => errors.push(ValidationError::new(format!("element {at}: {error}"))),
            }
        }
        for (element, (a, b)) in found {
            match (a.as_slice(), b.as_slice()) {
                (a, b) if a.len() <= 1 && b.len() <= 1 => {
                    self.item(list, element, a.first().copied(), b.first().copied(), out, errors);
                }
                // There twice before and after: as one leaf.
                (a, b) if a.len() > 1 && b.len() > 1 => {
                    if a.len() != b.len() || a.iter().zip(b).any(|(a, b)| !value::equal(a, b)) {
                        out.modified.insert_member(element);
                    }
                }
                (a, b) if a.len() > 1 => {
                    if let Some(single) = b.first() {
                        self.item(list, element.clone(), None, Some(single), out, errors);
                    }
                    out.removed.insert_member(element);
                }
                (a, _) => {
                    if let Some(single) = a.first() {
                        self.item(list, element.clone(), Some(single), None, out, errors);
                    }
                    out.added.insert_member(element);
                }
            }
        }
    }

    fn item(
        &self,
        list: &ListType,
        element: PathElement,
        a: Side<'_>,
        b: Side<'_>,
        out: &mut Comparison,
        errors: &mut Errors,
    ) {
        let first = errors.len();
        let mut below = Comparison::default();
        let marks = compare(self.types, list.element, a, b, &mut below, errors);
        prefix(errors, first, &element);
        out.insert_below(&element, below);
        out.mark(element, marks);
    }
}

pub(super) fn items(value: Side<'_>) -> Option<&[Value]> {
    value.and_then(Value::as_array).map(Vec::as_slice)
}

pub(super) fn entries(value: Side<'_>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}
