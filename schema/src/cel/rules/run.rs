//! The rules of an object: which run, on what, and what they find, under a budget for all of them.
//!
//! Follows `Validator.validate` in apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go. What is a warning
//! there, because nothing changed, is forgiven here without one.

use std::ops::ControlFlow;

use serde_json::{Map, Value as Json};

use super::compile::{Expression, Variables};
use super::message::{self, Message};
use super::tree::{CompiledRule, RuleTree};
use crate::field::{FieldError, FieldPath};
use crate::structural::node::{Additional, Node};
use crate::structural::ratchet::{Pair, Ratchet};
use kindsmith_cel::value::{EvalError, Value};

/// What the rules of one object may cost (`RuntimeCELCostBudget`).
const OBJECT_COST_MAX: u64 = 10_000_000;

/// What rules may still cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Budget {
    left: u64,
    spent: Spent,
}

/// Whether something was refused for its cost. More than all is less than nothing left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Spent {
    More,
    Within,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: OBJECT_COST_MAX, spent: Spent::Within }
    }
}

impl Budget {
    /// Whether no further rules run.
    pub(crate) fn is_exceeded(self) -> bool {
        self.spent == Spent::More
    }

    /// The smaller of the two.
    pub(crate) fn least(self, other: Self) -> Self {
        if self.is_exceeded() || (!other.is_exceeded() && self.left <= other.left) { self } else { other }
    }

    /// Takes `cost` away, if there is enough.
    pub(super) fn spend(&mut self, cost: u64) -> Result<(), message::OutOfBudget> {
        self.left = self.left.checked_sub(cost).ok_or(message::OutOfBudget)?;
        Ok(())
    }

    fn exceed(&mut self) {
        self.spent = Spent::More;
    }
}

/// Whether errors about what did not change are forgiven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ratcheting {
    /// They are.
    Forgiving,
    /// They are not: of defaults.
    Strict,
}

/// The rules that an object breaks.
#[derive(Debug, Default)]
pub(crate) struct Broken {
    /// Errors.
    pub(crate) errors: Vec<FieldError>,
    /// What was wrong before and did not change.
    pub(crate) forgiven: Vec<FieldError>,
}

impl Broken {
    fn add(&mut self, error: FieldError, ratcheting: Ratcheting) {
        match ratcheting {
            Ratcheting::Forgiving => self.forgiven.push(error),
            Ratcheting::Strict => self.errors.push(error),
        }
    }
}

/// What `object`, of the schema `schema` and its rules `tree`, breaks; reported below `at`.
pub(crate) fn validate(
    tree: &RuleTree,
    schema: &Node,
    object: &Json,
    old: Option<&Json>,
    ratcheting: Ratcheting,
    at: &FieldPath,
    budget: &mut Budget,
) -> Broken {
    let current = old.filter(|_| ratcheting == Ratcheting::Forgiving).map(|old| Pair { old, schema });
    let mut run = Run { ratchet: Ratchet::default(), broken: Broken::default(), budget: *budget };
    if run.value(tree, schema, object, old, Correlation { current, nearest: None }, at).is_break() {
        run.budget.exceed();
    }
    *budget = run.budget;
    run.broken
}

/// Which old value tells whether something changed (`ratchetingOptions`).
#[derive(Clone, Copy, Default)]
struct Correlation<'a> {
    /// Of the value at hand.
    current: Option<Pair<'a>>,
    /// Of the nearest value around it that had one, with that value.
    nearest: Option<(Pair<'a>, &'a Json)>,
}

impl<'a> Correlation<'a> {
    fn field(self, around: &'a Json, name: &str) -> Self {
        let Some(current) = self.current else { return self };
        // Both versions of the object were converted to one type.
        if self.nearest.is_none() && matches!(name, "apiVersion" | "kind") {
            return Self::default();
        }
        Self { current: current.field(name), nearest: Some((current, around)) }
    }

    fn item(self, ratchet: &Ratchet<'a>, around: &'a Json, item: &Json) -> Self {
        let Some(current) = self.current else { return self };
        Self { current: ratchet.item(current, item), nearest: Some((current, around)) }
    }
}

struct Run<'a> {
    ratchet: Ratchet<'a>,
    broken: Broken,
    budget: Budget,
}

