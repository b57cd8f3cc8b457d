//! Arguments of functions, by the type that the code needs.

use std::sync::Arc;

use crate::value::{EvalError, List, Opaque, Value};

use super::ip::Cidr;
use super::quantity::Quantity;
use super::url::Url;

/// A call that costs more than this ends the evaluation anyway, so it need not even begin
/// (`PerCallLimit` of k8s.io/apiserver/pkg/apis/cel/config.go).
const PER_CALL_LIMIT: u64 = 1_000_000;

/// The arguments, when there are as many.
pub(super) fn exactly<'v, 'a, const N: usize>(args: &'v [Value<'a>]) -> Result<&'v [Value<'a>; N], EvalError> {
    args.try_into().map_err(|_| EvalError::no_overload())
}

/// A string.
pub(super) fn string<'v>(value: &'v Value<'_>) -> Result<&'v str, EvalError> {
    value.as_str().ok_or_else(EvalError::no_overload)
}

/// An int.
pub(super) fn int(value: &Value<'_>) -> Result<i64, EvalError> {
    match value {
        Value::Int(int) => Ok(*int),
        _ => Err(EvalError::no_overload()),
    }
}

/// A bool.
pub(super) fn boolean(value: &Value<'_>) -> Result<bool, EvalError> {
    match value {
        Value::Bool(value) => Ok(*value),
        _ => Err(EvalError::no_overload()),
    }
}

/// A list.
pub(super) fn list<'v, 'a>(value: &'v Value<'a>) -> Result<&'v List<'a>, EvalError> {
    match value {
        Value::List(list) => Ok(list),
        _ => Err(EvalError::no_overload()),
    }
}

/// A quantity.
pub(super) fn quantity<'v>(value: &'v Value<'_>) -> Result<&'v Quantity, EvalError> {
    match value {
        Value::Opaque(Opaque::Quantity(quantity)) => Ok(quantity),
        _ => Err(EvalError::no_overload()),
    }
}

/// A URL.
pub(super) fn url<'v>(value: &'v Value<'_>) -> Result<&'v Url, EvalError> {
    match value {
        Value::Opaque(Opaque::Url(url)) => Ok(url),
        _ => Err(EvalError::no_overload()),
    }
}

/// An address.
pub(super) fn ip(value: &Value<'_>) -> Result<std::net::IpAddr, EvalError> {
    match value {
        Value::Opaque(Opaque::Ip(address)) => Ok(*address),
        _ => Err(EvalError::no_overload()),
    }
}

/// A network.
pub(super) fn cidr(value: &Value<'_>) -> Result<Cidr, EvalError> {
    match value {
        Value::Opaque(Opaque::Cidr(cidr)) => Ok(*cidr),
        _ => Err(EvalError::no_overload()),
    }
}

/// A version.
pub(super) fn semver<'v>(value: &'v Value<'_>) -> Result<&'v semver::Version, EvalError> {
    match value {
        Value::Opaque(Opaque::Semver(version)) => Ok(version),
        _ => Err(EvalError::no_overload()),
    }
}

/// A list of strings, as a value.
pub(super) fn strings<'a>(items: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Value<'a> {
    Value::list(items.into_iter().map(Value::text).collect())
}

/// The order of two values of Go's `-1`, `0` and `1`.
pub(super) fn sign<'a>(order: std::cmp::Ordering) -> Value<'a> {
    Value::Int(order as i64)
}

/// A number of items or characters, as an int.
pub(super) fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Ends the evaluation when a call over so many steps could not be paid for.
pub(super) fn affordable(steps: u64) -> Result<(), EvalError> {
    if steps > PER_CALL_LIMIT { Err(EvalError::CostLimit) } else { Ok(()) }
}
