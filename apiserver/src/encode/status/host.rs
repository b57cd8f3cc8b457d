//! Errors of the host, in the terms of the object that the client knows: code, reason and causes stay, the object is
//! ours.

use kindsmith_text::print::quoted;
use kube::core::Status;
use serde_json::{Map, Value, json};

use super::{ApiError, Cause, Named};
use crate::storage::host::HostError;

/// Seconds after which to try again what the host cannot answer now.
const RETRY_AFTER_SECONDS: u32 = 5;

impl ApiError {
    /// An error of the host, told in the terms of the object that the client knows.
    #[must_use]
    pub fn from_host(error: HostError, named: &Named) -> Self {
        let status = match error {
            HostError::Status(status) => status,
            HostError::Unreachable(_) => {
                return Self::Unavailable {
                    message: format!("the backend of {} cannot be reached; try again", named.qualified()),
                    retry_after: RETRY_AFTER_SECONDS,
                };
            }
            HostError::NotServed(resource) => {
                return Self::Unavailable {
                    message: format!(
                        "the backend of {} is not available: the cluster does not serve {resource}; is it installed?",
                        named.qualified()
                    ),
                    retry_after: RETRY_AFTER_SECONDS,
                };
            }
            HostError::Malformed(text) => return Self::Internal(text),
        };
        // Of a namespace that is asked for itself, the host speaks as of any object.
        let is_namespace = named.group.is_empty() && named.resource == "namespaces";
        let about_namespace =
            !is_namespace && status.details.as_ref().is_some_and(|details| details.kind == "namespaces");
        match (status.code, status.reason.as_str()) {
            (404, _) if !about_namespace => Self::NotFound(named.clone()),
            (409, "AlreadyExists") if status.message.starts_with("object is being deleted: ") => {
                Self::BeingDeleted(named.clone())
            }
            (409, "AlreadyExists") => Self::AlreadyExists(named.clone()),
            (409, "Conflict") => {
                let reason = status.message.split_once("\": ").map_or(status.message.as_str(), |(_, reason)| reason);
                Self::Conflict { named: named.clone(), reason: reason.to_owned() }
            }
            // Causes without a field, as policies give them, are in words that are told as they are.
            (422, _) if is_about_fields(&status) => Self::Invalid { named: named.clone(), causes: causes(&status) },
            // Rights that are missing, or a token that is not believed, are ours: the user was judged before.
            (401, _) => Self::refused(&status, named),
            (403, _) if status.message.contains(": User \"") && status.message.contains("\" cannot ") => {
                Self::refused(&status, named)
            }
            _ if about_namespace => Self::Passed(Box::new(passed(&status))),
            _ => Self::Passed(Box::new(renamed(&status, named))),
        }
    }

    /// The host refuses us, and not the user.
    fn refused(status: &Status, named: &Named) -> Self {
        Self::Unavailable {
            message: format!("the backend of {} refuses: {}", named.qualified(), status.message),
            retry_after: RETRY_AFTER_SECONDS,
        }
    }
}

/// The field of a cause that is about the release as a whole.
const NO_FIELD: &str = "<nil>";

/// Whether there are causes, and each names a field.
fn is_about_fields(status: &Status) -> bool {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    causes.iter().any(|cause| cause.field != NO_FIELD) && causes.iter().all(|cause| !cause.field.is_empty())
}

fn causes(status: &Status) -> Vec<Cause> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        // That rules of the release were not checked is nothing to who wrote the instance.
        .filter(|cause| cause.field != NO_FIELD)
        .map(|cause| Cause {
            reason: cause.reason.clone(),
            message: cause.message.clone(),
            field: own_field(&cause.field),
        })
        .collect()
}

/// The field of the instance that a field of the release holds. Other fields of its spec are the platform's, and are named
/// as the release's, so that nobody looks for them in the instance.
fn own_field(field: &str) -> String {
    let is_within = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
    match (field.strip_prefix("spec.values"), field.strip_prefix("spec")) {
        (Some(rest), _) if is_within(rest) => format!("spec{rest}"),
        (_, Some(rest)) if is_within(rest) => format!("release.{field}"),
        _ => field.to_owned(),
    }
}

fn passed(status: &Status) -> Value {
    let mut passed = serde_json::to_value(status).unwrap_or_default();
    passed["kind"] = json!("Status");
    passed["apiVersion"] = json!("v1");
    passed["status"] = json!("Failure");
    passed
}

/// The status as it is, but for the name of the object in its details and its message.
fn renamed(status: &Status, named: &Named) -> Value {
    let mut passed = passed(status);
    if let Some(details) = passed.get_mut("details").and_then(Value::as_object_mut) {
        put_named(details, named);
    }
    let Some(details) = &status.details else { return passed };
    let hosts =
        [&details.kind, &status_kind(status)].map(|kind| format!("{kind}.{} {}", details.group, quoted(&details.name)));
    let own = format!("{} {}", named.qualified(), quoted(&named.name));
    let message = hosts.iter().fold(status.message.clone(), |message, host| message.replace(host.as_str(), &own));
    passed["message"] = json!(message);
    passed
}

/// The kind that a message names before the group.
fn status_kind(status: &Status) -> String {
    let before_group =
        status.details.as_ref().and_then(|details| status.message.split(&format!(".{} ", details.group)).next());
    before_group.and_then(|text| text.rsplit([' ', '"']).next()).unwrap_or_default().to_owned()
}

