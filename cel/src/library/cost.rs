//! What the functions of the libraries cost when they run.
//!
//! Follows `CallCost` in k8s.io/apiserver/pkg/cel/library/cost.go and the cost trackers of cel-go's ext/lists.go and
//! ext/sets.go, which go before it.

use std::net::IpAddr;

use super::format::pattern_size;
use crate::{
    cost::scaled,
    value::{Opaque, Value},
};

/// The cost of a character or byte that is looked at (`StringTraversalCostFactor`).
const TRAVERSAL: f64 = 0.1;

/// The cost of a character of a regular expression (`RegexStringLengthCostFactor`).
const PATTERN: f64 = 0.25;

/// A list that is made (`ListCreateBaseCost`).
const LIST: u64 = 10;

/// A structure that is made (`StructCreateBaseCost`).
const STRUCTURE: u64 = 40;

/// A check of an authorization.
const CHECK: u64 = 350_000;

/// Functions that cost one, whatever they are called with.
pub(crate) const AT_ONCE: [&str; 27] = [
    "masked",
    "prefixLength",
    "family",
    "isUnspecified",
    "isLoopback",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isGlobalUnicast",
    "format.named",
    "sign",
    "asInteger",
    "isInteger",
    "asApproximateFloat",
    "isGreaterThan",
    "isLessThan",
    "compareTo",
    "add",
    "sub",
    "major",
    "minor",
    "patch",
    "getScheme",
    "getHostname",
    "getHost",
    "getPort",
    "getEscapedPath",
    "getQuery",
];

