//! Errors of the client as errors of the host.

use kindsmith_text::print::quoted;
use kube::core::Status;
use serde_json::{Value, json};

use crate::storage::host::{HostError, HostResource};

/// The answer to a write that was made for another revision.
pub(super) fn modified(resource: &HostResource, object: &Value) -> Box<Status> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let message = format!(
        "Operation cannot be fulfilled on {}.{} {}: the object has been modified; please apply your changes to \
         the latest version and try again",
        resource.plural,
        resource.group,
        quoted(name)
    );
    let status = json!({"status": "Failure", "reason": "Conflict", "code": 409, "message": message});
    Box::new(serde_json::from_value(status).unwrap_or_default())
}

/// The reason that the client gives to an answer that is no Status.
const NO_STATUS: &str = "Failed to parse error data";

/// How much of an answer that is no Status is told, in characters.
const TOLD_CHARACTERS_MAX: usize = 256;

/// Seconds after which to try again when an answer that asks for it does not say when.
const RETRY_AFTER_SECONDS: u32 = 1;

/// An answer in plain text as a Status: kube-apiserver under load, and what stands before it, answer so.
fn told_plainly(status: &Status) -> Box<Status> {
    let text: String = status.message.chars().take(TOLD_CHARACTERS_MAX).collect();
    let (reason, retry_after) = match status.code {
        400 => ("BadRequest", None),
        401 => ("Unauthorized", None),
        403 => ("Forbidden", None),
        405 => ("MethodNotAllowed", None),
        413 => ("RequestEntityTooLarge", None),
        415 => ("UnsupportedMediaType", None),
        429 => ("TooManyRequests", Some(RETRY_AFTER_SECONDS)),
        502 | 503 => ("ServiceUnavailable", Some(RETRY_AFTER_SECONDS)),
        504 => ("Timeout", None),
        _ => ("InternalError", None),
    };
    let code = if status.code == 502 { 503 } else { status.code };
    let mut told = json!({"status": "Failure", "reason": reason, "code": code, "message": text});
    if let Some(seconds) = retry_after {
        told["details"] = json!({"retryAfterSeconds": seconds});
    }
    Box::new(serde_json::from_value(told).unwrap_or_default())
}

/// Tells apart what the cluster answered from what kept it from answering.
pub(super) fn host_error(error: kube::Error, resource: &HostResource) -> HostError {
    match error {
        kube::Error::Api(status) => {
            // A 404 that names no object is about the resource itself: its CustomResourceDefinition is not there.
            let names_object = status.details.as_ref().is_some_and(|details| !details.name.is_empty());
            if status.code == 404 && !names_object {
                return HostError::NotServed(format!("{}.{}", resource.plural, resource.group));
            }
            HostError::Status(if status.reason == NO_STATUS { told_plainly(&status) } else { status })
        }
        kube::Error::SerdeError(error) => HostError::Malformed(error.to_string()),
        error => HostError::Unreachable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::builtin::helm_releases;

    fn told(code: u16, text: &str) -> HostError {
        let status = Status::failure(text, NO_STATUS).with_code(code);
        host_error(kube::Error::Api(status.boxed()), &helm_releases())
    }

    #[test]
    fn an_answer_in_plain_text_is_told_by_its_code() {
        for (code, wanted, reason, retry_after) in [
            (429, 429, "TooManyRequests", 1),
            (502, 503, "ServiceUnavailable", 1),
            (503, 503, "ServiceUnavailable", 1),
            (504, 504, "Timeout", 0),
            (500, 500, "InternalError", 0),
        ] {
            let HostError::Status(status) = told(code, "Too many requests, please try again later.") else {
                panic!("{code} is no status");
            };
            let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
            assert_eq!((status.code, status.reason.as_str(), seconds), (wanted, reason, retry_after));
        }
        assert!(matches!(told(404, "404 page not found"), HostError::NotServed(_)));
        let HostError::Status(status) = told(500, &"x".repeat(10_000)) else { panic!("500 is no status") };
        assert_eq!(status.message.len(), TOLD_CHARACTERS_MAX);
    }
}
