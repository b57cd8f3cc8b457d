//! What validating a value found, in kube-openapi's terms, and its translation to field errors.
//!
//! Follows kube-openapi/pkg/validation/validate/result.go, kube-openapi/pkg/validation/errors/schema.go and
//! `kubeOpenAPIResultToFieldErrors` in apiextensions-apiserver/pkg/apiserver/validation/validation.go.

use kindsmith_text::print;
use std::collections::HashSet;

use serde_json::Value;

use super::bounds::{ERROR_TEXT_BYTES_MAX, ERRORS_MAX, Work};
use super::trail::Trail;
use crate::field::{FieldError, FieldPath};

/// One problem; problems of the same message are one.
struct Problem {
    message: String,
    error: FieldError,
}

impl Problem {
    fn text_bytes(&self) -> usize {
        self.message.len() + self.error.field.len() + self.error.detail.len()
    }
}

/// What a validator found.
#[derive(Default)]
pub(super) struct Outcome {
    problems: Vec<Problem>,
    text_bytes: usize,
    /// How many checks were made and passed: tells which alternative of an `anyOf` was nearly meant.
    pub(super) matches: u64,
}

impl Outcome {
    /// One check passed.
    pub(super) fn passed() -> Self {
        Self { matches: 1, ..Self::default() }
    }

    /// Whether nothing was found.
    pub(super) fn is_valid(&self) -> bool {
        self.problems.is_empty()
    }

    /// Adds what another validator found.
    pub(super) fn merge(&mut self, other: Self) {
        self.matches += other.matches;
        if other.problems.is_empty() {
            return;
        }
        if self.problems.is_empty() {
            (self.problems, self.text_bytes) = (other.problems, other.text_bytes);
        } else {
            for problem in other.problems {
                self.keep(problem);
            }
        }
    }

    /// Forgives what was found.
    pub(super) fn forgive(&mut self) {
        self.problems.clear();
        self.text_bytes = 0;
    }

    /// The errors, each once.
    pub(super) fn into_errors(self) -> Vec<FieldError> {
        let mut seen = HashSet::new();
        self.problems.into_iter().filter(|p| seen.insert(p.message.clone())).map(|p| p.error).collect()
    }

    /// Keeps a problem, unless there are too many; one is always kept.
    fn keep(&mut self, problem: Problem) {
        if self.problems.len() < ERRORS_MAX && self.text_bytes < ERROR_TEXT_BYTES_MAX {
            self.text_bytes += problem.text_bytes();
            self.problems.push(problem);
        }
    }
}

/// Where errors are reported: below the path of what is validated.
#[derive(Clone, Copy)]
pub(super) struct Report<'a> {
    base: &'a FieldPath,
    work: &'a Work,
}

impl<'a> Report<'a> {
    /// Reports below `base`; what it costs comes from `work`.
    pub(super) fn below(base: &'a FieldPath, work: &'a Work) -> Self {
        Self { base, work }
    }

    fn push(self, outcome: &mut Outcome, message: String, error: FieldError) {
        let problem = Problem { message, error };
        self.work.spend_text(problem.text_bytes());
        outcome.keep(problem);
    }

    fn path(self, name: &str) -> FieldPath {
        match name.strip_prefix('.').unwrap_or(name) {
            "" => self.base.clone(),
            name => self.base.child(name),
        }
    }

    /// A value of the wrong type or format; `found` is what kube-openapi shows of it.
    pub(super) fn wrong_type(self, outcome: &mut Outcome, trail: Trail<'_>, wanted: &str, found: &str) {
        let name = trail.in_body();
        let message = format!("{name} in body must be of type {wanted}: {}", print::quoted(found));
        let error = FieldError::type_invalid(&self.path(&name), &Value::from(found), &message);
        self.push(outcome, message, error);
    }

    /// A value that breaks a rule; `rule` continues `<path> in body …`.
    pub(super) fn broken(self, outcome: &mut Outcome, trail: Trail<'_>, value: &Value, rule: &str) {
        let name = trail.in_body();
        let message = format!("{name} in body {rule}");
        let error = FieldError::invalid(&self.path(&name), value, &message);
        self.push(outcome, message, error);
    }

    /// A factor that is not positive, which is the schema's fault.
    pub(super) fn bad_factor(self, outcome: &mut Outcome, trail: Trail<'_>, factor: &Value) {
        let name = trail.in_body();
        let text = match factor {
            Value::Number(number) => print::number(number),
            other => other.to_string(),
        };
        let message = format!("factor MultipleOf declared for {name} must be positive: {text}");
        let error = FieldError::invalid(&self.path(&name), factor, &message);
        self.push(outcome, message, error);
    }

    /// A string with too many characters.
    pub(super) fn too_long(self, outcome: &mut Outcome, trail: Trail<'_>, max: i64) {
        let name = trail.in_body();
        let error = FieldError::too_long(&self.path(&name), max);
        self.push(outcome, format!("{name} in body should be at most {max} chars long"), error);
    }

    /// A list or map with too many entries; `what` is `items` or `properties`.
    pub(super) fn too_many(self, outcome: &mut Outcome, trail: Trail<'_>, actual: i64, max: i64, what: &str) {
        let name = trail.in_body();
        let error = FieldError::too_many(&self.path(&name), actual, max);
        self.push(outcome, format!("{name} in body should have at most {max} {what}"), error);
    }

    /// A field that must be there, and is not.
    pub(super) fn missing(self, outcome: &mut Outcome, trail: Trail<'_>, field: &str) {
        let name = format!("{}.{field}", trail.in_body());
        let error = FieldError::required(&self.path(&name), "");
        self.push(outcome, format!("{name} in body is required"), error);
    }

    /// A field that must not be there.
    pub(super) fn not_allowed(self, outcome: &mut Outcome, trail: Trail<'_>, field: &str) {
        let name = trail.in_body();
        let message = format!("{name}.{field} in body is a forbidden property");
        let error = FieldError::invalid(&self.path(&name), &Value::from(field), &message);
        self.push(outcome, message, error);
    }

    /// A value that is none of `choices`.
    pub(super) fn no_choice(self, outcome: &mut Outcome, trail: Trail<'_>, value: &Value, choices: &[Value]) {
        let name = trail.in_body();
        let choices: Vec<String> = choices
            .iter()
            .map(|choice| match choice {
                Value::String(text) => text.clone(),
                other => print::json(other),
            })
            .collect();
        let error = FieldError::not_supported(&self.path(&name), value, &choices);
        self.push(outcome, format!("{name} in body should be one of {choices:?}"), error);
    }

    /// A problem that kube-openapi does not tie to a field; `rule` follows the quoted path.
    pub(super) fn alternatives(self, outcome: &mut Outcome, trail: Trail<'_>, rule: &str) {
        self.untied(outcome, format!("{} {rule}", print::quoted(&trail.in_body())));
    }

    /// A problem that kube-openapi does not tie to a field.
    pub(super) fn untied(self, outcome: &mut Outcome, message: String) {
        let error = FieldError::invalid(self.base, &Value::from(""), &message);
        self.push(outcome, message, error);
    }
}
