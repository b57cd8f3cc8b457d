//! What an expression can refer to: functions, and the names of types.
//!
//! Follows cel-go's `checker/env.go`; the types are those that kube-apiserver's type provider finds by name
//! (`findScalar` in apiserver/pkg/cel/types.go) and those that libraries register.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use crate::library;
use crate::overload::Overload;
use crate::types::Type;

/// The functions of an environment, each with its overloads in the order of declaration.
pub struct Environment {
    functions: HashMap<&'static str, Vec<Arc<Overload>>>,
}

/// The environment of Kubernetes 1.37.
static KUBERNETES: LazyLock<Environment> = LazyLock::new(|| Environment::new(library::all()));

impl Environment {
    /// An environment with these functions.
    pub fn new(overloads: impl IntoIterator<Item = Overload>) -> Self {
        let mut functions: HashMap<&'static str, Vec<Arc<Overload>>> = HashMap::new();
        for overload in overloads {
            functions.entry(overload.function).or_default().push(Arc::new(overload));
        }
        Self { functions }
    }

    /// The environment of validation rules.
    pub fn kubernetes() -> &'static Self {
        &KUBERNETES
    }

    /// A function's name and overloads. The name may be absolute.
    pub(super) fn function(&self, name: &str) -> Option<(&'static str, &[Arc<Overload>])> {
        let (name, overloads) = self.functions.get_key_value(name.strip_prefix('.').unwrap_or(name))?;
        Some((name, overloads))
    }
}

/// The type of that name.
pub(super) fn type_named(name: &str) -> Option<Type> {
    Some(match name {
        "bool" => Type::Bool,
        "bytes" => Type::Bytes,
        "double" => Type::Double,
        "duration" | "google.protobuf.Duration" => Type::Duration,
        "int" => Type::Int,
        "list" => Type::list(Type::param("A")),
        "map" => Type::map(Type::param("A"), Type::param("B")),
        "null_type" => Type::Null,
        "string" => Type::String,
        "timestamp" | "google.protobuf.Timestamp" => Type::Timestamp,
        // A type of types: its values are compared by name.
        "type" => Type::Opaque("type"),
        "uint" => Type::Uint,
        "optional_type" => Type::optional(Type::param("V")),
        "net.IP" => Type::Opaque("net.IP"),
        "net.CIDR" => Type::Opaque("net.CIDR"),
        _ => return None,
    })
}