fn put_named(details: &mut Map<String, Value>, named: &Named) {
    for (member, text) in [("name", &named.name), ("group", &named.group), ("kind", &named.resource)] {
        details.insert(member.to_owned(), json!(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named() -> Named {
        Named {
            group: "apps.example.com".to_owned(),
            resource: "redises".to_owned(),
            kind: "Redis".to_owned(),
            name: "cache".to_owned(),
        }
    }

    fn told(code: u16, reason: &str, message: &str, causes: &Value) -> Value {
        let status = json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message,
            "metadata": {},
            "details": {"name": "redis-cache", "group": "helm.toolkit.fluxcd.io", "kind": "helmreleases",
                "causes": causes}});
        let status = serde_json::from_value(status).unwrap();
        ApiError::from_host(HostError::Status(Box::new(status)), &named()).to_status()
    }

    #[test]
    fn an_error_of_the_host_keeps_code_reason_and_causes() {
        let host = "helmreleases.helm.toolkit.fluxcd.io \"redis-cache\"";
        for (code, reason, message, wanted) in [
            (404, "NotFound", "not found", "redises.apps.example.com \"cache\" not found"),
            (409, "AlreadyExists", "already exists", "redises.apps.example.com \"cache\" already exists"),
            (
                403,
                "Forbidden",
                "is forbidden: exceeded quota: q",
                "redises.apps.example.com \"cache\" is forbidden: exceeded quota: q",
            ),
            (429, "TooManyRequests", "is busy", "redises.apps.example.com \"cache\" is busy"),
            (500, "InternalError", "is odd", "redises.apps.example.com \"cache\" is odd"),
        ] {
            let status = told(code, reason, &format!("{host} {message}"), &json!([]));
            assert_eq!((&status["code"], &status["reason"]), (&json!(code), &json!(reason)));
            assert_eq!(status["message"], wanted);
            assert_eq!(status["details"]["name"], "cache");
            assert_eq!(status["details"]["kind"], "redises");
        }
        let conflict = "Operation cannot be fulfilled on helmreleases.helm.toolkit.fluxcd.io \"redis-cache\": moved";
        assert_eq!(
            told(409, "Conflict", conflict, &json!([]))["message"],
            "Operation cannot be fulfilled on redises.apps.example.com \"cache\": moved"
        );
    }

    #[test]
    fn causes_name_the_fields_of_the_instance() {
        let causes = json!([
            {"reason": "FieldValueInvalid", "message": "Invalid value: 1: no", "field": "spec.values.size"},
            {"reason": "FieldValueRequired", "message": "Required value", "field": "metadata.labels"}]);
        let status = told(422, "Invalid", "HelmRelease.helm.toolkit.fluxcd.io \"redis-cache\" is invalid: x", &causes);
        assert_eq!((&status["code"], &status["reason"]), (&json!(422), &json!("Invalid")));
        assert_eq!(status["details"]["kind"], "Redis");
        let fields: Vec<&Value> =
            status["details"]["causes"].as_array().unwrap().iter().map(|it| &it["field"]).collect();
        assert_eq!(fields, ["spec.size", "metadata.labels"]);
        let unchecked = json!([causes[1], {"reason": "FieldValueInvalid", "field": "<nil>",
            "message": "Invalid value: null: some validation rules were not checked because the object was invalid"}]);
        let status =
            told(422, "Invalid", "HelmRelease.helm.toolkit.fluxcd.io \"redis-cache\" is invalid: x", &unchecked);
        assert_eq!(status["message"], "Redis.apps.example.com \"cache\" is invalid: metadata.labels: Required value");
        let plain =
            told(422, "Invalid", "HelmRelease.helm.toolkit.fluxcd.io \"redis-cache\" is invalid: x", &json!([]));
        assert_eq!(plain["message"], "redises.apps.example.com \"cache\" is invalid: x");
    }

    #[test]
    fn what_a_policy_says_is_told_in_its_words() {
        let text = "helmreleases.helm.toolkit.fluxcd.io \"redis-cache\" is forbidden: ValidatingAdmissionPolicy 'small' with \
            binding 'small' denied request: too large";
        let causes =
            json!([{"message": "ValidatingAdmissionPolicy 'small' with binding 'small' denied request: too large"}]);
        let status = told(422, "Invalid", text, &causes);
        assert_eq!((&status["code"], &status["reason"]), (&json!(422), &json!("Invalid")));
        let wanted =
            text.replace("helmreleases.helm.toolkit.fluxcd.io \"redis-cache\"", "redises.apps.example.com \"cache\"");
        assert_eq!(status["message"], wanted);
        assert_eq!(status["details"]["causes"], causes);
    }

    #[test]
    fn fields_of_the_platform_are_named_as_the_releases() {
        let causes = json!([{"reason": "FieldValueInvalid", "message": "Invalid value", "field": "spec.interval"}]);
        let status = told(422, "Invalid", "HelmRelease.helm.toolkit.fluxcd.io \"redis-cache\" is invalid: x", &causes);
        assert_eq!(status["details"]["causes"][0]["field"], "release.spec.interval");
        assert_eq!(
            status["message"],
            "Redis.apps.example.com \"cache\" is invalid: release.spec.interval: Invalid value"
        );
    }

    #[test]
    fn a_token_of_ours_that_is_not_believed_is_not_the_users() {
        let status = told(401, "Unauthorized", "Unauthorized", &json!([]));
        assert_eq!((&status["code"], &status["details"]["retryAfterSeconds"]), (&json!(503), &json!(5)));
    }

    #[test]
    fn rights_that_we_lack_are_not_the_users() {
        let text = "helmreleases.helm.toolkit.fluxcd.io \"redis-cache\" is forbidden: \
            User \"system:serviceaccount:k:a\" cannot create resource \"helmreleases\"";
        let status = told(403, "Forbidden", text, &json!([]));
        assert_eq!((&status["code"], &status["details"]["retryAfterSeconds"]), (&json!(503), &json!(5)));
    }
}
