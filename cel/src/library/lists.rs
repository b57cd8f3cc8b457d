//! Sums, extremes and positions of lists (k8s.io/apiserver/pkg/cel/library/lists.go, version 1).

use std::cmp::Ordering;

use super::arguments::{count, exactly, list};
use crate::overload::{Code, Overload};
use crate::types::Type;
use crate::value::{EvalError, List, Value};

/// The library's functions.
pub(crate) fn overloads() -> Vec<Overload> {
    let mut overloads = Vec::new();
    let mut each = |function, id, item: &Type, result: Type, code: Code| {
        overloads.push(Overload::receiver(function, id, vec![Type::list(item.clone())], result, Some(code)));
    };
    for (ids, item) in comparable() {
        let [is_sorted, max, min] = ids;
        each("isSorted", is_sorted, &item, Type::Bool, |args| {
            let [of] = exactly(args)?;
            is_sorted_list(list(of)?).map(Value::Bool)
        });
        each("max", max, &item, item.clone(), |args| extreme(args, "max", Ordering::Less));
        each("min", min, &item, item.clone(), |args| extreme(args, "min", Ordering::Greater));
    }
    each("sum", "list_int_sum_int", &Type::Int, Type::Int, |args| sum(args, Value::Int(0)));
    each("sum", "list_uint_sum_uint", &Type::Uint, Type::Uint, |args| sum(args, Value::Uint(0)));
    each("sum", "list_double_sum_double", &Type::Double, Type::Double, |args| sum(args, Value::Double(0.0)));
    each("sum", "list_duration_sum_duration", &Type::Duration, Type::Duration, |args| sum(args, Value::Duration(0)));
    let list_and_item = || vec![Type::list(Type::param("A")), Type::param("A")];
    let receiver = Overload::receiver;
    overloads.extend([
        receiver(
            "indexOf",
            "list_a_index_of_int",
            list_and_item(),
            Type::Int,
            Some(|args| {
                let [of, item] = exactly(args)?;
                let of = list(of)?;
                position(of, item, 0..of.len())
            }),
        ),
        receiver(
            "lastIndexOf",
            "list_a_last_index_of_int",
            list_and_item(),
            Type::Int,
            Some(|args| {
                let [of, item] = exactly(args)?;
                let of = list(of)?;
                position(of, item, (0..of.len()).rev())
            }),
        ),
        receiver(
            "includes",
            "list_includes_dyn_dyn",
            vec![Type::Dyn, Type::Dyn],
            Type::Bool,
            Some(|args| {
                let [of, item] = exactly(args)?;
                Ok(Value::Bool(match of {
                    Value::List(of) => of.contains(item)?,
                    of => of.equals(item)?,
                }))
            }),
        ),
    ]);
    overloads
}

/// The types with an order, and the ids of `isSorted`, `max` and `min`.
fn comparable() -> [([&'static str; 3], Type); 8] {
    [
        (["list_int_is_sorted_bool", "list_int_max_int", "list_int_min_int"], Type::Int),
        (["list_uint_is_sorted_bool", "list_uint_max_uint", "list_uint_min_uint"], Type::Uint),
        (["list_double_is_sorted_bool", "list_double_max_double", "list_double_min_double"], Type::Double),
        (["list_bool_is_sorted_bool", "list_bool_max_bool", "list_bool_min_bool"], Type::Bool),
        (["list_duration_is_sorted_bool", "list_duration_max_duration", "list_duration_min_duration"], Type::Duration),
        (
            ["list_timestamp_is_sorted_bool", "list_timestamp_max_timestamp", "list_timestamp_min_timestamp"],
            Type::Timestamp,
        ),
        (["list_string_is_sorted_bool", "list_string_max_string", "list_string_min_string"], Type::String),
        (["list_bytes_is_sorted_bool", "list_bytes_max_bytes", "list_bytes_min_bytes"], Type::Bytes),
    ]
}

/// Whether values of its type have an order at all.
pub(super) fn is_comparable(value: &Value<'_>) -> bool {
    matches!(
        value,
        Value::Bool(_)
            | Value::Int(_)
            | Value::Uint(_)
            | Value::Double(_)
            | Value::String(_)
            | Value::Bytes(_)
            | Value::Duration(_)
            | Value::Timestamp(_)
    )
}

fn comparable_item<'a>(item: Result<Value<'a>, EvalError>) -> Result<Value<'a>, EvalError> {
    item.and_then(|item| if is_comparable(&item) { Ok(item) } else { Err(EvalError::no_overload()) })
}

fn is_sorted_list(list: &List<'_>) -> Result<bool, EvalError> {
    let mut previous = None;
    for item in list.iter() {
        let item = comparable_item(item)?;
        // What cannot be compared is not out of order.
        if previous.is_some_and(|previous: Value<'_>| previous.order(&item) == Some(Ordering::Greater)) {
            return Ok(false);
        }
        previous = Some(item);
    }
    Ok(true)
}

/// The first item that no other is preferred to; another is if the held one compares to it as `loses`.
fn extreme<'a>(args: &[Value<'a>], name: &str, loses: Ordering) -> Result<Value<'a>, EvalError> {
    let [of] = exactly(args)?;
    let mut held: Option<Value<'a>> = None;
    for item in list(of)?.iter() {
        let item = comparable_item(item)?;
        match &held {
            Some(value) if value.order(&item) != Some(loses) => {}
            _ => held = Some(item),
        }
    }
    held.ok_or_else(|| EvalError::failed(format!("{name} called on empty list")))
}

/// The sum; `zero` for an empty list, whose type does not show.
fn sum<'a>(args: &[Value<'a>], zero: Value<'a>) -> Result<Value<'a>, EvalError> {
    let [of] = exactly(args)?;
    let mut total: Option<Value<'a>> = None;
    for item in list(of)?.iter() {
        let item = item?;
        let overflow = |what: &str| EvalError::failed(format!("{what} overflow"));
        total = Some(match (total, item) {
            (None, item @ (Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Duration(_))) => item,
            (Some(Value::Int(a)), Value::Int(b)) => Value::Int(a.checked_add(b).ok_or_else(|| overflow("integer"))?),
            (Some(Value::Uint(a)), Value::Uint(b)) => {
                Value::Uint(a.checked_add(b).ok_or_else(|| overflow("unsigned integer"))?)
            }
            (Some(Value::Double(a)), Value::Double(b)) => Value::Double(a + b),
            (Some(Value::Duration(a)), Value::Duration(b)) => {
                Value::Duration(a.checked_add(b).ok_or_else(|| overflow("integer"))?)
            }
            _ => return Err(EvalError::no_overload()),
        });
    }
    Ok(total.unwrap_or(zero))
}

fn position<'a>(of: &List<'a>, item: &Value<'a>, indexes: impl Iterator<Item = usize>) -> Result<Value<'a>, EvalError> {
    for index in indexes {
        if let Some(candidate) = of.get(index)
            && candidate?.equals(item)?
        {
            return Ok(Value::Int(count(index)));
        }
    }
    Ok(Value::Int(-1))
}
