//! Whether a value has no fault: the short answer to what `validate` tells at length, for the many that have none.
//!
//! The checks are those of `validate`; a property test holds the two together.

use serde_json::{Map, Value};

use super::bounds::Work;
use super::format::Format;
use super::node::{Additional, Node, Type};
use super::numbers::{self, Num};

/// Whether `validate` would find nothing. Where looking takes too much work the answer is no.
pub(super) fn fits(schema: &Node, value: &Value) -> bool {
    let work = Work::default();
    // What was cut short may have been below a `not`.
    holds(schema, value, &work) && !work.is_spent()
}

fn holds(schema: &Node, value: &Value, work: &Work) -> bool {
    if !work.afford(1) {
        return false;
    }
    let own = match value {
        Value::Null => return (schema.types.is_empty() || schema.nullable) && schema.choices.is_empty(),
        Value::Bool(_) => is_of_type(schema, Type::Boolean),
        Value::String(text) => is_of_type(schema, Type::String) && string(schema, text, work),
        Value::Number(number) => {
            let num = Num::of(number);
            is_number(schema, num) && numbers::is_within(schema, num)
        }
        Value::Array(items) => is_of_type(schema, Type::Array) && list(schema, items, work),
        Value::Object(map) => is_of_type(schema, Type::Object) && object(schema, map, work),
    };
    own && is_chosen(schema, value, work) && alternatives(schema, value, work)
}

/// As `Walk::types`, for what is no number.
fn is_of_type(schema: &Node, found: Type) -> bool {
    let wants = |kind: Type| schema.types.contains(&kind);
    match &schema.format {
        Some(_) if matches!(found, Type::String | Type::Array) => {
            (!wants(Type::Number) && !wants(Type::Integer)) || wants(found)
        }
        Some(_) => wants(found),
        None => schema.types.is_empty() || wants(found),
    }
}

fn is_number(schema: &Node, num: Num) -> bool {
    let wants = |kind: Type| schema.types.contains(&kind);
    match num {
        _ if schema.types.is_empty() && schema.format.is_none() => true,
        Num::Int(_) => wants(Type::Integer) || wants(Type::Number),
        Num::Float(_) => wants(Type::Number) || (wants(Type::Integer) && num.is_whole()),
    }
}

/// Whether a value is one of the choices, if there are any.
pub(super) fn is_chosen(schema: &Node, value: &Value, work: &Work) -> bool {
    let choices = &schema.choices;
    if choices.is_empty() {
        return true;
    }
    work.spend(choices.len());
    choices.iter().any(|choice| !choice.is_null() && is_same(value, choice))
}

fn alternatives(schema: &Node, value: &Value, work: &Work) -> bool {
    let fits = |part: &&Node| holds(part, value, work);
    (schema.any_of.is_empty() || schema.any_of.iter().any(|part| fits(&part)))
        && (schema.one_of.is_empty() || schema.one_of.iter().filter(fits).count() == 1)
        && schema.all_of.iter().all(|part| fits(&part))
        && schema.not.as_deref().is_none_or(|not| !fits(&not))
}

fn string(schema: &Node, text: &str, work: &Work) -> bool {
    let sizes = &schema.sizes;
    if sizes.max_length.is_some() || sizes.min_length.is_some() {
        let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        if sizes.max_length.is_some_and(|max| length > max) || sizes.min_length.is_some_and(|min| length < min) {
            return false;
        }
    }
    let pattern = schema.pattern.as_deref();
    pattern.is_none_or(|pattern| work.afford(pattern.steps(text.len())) && pattern.matches(text))
        && schema.format.as_deref().filter(|format| Format::is_of_strings(format)).is_none_or(|it| it.accepts(text))
}

fn list(schema: &Node, items: &[Value], work: &Work) -> bool {
    let sizes = &schema.sizes;
    let size = i64::try_from(items.len()).unwrap_or(i64::MAX);
    sizes.min_items.is_none_or(|min| size >= min)
        && sizes.max_items.is_none_or(|max| size <= max)
        && schema.items.as_deref().is_none_or(|entry| items.iter().all(|item| holds(entry, item, work)))
}

fn object(schema: &Node, map: &Map<String, Value>, work: &Work) -> bool {
    let sizes = &schema.sizes;
    let size = i64::try_from(map.len()).unwrap_or(i64::MAX);
    if sizes.min_properties.is_some_and(|min| size < min)
        || sizes.max_properties.is_some_and(|max| size > max)
        || !schema.required.iter().all(|name| map.contains_key(name))
    {
        return false;
    }
    if schema.properties.is_empty() && matches!(schema.additional, None | Some(Additional::Any(true))) {
        return true;
    }
    let mut fields = schema.properties.in_order();
    map.iter().all(|(name, value)| match fields.get(name).or(schema.additional.as_ref().and_then(Additional::schema)) {
        Some(field) => holds(field, value, work),
        None => schema.additional != Some(Additional::Any(false)),
    })
}

/// Equality of a value and a choice. Kubernetes converts a number to the kind of number that the choice is first,
/// so that 1.5 is the choice 1.
fn is_same(value: &Value, choice: &Value) -> bool {
    match (value, choice) {
        (Value::Number(value), Value::Number(choice)) => Num::of(value).is_choice(Num::of(choice)),
        (value, choice) => value == choice,
    }
}
