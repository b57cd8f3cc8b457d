//! `messageExpression`: what to say of an object that breaks a rule.
//!
//! Follows `evalMessageExpression` in apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go.

use super::compile::{Expression, Variables};
use super::run::Budget;
use kindsmith_cel::value::{EvalError, Value};
use kindsmith_text::print;

/// The longest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 5 * 1024;

/// A cost that was more than was left.
#[derive(Debug)]
pub(super) struct OutOfBudget;

/// What came of it.
pub(super) enum Message {
    /// The message.
    Text(String),
    /// No message that could be shown; the rule's own stands in.
    Unusable,
    /// It cost too much; nothing more is run.
    Refused(String),
}

/// The message that `expression`, written as `source`, makes.
pub(super) fn evaluate<'a>(
    expression: &'a Expression,
    source: &str,
    variables: &Variables<'a>,
    budget: &mut Budget,
) -> Message {
    let (result, cost) = expression.run(variables);
    if budget.spend(cost).is_err() {
        let detail = "messageExpression evaluation failed due to running out of cost budget, no further validation \
                      rules will be run";
        return Message::Refused(detail.to_owned());
    }
    match result {
        Ok(Value::String(text)) => {
            let text = text.as_str().trim();
            if text.is_empty() || text.len() > MESSAGE_BYTES_MAX || text.contains('\n') {
                return Message::Unusable;
            }
            Message::Text(text.to_owned())
        }
        Ok(_) | Err(EvalError::Failed(_)) => Message::Unusable,
        Err(EvalError::CostLimit) => Message::Refused(format!(
            "no further validation rules will be run due to call cost exceeds limit for messageExpression: {}",
            print::quoted(source)
        )),
    }
}
