//! What a definition is refused for because of its rules.
//!
//! Follows `ValidateCustomResourceDefinitionOpenAPISchema` and `CELSchemaContext` in
//! apiextensions-apiserver/pkg/apis/apiextensions/validation/{validation,cel_validation}.go.

use kindsmith_text::print;
use std::cell::OnceCell;
use std::sync::Arc;

use serde_json::Value;

use super::budget::{EXPRESSION_COST_MAX, Total, count_below, count_per_request, exceeded};
use super::compile::Expressions;
use super::field_path;
use super::rule::REASONS;
use crate::cel::declare::{self, Place};
use crate::field::{FieldError, FieldPath};
use crate::structural::node::Node;
use kindsmith_cel::declared::{Declared, Shape};

/// Where a schema stands, as far as its rules are concerned.
pub(crate) struct Scope<'a> {
    schema: &'a Node,
    parent: Option<(&'a Scope<'a>, Step<'a>)>,
    /// The schema or one around it has rules.
    in_rules: bool,
    /// How often a value can exist; `None` is unbounded.
    count: Option<u64>,
    /// What rules see; `None` if they cannot see this schema.
    declared: OnceCell<Option<Arc<Declared>>>,
}

/// The way from a schema to one inside of it.
#[derive(Clone, Copy)]
pub(crate) enum Step<'a> {
    /// A field.
    Field(&'a str),
    /// An item or an entry.
    Inside,
}

impl<'a> Scope<'a> {
    /// The schema of a resource.
    pub(crate) fn root(schema: &'a Node) -> Self {
        let in_rules = !schema.extensions.rules.is_empty();
        Self { schema, parent: None, in_rules, count: Some(1), declared: OnceCell::new() }
    }

    /// The schema inside of this one.
    pub(crate) fn child<'b>(&'b self, schema: &'b Node, step: Step<'b>) -> Scope<'b>
    where
        'a: 'b,
    {
        Scope {
            schema,
            parent: Some((self, step)),
            in_rules: self.in_rules || !schema.extensions.rules.is_empty(),
            count: count_below(self.count, self.schema),
            declared: OnceCell::new(),
        }
    }

    /// `TypeInfo`: part of what the schema around it declares, or else its own.
    fn declared(&self) -> Option<&Arc<Declared>> {
        self.declared
            .get_or_init(|| {
                if let Some((parent, step)) = self.parent.filter(|(parent, _)| parent.in_rules) {
                    let around = parent.declared()?;
                    if let Some(inside) = inside(around, step) {
                        return Some(Arc::clone(inside));
                    }
                }
                declare::from_schema(
                    self.schema,
                    if self.parent.is_none() { Place::Resource } else { Place::of(self.schema) },
                )
            })
            .as_ref()
    }
}

/// What a declaration says of what is inside.
pub(super) fn inside<'a>(around: &'a Declared, step: Step<'_>) -> Option<&'a Arc<Declared>> {
    match (step, &around.shape) {
        (Step::Field(name), Shape::Object { fields }) => Some(&fields.get(name)?.declared),
        (Step::Inside, Shape::List { items, .. }) => Some(items),
        (Step::Inside, Shape::Map { values }) => Some(values),
        _ => None,
    }
}

/// What all rules of a schema cost, by estimate.
#[derive(Default)]
pub(crate) struct Costs {
    total: Total,
}

impl Costs {
    /// What is wrong if that is too much for the schema at `at`.
    pub(crate) fn errors(&self, at: &FieldPath) -> Vec<FieldError> {
        self.total.errors(at)
    }

