//! Strings: what belongs to the language.

use super::Outcome;
use crate::value::{EvalError, Value};
use kindsmith_text::pattern::Pattern;

/// A predicate of two strings.
pub(super) fn pair<'a>(left: &Value<'a>, right: &Value<'a>, holds: fn(&str, &str) -> bool) -> Outcome<'a> {
    match (left.as_str(), right.as_str()) {
        (Some(left), Some(right)) => Ok(Value::Bool(holds(left, right))),
        _ => Err(EvalError::no_overload()),
    }
}

/// `text.matches(pattern)`
pub(super) fn matches<'a>(text: &Value<'a>, by: &Value<'a>) -> Outcome<'a> {
    match (text.as_str(), by.as_str()) {
        (Some(text), Some(by)) => Ok(Value::Bool(pattern(by)?.matches(text))),
        _ => Err(EvalError::no_overload()),
    }
}

/// Compiles a pattern in Go's syntax.
///
/// # Errors
/// It does not compile; the text is Go's as far as we know it.
pub(crate) fn pattern(text: &str) -> Result<Pattern, EvalError> {
    let pattern = Pattern::of_expression(text);
    match pattern.error() {
        Some(error) => Err(EvalError::failed(error)),
        None => Ok(pattern),
    }
}
