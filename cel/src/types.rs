//! The types of expressions.
//!
//! Follows cel-go's `common/types/types.go`.

use std::{fmt, sync::Arc};

use super::declared::Declared;

/// The type of an expression, or of a parameter of an overload.
#[derive(Debug, Clone)]
#[allow(clippy::enum_variant_names, reason = "`TypeOf` is what it is")]
pub enum Type {
    /// Any value; resolved when it runs.
    Dyn,
    /// The type of an expression that is wrong; agrees with everything, so that one fault is reported once.
    Error,
    /// `null_type`.
    Null,
    /// `bool`.
    Bool,
    /// `int`, 64 bits.
    Int,
    /// `uint`, 64 bits.
    Uint,
    /// `double`.
    Double,
    /// `string`.
    String,
    /// `bytes`.
    Bytes,
    /// `google.protobuf.Duration`.
    Duration,
    /// `google.protobuf.Timestamp`.
    Timestamp,
    /// `list(T)`.
    List(Arc<Type>),
    /// `map(K, V)`.
    Map(Arc<Type>, Arc<Type>),
    /// `optional_type(T)`.
    Optional(Arc<Type>),
    /// `type(T)`: the type of a type.
    TypeOf(Arc<Type>),
    /// A type parameter of an overload, or a free variable of inference, by name.
    Param(Arc<str>),
    /// An object with declared fields. Two are the same when their names are.
    Object(Arc<ObjectType>),
    /// A type that a library brings, by its name: `kubernetes.URL`, `net.IP`, `kubernetes.Quantity`, ….
    Opaque(&'static str),
}

/// An object type: its name is its path from the root, as kube-apiserver's type provider gives it.
#[derive(Debug)]
pub struct ObjectType {
    /// The name, for example `selfType123.spec`; printed in errors.
    pub name: String,
    /// The declaration whose fields these are.
    pub declared: Arc<Declared>,
}

impl Type {
    /// `list(item)`.
    pub fn list(item: Self) -> Self {
        Self::List(Arc::new(item))
    }

    /// `map(key, value)`.
    pub fn map(key: Self, value: Self) -> Self {
        Self::Map(Arc::new(key), Arc::new(value))
    }

    /// `optional_type(value)`.
    pub fn optional(value: Self) -> Self {
        Self::Optional(Arc::new(value))
    }

    /// `type(of)`.
    pub fn type_of(of: Self) -> Self {
        Self::TypeOf(Arc::new(of))
    }

    /// The name without parameters, which types as values are compared by (`TypeName` in cel-go).
    pub fn runtime_name(&self) -> &str {
        match self {
            Self::Dyn => "dyn",
            Self::Error => "error",
            Self::Null => "null_type",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Duration => "google.protobuf.Duration",
            Self::Timestamp => "google.protobuf.Timestamp",
            Self::List(_) => "list",
            Self::Map(..) => "map",
            Self::Optional(_) => "optional_type",
            Self::TypeOf(_) => "type",
            Self::Param(name) => name,
            Self::Object(object) => &object.name,
            Self::Opaque(name) => name,
        }
    }

    /// The type parameter `name`.
    pub fn param(name: &str) -> Self {
        Self::Param(Arc::from(name))
    }
}

/// As cel-go's checker prints a type in errors (`checker/format.go`, `FormatCELType`).
impl fmt::Display for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => out.write_str("dyn"),
            Self::Error => out.write_str("!error!"),
            Self::Null => out.write_str("null"),
            Self::Bool => out.write_str("bool"),
            Self::Int => out.write_str("int"),
            Self::Uint => out.write_str("uint"),
            Self::Double => out.write_str("double"),
            Self::String => out.write_str("string"),
            Self::Bytes => out.write_str("bytes"),
            Self::Duration => out.write_str("duration"),
            Self::Timestamp => out.write_str("timestamp"),
            Self::List(item) => write!(out, "list({item})"),
            Self::Map(key, value) => write!(out, "map({key}, {value})"),
            Self::Optional(value) => write!(out, "optional_type({value})"),
            Self::TypeOf(of) => write!(out, "type({of})"),
            Self::Param(name) => out.write_str(name),
            Self::Object(object) => out.write_str(&object.name),
            Self::Opaque(name) => out.write_str(name),
        }
    }
}
