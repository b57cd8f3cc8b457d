//! Two schemas of which one holds, as one that is never narrower: `anyOf`, `oneOf`, `if`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    shape::{Additional, Bound, SIZES, Shape, Tighter},
    types::Types,
};

/// What holds when one of the two does: the types of both, the fields of both, and the bounds that they share. What
/// speaks of values that only one of them allows stays as it is there.
pub(super) fn join(one: Shape, other: Shape) -> Shape {
    let types = one.types.or(other.types);
    let notes = match (one.is_null(), other.is_null()) {
        (true, false) => other.notes.clone(),
        (false, true) => one.notes.clone(),
        _ => shared(&one.notes, &other.notes),
    };
    let additional = additional(&one, &other);
    let is_in_both = |of: Types| one.types.meets(of) && other.types.meets(of);
    let in_one = |of: Types| if one.types.meets(of) { &one } else { &other };
    let sizes = sizes(&one, &other);
    let (lower, upper) = if is_in_both(Types::NUMBER) {
        (
            bound(one.lower.as_ref(), other.lower.as_ref(), Tighter::Larger),
            bound(one.upper.as_ref(), other.upper.as_ref(), Tighter::Smaller),
        )
    } else {
        (in_one(Types::NUMBER).lower.clone(), in_one(Types::NUMBER).upper.clone())
    };
    let patterns = if is_in_both(Types::STRING) {
        if one.patterns == other.patterns { one.patterns.clone() } else { Vec::new() }
    } else {
        in_one(Types::STRING).patterns.clone()
    };
    let items = if is_in_both(Types::ARRAY) {
        match (&one.items, &other.items) {
            (Some(one), Some(other)) => Some(Box::new(join(one.as_ref().clone(), other.as_ref().clone()))),
            _ => None,
        }
    } else {
        in_one(Types::ARRAY).items.clone()
    };
    let (properties, required) = if is_in_both(Types::OBJECT) {
        let required: BTreeSet<String> = one.required.intersection(&other.required).cloned().collect();
        (properties(one.properties.clone(), other.properties.clone()), required)
    } else {
        let only = in_one(Types::OBJECT);
        (only.properties.clone(), only.required.clone())
    };
    let exact = exact(&one, &other);
    let choices = choices(one, other);
    Shape { types, choices, lower, upper, patterns, sizes, exact, items, properties, required, additional, notes }
}

/// What both say.
fn shared(one: &Map<String, Value>, other: &Map<String, Value>) -> Map<String, Value> {
    let both = one.iter().filter(|(key, value)| other.get(*key) == Some(*value));
    both.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// What both say, or the only one that speaks of such values.
fn exact(one: &Shape, other: &Shape) -> Map<String, Value> {
    let mut kept = shared(&one.exact, &other.exact);
    for (from, beside) in [(one, other), (other, one)] {
        let alone = from.exact.iter().filter(|(key, _)| match key.as_str() {
            "multipleOf" => !beside.types.meets(Types::NUMBER),
            "format" => !beside.types.meets(Types::NUMBER.or(Types::STRING)),
            _ => beside.is_null(),
        });
        kept.extend(alone.map(|(key, value)| (key.clone(), value.clone())));
    }
    kept
}

fn choices(one: Shape, other: Shape) -> Option<Vec<Value>> {
    let of = |shape: Shape| if shape.is_null() { Some(Vec::new()) } else { shape.choices };
    let mut choices = of(one)?;
    for choice in of(other)? {
        if !choices.contains(&choice) {
            choices.push(choice);
        }
    }
    // No choice at all would be no enumeration.
    (!choices.is_empty()).then_some(choices)
}

/// The bound of two that lets more numbers pass.
fn bound(one: Option<&Bound>, other: Option<&Bound>, tighter: Tighter) -> Option<Bound> {
    let (one, other) = (one?, other?);
    let (first, second) = (one.value.as_f64()?, other.value.as_f64()?);
    let is_first = match tighter {
        Tighter::Larger => first < second,
        Tighter::Smaller => first > second,
    };
    let is_wider = is_first || (first == second && !one.exclusive);
    Some(if is_wider { one.clone() } else { other.clone() })
}

fn sizes(one: &Shape, other: &Shape) -> BTreeMap<&'static str, u64> {
    let joined = SIZES.iter().filter_map(|(keyword, of, tighter)| {
        let (first, second) = (one.sizes.get(keyword), other.sizes.get(keyword));
        let size = match (one.types.meets(*of), other.types.meets(*of), tighter) {
            (true, true, Tighter::Larger) => *first?.min(second?),
            (true, true, Tighter::Smaller) => *first?.max(second?),
            (true, false, _) => *first?,
            _ => *second?,
        };
        Some((*keyword, size))
    });
    joined.collect()
}

/// The fields of both. What one of them does not speak of can have other values there.
fn properties(mut one: BTreeMap<String, Shape>, other: BTreeMap<String, Shape>) -> BTreeMap<String, Shape> {
    let mut joined = BTreeMap::new();
    for (name, field) in other {
        let field = match one.remove(&name) {
            Some(known) => join(known, field),
            None => field.loosened(),
        };
        joined.insert(name, field);
    }
    joined.extend(one.into_iter().map(|(name, field)| (name, field.loosened())));
    joined
}

fn additional(one: &Shape, other: &Shape) -> Additional {
    match (one.types.meets(Types::OBJECT), other.types.meets(Types::OBJECT)) {
        (true, false) => return one.additional.clone(),
        (false, _) => return other.additional.clone(),
        (true, true) => {}
    }
    match (meant(one), meant(other)) {
        (Additional::Entry(first), Additional::Entry(second)) => Additional::Entry(Box::new(join(*first, *second))),
        (Additional::Entry(entry), Additional::Closed) if other.properties.is_empty() => Additional::Entry(entry),
        (Additional::Closed, Additional::Entry(entry)) if one.properties.is_empty() => Additional::Entry(entry),
        (Additional::Open | Additional::Entry(_), _) | (_, Additional::Open | Additional::Entry(_)) => Additional::Open,
        (Additional::Closed, Additional::Closed) => Additional::Closed,
        (Additional::Unsaid | Additional::Closed, Additional::Unsaid | Additional::Closed) => Additional::Unsaid,
    }
}

/// `{type: object}` means any object.
fn meant(shape: &Shape) -> Additional {
    let is_bare = shape.types.without(Types::NULL) == Types::OBJECT && shape.properties.is_empty();
    match &shape.additional {
        Additional::Unsaid if is_bare => Additional::Open,
        other => other.clone(),
    }
}
