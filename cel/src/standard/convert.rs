//! Conversions between types (cel-go's `ConvertToType`).

use std::sync::Arc;

use super::{Outcome, time};
use crate::value::{EvalError, Opaque, Text, Value};
use crate::{clock, library};

/// 2^63 and 2^64, which doubles hold exactly.
const INT_END: f64 = 9_223_372_036_854_775_808.0;
const UINT_END: f64 = 18_446_744_073_709_551_616.0;

fn refused(value: &Value<'_>, to: &str) -> EvalError {
    EvalError::failed(format!("type conversion error from '{}' to '{to}'", value.type_name()))
}

fn overflow(what: &str) -> EvalError {
    EvalError::failed(format!("{what} overflow"))
}

pub(super) fn to_bool(value: Value<'_>) -> Outcome<'_> {
    match &value {
        Value::Bool(_) => Ok(value),
        Value::String(text) => match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
            _ => Err(refused(&value, "bool")),
        },
        _ => Err(EvalError::no_overload()),
    }
}

pub(super) fn to_bytes(value: Value<'_>) -> Outcome<'_> {
    match &value {
        Value::Bytes(_) => Ok(value),
        Value::String(text) => Ok(Value::Bytes(Arc::from(text.as_str().as_bytes()))),
        _ => Err(EvalError::no_overload()),
    }
}

#[allow(clippy::cast_precision_loss, reason = "the nearest double is what is wanted")]
pub(super) fn to_double(value: Value<'_>) -> Outcome<'_> {
    match &value {
        Value::Double(_) => Ok(value),
        Value::Int(int) => Ok(Value::Double(*int as f64)),
        Value::Uint(uint) => Ok(Value::Double(*uint as f64)),
        Value::String(text) => match text.as_str().parse::<f64>() {
            // A number too large is a fault, not infinity.
            Ok(double) if double.is_finite() || !text.as_str().contains(|c: char| c.is_ascii_digit()) => {
                Ok(Value::Double(double))
            }
            _ => Err(refused(&value, "double")),
        },
        _ => Err(EvalError::no_overload()),
    }
}

#[allow(clippy::cast_possible_truncation, reason = "checked before")]
pub(super) fn to_int(value: Value<'_>) -> Outcome<'_> {
    match &value {
        Value::Int(_) => Ok(value),
        Value::Uint(uint) => i64::try_from(*uint).map(Value::Int).map_err(|_| overflow("integer")),
        // Go rounds toward zero; both ends are excluded.
        Value::Double(double) if double.is_finite() && *double > -INT_END && *double < INT_END => {
            Ok(Value::Int(*double as i64))
        }
        Value::Double(_) => Err(overflow("integer")),
        Value::String(text) => text.as_str().parse().map(Value::Int).map_err(|_| refused(&value, "int")),
        Value::Timestamp(at) => Ok(Value::Int(at.as_second())),
        Value::Duration(nanoseconds) => Ok(Value::Int(*nanoseconds)),
        _ => Err(EvalError::no_overload()),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
pub(super) fn to_uint(value: Value<'_>) -> Outcome<'_> {
    match &value {
        Value::Uint(_) => Ok(value),
        Value::Int(int) => u64::try_from(*int).map(Value::Uint).map_err(|_| overflow("unsigned integer")),
        Value::Double(double) if double.is_finite() && *double >= 0.0 && *double < UINT_END => {
            Ok(Value::Uint(*double as u64))
        }
        Value::Double(_) => Err(overflow("unsigned integer")),
        // Go takes no sign here.
        Value::String(text) if !text.as_str().starts_with('+') => {
            text.as_str().parse().map(Value::Uint).map_err(|_| refused(&value, "uint"))
        }
        Value::String(_) => Err(refused(&value, "uint")),
        _ => Err(EvalError::no_overload()),
    }
}

pub(super) fn to_string(value: Value<'_>) -> Outcome<'_> {
    let text = match &value {
        Value::String(_) => return Ok(value),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Double(value) => print_double(*value),
        Value::Bytes(bytes) => std::str::from_utf8(bytes)
            .map_err(|_| EvalError::failed("invalid UTF-8 in bytes, cannot convert to string"))?
            .to_owned(),
        Value::Duration(nanoseconds) => time::print_duration(*nanoseconds),
        Value::Timestamp(at) => time::print_timestamp(*at),
        Value::Opaque(Opaque::Ip(address)) => address.to_string(),
        Value::Opaque(Opaque::Cidr(network)) => format!("{}/{}", network.address, network.prefix),
        _ => return Err(EvalError::no_overload()),
    };
    Ok(Value::text(text))
}

pub(super) fn to_duration(value: Value<'_>) -> Outcome<'_> {
    match &value {
        Value::Duration(_) => Ok(value),
        Value::String(text) => clock::parse_duration(text.as_str())
            .map(Value::Duration)
            .ok_or_else(|| refused(&value, "google.protobuf.Duration")),
        _ => Err(EvalError::no_overload()),
    }
}

pub(super) fn to_timestamp(value: Value<'_>) -> Outcome<'_> {
    match &value {
        Value::Timestamp(_) => Ok(value),
        Value::Int(seconds) => jiff::Timestamp::from_second(*seconds)
            .ok()
            .filter(|at| time::is_in_range(*at))
            .map(Value::Timestamp)
            .ok_or_else(|| overflow("timestamp")),
        Value::String(text) => clock::timestamp(text.as_str())
            .map(Value::Timestamp)
            .ok_or_else(|| refused(&value, "google.protobuf.Timestamp")),
        _ => Err(EvalError::no_overload()),
    }
}

/// As Go prints a double with `%g` (`strconv.FormatFloat(f, 'g', -1, 64)`).
pub(crate) fn print_double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

impl<'a> Value<'a> {
    /// As messages print a value (Go's `%v` of a CEL value).
    pub fn print(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::String(text) => text.as_str().to_owned(),
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::List(list) => {
                let items: Vec<String> = list.iter().flatten().map(|item| item.print()).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Map(map) => {
                let entry = |key: &Value<'a>| {
                    let value = map.get(key).ok().flatten()?;
                    Some(format!("{}: {}", key.print(), value.print()))
                };
                let entries: Vec<String> = map.keys().iter().filter_map(entry).collect();
                format!("{{{}}}", entries.join(", "))
            }
            Self::Optional(Some(value)) => format!("optional({})", value.print()),
            Self::Optional(None) => "optional.none".to_owned(),
            Self::Type(of) => of.runtime_name().to_owned(),
            Self::Opaque(opaque) => library::print(opaque),
            other => match to_string(other.clone()) {
                Ok(Value::String(text)) => text.as_str().to_owned(),
                _ => String::new(),
            },
        }
    }

    /// The value without anything borrowed.
    pub(crate) fn into_static(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Uint(value) => Value::Uint(value),
            Self::Double(value) => Value::Double(value),
            Self::String(text) => Value::String(Text::Owned(Arc::from(text.as_str()))),
            Self::Bytes(bytes) => Value::Bytes(bytes),
            Self::Duration(value) => Value::Duration(value),
            Self::Timestamp(value) => Value::Timestamp(value),
            Self::List(list) => Value::list(list.iter().flatten().map(Value::into_static).collect()),
            Self::Map(map) => {
                let mut owned = crate::value::OwnedMap::default();
                for key in map.keys() {
                    if let Ok(Some(value)) = map.get(&key) {
                        // A key that was taken once is taken again.
                        let _ = owned.put(key.into_static(), value.into_static());
                    }
                }
                Value::Map(crate::value::Map::Owned(Arc::new(owned)))
            }
            Self::Optional(held) => Value::Optional(held.map(|held| Arc::new(held.as_ref().clone().into_static()))),
            Self::Type(of) => Value::Type(of),
            Self::Opaque(opaque) => Value::Opaque(opaque),
            Self::Fault(error) => Value::Fault(error),
        }
    }
}
