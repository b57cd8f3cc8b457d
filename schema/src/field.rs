//! Field errors and field paths, as Kubernetes reports what is wrong with an object.
//!
//! Follows `apimachinery/pkg/util/validation/field/{errors,path}.go`: the texts are the ones that
//! kube-apiserver puts into `status.details.causes`.

use std::fmt;

use kindsmith_text::print;
use serde_json::Value;

/// What kind of mistake a [`FieldError`] reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A requested value does not exist.
    NotFound,
    /// A required value is missing.
    Required,
    /// Values that must be unique collide.
    Duplicate,
    /// A malformed or out of range value.
    Invalid,
    /// A value outside of an enumeration.
    NotSupported,
    /// A value that is well formed, but not permitted here.
    Forbidden,
    /// A value that is too long.
    TooLong,
    /// A list or map with too many entries.
    TooMany,
    /// An error that is not the client's.
    Internal,
    /// A value of the wrong type.
    TypeInvalid,
}

impl ErrorKind {
    /// The machine-readable reason of a status cause.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "FieldValueNotFound",
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::Internal => "InternalError",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    /// The words an error of this kind starts with.
    fn title(self) -> &'static str {
        match self {
            Self::NotFound => "Not found",
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Internal => "Internal error",
        }
    }

    /// Whether an error of this kind keeps CEL rules from being evaluated
    /// (`hasBlockingErr`, apiextensions-apiserver/pkg/registry/customresource/strategy.go).
    pub fn blocks_rules(self) -> bool {
        matches!(self, Self::NotSupported | Self::Required | Self::TooLong | Self::TooMany | Self::TypeInvalid)
    }
}

/// One mistake in one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// What kind of mistake it is.
    pub kind: ErrorKind,
    /// The path of the field.
    pub field: String,
    /// The text without the path (`ErrorBody()`): the message of a status cause.
    pub detail: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.detail)
    }
}

impl std::error::Error for FieldError {}

impl FieldError {
    fn plain(kind: ErrorKind, path: &FieldPath, detail: &str) -> Self {
        let mut text = kind.title().to_owned();
        if !detail.is_empty() {
            text.push_str(": ");
            text.push_str(detail);
        }
        Self { kind, field: path.to_string(), detail: text }
    }

    fn with_value(kind: ErrorKind, path: &FieldPath, value: &Value, detail: &str) -> Self {
        let mut text = format!("{}: {}", kind.title(), printed(value));
        if !detail.is_empty() {
            text.push_str(": ");
            text.push_str(detail);
        }
        Self { kind, field: path.to_string(), detail: text }
    }

    /// A malformed value.
    pub fn invalid(path: &FieldPath, value: &Value, detail: &str) -> Self {
        Self::with_value(ErrorKind::Invalid, path, value, detail)
    }

    /// A malformed value whose text is given: for strings, without building a [`Value`].
    pub fn invalid_text(path: &FieldPath, value: &str, detail: &str) -> Self {
        let detail = format!("{}: {}", print::quoted(value), detail);
        Self::plain(ErrorKind::Invalid, path, &detail)
    }

    /// A malformed value that is shown as `printed`.
    pub(crate) fn invalid_printed(path: &FieldPath, printed: &str, detail: &str) -> Self {
        Self::plain(ErrorKind::Invalid, path, &format!("{printed}: {detail}"))
    }

    /// A value that breaks a rule; lists and maps are not shown
    /// (`fieldErrorForReason`, apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go).
    pub(crate) fn of_rule(kind: ErrorKind, path: &FieldPath, value: Option<&Value>, detail: &str) -> Self {
        let detail = if kind == ErrorKind::Duplicate { "" } else { detail };
        match value.filter(|_| matches!(kind, ErrorKind::Invalid | ErrorKind::Duplicate)) {
            Some(value) => Self::with_value(kind, path, value, detail),
            None => Self::plain(kind, path, detail),
        }
    }

    /// A value of the wrong type.
    pub fn type_invalid(path: &FieldPath, value: &Value, detail: &str) -> Self {
        Self::with_value(ErrorKind::TypeInvalid, path, value, detail)
    }

    /// A value that does not exist.
    pub fn not_found(path: &FieldPath, value: &Value) -> Self {
        Self::with_value(ErrorKind::NotFound, path, value, "")
    }

    /// A missing value.
    pub fn required(path: &FieldPath, detail: &str) -> Self {
        Self::plain(ErrorKind::Required, path, detail)
    }

    /// A value that another one has already.
    pub fn duplicate(path: &FieldPath, value: &Value) -> Self {
        Self::with_value(ErrorKind::Duplicate, path, value, "")
    }

