//! The functions of Kubernetes' CEL environment, one file a library.
//!
//! Each file declares its overloads with [`Overload`](super::overload::Overload) and says what a call costs.

pub(crate) mod cost;
pub(crate) mod ip;
pub(crate) mod quantity;
pub(crate) mod standard;
pub(crate) mod url;

use super::overload::Overload;
use super::value::Opaque;

/// As messages print a value of a library.
pub(crate) fn print(opaque: &Opaque) -> String {
    opaque.type_name().to_owned()
}

/// Every function of the environment of Kubernetes 1.37.
pub(crate) fn all() -> Vec<Overload> {
    standard::declarations()
}
