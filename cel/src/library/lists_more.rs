//! Parts, orders and duplicates of lists (cel-go's ext/lists.go, version 3).

use std::cmp::Ordering;

use super::arguments::{affordable, count, exactly, int, list};
use super::lists::is_comparable;
use crate::overload::Overload;
use crate::types::Type;
use crate::value::{EvalError, List, Value};

/// How long a range may be (`defaultMaxRangeSize`).
const RANGE_MAX: i64 = 1_000_000;

/// The library's functions.
pub(crate) fn overloads() -> Vec<Overload> {
    let items = || Type::list(Type::param("T"));
    let receiver = Overload::receiver;
    let mut overloads = vec![
        receiver(
            "slice",
            "list_slice",
            vec![items(), Type::Int, Type::Int],
            items(),
            Some(|args| {
                let [of, start, end] = exactly(args)?;
                slice(list(of)?, int(start)?, int(end)?)
            }),
        ),
        receiver(
            "flatten",
            "list_flatten",
            vec![Type::list(items())],
            items(),
            Some(|args| {
                let [of] = exactly(args)?;
                match of {
                    Value::List(of) => flattened(of, 1),
                    of => Err(EvalError::failed(format!("no such overload: {}.flatten()", of.type_name()))),
                }
            }),
        ),
        receiver(
            "flatten",
            "list_flatten_int",
            vec![Type::list(Type::Dyn), Type::Int],
            Type::list(Type::Dyn),
            Some(|args| match exactly(args)? {
                [Value::List(of), Value::Int(depth)] => flattened(of, *depth),
                [of, depth] => Err(EvalError::failed(format!(
                    "no such overload: {}.flatten({})",
                    of.type_name(),
                    depth.type_name()
                ))),
            }),
        ),
        Overload::global(
            "lists.range",
            "lists_range",
            vec![Type::Int],
            Type::list(Type::Int),
            Some(|args| {
                let [size] = exactly(args)?;
                range(int(size)?)
            }),
        ),
        receiver(
            "reverse",
            "list_reverse",
            vec![items()],
            items(),
            Some(|args| {
                let [of] = exactly(args)?;
                let mut items = list(of)?.items()?;
                items.reverse();
                Ok(Value::list(items))
            }),
        ),
        receiver(
            "distinct",
            "list_distinct",
            vec![items()],
            items(),
            Some(|args| {
                let [of] = exactly(args)?;
                distinct(list(of)?)
            }),
        ),
    ];
    for (sort, sort_by, item) in comparable() {
        let of = Type::list(item);
        overloads.push(receiver(
            "sort",
            sort,
            vec![of.clone()],
            of.clone(),
            Some(|args| {
                let [of] = exactly(args)?;
                let of = list(of)?;
                sorted(of, of)
            }),
        ));
        overloads.push(receiver(
            "@sortByAssociatedKeys",
            sort_by,
            vec![items(), of],
            items(),
            Some(|args| {
                let [of, keys] = exactly(args)?;
                sorted(list(of)?, list(keys)?)
            }),
        ));
    }
    overloads
}

/// The types with an order, and the ids of the two ways to sort.
fn comparable() -> [(&'static str, &'static str, Type); 8] {
    [
        ("list_int_sort", "list_int_sortByAssociatedKeys", Type::Int),
        ("list_uint_sort", "list_uint_sortByAssociatedKeys", Type::Uint),
        ("list_double_sort", "list_double_sortByAssociatedKeys", Type::Double),
        ("list_bool_sort", "list_bool_sortByAssociatedKeys", Type::Bool),
        ("list_google.protobuf.Duration_sort", "list_google.protobuf.Duration_sortByAssociatedKeys", Type::Duration),
        ("list_google.protobuf.Timestamp_sort", "list_google.protobuf.Timestamp_sortByAssociatedKeys", Type::Timestamp),
        ("list_string_sort", "list_string_sortByAssociatedKeys", Type::String),
        ("list_bytes_sort", "list_bytes_sortByAssociatedKeys", Type::Bytes),
    ]
}

