//! The costs of the libraries' functions: `EstimateCallCost` in k8s.io/apiserver/pkg/cel/library/cost.go, after the
//! estimators that cel-go's ext/{sets,lists}.go register for their overloads.

use ::cel::common::ast::{Expr, LiteralValue};

use super::calls::{REGEX, TRAVERSAL};
use super::{Estimator, Operand, Range};
use crate::library::cost::AT_ONCE;
use crate::overload::Overload;
use crate::types::Type;

/// The longest name format, in characters of its regular expression.
const NAME_FORMAT_REGEX_MAX: f64 = 128.0;
/// The longest name of a format.
const FORMAT_MAX: u64 = 64;

/// A cost, and the size of the result if it is known.
type Estimate = (Range, Option<Range>);

/// The cost of a function of a library without its arguments' costs; `None` for all others.
pub(super) fn estimate<'a>(
    estimator: &Estimator<'a>,
    overload: &Overload,
    target: Option<&Operand<'a>>,
    args: &[Operand<'a>],
) -> Option<Estimate> {
    extension(estimator, overload.id, target, args).or_else(|| kubernetes(estimator, overload, target, args))
}

/// cel-go's sets and lists.
fn extension<'a>(
    estimator: &Estimator<'a>,
    id: &str,
    target: Option<&Operand<'a>>,
    args: &[Operand<'a>],
) -> Option<Estimate> {
    let allocating = |factor: f64, size: Range| {
        let cost = size.scaled(factor).add(Range::fixed(1)).add(Range::fixed(10));
        Some((cost, Some(size)))
    };
    let size = |operand: &Operand<'a>| size_of(estimator, operand);
    match (id, target, args) {
        ("list_sets_contains_list" | "list_sets_intersects_list", _, [left, right]) => {
            Some((size(left).times(size(right)).scaled(1.0).add(Range::fixed(1)), None))
        }
        ("list_sets_equivalent_list", _, [left, right]) => {
            Some((size(left).times(size(right)).scaled(2.0).add(Range::fixed(1)), None))
        }
        ("list_slice", Some(target), [start, end]) => {
            let end = literal(end, size(target).max);
            allocating(1.0, Range::fixed(end.wrapping_sub(literal(start, 0))))
        }
        ("list_flatten" | "list_flatten_int", Some(target), [depth]) => {
            #[expect(clippy::cast_precision_loss, reason = "the same conversion as cel-go's")]
            let depth = literal(depth, u64::MAX) as f64;
            allocating(depth, size(target))
        }
        ("lists_range", None, [count]) => allocating(1.0, Range::fixed(literal(count, u64::MAX))),
        ("list_flatten" | "list_reverse", Some(target), []) => allocating(1.0, size(target)),
        ("list_distinct", Some(target), []) => {
            let size = size(target);
            allocating(2.0, size.times(size))
        }
        (_, Some(sorted), []) if id.starts_with("list_") && id.ends_with("_sort") => {
            let size = size(sorted);
            allocating(sort_factor(id), size.times(size))
        }
        (_, Some(_), [keys]) if id.starts_with("list_") && id.ends_with("_sortByAssociatedKeys") => {
            let size = size(keys);
            allocating(sort_factor(id), size.times(size))
        }
        _ => None,
    }
}

fn sort_factor(id: &str) -> f64 {
    if id.starts_with("list_string_") || id.starts_with("list_bytes_") { 2.0 + TRAVERSAL } else { 2.0 }
}

/// `nodeAsUintValue`: an integer that is written out, and not below zero.
fn literal(operand: &Operand<'_>, otherwise: u64) -> u64 {
    match integer(operand) {
        Some(int) => u64::try_from(int).unwrap_or(0),
        None => otherwise,
    }
}

fn integer(operand: &Operand<'_>) -> Option<i64> {
    match &operand.expr?.expr {
        Expr::Literal(LiteralValue::Int(int)) => Some(*int.inner()),
        _ => None,
    }
}

