//! Numbers, durations and timestamps: operators. Overflow is an error, never a wrong number.

use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};

use super::{Outcome, time};
use crate::value::{EvalError, Text, Value};

fn overflow(what: &str) -> EvalError {
    EvalError::failed(format!("{what} overflow"))
}

fn int<'a>(value: Option<i64>) -> Outcome<'a> {
    value.map(Value::Int).ok_or_else(|| overflow("integer"))
}

fn uint<'a>(value: Option<u64>) -> Outcome<'a> {
    value.map(Value::Uint).ok_or_else(|| overflow("unsigned integer"))
}

fn duration<'a>(value: Option<i64>) -> Outcome<'a> {
    // It is told as what it is held in.
    value.map(Value::Duration).ok_or_else(|| overflow("integer"))
}

fn timestamp<'a>(value: Option<Timestamp>) -> Outcome<'a> {
    value.filter(|at| time::is_in_range(*at)).map(Value::Timestamp).ok_or_else(|| overflow("timestamp"))
}

pub(super) fn negate<'a>(value: &Value<'a>) -> Outcome<'a> {
    match value {
        Value::Int(value) => int(value.checked_neg()),
        Value::Double(value) => Ok(Value::Double(-value)),
        Value::Duration(value) => duration(value.checked_neg()),
        _ => Err(EvalError::no_overload()),
    }
}

pub(super) fn add<'a>(left: Value<'a>, right: Value<'a>) -> Outcome<'a> {
    Ok(match (left, right) {
        (Value::Int(left), Value::Int(right)) => return int(left.checked_add(right)),
        (Value::Uint(left), Value::Uint(right)) => return uint(left.checked_add(right)),
        (Value::Double(left), Value::Double(right)) => Value::Double(left + right),
        (Value::String(left), Value::String(right)) => {
            Value::String(Text::Owned([left.as_str(), right.as_str()].concat().into()))
        }
        (Value::Bytes(left), Value::Bytes(right)) => Value::Bytes([left, right].concat().into()),
        (Value::List(left), Value::List(right)) => Value::List(left.join(&right)?),
        (Value::Duration(left), Value::Duration(right)) => return duration(left.checked_add(right)),
        (Value::Timestamp(at), Value::Duration(by)) | (Value::Duration(by), Value::Timestamp(at)) => {
            return timestamp(at.checked_add(SignedDuration::from_nanos(by)).ok());
        }
        _ => return Err(EvalError::no_overload()),
    })
}

pub(super) fn subtract<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => int(left.checked_sub(*right)),
        (Value::Uint(left), Value::Uint(right)) => uint(left.checked_sub(*right)),
        (Value::Double(left), Value::Double(right)) => Ok(Value::Double(left - right)),
        (Value::Duration(left), Value::Duration(right)) => duration(left.checked_sub(*right)),
        (Value::Timestamp(at), Value::Duration(by)) => timestamp(at.checked_sub(SignedDuration::from_nanos(*by)).ok()),
        (Value::Timestamp(left), Value::Timestamp(right)) => {
            duration(i64::try_from(left.duration_since(*right).as_nanos()).ok())
        }
        _ => Err(EvalError::no_overload()),
    }
}

pub(super) fn multiply<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => int(left.checked_mul(*right)),
        (Value::Uint(left), Value::Uint(right)) => uint(left.checked_mul(*right)),
        (Value::Double(left), Value::Double(right)) => Ok(Value::Double(left * right)),
        _ => Err(EvalError::no_overload()),
    }
}

pub(super) fn divide<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => Err(EvalError::failed("division by zero")),
        (Value::Int(left), Value::Int(right)) => int(left.checked_div(*right)),
        (Value::Uint(left), Value::Uint(right)) => uint(left.checked_div(*right)),
        (Value::Double(left), Value::Double(right)) => Ok(Value::Double(left / right)),
        _ => Err(EvalError::no_overload()),
    }
}

pub(super) fn modulo<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => Err(EvalError::failed("modulus by zero")),
        (Value::Int(left), Value::Int(right)) => int(left.checked_rem(*right)),
        (Value::Uint(left), Value::Uint(right)) => uint(left.checked_rem(*right)),
        _ => Err(EvalError::no_overload()),
    }
}

pub(super) fn compare<'a>(left: &Value<'a>, right: &Value<'a>, wanted: fn(Ordering) -> bool) -> Outcome<'a> {
    match left.order(right) {
        Some(order) => Ok(Value::Bool(wanted(order))),
        None if is_nan(left) || is_nan(right) => Err(EvalError::failed("NaN values cannot be ordered")),
        None => Err(EvalError::no_overload()),
    }
}

fn is_nan(value: &Value<'_>) -> bool {
    matches!(value, Value::Double(value) if value.is_nan())
}