impl<'a> Run<'a> {
    fn value(
        &mut self,
        tree: &'a RuleTree,
        schema: &'a Node,
        value: &'a Json,
        old: Option<&'a Json>,
        correlation: Correlation<'a>,
        at: &FieldPath,
    ) -> ControlFlow<()> {
        if value.is_null() {
            return ControlFlow::Continue(());
        }
        self.rules(tree, schema, value, old.filter(|old| !old.is_null()), correlation, at)?;
        match value {
            Json::Array(items) => {
                let Some((tree, item_schema)) = tree.items.as_deref().zip(schema.items.as_deref()) else {
                    return ControlFlow::Continue(());
                };
                let pair = old.map(|old| Pair { old, schema });
                for (i, item) in items.iter().enumerate() {
                    let old = pair.and_then(|pair| self.ratchet.item(pair, item)).map(|pair| pair.old);
                    let correlation = correlation.item(&self.ratchet, value, item);
                    self.value(tree, item_schema, item, old, correlation, &at.index(i))?;
                }
                ControlFlow::Continue(())
            }
            Json::Object(map) => self.map(tree, schema, value, map, old, correlation, at),
            _ => ControlFlow::Continue(()),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one level of the walk, with its map at hand")]
    fn map(
        &mut self,
        tree: &'a RuleTree,
        schema: &'a Node,
        value: &'a Json,
        map: &'a Map<String, Json>,
        old: Option<&'a Json>,
        correlation: Correlation<'a>,
        at: &FieldPath,
    ) -> ControlFlow<()> {
        let old = old.and_then(Json::as_object).filter(|_| schema.is_correlatable_map());
        let old_of = |name: &str| old.and_then(|old| old.get(name));
        if let Some((tree, entry)) =
            tree.entries.as_deref().zip(schema.additional.as_ref().and_then(Additional::schema))
        {
            for (name, item) in map {
                let correlation = correlation.field(value, name);
                self.value(tree, entry, item, old_of(name), correlation, &at.key(name))?;
            }
        }
        for (name, tree) in &tree.fields {
            if let Some((item, field)) = map.get(name).zip(schema.properties.get(name)) {
                let correlation = correlation.field(value, name);
                self.value(tree, field, item, old_of(name), correlation, &at.child(name))?;
            }
        }
        ControlFlow::Continue(())
    }

    /// `validateExpressions`.
    fn rules(
        &mut self,
        tree: &'a RuleTree,
        schema: &Node,
        value: &'a Json,
        old: Option<&'a Json>,
        correlation: Correlation<'a>,
        at: &FieldPath,
    ) -> ControlFlow<()> {
        if tree.rules.is_empty() {
            return ControlFlow::Continue(());
        }
        if self.budget.left == 0 {
            return self.out_of_budget(schema, at);
        }
        let with_old = tree.rules.iter().any(CompiledRule::uses_old_self);
        let variables = Variables::new(&tree.declared, value, old.filter(|_| with_old));
        for rule in &tree.rules {
            let expression = match &rule.expressions.rule {
                Ok(expression) => expression,
                Err(error) => {
                    let detail = format!("rule compile error: {error}");
                    self.broken.errors.push(FieldError::invalid_text(at, &schema.type_name, &detail));
                    continue;
                }
            };
            let optional = rule.rule.optional_old_self == Some(true);
            if expression.uses_old_self && old.is_none() && !optional {
                continue;
            }
            let variables_of_rule = if optional && with_old { variables.optional() } else { variables.clone() };
            if self.holds(rule, expression, &variables_of_rule, schema, at)? {
                continue;
            }
            let forgiven = !expression.uses_old_self && self.unchanged(correlation, value);
            let ratcheting = if forgiven { Ratcheting::Forgiving } else { Ratcheting::Strict };
            self.broken(rule, &variables, schema, value, ratcheting, at)?;
        }
        ControlFlow::Continue(())
    }

    /// Whether the rule is kept, or an error was reported in its place.
    fn holds(
        &mut self,
        rule: &CompiledRule,
        expression: &'a Expression,
        variables: &Variables<'a>,
        schema: &Node,
        at: &FieldPath,
    ) -> ControlFlow<(), bool> {
        let (result, cost) = expression.run(variables);
        if self.budget.spend(cost).is_err() {
            return self.out_of_budget(schema, at).map_continue(|()| true);
        }
        let title = rule.rule.title();
        let error = match result {
            Ok(Value::Bool(true)) => return ControlFlow::Continue(true),
            Ok(_) => return ControlFlow::Continue(false),
            Err(error) => error,
        };
        let text = error.to_string();
        let detail = if error == EvalError::CostLimit {
            format!(
                "'{text}': no further validation rules will be run due to call cost exceeds limit for rule: {title}"
            )
        } else if text.starts_with("no such overload") {
            format!(
                "'{text}': call arguments did not match a supported operator, function or macro signature for rule: \
                 {title}"
            )
        } else {
            format!("{text} evaluating rule: {title}")
        };
        self.broken.errors.push(FieldError::invalid_text(at, &schema.type_name, &detail));
        if error == EvalError::CostLimit { ControlFlow::Break(()) } else { ControlFlow::Continue(true) }
    }

    /// Reports a rule that is not kept.
    fn broken(
        &mut self,
        rule: &'a CompiledRule,
        variables: &Variables<'a>,
        schema: &Node,
        value: &Json,
        ratcheting: Ratcheting,
        at: &FieldPath,
    ) -> ControlFlow<()> {
        let at = rule.field.as_deref().map_or_else(|| at.clone(), |field| at.child(field));
        let mut detail = None;
        if let Some(Ok(expression)) = &rule.expressions.message {
            match message::evaluate(expression, &rule.rule.message_expression, variables, &mut self.budget) {
                Message::Text(text) => detail = Some(text),
                Message::Unusable => {}
                Message::Refused(detail) => {
                    self.broken.add(FieldError::invalid_text(&at, &schema.type_name, &detail), ratcheting);
                    return ControlFlow::Break(());
                }
            }
        }
        let detail = detail.unwrap_or_else(|| rule.rule.failure());
        let value = Some(value).filter(|_| !matches!(schema.type_name.as_str(), "object" | "array"));
        self.broken.add(FieldError::of_rule(rule.rule.kind(), &at, value, &detail), ratcheting);
        ControlFlow::Continue(())
    }

    /// `shouldRatchetError`.
    fn unchanged(&self, correlation: Correlation<'a>, value: &Json) -> bool {
        match (correlation.current, correlation.nearest) {
            (Some(current), _) => self.ratchet.unchanged(current, value),
            (None, Some((pair, around))) => self.ratchet.unchanged(pair, around),
            (None, None) => false,
        }
    }

    fn out_of_budget(&mut self, schema: &Node, at: &FieldPath) -> ControlFlow<()> {
        let detail = "validation failed due to running out of cost budget, no further validation rules will be run";
        self.broken.errors.push(FieldError::invalid_text(at, &schema.type_name, detail));
        ControlFlow::Break(())
    }
}
