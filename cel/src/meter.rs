//! What running costs, and where it ends.
//!
//! Follows cel-go's `interpreter/runtimecost.go` and `common/cost.go`.

use super::cost::scaled;
use super::library;
use super::plan::Call;
use super::value::{EvalError, Value};

/// A variable with all that is selected from it.
pub(super) const ATTRIBUTE: u64 = 1;

/// One field or index that is selected.
pub(super) const QUALIFIER: u64 = 1;

/// A list that is made.
pub(super) const LIST: u64 = 10;

/// A map that is made.
pub(super) const MAP: u64 = 30;

/// The cost of a character or byte that is looked at.
const TRAVERSAL: f64 = 0.1;

/// The cost of a character of a regular expression.
const PATTERN: f64 = 0.25;

/// Counts costs up to a limit.
#[derive(Debug)]
pub(super) struct Meter {
    spent: u64,
    limit: u64,
}

/// The sizes of a call's arguments; no function whose cost depends on them has more than two.
pub(super) struct Sizes {
    first: u64,
    second: u64,
}

impl Sizes {
    pub(super) fn of(args: &[Value<'_>]) -> Self {
        let size = |index: usize| args.get(index).map_or(0, Value::size);
        Self { first: size(0), second: size(1) }
    }
}

/// Whether a library wants to see the arguments of a call to say what it costs.
pub(super) fn needs_arguments(function: &str) -> bool {
    super::standard::operation(function).is_none()
}

impl Meter {
    pub(super) fn new(limit: u64) -> Self {
        Self { spent: 0, limit }
    }

    /// What was spent so far.
    pub(super) fn spent(&self) -> u64 {
        self.spent
    }

    /// Spends.
    pub(super) fn charge(&mut self, cost: u64) -> Result<(), EvalError> {
        self.spent = self.spent.saturating_add(cost);
        if self.spent > self.limit { Err(EvalError::CostLimit) } else { Ok(()) }
    }

    /// Pays back.
    pub(super) fn refund(&mut self, cost: u64) {
        self.spent = self.spent.saturating_sub(cost);
    }

    /// What comparing two values costs. A fault counts as one part.
    pub(super) fn charge_equality(
        &mut self,
        left: &Result<Value<'_>, EvalError>,
        right: &Result<Value<'_>, EvalError>,
    ) -> Result<(), EvalError> {
        let size = |value: &Result<Value<'_>, EvalError>| value.as_ref().map_or(1, Value::size);
        self.charge(scaled(size(left).min(size(right)), TRAVERSAL))
    }

    /// What a call costs that was made.
    pub(super) fn charge_call(
        &mut self,
        call: &Call,
        sizes: &Sizes,
        args: &[Value<'_>],
        result: Option<&Value<'_>>,
    ) -> Result<(), EvalError> {
        if needs_arguments(&call.function)
            && let Some(cost) = library::cost::call_cost(&call.function, call.overload, args, result)
        {
            return self.charge(cost);
        }
        let (first, second) = (sizes.first, sizes.second);
        self.charge(match call.overload {
            "starts_with_string" | "ends_with_string" => scaled(second, TRAVERSAL),
            "string_to_bytes" | "bytes_to_string" | "strings_quote" | "string_format_list" | "string_format" => {
                scaled(first, TRAVERSAL)
            }
            "in_list" => second,
            "less_string"
            | "greater_string"
            | "less_equals_string"
            | "greater_equals_string"
            | "less_bytes"
            | "greater_bytes"
            | "less_equals_bytes"
            | "greater_equals_bytes" => scaled(first.min(second), TRAVERSAL),
            "add_string" | "add_bytes" => scaled(first.saturating_add(second), TRAVERSAL),
            "matches" | "matches_string" => {
                scaled(first.saturating_add(1), TRAVERSAL).saturating_mul(scaled(second, PATTERN))
            }
            "contains_string" => scaled(first, TRAVERSAL).saturating_mul(scaled(second, TRAVERSAL)),
            _ => 1,
        })
    }
}
