//! Status objects as kube-apiserver gives them, for what a host finds itself.

use kindsmith_text::print::quoted;
use kube::core::{
    Status,
    response::{StatusCause, StatusDetails, StatusSummary},
};

use crate::storage::host::{HostError, HostResource};

fn qualified(resource: &HostResource) -> String {
    if resource.group.is_empty() { resource.plural.clone() } else { format!("{}.{}", resource.plural, resource.group) }
}

fn failure(code: u16, reason: &str, message: String, resource: &HostResource, name: &str) -> HostError {
    HostError::Status(Box::new(Status {
        status: Some(StatusSummary::Failure),
        code,
        message,
        reason: reason.to_owned(),
        details: Some(StatusDetails {
            name: name.to_owned(),
            group: resource.group.clone(),
            kind: resource.plural.clone(),
            uid: String::new(),
            causes: Vec::new(),
            retry_after_seconds: 0,
        }),
        ..Status::default()
    }))
}

pub(super) fn not_found(resource: &HostResource, name: &str) -> HostError {
    failure(404, "NotFound", format!("{} {} not found", qualified(resource), quoted(name)), resource, name)
}

pub(super) fn already_exists(resource: &HostResource, name: &str) -> HostError {
    failure(409, "AlreadyExists", format!("{} {} already exists", qualified(resource), quoted(name)), resource, name)
}

pub(super) fn being_deleted(resource: &HostResource, name: &str) -> HostError {
    let message = format!("object is being deleted: {} {} already exists", qualified(resource), quoted(name));
    failure(409, "AlreadyExists", message, resource, name)
}

pub(super) fn conflict(resource: &HostResource, name: &str, reason: &str) -> HostError {
    let message = format!("Operation cannot be fulfilled on {} {}: {reason}", qualified(resource), quoted(name));
    failure(409, "Conflict", message, resource, name)
}

pub(super) fn modified(resource: &HostResource, name: &str) -> HostError {
    conflict(
        resource,
        name,
        "the object has been modified; please apply your changes to the latest version and try again",
    )
}

pub(super) fn finalizers_added(resource: &HostResource, name: &str, added: &[String]) -> HostError {
    let added = added.iter().map(|finalizer| quoted(finalizer)).collect::<Vec<_>>().join(", ");
    let detail = format!(
        "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{added}}}"
    );
    let kind =
        if resource.group.is_empty() { resource.kind.clone() } else { format!("{}.{}", resource.kind, resource.group) };
    let mut error = failure(
        422,
        "Invalid",
        format!("{kind} {} is invalid: metadata.finalizers: {detail}", quoted(name)),
        resource,
        name,
    );
    if let HostError::Status(status) = &mut error
        && let Some(details) = &mut status.details
    {
        details.kind.clone_from(&resource.kind);
        details.causes = vec![StatusCause {
            reason: "FieldValueForbidden".to_owned(),
            message: detail,
            field: "metadata.finalizers".to_owned(),
        }];
    }
    error
}

/// Source: k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle/admission.go.
pub(super) fn immortal(resource: &HostResource, name: &str) -> HostError {
    let message = format!("{} {} is forbidden: this namespace may not be deleted", qualified(resource), quoted(name));
    failure(403, "Forbidden", message, resource, name)
}

fn expired(message: String) -> HostError {
    HostError::Status(Box::new(Status {
        status: Some(StatusSummary::Failure),
        code: 410,
        message,
        reason: "Expired".to_owned(),
        ..Status::default()
    }))
}

/// An error that kube-apiserver passes on in its own words.
///
/// Source: `ErrorToAPIStatus` in k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/status.go.
pub(super) fn internal(message: String) -> HostError {
    let status = Status { status: Some(StatusSummary::Failure), code: 500, message, ..Status::default() };
    HostError::Status(Box::new(status))
}

/// Source: k8s.io/apiserver/pkg/storage/cacher/watch_cache_history.go.
pub(super) fn watch_expired(wanted: u64, oldest: u64) -> HostError {
    expired(format!("too old resource version: {wanted} ({oldest})"))
}

/// Source: k8s.io/apiserver/pkg/storage/etcd3/errors.go.
pub(super) fn list_expired() -> HostError {
    expired("The resourceVersion for the provided list is too old.".to_owned())
}

/// Source: k8s.io/apiserver/pkg/storage/errors.go (NewTooLargeResourceVersionError).
pub(super) fn too_new(wanted: u64, newest: u64) -> HostError {
    HostError::Status(Box::new(Status {
        status: Some(StatusSummary::Failure),
        code: 504,
        message: format!("Timeout: Too large resource version: {wanted}, current: {newest}"),
        reason: "Timeout".to_owned(),
        details: Some(StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: vec![StatusCause {
                reason: "ResourceVersionTooLarge".to_owned(),
                message: "Too large resource version".to_owned(),
                field: String::new(),
            }],
            retry_after_seconds: 1,
        }),
        ..Status::default()
    }))
}
