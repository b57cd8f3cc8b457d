//! The functions of Kubernetes' CEL environment, one file a library.
//!
//! Each file declares its overloads with [`Overload`] and has their code; `cost` says what calls cost.

mod address;
mod arguments;
mod authz;
pub(crate) mod cost;
mod decimal;
pub(crate) mod format;
mod formatting;
pub(crate) mod ip;
mod lists;
mod lists_more;
pub(crate) mod quantity;
mod regex;
mod semver;
mod sets;
pub(crate) mod standard;
mod strings;
pub(crate) mod url;

use super::overload::Overload;
use super::value::Opaque;

/// Every function of the environment of Kubernetes 1.37: of the language itself, and of all libraries.
pub(crate) fn all() -> Vec<Overload> {
    [
        standard::declarations,
        authz::overloads,
        format::overloads,
        ip::overloads,
        lists::overloads,
        lists_more::overloads,
        quantity::overloads,
        regex::overloads,
        semver::overloads,
        sets::overloads,
        strings::overloads,
        url::overloads,
    ]
    .into_iter()
    .flat_map(|overloads| overloads())
    .collect()
}

/// As messages print a value of a library.
pub(crate) fn print(opaque: &Opaque) -> String {
    match opaque {
        Opaque::Ip(address) => address.to_string(),
        Opaque::Cidr(ip::Cidr { address, prefix }) => format!("{address}/{prefix}"),
        Opaque::Url(url) => url.to_string(),
        Opaque::Semver(version) => version.to_string(),
        Opaque::Format(name) => (*name).to_owned(),
        Opaque::Quantity(_) => opaque.type_name().to_owned(),
    }
}

#[cfg(test)]
mod tests;