    /// A value outside of an enumeration.
    pub fn not_supported<S: AsRef<str>>(path: &FieldPath, value: &Value, valid: &[S]) -> Self {
        Self::not_supported_printed(path, &printed(value), valid)
    }

    /// A value outside of an enumeration that is shown as `printed`.
    pub(crate) fn not_supported_printed<S: AsRef<str>>(path: &FieldPath, printed: &str, valid: &[S]) -> Self {
        let mut detail = String::new();
        for (i, choice) in valid.iter().enumerate() {
            detail.push_str(if i == 0 { "supported values: " } else { ", " });
            detail.push_str(&print::quoted(choice.as_ref()));
        }
        let separator = if detail.is_empty() { "" } else { ": " };
        Self::plain(ErrorKind::NotSupported, path, &format!("{printed}{separator}{detail}"))
    }

    /// A value that is not permitted here.
    pub fn forbidden(path: &FieldPath, detail: &str) -> Self {
        Self::plain(ErrorKind::Forbidden, path, detail)
    }

    /// A value longer than `max_bytes` (Kubernetes says bytes, also where it counts characters).
    pub fn too_long(path: &FieldPath, max_bytes: i64) -> Self {
        let detail = match max_bytes {
            1 => "may not be more than 1 byte".to_owned(),
            0.. => format!("may not be more than {max_bytes} bytes"),
            _ => "value is too long".to_owned(),
        };
        Self::plain(ErrorKind::TooLong, path, &detail)
    }

    /// A list or map of `actual` entries where `max` are allowed.
    pub fn too_many(path: &FieldPath, actual: i64, max: i64) -> Self {
        let detail = match max {
            1 => "must have at most 1 item".to_owned(),
            0.. => format!("must have at most {max} items"),
            _ => "has too many items".to_owned(),
        };
        if actual < 0 {
            return Self::plain(ErrorKind::TooMany, path, &detail);
        }
        Self::with_value(ErrorKind::TooMany, path, &Value::from(actual), &detail)
    }

    /// An error that is not the client's.
    pub fn internal(path: &FieldPath, detail: &str) -> Self {
        Self::plain(ErrorKind::Internal, path, detail)
    }
}

/// The value as error texts show it: strings quoted, numbers plain, the rest as JSON.
fn printed(value: &Value) -> String {
    match value {
        Value::String(text) => print::quoted(text),
        Value::Number(number) => print::number(number),
        other => print::json(other),
    }
}

/// The path of a field: `spec.list[3].map[key]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct FieldPath {
    /// `None` is the path of nothing, which Kubernetes prints as `<nil>`.
    text: Option<String>,
}

impl FieldPath {
    /// The path of the object itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// The path of a field of this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        match &self.text {
            Some(parent) => Self { text: Some(format!("{parent}.{name}")) },
            None => Self { text: Some(name.to_owned()) },
        }
    }

    /// The path of an item of this list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.key(&index.to_string())
    }

    /// The path of an entry of this map.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let parent = self.text.as_deref().unwrap_or_default();
        Self { text: Some(format!("{parent}[{key}]")) }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text.as_deref().unwrap_or("<nil>"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_print_as_kubernetes_prints_them() {
        let path = FieldPath::root().child("spec").child("list").index(3).child("map").key("k");
        assert_eq!(path.to_string(), "spec.list[3].map[k]");
        assert_eq!(FieldPath::root().to_string(), "<nil>");
        assert_eq!(FieldPath::root().key("a").child("b").to_string(), "[a].b");
    }

    #[test]
    fn errors_print_as_kubernetes_prints_them() {
        let path = FieldPath::root().child("spec").child("a");
        let cases = [
            (FieldError::invalid(&path, &json!("x\n"), "must be y"), r#"spec.a: Invalid value: "x\n": must be y"#),
            (FieldError::invalid(&path, &json!(1.5), "no"), "spec.a: Invalid value: 1.5: no"),
            (FieldError::invalid(&path, &json!({"b": [1]}), "no"), r#"spec.a: Invalid value: {"b":[1]}: no"#),
            (FieldError::required(&path, ""), "spec.a: Required value"),
            (FieldError::duplicate(&path, &json!("x")), r#"spec.a: Duplicate value: "x""#),
            (
                FieldError::not_supported(&path, &json!("x"), &["a", "b"]),
                r#"spec.a: Unsupported value: "x": supported values: "a", "b""#,
            ),
            (FieldError::forbidden(&path, "no"), "spec.a: Forbidden: no"),
            (FieldError::too_long(&path, 1), "spec.a: Too long: may not be more than 1 byte"),
            (FieldError::too_many(&path, 3, 2), "spec.a: Too many: 3: must have at most 2 items"),
            (FieldError::invalid_text(&path, "x", "no"), r#"spec.a: Invalid value: "x": no"#),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
    }
}