fn slice<'a>(of: &List<'a>, start: i64, end: i64) -> Result<Value<'a>, EvalError> {
    let length = count(of.len());
    let fault = |why: String| Err(EvalError::failed(format!("cannot slice({start}, {end}), {why}")));
    if start < 0 || end < 0 {
        return fault("negative indexes not supported".to_owned());
    }
    if start > end {
        return fault("start index must be less than or equal to end index".to_owned());
    }
    if length < end {
        return fault(format!("list is length {length}"));
    }
    let (start, end) = (usize::try_from(start).unwrap_or(0), usize::try_from(end).unwrap_or(0));
    (start..end).filter_map(|index| of.get(index)).collect::<Result<_, _>>().map(Value::list)
}

fn flattened<'a>(of: &List<'a>, depth: i64) -> Result<Value<'a>, EvalError> {
    if depth < 0 {
        return Err(EvalError::failed("level must be non-negative"));
    }
    let mut out = Vec::with_capacity(of.len());
    flatten(of, depth, &mut out)?;
    Ok(Value::list(out))
}

/// The recursion follows lists in lists, whose depth an object or an expression bounds.
fn flatten<'a>(of: &List<'a>, depth: i64, out: &mut Vec<Value<'a>>) -> Result<(), EvalError> {
    for item in of.iter() {
        match item? {
            Value::List(inner) if depth > 0 => flatten(&inner, depth - 1, out)?,
            item => out.push(item),
        }
    }
    affordable(out.len() as u64)
}

fn range<'a>(size: i64) -> Result<Value<'a>, EvalError> {
    if size < 0 {
        return Err(EvalError::failed(format!("lists.range: size must be non-negative, got {size}")));
    }
    if size > RANGE_MAX {
        return Err(EvalError::failed(format!("lists.range: size {size} exceeds maximum allowed ({RANGE_MAX})")));
    }
    Ok(Value::list((0..size).map(Value::Int).collect()))
}

fn distinct<'a>(of: &List<'a>) -> Result<Value<'a>, EvalError> {
    affordable((of.len() as u64).saturating_mul(of.len() as u64).saturating_mul(2))?;
    let mut kept: Vec<Value<'a>> = Vec::new();
    'items: for item in of.iter() {
        let item = item?;
        for held in &kept {
            if item.equals(held)? {
                continue 'items;
            }
        }
        kept.push(item);
    }
    Ok(Value::list(kept))
}

/// The items in the order of their keys.
fn sorted<'a>(of: &List<'a>, keys: &List<'a>) -> Result<Value<'a>, EvalError> {
    if of.len() != keys.len() {
        return Err(EvalError::failed(format!(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got {} and {} \
             elements respectively",
            of.len(),
            keys.len()
        )));
    }
    let keys = keys.items()?;
    let Some(first) = keys.first() else { return Ok(Value::list(Vec::new())) };
    if !is_comparable(first) {
        return Err(EvalError::failed("list elements must be comparable"));
    }
    let kind = std::mem::discriminant(first);
    if keys.iter().any(|key| std::mem::discriminant(key) != kind) {
        return Err(EvalError::failed("list elements must have the same type"));
    }
    affordable((keys.len() as u64).saturating_mul(keys.len() as u64).saturating_mul(2))?;
    let mut pairs: Vec<(Value<'a>, Value<'a>)> = keys.into_iter().zip(of.items()?).collect();
    // NaN has no place; keeping it where it is keeps the order total enough for a merge sort.
    pairs.sort_by(|(left, _), (right, _)| total(left, right));
    Ok(Value::list(pairs.into_iter().map(|(_, item)| item).collect()))
}

fn total(left: &Value<'_>, right: &Value<'_>) -> Ordering {
    match (left, right) {
        (Value::Double(left), Value::Double(right)) if left.is_nan() || right.is_nan() => {
            left.is_nan().cmp(&right.is_nan())
        }
        _ => left.order(right).unwrap_or(Ordering::Equal),
    }
}
