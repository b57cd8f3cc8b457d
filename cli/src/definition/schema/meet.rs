//! Two schemas that both hold, as one: `allOf`, `$ref` and what stands beside them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::shape::{Additional, Bound, SIZES, Shape, Tighter};

/// What holds when both do. Where they describe the same thing in other words, those of `outer` stay.
pub(super) fn meet(outer: Shape, inner: Shape) -> Shape {
    let additional = additional(&outer, &inner);
    let mut patterns = outer.patterns;
    patterns.extend(inner.patterns);
    patterns.sort();
    patterns.dedup();
    let mut required = outer.required;
    required.extend(inner.required);
    Shape {
        types: outer.types.and(inner.types),
        choices: choices(outer.choices, inner.choices),
        lower: bound(outer.lower, inner.lower, Tighter::Larger),
        upper: bound(outer.upper, inner.upper, Tighter::Smaller),
        patterns,
        sizes: sizes(outer.sizes, inner.sizes),
        exact: inner.exact.into_iter().chain(outer.exact).collect(),
        items: match (outer.items, inner.items) {
            (Some(outer), Some(inner)) => Some(Box::new(meet(*outer, *inner))),
            (one, other) => one.or(other),
        },
        properties: properties(outer.properties, inner.properties),
        required,
        additional,
        notes: inner.notes.into_iter().chain(outer.notes).collect(),
    }
}

fn choices(outer: Option<Vec<Value>>, inner: Option<Vec<Value>>) -> Option<Vec<Value>> {
    match (outer, inner) {
        (Some(outer), Some(inner)) => Some(outer.into_iter().filter(|choice| inner.contains(choice)).collect()),
        (one, other) => one.or(other),
    }
}

/// The bound of two that lets fewer numbers pass.
fn bound(one: Option<Bound>, other: Option<Bound>, tighter: Tighter) -> Option<Bound> {
    let (Some(first), Some(second)) = (&one, &other) else { return one.or(other) };
    let (from, to) = (first.value.as_f64(), second.value.as_f64());
    let is_second = match tighter {
        Tighter::Larger => to > from,
        Tighter::Smaller => to < from,
    };
    if is_second || (from == to && second.exclusive) { other } else { one }
}

fn sizes(mut outer: BTreeMap<&'static str, u64>, inner: BTreeMap<&'static str, u64>) -> BTreeMap<&'static str, u64> {
    for (keyword, size) in inner {
        let is_minimum = SIZES.iter().any(|(name, _, tighter)| *name == keyword && *tighter == Tighter::Larger);
        let kept = outer.entry(keyword).or_insert(size);
        *kept = if is_minimum { size.max(*kept) } else { size.min(*kept) };
    }
    outer
}

fn properties(mut outer: BTreeMap<String, Shape>, inner: BTreeMap<String, Shape>) -> BTreeMap<String, Shape> {
    for (name, field) in inner {
        let both = match outer.remove(&name) {
            Some(known) => meet(known, field),
            None => field,
        };
        outer.insert(name, both);
    }
    outer
}

/// Of `allOf: [{additionalProperties: false}, {properties: …}]` the fields of both stay known: so little is meant by it
/// that no object could pass.
fn additional(outer: &Shape, inner: &Shape) -> Additional {
    match (&outer.additional, &inner.additional) {
        (Additional::Closed, _) | (_, Additional::Closed) => Additional::Closed,
        (Additional::Unsaid, Additional::Open) => unless_named(outer),
        (Additional::Open, Additional::Unsaid) => unless_named(inner),
        (Additional::Unsaid | Additional::Open, other) | (other, Additional::Unsaid | Additional::Open) => {
            other.clone()
        }
        (Additional::Entry(one), Additional::Entry(other)) => {
            Additional::Entry(Box::new(meet(one.as_ref().clone(), other.as_ref().clone())))
        }
    }
}

/// Who names fields and says nothing of others means those alone; who names none means any.
fn unless_named(shape: &Shape) -> Additional {
    if shape.properties.is_empty() { Additional::Open } else { Additional::Unsaid }
}
