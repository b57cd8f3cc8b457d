//! Which objects of the cluster are ours, and what our APIServices carry.

use k8s_openapi::{ByteString, kube_aggregator::pkg::apis::apiregistration::v1::APIService};
use kube::ResourceExt as _;

/// The label that says an object is ours.
pub(crate) const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// The value of the label.
pub(crate) const MANAGED_BY_VALUE: &str = "kindsmith";

/// Whether an APIService is ours.
pub(crate) fn is_ours(api_service: &APIService) -> bool {
    api_service.labels().get(MANAGED_BY_LABEL).is_some_and(|value| value == MANAGED_BY_VALUE)
}

/// Whether an APIService carries a bundle.
pub(crate) fn carries(api_service: &APIService, bundle: &ByteString) -> bool {
    api_service.spec.as_ref().and_then(|spec| spec.ca_bundle.as_ref()) == Some(bundle)
}
