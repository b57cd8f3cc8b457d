//! Values of expressions. What comes from an object is borrowed from its JSON, and looked at only when it is asked for.

use std::sync::Arc;

use serde_json::{Map as JsonMap, Value as Json};

use super::declared::Declared;
use super::types::Type;

/// A value, while an expression runs over objects that live for `'a`.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
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
}

/// A string: of the object, or made while running.
#[derive(Debug, Clone)]
pub(crate) enum Text<'a> {
    /// Part of the object or of the expression.
    Borrowed(&'a str),
    /// Made while running.
    Owned(Arc<str>),
}

impl Text<'_> {
    /// The string.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
        }
    }
}

/// A list: of the object, or made while running.
#[derive(Debug, Clone)]
pub(crate) enum List<'a> {
    /// Part of the object, and what its schema says of it.
    Json {
        /// The items.
        items: &'a [Json],
        /// The list's declaration (`Shape::List`).
        declared: &'a Declared,
    },
    /// Made while running.
    Owned(Arc<[Value<'a>]>),
}

/// A map or an object: of the object, or made while running.
#[derive(Debug, Clone)]
pub(crate) enum Map<'a> {
    /// Part of the object, and what its schema says of it.
    Json {
        /// The fields.
        fields: &'a JsonMap<String, Json>,
        /// The declaration (`Shape::Map` or `Shape::Object`).
        declared: &'a Declared,
    },
    /// Made while running. Keys are bool, int, uint or string, each once; the order is that of insertion.
    Owned(Arc<[(Value<'a>, Value<'a>)]>),
}

/// A value of an opaque type.
#[derive(Debug, Clone)]
pub(crate) enum Opaque {
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
pub(crate) enum EvalError {
    /// Something went wrong while running: `no such key: x`, `division by zero`, `index out of bounds: 3`, ….
    #[error("{0}")]
    Failed(String),
    /// The cost limit was reached. Ends the evaluation at once, whatever operators surround it.
    #[error("operation cancelled: actual cost limit exceeded")]
    CostLimit,
}

impl EvalError {
    /// No overload of the function takes these arguments.
    pub(crate) fn no_overload() -> Self {
        Self::Failed("no such overload".to_owned())
    }
}
