//! Whether the defaults of a schema are values of the schema.
//!
//! Follows apiextensions-apiserver/pkg/apiserver/schema/defaulting/validation.go.

use serde_json::Value;

use super::node::Node;
use super::prune::{self, Level};
use super::{embedded, validate};
use crate::cel::rules::{self, Budget, Ratcheting, RuleTree};
use crate::field::{FieldError, FieldPath};

/// What is wrong with the defaults in `schema`, whose rules are `tree`.
pub(super) fn check(schema: &Node, tree: Option<&RuleTree>, at: &FieldPath) -> Vec<FieldError> {
    let mut walk = Walk { errors: Vec::new(), budget: Budget::default() };
    walk.value(schema, tree, at);
    walk.errors
}

struct Walk {
    errors: Vec<FieldError>,
    /// The rules of all defaults share it.
    budget: Budget,
}

impl Walk {
    fn value(&mut self, schema: &Node, tree: Option<&RuleTree>, at: &FieldPath) {
        if let Some(default) = &schema.default {
            self.default(schema, default, tree, &at.child("default"));
        }
        if self.budget.is_exceeded() {
            return;
        }
        // Inside of additionalProperties defaults are not followed, as in kube-apiserver.
        if let Some(items) = &schema.items {
            self.value(items, tree.and_then(RuleTree::items), &at.child("items"));
        }
        for (name, field) in &schema.properties {
            if self.budget.is_exceeded() {
                return;
            }
            self.value(field, tree.and_then(|tree| tree.field(name)), &at.child("properties").key(name));
        }
    }

    fn default(&mut self, schema: &Node, default: &Value, tree: Option<&RuleTree>, at: &FieldPath) {
        let mut pruned = default.clone();
        let level = if schema.extensions.embedded_resource { Level::Resource } else { Level::Value };
        prune::prune(&mut pruned, schema, level);
        if pruned != *default {
            self.errors.push(FieldError::invalid(at, default, "must not have unknown fields"));
        }
        let inside = embedded::check(default, schema, at);
        if let Some(first) = inside.iter().find(|error| error.detail.ends_with("must be a string")) {
            // kube-apiserver stops at the first type or kind that is no string, before it looks at the rest.
            self.errors.push(first.clone());
        } else if !inside.is_empty() {
            self.errors.extend(inside);
        } else {
            let invalid = validate::validate_default(schema, default, at);
            if invalid.is_empty() {
                self.rules(schema, default, tree, at);
            }
            self.errors.extend(invalid);
        }
    }

    /// The default must be right where nothing was before, and where it was before.
    fn rules(&mut self, schema: &Node, default: &Value, tree: Option<&RuleTree>, at: &FieldPath) {
        let Some(tree) = tree else { return };
        let run =
            |old, budget: &mut Budget| rules::validate(tree, schema, default, old, Ratcheting::Strict, at, budget);
        let mut budget = self.budget;
        let errors = run(Some(default), &mut budget);
        if errors.is_empty() {
            let mut created = self.budget;
            self.errors.extend(run(None, &mut created));
            budget = budget.least(created);
        }
        self.errors.extend(errors);
        self.budget = budget;
    }
}
