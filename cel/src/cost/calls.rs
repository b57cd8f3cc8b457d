//! The costs of operators and of standard functions: `functionCost` in cel-go's checker/cost.go.

use ::cel::common::ast::IdedExpr;

use super::{Entries, Estimator, Operand, Range};

/// The cost of going through a string, per character.
pub(super) const TRAVERSAL: f64 = 0.1;
/// The cost of a regular expression, per character.
pub(super) const REGEX: f64 = 0.25;

/// The cost of the overload `id` with its arguments' costs, and the size of its result.
pub(super) fn estimate<'a>(
    estimator: &mut Estimator<'a>,
    expr: &IdedExpr,
    id: &str,
    target: Option<&Operand<'a>>,
    args: &[Operand<'a>],
    costs: &[Range],
) -> (Range, Option<Range>) {
    let sum = costs.iter().fold(Range::default(), |sum, cost| sum.add(*cost));
    let size_of = |operand: &Operand<'_>| operand.size.unwrap_or(Range::UNKNOWN);
    let traversal = |size: Range| size.scaled(TRAVERSAL).add(sum);
    match (id, target, args) {
        ("string_format", Some(target), _) => (traversal(size_of(target)), None),
        ("string_to_bytes", _, [arg]) => {
            let size = size_of(arg);
            (traversal(size), Some(Range { min: size.min, max: size.max.wrapping_mul(4) }))
        }
        ("bytes_to_string", _, [arg]) => {
            let size = size_of(arg);
            (traversal(size), Some(Range { min: size.min / 4, max: size.max }))
        }
        ("strings_quote", _, [arg]) => {
            let size = size_of(arg);
            let quoted = Range { min: size.min.wrapping_add(2), max: size.max.wrapping_mul(2).wrapping_add(2) };
            (traversal(size), Some(quoted))
        }
        ("starts_with_string" | "ends_with_string", _, [arg]) => (traversal(size_of(arg)), None),
        ("in_list", _, [_, list]) => (size_of(list).scaled(1.0).add(sum), None),
        ("matches_string", Some(text), [regex]) | ("matches", None, [text, regex]) => {
            let text = size_of(text).add(Range::fixed(1)).scaled(TRAVERSAL);
            (text.times(size_of(regex).scaled(REGEX)).add(sum), None)
        }
        ("contains_string", Some(text), [part]) => {
            (size_of(text).scaled(TRAVERSAL).times(size_of(part).scaled(TRAVERSAL)).add(sum), None)
        }
        ("logical_or" | "logical_and", ..) => match costs {
            [left, right, ..] => (Range { min: left.min, max: left.add(*right).max }, None),
            _ => (sum, None),
        },
        ("conditional", _, [_, yes, no]) => {
            let entries = Entries::union(entries(estimator, yes), entries(estimator, no));
            if let Some(entries) = entries {
                estimator.entries.insert(expr.id, entries);
            }
            let cost = match costs {
                [condition, yes, no] => condition.add(yes.union(*no)),
                _ => sum,
            };
            (cost, Some(size_of(yes).union(size_of(no))))
        }
        ("add_string" | "add_bytes" | "add_list", _, [left, right]) => {
            let size = size_of(left).add(size_of(right));
            if let Some(entries) = Entries::union(entries(estimator, left), entries(estimator, right)) {
                estimator.entries.insert(expr.id, entries);
            }
            let cost = if id == "add_list" { Range::fixed(1).add(sum) } else { traversal(size) };
            (cost, Some(size))
        }
        (
            "less_string"
            | "greater_string"
            | "less_equals_string"
            | "greater_equals_string"
            | "less_bytes"
            | "greater_bytes"
            | "less_equals_bytes"
            | "greater_equals_bytes"
            | "equals"
            | "not_equals",
            _,
            [left, right],
        ) => {
            let max = size_of(left).max.min(size_of(right).max);
            (traversal(Range { min: u64::from(max > 0), max }), None)
        }
        _ => (Range::fixed(1).add(sum), None),
    }
}

fn entries(estimator: &Estimator<'_>, operand: &Operand<'_>) -> Option<Entries> {
    estimator.entries_of(operand.expr?)
}
