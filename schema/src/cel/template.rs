//! A text with expressions in it: `redis://${self.metadata.name}:${self.spec.port}`.
//!
//! `${` begins an expression and the brace that closes it ends it, whatever strings and maps stand between; `$${` is a `${`
//! that begins none. Every other dollar sign is itself. An expression gives a text, a number, a bool or a time.

use std::sync::Arc;

use serde_json::Value as Json;

use super::rules::{EXPRESSION_COST_MAX, exceeding_factor};
use kindsmith_cel::check::{Environment, check};
use kindsmith_cel::closing_brace;
use kindsmith_cel::cost;
use kindsmith_cel::declared::Declared;
use kindsmith_cel::plan::Program;
use kindsmith_cel::types::Type;
use kindsmith_cel::value::{EvalError, Value};

/// What the expressions about one object may cost when they run, together.
const OBJECT_COST_MAX: u64 = 100_000;

/// The most expressions of one text.
const EXPRESSIONS_MAX: usize = 256;

/// The name of the object in expressions.
const SELF: &str = "self";

/// A text with expressions in it, which can be filled in.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(Box<str>),
    Expression(Arc<Program>),
}

/// An expression that says whether something holds.
#[derive(Debug, Clone)]
pub(crate) struct Condition(Arc<Program>);

/// What is wrong with a text or with an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TemplateFault {
    /// The expression.
    pub(crate) expression: String,
    /// What is wrong with it, and where in the text.
    pub(crate) detail: String,
}

impl TemplateFault {
    fn new(expression: &str, detail: impl Into<String>) -> Self {
        Self { expression: expression.trim().to_owned(), detail: detail.into() }
    }
}

/// Compiles texts about objects of one declaration, and adds up what they cost.
#[derive(Debug)]
pub(crate) struct Compiler {
    declared: Arc<Declared>,
    cost: u64,
}

impl Compiler {
    /// For objects that are as `declared`.
    pub(crate) fn new(declared: Arc<Declared>) -> Self {
        Self { declared, cost: 0 }
    }

    /// What all expressions so far may cost at most, by estimate.
    pub(crate) fn cost(&self) -> u64 {
        self.cost
    }

    /// Compiles a text.
    ///
    /// # Errors
    /// What is wrong with each of its expressions.
    pub(crate) fn template(&mut self, text: &str) -> Result<Template, Vec<TemplateFault>> {
        let mut parts = Vec::new();
        let mut faults = Vec::new();
        let mut expressions = 0;
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => parts.push(Part::Text(text.into())),
                Piece::Open { text: rest, before } => {
                    let begins = position(text, before);
                    let detail =
                        format!("the expression at {begins} has no closing brace; $${{ is a ${{ that begins none");
                    faults.push(TemplateFault::new(rest.lines().next().unwrap_or_default(), detail));
                }
                Piece::Expression { text: expression, .. } if expressions == EXPRESSIONS_MAX => {
                    let detail = format!("a text has at most {EXPRESSIONS_MAX} expressions");
                    faults.push(TemplateFault::new(expression, detail));
                    break;
                }
                Piece::Expression { text: expression, before } => {
                    expressions += 1;
                    match self.expression(expression, &Within { text, before }, Purpose::Text) {
                        Ok(program) => parts.push(Part::Expression(Arc::new(program))),
                        Err(detail) => faults.push(TemplateFault::new(expression, detail)),
                    }
                }
            }
        }
        if faults.is_empty() { Ok(Template { parts }) } else { Err(faults) }
    }

    /// Compiles an expression that says whether something holds.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn condition(&mut self, text: &str) -> Result<Condition, TemplateFault> {
        let program = self.expression(text, &Within { text, before: 0 }, Purpose::Condition);
        program.map(|program| Condition(Arc::new(program))).map_err(|detail| TemplateFault::new(text, detail))
    }

    fn expression(&mut self, expression: &str, within: &Within<'_>, purpose: Purpose) -> Result<Program, String> {
        let place = || position(within.text, within.before);
        if expression.trim().is_empty() {
            return Err(format!("the expression at {} is empty", place()));
        }
        let own = self.declared.cel_type(SELF);
        let checked = check(expression, &[(SELF, own)], Environment::kubernetes()).map_err(|error| {
            let error = error.within(within.text, u32::try_from(within.before).unwrap_or(u32::MAX));
            format!("compilation failed: {error}")
        })?;
        let wanted = match purpose {
            Purpose::Text if !is_printable(&checked.result) => Some("a string, a number, a bool or a time"),
            Purpose::Condition if !matches!(checked.result, Type::Bool) => Some("a bool"),
            _ => None,
        };
        if let Some(wanted) = wanted {
            let given = &checked.result;
            return Err(format!("the expression at {} must give {wanted}, and gives {given}", place()));
        }
        let cost = cost::estimate(&checked, &self.declared).max;
        self.cost = self.cost.saturating_add(cost);
        if cost > EXPRESSION_COST_MAX {
            let factor = exceeding_factor(cost, EXPRESSION_COST_MAX);
            return Err(format!(
                "the estimated cost of the expression at {} exceeds the budget by a factor of {factor}: simplify it, or add \
                 maxItems, maxProperties and maxLength where lists, maps and strings are declared",
                place()
            ));
        }
        Program::new(&checked, &[SELF]).map_err(|error| format!("compilation failed: {error}"))
    }
}