fn kubernetes<'a>(
    estimator: &Estimator<'a>,
    overload: &Overload,
    target: Option<&Operand<'a>>,
    args: &[Operand<'a>],
) -> Option<Estimate> {
    const ONE: Range = Range::fixed(1);
    let size = |operand: &Operand<'a>| size_of(estimator, operand);
    let estimate = match (overload.function, target, args) {
        ("isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" | "includes", Some(target), _) => {
            (search(estimator, overload.function, target), None)
        }
        ("url" | "jsonpatch.escapeKey", _, [text]) => {
            let size = size(text);
            (size.scaled(TRAVERSAL), Some(size))
        }
        ("lowerAscii" | "upperAscii" | "substring" | "trim", Some(target), _) => {
            let size = size(target);
            (size.scaled(TRAVERSAL), Some(size))
        }
        ("replace", Some(target), [from, to, ..]) => {
            let text = size(target);
            (text.scaled(2.0 * TRAVERSAL), Some(replaced(text, size(from), size(to))))
        }
        ("split", Some(target), _) => {
            let size = size(target);
            // At worst each character becomes an item; a limit that is written out is taken as Go casts it.
            let max = args.get(1).and_then(integer).map_or(size.max, i64::cast_unsigned);
            (size.scaled(2.0 * TRAVERSAL), Some(Range { min: 0, max }))
        }
        ("join", Some(target), _) => {
            let size = joined(estimator, target, args.first());
            (size.scaled(TRAVERSAL), Some(size))
        }
        ("find" | "findAll", Some(target), [regex, ..]) => {
            let text = size(target);
            let cost = text.add(ONE).scaled(TRAVERSAL).times(size(regex).scaled(REGEX));
            (cost, Some(Range { min: 0, max: text.max }))
        }
        ("ip", ..) if overload.id == "cidr_ip" => (ONE, None),
        ("cidr" | "isIP" | "isCIDR" | "ip" | "quantity" | "isQuantity" | "semver" | "isSemver", _, [text, ..]) => {
            (size(text).scaled(TRAVERSAL), None)
        }
        ("ip.isCanonical", _, [text, ..]) => (size(text).scaled(2.0 * TRAVERSAL), None),
        ("containsIP", _, [other, ..]) => {
            let mut cost = Range { min: 8, max: 32 }.scaled(TRAVERSAL);
            if overload.id == "cidr_contains_ip_string" {
                cost = cost.add(size(other).scaled(TRAVERSAL));
            }
            (cost, None)
        }
        ("containsCIDR", _, [other, ..]) => {
            let masked = Range { min: 4, max: 16 }.scaled(TRAVERSAL);
            let mut cost = Range { min: 8, max: 32 }.scaled(TRAVERSAL).add(masked).add(ONE);
            if overload.id == "cidr_contains_cidr_string" {
                cost = cost.add(size(other).scaled(TRAVERSAL));
            }
            (cost, None)
        }
        ("validate", _, [text, ..]) => (size(text).scaled(TRAVERSAL).scaled(NAME_FORMAT_REGEX_MAX * REGEX), None),
        (function, ..) if AT_ONCE.contains(&function) => (ONE, None),
        ("_==_", _, [left, right]) => (equality(left, right)?, None),
        _ => return None,
    };
    Some(estimate)
}

/// One comparison for each item, and for texts also going through them; a text itself is gone through.
fn search(estimator: &Estimator<'_>, function: &str, target: &Operand<'_>) -> Range {
    let size = size_of(estimator, target);
    match item_of(target) {
        Some(item) if matches!(item.kind, Type::String | Type::Bytes) => {
            size.times(Range::fixed(1).add(size_of(estimator, &item).scaled(TRAVERSAL)))
        }
        Some(_) => size.times(Range::fixed(1)),
        None if function == "includes" => size.times(Range::fixed(1)),
        None => size.scaled(TRAVERSAL),
    }
}

/// The size of a text in which `from` was replaced by `to`.
fn replaced(text: Range, from: Range, to: Range) -> Range {
    let (mut count, mut kept) = (Range::default(), Range::default());
    if from.min == 0 {
        count.max = text.max.saturating_add(1);
        kept.max = text.max;
    } else if to.max <= from.min {
        kept.max = text.max;
    } else {
        count.max = divided_up(text.max, from.min);
    }
    if from.max == 0 {
        count.min = text.min.saturating_add(1);
        kept.min = text.min;
    } else if from.max <= to.min {
        kept.min = text.min;
    } else {
        count.min = divided_up(text.min, from.max);
    }
    count.times(to).add(kept)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the same conversions as kube-apiserver's"
)]
fn divided_up(size: u64, by: u64) -> u64 {
    let quotient = (size as f64 / by as f64).ceil();
    // Go on amd64 casts floats that do not fit to the sign bit.
    if quotient >= 18_446_744_073_709_551_616.0 { 1 << 63 } else { quotient as u64 }
}

/// The size of a joined list.
fn joined(estimator: &Estimator<'_>, list: &Operand<'_>, separator: Option<&Operand<'_>>) -> Range {
    let count = size_of(estimator, list);
    let mut size = item_of(list).map_or(Range::default(), |item| count.times(size_of(estimator, &item)));
    if let Some(separator) = separator {
        let gaps = Range { min: count.min.saturating_sub(1), max: count.max.saturating_sub(1) };
        size = size.add(size_of(estimator, separator).times(gaps));
    }
    size
}

/// Equality of values of the libraries' types.
fn equality(left: &Operand<'_>, right: &Operand<'_>) -> Option<Range> {
    let (Type::Opaque(name), Type::Opaque(other)) = (&left.kind, &right.kind) else { return None };
    if name != other {
        return None;
    }
    match *name {
        "net.IP" | "net.CIDR" | "kubernetes.Quantity" | "kubernetes.Semver" => Some(Range::fixed(1)),
        "kubernetes.NamedFormat" => Some(Range { min: 1, max: FORMAT_MAX }.scaled(TRAVERSAL)),
        "kubernetes.URL" => Some(Range { min: 1, max: right.size.map_or(1, |size| size.max) }.scaled(TRAVERSAL)),
        _ => None,
    }
}

/// The items of a list, or what else a type is made of first.
fn item_of<'a>(list: &Operand<'a>) -> Option<Operand<'a>> {
    let kind = match &list.kind {
        Type::List(inside) | Type::Map(inside, _) | Type::Optional(inside) | Type::TypeOf(inside) => {
            Type::clone(inside)
        }
        _ => return None,
    };
    let path = if list.path.is_empty() { list.path.clone() } else { list.path.copied_with("@items") };
    Some(Operand { expr: None, kind, path, size: None })
}

fn size_of(estimator: &Estimator<'_>, operand: &Operand<'_>) -> Range {
    operand.size.or_else(|| estimator.declared_size(&operand.path)).unwrap_or(Range::UNKNOWN)
}
