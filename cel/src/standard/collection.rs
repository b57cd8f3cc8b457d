//! Lists and maps: what belongs to the language.

use std::sync::Arc;

use super::Outcome;
use crate::value::{EvalError, Map, Value};

pub(super) fn size<'a>(value: &Value<'a>) -> Outcome<'a> {
    match value {
        Value::String(_) | Value::Bytes(_) | Value::List(_) | Value::Map(_) => {
            Ok(Value::Int(i64::try_from(value.size()).unwrap_or(i64::MAX)))
        }
        _ => Err(EvalError::no_overload()),
    }
}

pub(super) fn contains<'a>(value: &Value<'a>, within: &Value<'a>) -> Outcome<'a> {
    match within {
        Value::List(list) => list.contains(value).map(Value::Bool),
        Value::Map(map) => map.get(value).map(|found| Value::Bool(found.is_some())),
        _ => Err(EvalError::no_overload()),
    }
}

pub(super) fn first<'a>(value: &Value<'a>) -> Outcome<'a> {
    match value {
        Value::List(list) => Ok(list.get(0).transpose()?.map_or(Value::Optional(None), Value::some)),
        _ => Err(EvalError::no_overload()),
    }
}

pub(super) fn last<'a>(value: &Value<'a>) -> Outcome<'a> {
    match value {
        Value::List(list) => {
            let last = list.len().checked_sub(1).and_then(|index| list.get(index));
            Ok(last.transpose()?.map_or(Value::Optional(None), Value::some))
        }
        _ => Err(EvalError::no_overload()),
    }
}

/// Adds an entry to a map that a macro is building.
pub(super) fn insert<'a>(map: Value<'a>, key: Value<'a>, value: Value<'a>) -> Outcome<'a> {
    let Value::Map(Map::Owned(held)) = map else { return Err(EvalError::no_overload()) };
    // The only owner need not copy.
    let mut held = Arc::try_unwrap(held).unwrap_or_else(|shared| (*shared).clone());
    held.insert(key, value)?;
    Ok(Value::Map(Map::Owned(Arc::new(held))))
}

/// Adds the entries of a map to one that a macro is building.
pub(super) fn insert_all<'a>(map: Value<'a>, more: &Value<'a>) -> Outcome<'a> {
    let (Value::Map(Map::Owned(held)), Value::Map(more)) = (map, more) else { return Err(EvalError::no_overload()) };
    let mut held = Arc::try_unwrap(held).unwrap_or_else(|shared| (*shared).clone());
    for key in more.keys() {
        if let Some(value) = more.get(&key)? {
            held.insert(key, value)?;
        }
    }
    Ok(Value::Map(Map::Owned(Arc::new(held))))
}
