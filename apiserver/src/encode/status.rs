//! Errors of the API, and the only place where one becomes a Kubernetes Status.
//!
//! Source: k8s.io/apimachinery/pkg/api/errors/errors.go. A text in an [`ApiError`] is for the client; what is for the log
//! alone never gets in here.

use kindsmith_text::print::quoted;
use std::collections::HashSet;

use kindsmith_schema::field::FieldError;
use serde_json::{Map, Value, json};

/// A resource as errors name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource in URLs.
    pub resource: String,
    /// The kind.
    pub kind: String,
    /// The object, empty when it has no name yet.
    pub name: String,
}

impl Named {
    /// `redises.apps.example.com`, as messages have it.
    #[must_use]
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.resource.clone() } else { format!("{}.{}", self.resource, self.group) }
    }

    /// `Redis.apps.example.com`, as messages about invalid objects have it.
    fn qualified_kind(&self) -> String {
        if self.group.is_empty() { self.kind.clone() } else { format!("{}.{}", self.kind, self.group) }
    }
}

/// One cause of a Status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// A machine-readable reason.
    pub reason: String,
    /// A text for people.
    pub message: String,
    /// The field, as a path.
    pub field: String,
}

impl From<&FieldError> for Cause {
    fn from(error: &FieldError) -> Self {
        Self { reason: error.kind.reason().to_owned(), message: error.detail.clone(), field: error.field.clone() }
    }
}

/// Why a request was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApiError {
    /// The request itself cannot be understood.
    #[error("{0}")]
    BadRequest(String),
    /// No credentials that we believe.
    #[error("Unauthorized")]
    Unauthorized,
    /// The user may not do this. The message is whole.
    #[error("{message}")]
    Forbidden {
        /// What was asked for; absent for paths that are no resources.
        named: Option<Named>,
        /// The whole message.
        message: String,
        /// Why.
        causes: Vec<Cause>,
    },
    /// No object of that name.
    #[error("{} {} not found", .0.qualified(), quoted(&.0.name))]
    NotFound(Named),
    /// No such path.
    #[error("the server could not find the requested resource")]
    NoSuchPath,
    /// An object of that name exists.
    #[error("{} {} already exists", .0.qualified(), quoted(&.0.name))]
    AlreadyExists(Named),
    /// A host object has the name that the object's would have, and is none of its kind.
    #[error(
        "{} {} already exists: the name is taken by {} {}, which is no {}{}",
        .named.qualified(), quoted(&.named.name), .holder.qualified(), quoted(&.holder.name), .named.kind,
        .of.as_deref().map(|of| format!(" but a {of}")).unwrap_or_default()
    )]
    NameTaken {
        /// The object that cannot be created.
        named: Named,
        /// The host object.
        holder: Named,
        /// The kind and group of which the host object is an instance, if it is one.
        of: Option<String>,
    },
    /// An object of that name exists, and finalizers hold it.
    #[error("object is being deleted: {} {} already exists", .0.qualified(), quoted(&.0.name))]
    BeingDeleted(Named),
    /// The object is not what the client thinks it is.
    #[error("Operation cannot be fulfilled on {} {}: {reason}", .named.qualified(), quoted(&.named.name))]
    Conflict {
        /// The object.
        named: Named,
        /// Why.
        reason: String,
    },
    /// Others own what is applied.
    #[error("{message}")]
    ApplyConflict {
        /// The whole message.
        message: String,
        /// One for each field.
        causes: Vec<Cause>,
    },
    /// The object breaks rules.
    #[error("{} {} is invalid: {}", .named.qualified_kind(), quoted(&.named.name), invalid_text(.causes))]
    Invalid {
        /// The object.
        named: Named,
        /// All rules that it breaks.
        causes: Vec<Cause>,
    },
    /// The verb is not there for this resource.
    #[error("the server does not allow this method on the requested resource")]
    MethodNotAllowed,
    /// The resource is there, but not for this verb.
    #[error("{verb} is not supported on resources of kind {:?}", .named.qualified())]
    MethodNotSupported {
        /// The resource, without a name.
        named: Named,
        /// The verb.
        verb: String,
    },
    /// None of the media types that the client takes can be made.
    #[error("{0}")]
    NotAcceptable(String),
    /// The body is of a type that is not understood.
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// The body is too large, or a patch has too many operations.
    #[error("Request entity too large: {0}")]
    TooLarge(String),
    /// The revision is no longer known.
    #[error("{message}")]
    Expired {
        /// The whole message.
        message: String,
        /// A token with which a list can go on from the present.
        continue_token: Option<String>,
    },
    /// The revision is not known yet.
    #[error("Timeout: Too large resource version: {wanted}, current: {current}")]
    TooLargeResourceVersion {
        /// The revision that was asked for.
        wanted: u64,
        /// The newest that is known.
        current: u64,
    },
    /// Too many requests at once, or not ready for this one.
    #[error("{message}")]
    TooManyRequests {
        /// The whole message.
        message: String,
        /// Seconds.
        retry_after: u32,
    },
    /// Not done in time.
    #[error("Timeout: {0}")]
    Timeout(String),
    /// Not now.
    #[error("{message}")]
    Unavailable {
        /// The whole message.
        message: String,
        /// Seconds.
        retry_after: u32,
    },
    /// A fault of ours.
    #[error("Internal error occurred: {0}")]
    Internal(String),
    /// A fault that Kubernetes reports with its text alone, without a reason.
    #[error("{0}")]
    Plain(String),
    /// A patch that cannot be applied.
    #[error("the server rejected our request due to an error in our request")]
    Rejected,
    /// A Status from elsewhere that is already what the client should see.
    #[error("{}", .0.get("message").and_then(Value::as_str).unwrap_or_default())]
    Passed(Box<Value>),
}

