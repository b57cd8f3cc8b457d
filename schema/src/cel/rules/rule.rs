//! One rule of `x-kubernetes-validations`, as it was written.
//!
//! Follows `ValidationRule` in apiextensions-apiserver/pkg/apis/apiextensions/v1/types_jsonschema.go.

use kindsmith_text::print;
use serde_json::Value;

use crate::field::ErrorKind;

/// A rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The expression that must be true.
    pub(crate) rule: String,
    /// What to say when it is not.
    pub(crate) message: String,
    /// An expression of what to say when it is not.
    pub(crate) message_expression: String,
    /// The reason of the error.
    pub(crate) reason: Option<String>,
    /// The field below that the error is about.
    pub(crate) field_path: String,
    /// The rule runs also where there is no old value.
    pub(crate) optional_old_self: Option<bool>,
}

/// The reasons that a rule may give, sorted.
pub(crate) const REASONS: [&str; 4] =
    ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

impl Rule {
    /// What errors about the rule call it (`ruleErrorString`).
    pub(crate) fn title(&self) -> &str {
        if self.message.is_empty() { self.rule.trim() } else { self.message.trim() }
    }

    /// What is said of an object that breaks the rule (`ruleMessageOrDefault`).
    pub(crate) fn failure(&self) -> String {
        if self.message.is_empty() {
            format!("failed rule: {}", self.rule.trim())
        } else {
            self.message.trim().to_owned()
        }
    }

    /// The kind of error that breaking the rule is (`fieldErrorForReason`).
    pub(crate) fn kind(&self) -> ErrorKind {
        match self.reason.as_deref() {
            Some("FieldValueForbidden") => ErrorKind::Forbidden,
            Some("FieldValueRequired") => ErrorKind::Required,
            Some("FieldValueDuplicate") => ErrorKind::Duplicate,
            _ => ErrorKind::Invalid,
        }
    }

    /// The rule as errors of definitions show it: kube-apiserver's internal form, in its order.
    pub(crate) fn printed(&self) -> String {
        let text = |text: &str| print::json(&Value::from(text));
        let reason = self.reason.as_deref().map_or_else(|| "null".to_owned(), text);
        let optional = self.optional_old_self.map_or("null", |optional| if optional { "true" } else { "false" });
        format!(
            r#"{{"Rule":{},"Message":{},"MessageExpression":{},"Reason":{reason},"FieldPath":{},"OptionalOldSelf":{optional}}}"#,
            text(&self.rule),
            text(&self.message),
            text(&self.message_expression),
            text(&self.field_path),
        )
    }
}
