//! Equality of values, across types.
//!
//! Follows cel-go's `types.Equal` and the lists of k8s.io/apiserver/pkg/cel/common/valuesunstructured.go.

use std::cmp::Ordering;

use super::list::same_keys;
use super::{EvalError, List, Map, Opaque, Value};
use crate::declared::ListMerge;

impl<'a> Value<'a> {
    /// `self == other`. Values of different types are not equal, numbers apart.
    ///
    /// # Errors
    /// A part is not what its schema says.
    pub fn equals(&self, other: &Self) -> Result<bool, EvalError> {
        Ok(match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Int(_) | Self::Uint(_) | Self::Double(_), Self::Int(_) | Self::Uint(_) | Self::Double(_))
            | (Self::Bool(_), Self::Bool(_))
            | (Self::String(_), Self::String(_))
            | (Self::Bytes(_), Self::Bytes(_))
            | (Self::Duration(_), Self::Duration(_))
            | (Self::Timestamp(_), Self::Timestamp(_)) => self.order(other) == Some(Ordering::Equal),
            (Self::List(left), Self::List(right)) => lists(left, right)?,
            (Self::Map(left), Self::Map(right)) => maps(left, right)?,
            (Self::Optional(left), Self::Optional(right)) => match (left, right) {
                (Some(left), Some(right)) => parts(left.sound(), right.sound())?,
                (None, None) => true,
                _ => false,
            },
            (Self::Type(left), Self::Type(right)) => left.runtime_name() == right.runtime_name(),
            (Self::Opaque(left), Self::Opaque(right)) => opaques(left, right),
            _ => false,
        })
    }
}

/// Equality of parts, each of which may not be what its schema says. A list or a map on the left fails with what is wrong on
/// the right; other values do not equal it.
fn parts<'a>(left: Result<Value<'a>, EvalError>, right: Result<Value<'a>, EvalError>) -> Result<bool, EvalError> {
    match (left?, right) {
        (left, Ok(right)) => left.equals(&right),
        (Value::List(_) | Value::Map(_), Err(error)) => Err(error),
        (_, Err(_)) => Ok(false),
    }
}

fn lists<'a>(left: &List<'a>, right: &List<'a>) -> Result<bool, EvalError> {
    if left.len() != right.len() {
        return Ok(false);
    }
    match left.merge() {
        ListMerge::Atomic => {
            for (left, right) in left.iter().zip(right.iter()) {
                if !parts(left, right)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        ListMerge::Set => {
            for item in left.iter() {
                if !right.contains(&item?)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        ListMerge::Map(keys) => {
            for item in left.iter() {
                let item = item?;
                let mut same = false;
                for candidate in right.iter() {
                    let candidate = candidate?;
                    if same_keys(&item, &candidate, keys)? {
                        same = item.equals(&candidate)?;
                        break;
                    }
                }
                if !same {
                    return Ok(false);
                }
            }
            Ok(true)
        }
    }
}

fn maps<'a>(left: &Map<'a>, right: &Map<'a>) -> Result<bool, EvalError> {
    if left.len() != right.len() {
        return Ok(false);
    }
    for key in left.keys() {
        let same = match (left.get(&key).transpose(), right.get(&key).transpose()) {
            (Some(left), Some(right)) => parts(left, right)?,
            (Some(Err(error)), None) => return Err(error),
            _ => false,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

fn opaques(left: &Opaque, right: &Opaque) -> bool {
    match (left, right) {
        (Opaque::Quantity(left), Opaque::Quantity(right)) => left == right,
        (Opaque::Url(left), Opaque::Url(right)) => left == right,
        (Opaque::Ip(left), Opaque::Ip(right)) => left == right,
        (Opaque::Cidr(left), Opaque::Cidr(right)) => left == right,
        (Opaque::Semver(left), Opaque::Semver(right)) => left.cmp_precedence(right) == Ordering::Equal,
        (Opaque::Format(left), Opaque::Format(right)) => left == right,
        _ => false,
    }
}