/// The text of several causes, each once (`ErrorList.ToAggregate`).
fn invalid_text(causes: &[Cause]) -> String {
    let mut told = HashSet::new();
    let texts = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message));
    let texts: Vec<String> = texts.filter(|text| told.insert(text.clone())).collect();
    match texts.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

impl ApiError {
    /// An invalid object.
    #[must_use]
    pub fn invalid(named: Named, errors: &[FieldError]) -> Self {
        Self::Invalid { named, causes: errors.iter().map(Cause::from).collect() }
    }

    /// The HTTP status code.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::BadRequest(_) => 400,
            Self::Unauthorized => 401,
            Self::Forbidden { .. } => 403,
            Self::NotFound(_) | Self::NoSuchPath => 404,
            Self::MethodNotAllowed | Self::MethodNotSupported { .. } => 405,
            Self::NotAcceptable(_) => 406,
            Self::AlreadyExists(_)
            | Self::NameTaken { .. }
            | Self::BeingDeleted(_)
            | Self::Conflict { .. }
            | Self::ApplyConflict { .. } => 409,
            Self::Expired { .. } => 410,
            Self::TooLarge(_) => 413,
            Self::UnsupportedMediaType(_) => 415,
            Self::Invalid { .. } | Self::Rejected => 422,
            Self::TooManyRequests { .. } => 429,
            Self::Internal(_) | Self::Plain(_) => 500,
            Self::Unavailable { .. } => 503,
            Self::TooLargeResourceVersion { .. } | Self::Timeout(_) => 504,
            Self::Passed(status) => {
                status.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok()).unwrap_or(500)
            }
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "BadRequest",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden { .. } => "Forbidden",
            Self::NotFound(_) | Self::NoSuchPath => "NotFound",
            Self::MethodNotAllowed | Self::MethodNotSupported { .. } => "MethodNotAllowed",
            Self::NotAcceptable(_) => "NotAcceptable",
            Self::AlreadyExists(_) | Self::NameTaken { .. } | Self::BeingDeleted(_) => "AlreadyExists",
            Self::Conflict { .. } | Self::ApplyConflict { .. } => "Conflict",
            Self::Expired { .. } => "Expired",
            Self::TooLarge(_) => "RequestEntityTooLarge",
            Self::UnsupportedMediaType(_) => "UnsupportedMediaType",
            Self::Invalid { .. } | Self::Rejected => "Invalid",
            Self::Plain(_) => "",
            Self::TooManyRequests { .. } => "TooManyRequests",
            Self::Internal(_) | Self::Passed(_) => "InternalError",
            Self::Unavailable { .. } => "ServiceUnavailable",
            Self::TooLargeResourceVersion { .. } | Self::Timeout(_) => "Timeout",
        }
    }

    /// Seconds after which the client may try again.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::TooManyRequests { retry_after, .. } | Self::Unavailable { retry_after, .. } => Some(*retry_after),
            Self::TooLargeResourceVersion { .. } => Some(1),
            Self::Passed(status) => status
                .pointer("/details/retryAfterSeconds")
                .and_then(Value::as_u64)
                .and_then(|seconds| u32::try_from(seconds).ok()),
            _ => None,
        }
    }

    /// The Status object.
    #[must_use]
    pub fn to_status(&self) -> Value {
        if let Self::Passed(status) = self {
            return (**status).clone();
        }
        let mut details = Map::new();
        let mut metadata = Map::new();
        let put = |details: &mut Map<String, Value>, named: &Named, kind: &str| {
            for (member, text) in [("name", named.name.as_str()), ("group", named.group.as_str()), ("kind", kind)] {
                if !text.is_empty() {
                    details.insert(member.to_owned(), json!(text));
                }
            }
        };
        match self {
            Self::NotFound(named)
            | Self::AlreadyExists(named)
            | Self::NameTaken { named, .. }
            | Self::BeingDeleted(named)
            | Self::Conflict { named, .. }
            | Self::MethodNotSupported { named, .. } => {
                put(&mut details, named, &named.resource);
            }
            Self::Forbidden { named, causes, .. } => {
                if let Some(named) = named {
                    put(&mut details, named, &named.resource);
                }
                put_causes(&mut details, causes);
            }
            Self::Invalid { named, causes } => {
                put(&mut details, named, &named.kind);
                put_causes(&mut details, causes);
            }
            Self::ApplyConflict { causes, .. } => put_causes(&mut details, causes),
            Self::TooLargeResourceVersion { .. } => put_causes(
                &mut details,
                &[Cause {
                    reason: "ResourceVersionTooLarge".to_owned(),
                    message: "Too large resource version".to_owned(),
                    field: String::new(),
                }],
            ),
            Self::Internal(text) => put_causes(
                &mut details,
                &[Cause { reason: String::new(), message: text.clone(), field: String::new() }],
            ),
            Self::Expired { continue_token: Some(token), .. } => {
                metadata.insert("continue".to_owned(), json!(token));
            }
            _ => {}
        }
        if let Some(seconds) = self.retry_after() {
            details.insert("retryAfterSeconds".to_owned(), json!(seconds));
        }
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": self.to_string(),
            "reason": self.reason(),
            "code": self.code(),
        });
        if self.reason().is_empty()
            && let Some(status) = status.as_object_mut()
        {
            status.remove("reason");
        }
        let empty_details =
            matches!(self, Self::Forbidden { .. } | Self::NoSuchPath | Self::MethodNotAllowed | Self::Rejected);
        if !details.is_empty() || empty_details {
            status["details"] = Value::Object(details);
        }
        status
    }
}