/// Where an expression stands.
struct Within<'t> {
    /// The whole text.
    text: &'t str,
    /// How many characters stand before the expression.
    before: usize,
}

/// What an expression is for.
#[derive(Clone, Copy)]
enum Purpose {
    /// To be part of a text.
    Text,
    /// To say whether something holds.
    Condition,
}

/// Whether values of the type are texts, or may be.
fn is_printable(kind: &Type) -> bool {
    match kind {
        Type::Bool
        | Type::Int
        | Type::Uint
        | Type::Double
        | Type::String
        | Type::Duration
        | Type::Timestamp
        | Type::Dyn => true,
        Type::Optional(inside) => is_printable(inside),
        _ => false,
    }
}

/// The texts about one object, while they are filled in.
#[derive(Debug)]
pub(crate) struct Filling<'a> {
    object: Result<Value<'a>, EvalError>,
    /// What expressions may still cost.
    cost_left: u64,
}

impl<'a> Filling<'a> {
    /// About an object that is as `declared`.
    pub(crate) fn new(object: &'a Json, declared: &'a Declared) -> Self {
        Self { object: Value::from_json(object, declared), cost_left: OBJECT_COST_MAX }
    }

    fn value(&mut self, program: &'a Program) -> Option<Value<'a>> {
        let (outcome, cost) = program.evaluate(std::slice::from_ref(&self.object), self.cost_left);
        self.cost_left = self.cost_left.saturating_sub(cost);
        outcome.ok()
    }
}

impl Template {
    /// The text, if no expression is in it.
    pub(crate) fn constant(&self) -> Option<String> {
        let text = |part: &Part| match part {
            Part::Text(text) => Some(text.to_string()),
            Part::Expression(_) => None,
        };
        self.parts.iter().map(text).collect()
    }

    /// The text about an object; none where an expression has no value, fails or costs too much, and where the text would be
    /// longer than `bytes_max`.
    pub(crate) fn fill<'a>(&'a self, filling: &mut Filling<'a>, bytes_max: usize) -> Option<String> {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Expression(program) => filled.push_str(&printed(&filling.value(program)?)?),
            }
            if filled.len() > bytes_max {
                return None;
            }
        }
        Some(filled)
    }
}

impl Condition {
    /// Whether it holds of an object; none where it fails or costs too much.
    pub(crate) fn holds<'a>(&'a self, filling: &mut Filling<'a>) -> Option<bool> {
        match filling.value(&self.0)? {
            Value::Bool(holds) => Some(holds),
            _ => None,
        }
    }
}

/// A value as part of a text.
fn printed(value: &Value<'_>) -> Option<String> {
    match value {
        Value::String(text) => Some(text.as_str().to_owned()),
        Value::Bool(_)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Double(_)
        | Value::Duration(_)
        | Value::Timestamp(_) => Some(value.print()),
        Value::Optional(Some(value)) => printed(value),
        _ => None,
    }
}

/// What a text is made of.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'t> {
    Text(&'t str),
    Expression {
        text: &'t str,
        /// How many characters stand before it.
        before: usize,
    },
    /// An expression that nothing ends.
    Open {
        text: &'t str,
        /// How many characters stand before it.
        before: usize,
    },
}

/// The pieces of a text, in their order.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let characters: Vec<char> = text.chars().collect();
    let bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let slice = |from: usize, to: usize| bytes.get(from).zip(bytes.get(to)).and_then(|(from, to)| text.get(*from..*to));
    let slice = |from: usize, to: usize| slice(from, to).unwrap_or_default();
    let begins = |at: usize, with: &[char]| characters.get(at..).is_some_and(|rest| rest.starts_with(with));
    let mut found = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < characters.len() {
        if begins(at, &['$', '$', '{']) {
            found.push(Piece::Text(slice(from, at)));
            // The second dollar sign and the brace are text.
            from = at + 1;
            at += 3;
        } else if begins(at, &['$', '{']) {
            found.push(Piece::Text(slice(from, at)));
            let before = at + 2;
            let Some(length) = characters.get(before..).and_then(closing_brace) else {
                found.push(Piece::Open { text: slice(before, characters.len()), before });
                return found;
            };
            found.push(Piece::Expression { text: slice(before, before + length), before });
            at = before + length + 1;
            from = at;
        } else {
            at += 1;
        }
    }
    found.push(Piece::Text(slice(from, characters.len())));
    found.retain(|piece| *piece != Piece::Text(""));
    found
}

/// Where something is that stands after so many characters: `line:column`, from 1.
fn position(text: &str, before: usize) -> String {
    let begins: String = text.chars().take(before).collect();
    let line = begins.matches('\n').count() + 1;
    let column = begins.chars().rev().take_while(|character| *character != '\n').count() + 1;
    format!("{line}:{column}")
}

#[cfg(test)]
mod tests;
