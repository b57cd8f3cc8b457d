//! Optional values (cel-go's `cel/library.go`, optional types).

use super::Outcome;
use crate::value::{EvalError, List, Value};

pub(super) fn of_non_zero(value: Value<'_>) -> Value<'_> {
    let is_zero = match &value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Int(value) | Value::Duration(value) => *value == 0,
        Value::Uint(value) => *value == 0,
        Value::Double(value) => *value == 0.0,
        Value::String(text) => text.as_str().is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::Timestamp(_) | Value::Type(_) | Value::Opaque(_) | Value::Fault(_) => false,
        Value::List(list) => list.is_empty(),
        Value::Map(map) => map.is_empty(),
        Value::Optional(value) => value.is_none(),
    };
    if is_zero { Value::Optional(None) } else { Value::some(value) }
}

pub(super) fn has_value<'a>(value: &Value<'a>) -> Outcome<'a> {
    match value {
        Value::Optional(held) => Ok(Value::Bool(held.is_some())),
        _ => Err(EvalError::no_overload()),
    }
}

pub(super) fn value(value: Value<'_>) -> Outcome<'_> {
    match value {
        Value::Optional(Some(held)) => held.sound(),
        Value::Optional(None) => Err(EvalError::failed("optional.none() dereference")),
        _ => Err(EvalError::no_overload()),
    }
}

pub(super) fn or<'a>(left: Value<'a>, right: Value<'a>) -> Outcome<'a> {
    match left {
        Value::Optional(Some(_)) => Ok(left),
        Value::Optional(None) => Ok(right),
        _ => Err(EvalError::no_overload()),
    }
}

pub(super) fn or_value<'a>(left: Value<'a>, right: Value<'a>) -> Outcome<'a> {
    match left {
        Value::Optional(Some(held)) => held.sound(),
        Value::Optional(None) => Ok(right),
        _ => Err(EvalError::no_overload()),
    }
}

/// The values of a list of optionals that have one.
pub(super) fn unwrap<'a>(value: &Value<'a>) -> Outcome<'a> {
    let Value::List(list) = value else { return Err(EvalError::no_overload()) };
    let mut values = Vec::new();
    for item in list.iter() {
        match item? {
            Value::Optional(Some(held)) => values.push(held.sound()?),
            Value::Optional(None) => {}
            other => {
                return Err(EvalError::failed(format!("value {} is not optional", other.print())));
            }
        }
    }
    Ok(Value::List(List::Owned(values.into())))
}
