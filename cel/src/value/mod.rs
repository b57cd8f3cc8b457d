//! Values of expressions. What comes from an object is borrowed from its JSON, and looked at only when it is asked for.
//!
//! Follows cel-go's `common/types` and k8s.io/apiserver/pkg/cel/common/valuesunstructured.go.

mod equality;
mod json;
mod list;
mod map;

use std::cmp::Ordering;
use std::sync::Arc;

use super::types::Type;

pub use list::List;
pub use map::{Map, OwnedMap};

/// A value, while an expression runs over objects that live for `'a`.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `bool`.
    Bool(bool),
    /// `int`.
    Int(i64),
    /// `uint`.
    Uint(u64),
    /// `double`.
    Double(f64),
    /// `string`.
    String(Text<'a>),
    /// `bytes`.
    Bytes(Arc<[u8]>),
    /// `duration`, in nanoseconds.
    Duration(i64),
    /// `timestamp`, a point in time between the years 1 and 9999.
    Timestamp(jiff::Timestamp),
    /// `list`.
    List(List<'a>),
    /// `map`, and objects with declared fields.
    Map(Map<'a>),
    /// `optional`: a value or none.
    Optional(Option<Arc<Value<'a>>>),
    /// A type as a value.
    Type(Type),
    /// A value that a library brings.
    Opaque(Opaque),
    /// What an optional holds in the place of a value that is not what its schema says. Nothing else does.
    Fault(Arc<EvalError>),
}

/// A string: of the object, or made while running.
#[derive(Debug, Clone)]
pub enum Text<'a> {
    /// Part of the object or of the expression.
    Borrowed(&'a str),
    /// Made while running.
    Owned(Arc<str>),
}

impl Text<'_> {
    /// The string.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
        }
    }
}

/// A value of an opaque type.
#[derive(Debug, Clone)]
pub enum Opaque {
    /// `kubernetes.Quantity`.
    Quantity(Arc<super::library::quantity::Quantity>),
    /// `kubernetes.URL`.
    Url(Arc<super::library::url::Url>),
    /// `net.IP`.
    Ip(std::net::IpAddr),
    /// `net.CIDR`.
    Cidr(super::library::ip::Cidr),
    /// `kubernetes.Semver`.
    Semver(Arc<semver::Version>),
    /// `kubernetes.NamedFormat`, by the format's name.
    Format(&'static str),
}

/// Why an expression has no value. The texts are cel-go's, for they reach users in causes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// Something went wrong while running: `no such key: x`, `division by zero`, `index out of bounds: 3`, ….
    #[error("{0}")]
    Failed(String),
    /// The cost limit was reached. Ends the evaluation at once, whatever operators surround it.
    #[error("operation cancelled: actual cost limit exceeded")]
    CostLimit,
}

impl EvalError {
    /// No overload of the function takes these arguments.
    pub fn no_overload() -> Self {
        Self::Failed("no such overload".to_owned())
    }

    /// With a text.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }
}

impl<'a> Value<'a> {
    /// A string that was made while running.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::String(Text::Owned(text.into()))
    }

    /// A list that was made while running.
    pub fn list(items: Vec<Value<'a>>) -> Self {
        Self::List(List::Owned(Arc::new(items)))
    }

    /// `optional.of(value)`.
    pub fn some(value: Value<'a>) -> Self {
        Self::Optional(Some(Arc::new(value)))
    }

    /// The value that an optional holds.
    ///
    /// # Errors
    /// It is a [`Value::Fault`].
    pub fn sound(&self) -> Result<Self, EvalError> {
        match self {
            Self::Fault(error) => Err(error.as_ref().clone()),
            value => Ok(value.clone()),
        }
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// The type of the value, as far as it shows.
    pub fn type_of(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Uint(_) => Type::Uint,
            Self::Double(_) => Type::Double,
            Self::String(_) => Type::String,
            Self::Bytes(_) => Type::Bytes,
            Self::Duration(_) => Type::Duration,
            Self::Timestamp(_) => Type::Timestamp,
            Self::List(_) => Type::list(Type::Dyn),
            Self::Map(_) => Type::map(Type::Dyn, Type::Dyn),
            Self::Optional(_) => Type::optional(Type::Dyn),
            Self::Type(_) => Type::type_of(Type::Dyn),
            Self::Opaque(opaque) => Type::Opaque(opaque.type_name()),
            Self::Fault(_) => Type::Error,
        }
    }

    /// The name of the type, as errors have it (cel-go's `Type().TypeName()`).
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::List(_) => "list",
            Self::Map(map) if map.is_object() => "object",
            Self::Map(_) => "map",
            Self::Optional(_) => "optional_type",
            Self::Type(_) => "type",
            Self::Opaque(opaque) => opaque.type_name(),
            Self::Fault(_) => "error",
        }
    }

    /// How many parts it has, for costs: characters, bytes, items, entries; 1 for all else (`actualSize`).
    pub fn size(&self) -> u64 {
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        match self {
            Self::String(text) => count(text.as_str().chars().count()),
            Self::Bytes(bytes) => count(bytes.len()),
            Self::List(list) => count(list.len()),
            Self::Map(map) => count(map.len()),
            Self::Optional(Some(value)) => value.size(),
            _ => 1,
        }
    }

    /// The order of two values, where there is one.
    pub fn order(&self, other: &Self) -> Option<Ordering> {
        let number = |value: &Self| match value {
            Self::Int(int) => Some(Number::Int(i128::from(*int))),
            Self::Uint(uint) => Some(Number::Int(i128::from(*uint))),
            Self::Double(double) => Some(Number::Double(*double)),
            _ => None,
        };
        if let (Some(left), Some(right)) = (number(self), number(other)) {
            return left.order(right);
        }
        match (self, other) {
            (Self::String(left), Self::String(right)) => Some(left.as_str().cmp(right.as_str())),
            (Self::Bytes(left), Self::Bytes(right)) => Some(left.cmp(right)),
            (Self::Bool(left), Self::Bool(right)) => Some(left.cmp(right)),
            (Self::Duration(left), Self::Duration(right)) => Some(left.cmp(right)),
            (Self::Timestamp(left), Self::Timestamp(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }
}

impl Opaque {
    /// The name of the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Url(_) => "kubernetes.URL",
            Self::Ip(_) => "net.IP",
            Self::Cidr(_) => "net.CIDR",
            Self::Semver(_) => "kubernetes.Semver",
            Self::Format(_) => "kubernetes.NamedFormat",
        }
    }
}

/// A number of any type.
#[derive(Clone, Copy)]
enum Number {
    Int(i128),
    Double(f64),
}

impl Number {
    /// Numbers of different types compare by their values, exactly (cel-go's `common/types/compare.go`).
    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(left), Self::Int(right)) => Some(left.cmp(&right)),
            (Self::Double(left), Self::Double(right)) => left.partial_cmp(&right),
            (Self::Double(left), Self::Int(right)) => double_to_int(left, right),
            (Self::Int(left), Self::Double(right)) => double_to_int(right, left).map(Ordering::reverse),
        }
    }
}

fn double_to_int(double: f64, int: i128) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // Every int and uint lies between these, and below them a double's whole part is exact in i128.
    if double >= 2.0_f64.powi(65) {
        return Some(Ordering::Greater);
    }
    if double <= -(2.0_f64.powi(65)) {
        return Some(Ordering::Less);
    }
    #[allow(clippy::cast_possible_truncation, reason = "bounded above")]
    let whole = double.floor() as i128;
    Some(match whole.cmp(&int) {
        Ordering::Equal if double.fract() != 0.0 => Ordering::Greater,
        order => order,
    })
}
