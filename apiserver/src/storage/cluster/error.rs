//! Errors of the client as errors of the host.

use crate::storage::host::{HostError, HostResource};

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
