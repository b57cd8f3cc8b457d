//! What the rules of one schema may cost, by estimate.
//!
//! Follows apiextensions-apiserver/pkg/apis/apiextensions/validation/{validation,cel_validation}.go. Each version of
//! a definition has a budget of its own, as in kube-apiserver.

use crate::field::{FieldError, FieldPath};
use crate::structural::node::Node;

/// The most that one expression may cost, estimated (`StaticEstimatedCostLimit`).
pub(crate) const EXPRESSION_COST_MAX: u64 = 10_000_000;

/// The most that all expressions of one schema may cost, estimated (`StaticEstimatedCRDCostLimit`).
pub(crate) const SCHEMA_COST_MAX: u64 = 100_000_000;

/// The bytes of the largest request (`MaxRequestSizeBytes`).
const REQUEST_BYTES_MAX: u64 = 3 * 1024 * 1024;

/// How many of the most expensive expressions are named.
const CONTRIBUTORS_MAX: usize = 4;

/// The cost of all expressions so far (`TotalCost`).
#[derive(Debug, Default)]
pub(super) struct Total {
    sum: u64,
    most_expensive: Vec<(FieldPath, u64)>,
}

impl Total {
    /// Adds an expression.
    pub(super) fn add(&mut self, at: FieldPath, cost: u64) {
        self.sum = self.sum.saturating_add(cost);
        if cost < SCHEMA_COST_MAX / 100 {
            return;
        }
        self.most_expensive.push((at, cost));
        self.most_expensive.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
        self.most_expensive.truncate(CONTRIBUTORS_MAX);
    }

    /// What is wrong if the sum is too much for the schema at `at`.
    pub(super) fn errors(&self, at: &FieldPath) -> Vec<FieldError> {
        if self.sum <= SCHEMA_COST_MAX {
            return Vec::new();
        }
        let contributed = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
        let mut errors: Vec<_> =
            self.most_expensive.iter().map(|(path, _)| FieldError::forbidden(path, contributed)).collect();
        let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        errors.push(FieldError::forbidden(at, &exceeded(what, self.sum, SCHEMA_COST_MAX)));
        errors
    }
}

/// By what factor a cost exceeds a limit, as kube-apiserver prints it.
#[expect(clippy::cast_precision_loss, reason = "the same conversion as kube-apiserver's")]
pub(crate) fn exceeding_factor(cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    if factor > 100.0 {
        "more than 100x".to_owned()
    } else if factor < 1.5 {
        format!("{factor:.6}x")
    } else {
        format!("{factor:.1}x")
    }
}

/// `getCostErrorMessage`.
pub(super) fn exceeded(what: &str, cost: u64, limit: u64) -> String {
    let factor = exceeding_factor(cost, limit);
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and \
         maxLength where arrays, maps, and strings are declared)"
    )
}

/// How often a value below `schema` can exist where the schema itself can `count` times; `None` is unbounded
/// (`childContext`, `extractMaxElements`).
pub(super) fn count_below(count: Option<u64>, schema: &Node) -> Option<u64> {
    let limit = match schema.type_name.as_str() {
        "object" if schema.additional.is_some() => schema.sizes.max_properties?,
        "array" => schema.sizes.max_items?,
        _ => 1,
    };
    Some(count?.saturating_mul(u64::try_from(limit).unwrap_or(0)))
}

/// How often a value of at least `bytes` fits into a request (`maxCardinality`).
pub(super) fn count_per_request(bytes: u64) -> u64 {
    REQUEST_BYTES_MAX / bytes.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_print_as_kube_apiserver_prints_them() {
        let factor = |cost| {
            let text = exceeded("cost", cost, 10_000_000);
            text.split_whitespace().nth(6).map(str::to_owned).unwrap_or_default()
        };
        assert_eq!(factor(10_000_001), "1.000000x");
        assert_eq!(factor(12_345_678), "1.234568x");
        assert_eq!(factor(15_500_000), "1.6x");
        assert_eq!(factor(1_000_000_000), "100.0x");
        assert_eq!(factor(1_000_000_001), "more");
    }

    #[test]
    fn the_four_most_expensive_rules_are_named() {
        let mut total = Total::default();
        for (i, cost) in [20, 90, 30, 80, 40, 0].into_iter().enumerate() {
            total.add(FieldPath::root().child("rule").index(i), cost * 1_000_000);
        }
        let errors = total.errors(&FieldPath::root().child("schema"));
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["rule[1]", "rule[3]", "rule[4]", "rule[2]", "schema"]);
    }
}