/// What a call costs, if it is not what calls cost by default. A call that failed has no result.
pub(crate) fn call_cost(function: &str, overload: &str, args: &[Value<'_>], result: Option<&Value<'_>>) -> Option<u64> {
    extension_cost(overload, args, result).or_else(|| kubernetes_cost(function, overload, args, result))
}

/// Functions of cel-go's extensions whose costs are tracked.
fn extension_cost(overload: &str, args: &[Value<'_>], result: Option<&Value<'_>>) -> Option<u64> {
    let size_of = |index: usize| args.get(index).map_or(1, size);
    let result_size = result.map_or(1, size);
    Some(match overload {
        "list_sets_contains_list" | "list_sets_intersects_list" => sets(size_of(0), size_of(1), 1),
        "list_sets_equivalent_list" => sets(size_of(0), size_of(1), 2),
        "list_slice" | "lists_range" | "list_reverse" => new_list(result_size, 1.0),
        "list_flatten" => new_list(size_of(0), 1.0),
        "list_flatten_int" => match args.get(1) {
            #[allow(clippy::cast_precision_loss, reason = "as in cel-go")]
            Some(Value::Int(depth)) if *depth >= 0 => new_list(size_of(0), *depth as f64),
            _ => new_list(size_of(0), 1.0),
        },
        "list_distinct" => self_compare(args.first()?),
        sort if sort.starts_with("list_") && sort.ends_with("_sort") => self_compare(args.first()?),
        sort if sort.starts_with("list_") && sort.ends_with("_sortByAssociatedKeys") => self_compare(args.get(1)?),
        _ => return None,
    })
}

fn sets(left: u64, right: u64, factor: u64) -> u64 {
    left.wrapping_mul(right).saturating_mul(factor).saturating_add(1)
}

/// `trackListSelfCompare`.
fn self_compare(list: &Value<'_>) -> u64 {
    let first = match list {
        Value::List(list) => list.get(0).and_then(Result::ok),
        _ => None,
    };
    let factor = if matches!(first, Some(Value::String(_) | Value::Bytes(_))) { 2.0 + TRAVERSAL } else { 2.0 };
    let size = size(list);
    new_list(size.saturating_mul(size), factor)
}

/// `trackAllocatingListCall`.
fn new_list(size: u64, factor: f64) -> u64 {
    floor(size, factor).saturating_add(1 + LIST)
}

/// Functions of Kubernetes' libraries, and those of cel-go that Kubernetes puts a price on. By the name of the
/// function alone, whichever library an overload is of.
fn kubernetes_cost(function: &str, overload: &str, args: &[Value<'_>], result: Option<&Value<'_>>) -> Option<u64> {
    let first = || args.first().map(size);
    let second = || args.get(1).map(size);
    Some(match function {
        "check" => CHECK,
        "fieldSelector" | "labelSelector" => selector(second()?),
        "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" | "includes" => args.first().map_or(0, walk),
        "ip" if overload == "cidr_ip" => 1,
        "ip" | "url" | "lowerAscii" | "upperAscii" | "substring" | "trim" | "cidr" | "isIP" | "isCIDR" | "quantity"
        | "isQuantity" | "semver" | "isSemver" => scaled(first()?, TRAVERSAL),
        "replace" | "split" | "ip.isCanonical" => scaled(first()?, 2.0 * TRAVERSAL),
        "join" => scaled(result.map_or(1, size), 2.0 * TRAVERSAL),
        "find" | "findAll" => pattern(first()?, second()?),
        "containsIP" => {
            let parse = if overload == "cidr_contains_ip_string" { scaled(second()?, TRAVERSAL) } else { 0 };
            scaled(first()? * 2, TRAVERSAL) + parse
        }
        "containsCIDR" => {
            let parse = if overload == "cidr_contains_cidr_string" { scaled(second()?, TRAVERSAL) } else { 0 };
            scaled(first()? * 2, TRAVERSAL) + scaled(first()?, TRAVERSAL) + 1 + parse
        }
        "validate" => match args {
            [Value::Opaque(Opaque::Format(name)), text, ..] => pattern(size(text), pattern_size(name)?),
            _ => return None,
        },
        _ if AT_ONCE.contains(&function) => 1,
        "_==_" => match args {
            [Value::Opaque(_), _] => 1,
            _ => return None,
        },
        _ => return None,
    })
}

/// A string that a pattern of some length is applied to.
fn pattern(text: u64, pattern: u64) -> u64 {
    scaled(text.saturating_add(1), TRAVERSAL).saturating_mul(scaled(pattern, PATTERN))
}

/// A selector: read, and a requirement made of every two characters (`selectorCostEstimate`).
fn selector(length: u64) -> u64 {
    let requirements = scaled(length, 0.5).saturating_mul(LIST + STRUCTURE);
    LIST.saturating_add(scaled(length, TRAVERSAL)).saturating_add(requirements)
}

/// How many parts a value has (`actualSize`).
fn size(value: &Value<'_>) -> u64 {
    match value {
        Value::Opaque(Opaque::Ip(IpAddr::V4(_))) => 4,
        Value::Opaque(Opaque::Ip(IpAddr::V6(_))) => 16,
        Value::Opaque(Opaque::Cidr(cidr)) => u64::from(cidr.prefix.div_ceil(8)),
        Value::Optional(_) => 1,
        value => value.size(),
    }
}

/// What looking at all of a value costs (`traversalCost`). The recursion follows values in each other, whose depth an
/// object or an expression bounds.
fn walk(value: &Value<'_>) -> u64 {
    match value {
        Value::String(text) => floor(text.as_str().len() as u64, TRAVERSAL),
        Value::Bytes(bytes) => floor(bytes.len() as u64, TRAVERSAL),
        Value::List(list) => list.iter().flatten().map(|item| walk(&item)).fold(0, u64::saturating_add),
        Value::Map(map) => {
            let entry = |key: &Value<'_>| walk(key).saturating_add(map.get(key).ok().flatten().map_or(1, |v| walk(&v)));
            map.keys().iter().map(entry).fold(0, u64::saturating_add)
        }
        _ => 1,
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "sizes are far below 2^52, and casts saturate"
)]
fn floor(size: u64, factor: f64) -> u64 {
    (size as f64 * factor) as u64
}