fn put_causes(details: &mut Map<String, Value>, causes: &[Cause]) {
    if causes.is_empty() {
        return;
    }
    let causes: Vec<Value> = causes
        .iter()
        .map(|cause| {
            let members = [("reason", &cause.reason), ("message", &cause.message), ("field", &cause.field)];
            members
                .into_iter()
                .filter(|(_, text)| !text.is_empty())
                .map(|(key, text)| (key.to_owned(), json!(text)))
                .collect()
        })
        .map(Value::Object)
        .collect();
    details.insert("causes".to_owned(), Value::Array(causes));
}

/// Errors of the host, in the terms of the object that the client knows.
mod host;

impl From<crate::request::NameError> for ApiError {
    fn from(error: crate::request::NameError) -> Self {
        Self::BadRequest(error.to_string())
    }
}

impl From<crate::request::OptionsError> for ApiError {
    fn from(error: crate::request::OptionsError) -> Self {
        use crate::request::OptionsError;
        let causes = |held: Vec<crate::request::Cause>| -> Vec<Cause> {
            held.into_iter()
                .map(|cause| Cause { reason: cause.reason, message: cause.message, field: cause.field })
                .collect()
        };
        match error {
            OptionsError::BadRequest(message) => Self::BadRequest(message),
            OptionsError::Invalid(invalid) => Self::Invalid {
                named: Named {
                    group: crate::request::OPTIONS_GROUP.to_owned(),
                    resource: String::new(),
                    kind: invalid.kind.to_owned(),
                    name: String::new(),
                },
                causes: causes(invalid.causes),
            },
            OptionsError::Plain(message) => Self::Plain(message),
        }
    }
}