    /// Compiles the rules of the schema at `at` and returns what is wrong with their expressions. `uncorrelatable`
    /// is the schema around it whose old and new values cannot be told to be the same, if there is one.
    pub(crate) fn check(
        &mut self,
        scope: &Scope<'_>,
        at: &FieldPath,
        uncorrelatable: Option<&FieldPath>,
    ) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let rules = &scope.schema.extensions.rules;
        if rules.is_empty() {
            return errors;
        }
        let at = at.child("x-kubernetes-validations");
        let Some(declared) = scope.declared() else {
            let detail = "internal error: failed to construct type information for x-kubernetes-validations rules: \
                          unable to convert structural schema to CEL declarations";
            errors.push(FieldError::internal(&at, detail));
            return errors;
        };
        let count = scope.count.unwrap_or_else(|| count_per_request(declared.min_serialized_size));
        for (i, rule) in rules.iter().enumerate() {
            let at = at.index(i);
            let compiled = Expressions::compile(rule, declared);
            self.expressions(&compiled, &rule.printed(), count, &at, &mut errors);
            let uses_old_self = compiled.rule.as_ref().is_ok_and(|rule| rule.uses_old_self);
            if let Some(uncorrelatable) = uncorrelatable.filter(|_| uses_old_self) {
                let detail = format!(
                    "oldSelf cannot be used on the uncorrelatable portion of the schema within {uncorrelatable}"
                );
                errors.push(FieldError::invalid_text(&at.child("rule"), &rule.rule, &detail));
            }
            if let Some(optional) = rule.optional_old_self.filter(|_| !uses_old_self) {
                let detail = "may not be set if oldSelf is not used in rule";
                errors.push(FieldError::invalid(&at.child("optionalOldSelf"), &Value::Bool(optional), detail));
            }
        }
        errors
    }

    fn expressions(
        &mut self,
        compiled: &Expressions,
        printed: &str,
        count: u64,
        at: &FieldPath,
        errors: &mut Vec<FieldError>,
    ) {
        let rule_at = at.child("rule");
        let cost = compiled.rule.as_ref().map_or(0, |rule| rule.cost.saturating_mul(count));
        if cost > EXPRESSION_COST_MAX {
            let detail = exceeded("estimated rule cost", cost, EXPRESSION_COST_MAX);
            errors.push(FieldError::forbidden(&rule_at, &detail));
        }
        self.total.add(rule_at.clone(), cost);
        if let Err(detail) = &compiled.rule {
            errors.push(FieldError::invalid_printed(&rule_at, printed, detail));
        }
        let message_at = at.child("messageExpression");
        match &compiled.message {
            Some(Err(detail)) => errors.push(FieldError::invalid_printed(&message_at, printed, detail)),
            Some(Ok(message)) => {
                if message.cost > EXPRESSION_COST_MAX {
                    let detail = exceeded("estimated messageExpression cost", message.cost, EXPRESSION_COST_MAX);
                    errors.push(FieldError::forbidden(&message_at, &detail));
                }
                self.total.add(message_at, message.cost);
            }
            None => {}
        }
    }
}

/// What is wrong with how the rules of the schema at `at` are written, apart from their expressions.
pub(crate) fn faults(schema: &Node, at: &FieldPath) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let has_newline = |text: &str| text.contains(['\n', '\r']);
    for (i, rule) in schema.extensions.rules.iter().enumerate() {
        let at = at.child("x-kubernetes-validations").index(i);
        let message = &rule.message;
        if rule.rule.trim().is_empty() {
            errors.push(FieldError::required(&at.child("rule"), "rule is not specified"));
        } else if !message.is_empty() && message.trim().is_empty() {
            errors.push(FieldError::invalid_text(&at.child("message"), message, "must be non-empty if specified"));
        } else if has_newline(message.trim()) {
            errors.push(FieldError::invalid_text(&at.child("message"), message, "must not contain line breaks"));
        } else if has_newline(rule.rule.trim()) && message.trim().is_empty() {
            let detail = "message must be specified if rule contains line breaks";
            errors.push(FieldError::required(&at.child("message"), detail));
        }
        let expression = &rule.message_expression;
        if !expression.is_empty() && expression.trim().is_empty() {
            let detail = "messageExpression must be non-empty if specified";
            errors.push(FieldError::required(&at.child("messageExpression"), detail));
        }
        if let Some(reason) = rule.reason.as_deref().filter(|reason| !REASONS.contains(reason)) {
            // A string of a type of its own is shown as JSON.
            let printed = print::json(&Value::from(reason));
            errors.push(FieldError::not_supported_printed(&at.child("reason"), &printed, &REASONS));
        }
        let path = &rule.field_path;
        let at = at.child("fieldPath");
        if !path.is_empty() && path.trim().is_empty() {
            errors.push(FieldError::invalid_text(&at, path, "must be non-empty if specified"));
        }
        if has_newline(path) {
            errors.push(FieldError::invalid_text(&at, path, "must not contain line breaks"));
        }
        if !path.is_empty() && field_path::resolve(path, schema).is_none() {
            errors.push(FieldError::invalid_text(&at, path, "must be a valid path"));
        }
    }
    errors
}
