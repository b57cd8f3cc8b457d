//! The refusals that parsing a request ends in: 400, 406, 415 and 422, each with its text for the client.

use super::go_text;

/// The API group of the options kinds, as a 422 names it: `ListOptions.meta.k8s.io`.
pub const OPTIONS_GROUP: &str = "meta.k8s.io";

/// The request cannot be understood: 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadRequest {
    /// The text of the Status.
    pub message: String,
}

impl BadRequest {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// One cause of a 422, as in a Status' `details.causes`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Cause {
    /// The machine-readable kind of error, such as `FieldValueInvalid`.
    pub reason: String,
    /// What is wrong, without the field.
    pub message: String,
    /// The option that is wrong.
    pub field: String,
}

/// The causes that option validation knows (apimachinery pkg/util/validation/field/errors.go).
impl Cause {
    fn new(reason: &str, field: &str, message: String) -> Self {
        Self { reason: reason.to_owned(), message, field: field.to_owned() }
    }

    pub(super) fn forbidden(field: &str, detail: &str) -> Self {
        Self::new("FieldValueForbidden", field, format!("Forbidden: {detail}"))
    }

    pub(super) fn required(field: &str, detail: &str) -> Self {
        Self::new("FieldValueRequired", field, format!("Required value: {detail}"))
    }

    /// `value` is written as Go's `%q` does.
    pub(super) fn invalid(field: &str, value: &str, detail: &str) -> Self {
        Self::invalid_value(field, &go_text::quote(value), detail)
    }

    /// `value` is as it shall appear.
    pub(super) fn invalid_value(field: &str, value: &str, detail: &str) -> Self {
        Self::new("FieldValueInvalid", field, format!("Invalid value: {value}: {detail}"))
    }

    pub(super) fn too_long(field: &str, bytes_max: usize) -> Self {
        Self::new("FieldValueTooLong", field, format!("Too long: may not be more than {bytes_max} bytes"))
    }

    /// `value` is as it shall appear, quotes included.
    pub(super) fn not_supported(field: &str, value: &str, supported: &[&str]) -> Self {
        let supported: Vec<String> = supported.iter().map(|value| go_text::quote(value)).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", supported.join(", "));
        Self::new("FieldValueNotSupported", field, message)
    }
}

/// Several causes in one text: one as it is, more in brackets, each once (apimachinery pkg/util/errors/errors.go).
pub(super) fn aggregate(causes: &[Cause]) -> String {
    let mut texts: Vec<String> = Vec::with_capacity(causes.len());
    for text in causes.iter().map(ToString::to_string) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    match texts.as_slice() {
        [one] => one.clone(),
        _ => format!("[{}]", texts.join(", ")),
    }
}

/// Options that are understood but not allowed: 422, `details.kind` is the options' kind and its group is
/// [`OPTIONS_GROUP`]. Displays as the Status' message (apimachinery pkg/api/errors/errors.go, NewInvalid).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}.{OPTIONS_GROUP} \"\" is invalid: {}", aggregate(causes))]
pub struct Invalid {
    /// `ListOptions`, `CreateOptions`, `UpdateOptions`, `PatchOptions` or `DeleteOptions`.
    pub kind: &'static str,
    /// What is wrong; at least one.
    pub causes: Vec<Cause>,
}

/// Options that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// 400 with this message.
    #[error("{0}")]
    BadRequest(String),
    /// 422 about the options.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// 500 without a reason: a fault that Kubernetes passes on as it is.
    #[error("{0}")]
    Plain(String),
}

impl From<BadRequest> for OptionsError {
    fn from(refusal: BadRequest) -> Self {
        Self::BadRequest(refusal.message)
    }
}

/// None, or a 422 for the options of `kind`.
pub(super) fn check(kind: &'static str, causes: Vec<Cause>) -> Result<(), OptionsError> {
    if causes.is_empty() { Ok(()) } else { Err(Invalid { kind, causes }.into()) }
}

/// The body's type is not understood: 415.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UnsupportedMediaType {
    /// The text of the Status.
    pub message: String,
}

impl UnsupportedMediaType {
    pub(super) fn accepting(accepted: &[&str]) -> Self {
        let accepted = accepted.join(", ");
        let text = "the body of the request was in an unknown format - accepted media types include";
        Self { message: format!("{text}: {accepted}") }
    }
}

/// No media type that the client accepts can be served: 406.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotAcceptable {
    /// The text of the Status.
    pub message: String,
}

impl NotAcceptable {
    pub(super) fn accepting(accepted: &[&str]) -> Self {
        Self { message: format!("only the following media types are accepted: {}", accepted.join(", ")) }
    }
}

/// A representation that cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NegotiationError {
    /// 406.
    #[error(transparent)]
    NotAcceptable(#[from] NotAcceptable),
    /// 406, which kube-apiserver tells when it is about to answer: whatever else is wrong with the request comes first.
    #[error(transparent)]
    AtLast(NotAcceptable),
    /// 400: the query's part of the negotiation is wrong.
    #[error(transparent)]
    BadRequest(#[from] BadRequest),
}
