//! From the text of a rule to programs and their estimated costs.
//!
//! Follows `compileRule` in apiextensions-apiserver/pkg/apiserver/schema/cel/compilation.go.

use std::sync::Arc;

use serde_json::Value as Json;

use super::rule::Rule;
use crate::cel::check::{self, Environment};
use crate::cel::checked::Reference;
use crate::cel::cost;
use crate::cel::declared::Declared;
use crate::cel::scratch::{self, Program};
use crate::cel::types::Type;
use crate::cel::value::{EvalError, Value};

/// What one call of an expression may cost (`PerCallLimit`).
const CALL_COST_MAX: u64 = 1_000_000;

/// The name of the type of that value, where it has no other. Nothing can refer to it.
const TYPE_NAME: &str = "selfType";
/// The name of the value that a rule is about.
const SELF: &str = "self";
/// The name of the value it replaces.
const OLD_SELF: &str = "oldSelf";

/// The expressions of a rule, or what is wrong with them.
#[derive(Debug)]
pub(super) struct Expressions {
    pub(super) rule: Result<Expression, String>,
    /// None if there is none, or if the rule is wrong.
    pub(super) message: Option<Result<Expression, String>>,
}

/// An expression that can run.
#[derive(Debug)]
pub(super) struct Expression {
    program: Program,
    /// What it may cost at most.
    pub(super) cost: u64,
    /// It compares with what was before.
    pub(super) uses_old_self: bool,
}

impl Expressions {
    /// Compiles `rule` on values that are as `declared`.
    pub(super) fn compile(rule: &Rule, declared: &Arc<Declared>) -> Self {
        let compiled = Expression::compile(&rule.rule, rule, declared, "", |kind| matches!(kind, Type::Bool))
            .map_err(|error| error.unwrap_or_else(|| "cel expression must evaluate to a bool".to_owned()));
        let message = (compiled.is_ok() && !rule.message_expression.is_empty()).then(|| {
            let text = &rule.message_expression;
            Expression::compile(text, rule, declared, "messageExpression ", |kind| matches!(kind, Type::String))
                .map_err(|error| error.unwrap_or_else(|| "messageExpression must evaluate to a string".to_owned()))
        });
        Self { rule: compiled, message }
    }
}

impl Expression {
    /// The error is none if the result is not as wanted.
    fn compile(
        text: &str,
        rule: &Rule,
        declared: &Arc<Declared>,
        what: &str,
        wanted: fn(&Type) -> bool,
    ) -> Result<Self, Option<String>> {
        let value = declared.cel_type(TYPE_NAME);
        let old = if rule.optional_old_self == Some(true) { Type::optional(value.clone()) } else { value.clone() };
        let checked = check::check(text, &[(SELF, value), (OLD_SELF, old)], Environment::kubernetes())
            .map_err(|error| Some(format!("{what}compilation failed: {error}")))?;
        if !wanted(&checked.result) {
            return Err(None);
        }
        let uses_old_self = checked
            .references
            .values()
            .any(|reference| matches!(reference, Reference::Variable(name) if name == OLD_SELF));
        let cost = cost::estimate(&checked, declared).max;
        Ok(Self { program: Program::new(checked), cost, uses_old_self })
    }

    /// The value and what it cost.
    pub(super) fn run<'a>(&'a self, variables: &Variables<'a>) -> (Result<Value<'a>, EvalError>, u64) {
        self.program.run(&[(SELF, variables.value.clone())], CALL_COST_MAX)
    }
}

/// What an expression's names stand for.
#[derive(Clone)]
pub(super) struct Variables<'a> {
    value: Value<'a>,
    /// None if the name stands for nothing.
    old: Option<Value<'a>>,
}

impl<'a> Variables<'a> {
    /// `self` and, if there is an old value, `oldSelf`.
    pub(super) fn new(declared: &'a Declared, value: &'a Json, old: Option<&'a Json>) -> Self {
        Self {
            value: scratch::value(value, declared),
            old: old.map(|old| scratch::value(old, declared)),
        }
    }

    /// With `oldSelf` as an optional.
    pub(super) fn optional(&self) -> Self {
        Self { value: self.value.clone(), old: Some(Value::Optional(self.old.clone().map(Arc::new))) }
    }
}
