//! From the text of a rule to programs and their estimated costs.
//!
//! Follows `compileRule` in apiextensions-apiserver/pkg/apiserver/schema/cel/compilation.go.

use std::iter;
use std::sync::Arc;

use serde_json::Value as Json;

use super::rule::Rule;
use kindsmith_cel::check::{self, Environment};
use kindsmith_cel::checked::Reference;
use kindsmith_cel::cost;
use kindsmith_cel::declared::Declared;
use kindsmith_cel::plan::Program;
use kindsmith_cel::types::Type;
use kindsmith_cel::value::{EvalError, Value};

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
        let compiled = Expression::compile(&rule.rule, rule, declared, Purpose::Rule);
        let text = &rule.message_expression;
        let message =
            (compiled.is_ok() && !text.is_empty()).then(|| Expression::compile(text, rule, declared, Purpose::Message));
        Self { rule: compiled, message }
    }
}

/// What an expression is for.
#[derive(Clone, Copy)]
enum Purpose {
    /// To be true.
    Rule,
    /// To be said.
    Message,
}

impl Expression {
    fn compile(text: &str, rule: &Rule, declared: &Arc<Declared>, purpose: Purpose) -> Result<Self, String> {
        let value = declared.cel_type(TYPE_NAME);
        let old = if rule.optional_old_self == Some(true) { Type::optional(value.clone()) } else { value.clone() };
        let checked =
            check::check(text, &[(SELF, value), (OLD_SELF, old)], Environment::kubernetes()).map_err(|error| {
                match purpose {
                    Purpose::Rule => format!("compilation failed: {error}"),
                    Purpose::Message => format!("messageExpression compilation failed: {error}"),
                }
            })?;
        match (purpose, &checked.result) {
            (Purpose::Rule, Type::Bool) | (Purpose::Message, Type::String) => {}
            (Purpose::Rule, _) => return Err("cel expression must evaluate to a bool".to_owned()),
            (Purpose::Message, _) => return Err("messageExpression must evaluate to a string".to_owned()),
        }
        let uses_old_self = checked
            .references
            .values()
            .any(|reference| matches!(reference, Reference::Variable(name) if name == OLD_SELF));
        let program = Program::new(&checked, &[SELF, OLD_SELF]).map_err(|error| match purpose {
            Purpose::Rule => format!("program instantiation failed: {error}"),
            Purpose::Message => format!("messageExpression instantiation failed: {error}"),
        })?;
        Ok(Self { program, cost: cost::estimate(&checked, declared).max, uses_old_self })
    }

    /// The value and what it cost.
    pub(super) fn run<'a>(&'a self, variables: &Variables<'a>) -> (Result<Value<'a>, EvalError>, u64) {
        self.program.evaluate(&variables.values, CALL_COST_MAX)
    }
}

/// What an expression's names stand for.
#[derive(Clone)]
pub(super) struct Variables<'a> {
    /// `self` and then `oldSelf`, which may be missing. One that is not what the schema says is an error, which counts where
    /// an expression looks at it: an old object may have been written by another schema, and what did not change is let be.
    values: Vec<Result<Value<'a>, EvalError>>,
}

impl<'a> Variables<'a> {
    /// `self` and, if there is an old value, `oldSelf`.
    pub(super) fn new(declared: &'a Declared, value: &'a Json, old: Option<&'a Json>) -> Self {
        Self { values: iter::once(value).chain(old).map(|value| Value::from_json(value, declared)).collect() }
    }

    /// With `oldSelf` as an optional.
    pub(super) fn optional(&self) -> Self {
        let mut values = self.values.clone().into_iter();
        let own = values.next();
        let old = values.next().map(|old| Arc::new(old.unwrap_or_else(|error| Value::Fault(Arc::new(error)))));
        Self { values: own.into_iter().chain([Ok(Value::Optional(old))]).collect() }
    }
}
