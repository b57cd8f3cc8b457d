//! From JSON to values, as the schema says.
//!
//! Follows `UnstructuredToVal` in k8s.io/apiserver/pkg/cel/common/valuesunstructured.go.

use std::sync::Arc;

use base64::Engine as _;
use serde_json::Value as Json;

use super::{EvalError, List, Map, Text, Value};
use crate::clock;
use crate::declared::{Declared, Shape};
use crate::standard::time;

impl<'a> Value<'a> {
    /// The value that `json` is under its declaration.
    ///
    /// # Errors
    /// It is not what the declaration says, which validation does not let through.
    pub fn from_json(json: &'a Json, declared: &'a Declared) -> Result<Self, EvalError> {
        if json.is_null() {
            if declared.nullable {
                return Ok(Self::Null);
            }
            return Err(EvalError::failed("invalid data, got null for schema with nullable=false"));
        }
        let invalid =
            |wanted: &str| EvalError::failed(format!("invalid data, expected {wanted}, got {}", kind_of(json)));
        match (&declared.shape, json) {
            (Shape::IntOrString | Shape::String, Json::String(text)) => Ok(Self::String(Text::Borrowed(text))),
            (Shape::IntOrString | Shape::Int, Json::Number(number)) => {
                whole(number).map(Self::Int).ok_or_else(|| invalid("int"))
            }
            (Shape::IntOrString, _) => {
                Err(EvalError::failed("invalid data, expected XIntOrString value to be either a string or integer"))
            }
            (Shape::Bool, Json::Bool(value)) => Ok(Self::Bool(*value)),
            (Shape::Double, Json::Number(number)) => number.as_f64().map(Self::Double).ok_or_else(|| invalid("float")),
            (Shape::Bytes, Json::String(text)) => bytes(text).map(|bytes| Self::Bytes(Arc::from(bytes))),
            (Shape::Duration, Json::String(text)) => clock::parse_duration(text)
                .map(Self::Duration)
                .ok_or_else(|| EvalError::failed(format!("Invalid duration {text}"))),
            (Shape::Date, Json::String(text)) => time::parse_date(text)
                .map(Self::Timestamp)
                .ok_or_else(|| EvalError::failed(format!("Invalid date formatted string {text}"))),
            (Shape::DateTime, Json::String(text)) => clock::timestamp(text)
                .map(Self::Timestamp)
                .ok_or_else(|| EvalError::failed(format!("Invalid date-time formatted string {text}"))),
            (Shape::List { .. }, Json::Array(items)) => Ok(Self::List(List::Json { items, declared })),
            (Shape::Map { .. } | Shape::Object { .. }, Json::Object(fields)) => {
                Ok(Self::Map(Map::Json { fields, declared }))
            }
            (Shape::Bool, _) => Err(invalid("bool")),
            (Shape::Int, _) => Err(invalid("int")),
            (Shape::Double, _) => Err(invalid("float")),
            (Shape::String | Shape::Bytes | Shape::Duration | Shape::Date | Shape::DateTime, _) => {
                Err(invalid("string"))
            }
            (Shape::List { .. }, _) => {
                Err(EvalError::failed("invalid data, expected an array for the provided schema with type=array"))
            }
            (Shape::Map { .. } | Shape::Object { .. }, _) => {
                Err(EvalError::failed("invalid data, expected a map for the provided schema with type=object"))
            }
        }
    }
}

/// A whole number; JSON may write it with a fraction of zero.
fn whole(number: &serde_json::Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let double = number.as_f64()?;
        #[allow(clippy::cast_possible_truncation, reason = "whole and bounded")]
        (double.fract() == 0.0 && double.abs() < 2.0_f64.powi(63)).then_some(double as i64)
    })
}

/// Go reads these in base64's alphabet for URLs, although their format wants the other one.
fn bytes(text: &str) -> Result<Vec<u8>, EvalError> {
    let compact = text.replace(['\r', '\n'], "");
    let decoded = base64::engine::general_purpose::URL_SAFE.decode(compact);
    decoded.map_err(|_| {
        let at = text.find(['+', '/']).unwrap_or(text.len());
        let why = format!("illegal base64 data at input byte {at}");
        EvalError::failed(format!("Invalid byte formatted string {text}: {why}"))
    })
}

/// Go's name of the type that holds the value.
fn kind_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "<nil>",
        Json::Bool(_) => "bool",
        Json::Number(number) if number.is_f64() => "float64",
        Json::Number(_) => "int64",
        Json::String(_) => "string",
        Json::Array(_) => "[]interface {}",
        Json::Object(_) => "map[string]interface {}",
    }
}
