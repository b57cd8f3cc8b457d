//! A group-version, and the name of its APIService.

use std::fmt;

/// A group-version. Ordered by group, then version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupVersion {
    /// The API group.
    pub group: String,
    /// The version.
    pub version: String,
}

impl GroupVersion {
    /// A group-version of borrowed parts.
    pub(crate) fn new(group: &str, version: &str) -> Self {
        Self { group: group.to_owned(), version: version.to_owned() }
    }

    /// The name that its APIService must have
    /// (k8s.io/kube-aggregator/pkg/apis/apiregistration/validation/validation.go).
    pub(crate) fn api_service_name(&self) -> String {
        format!("{}.{}", self.version, self.group)
    }
}

impl fmt::Display for GroupVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.group, self.version)
    }
}
