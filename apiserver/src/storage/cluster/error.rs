//! Errors of the client as errors of the host.

use kube::core::Status;
use serde_json::{Value, json};

use crate::storage::host::{HostError, HostResource};

/// The answer to a write that was made for another revision.
pub(super) fn modified(resource: &HostResource, object: &Value) -> Box<Status> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let message = format!(
        "Operation cannot be fulfilled on {}.{} {name:?}: the object has been modified; please apply your changes to \
         the latest version and try again",
        resource.plural, resource.group
    );
    let status = json!({"status": "Failure", "reason": "Conflict", "code": 409, "message": message});
    Box::new(serde_json::from_value(status).unwrap_or_default())
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
            HostError::Status(status)
        }
        kube::Error::SerdeError(error) => HostError::Malformed(error.to_string()),
        error => HostError::Unreachable(error.to_string()),
    }
}
