//! Host resources that Kindsmith itself knows.

use kindsmith_crds::Scope;
use kindsmith_schema::form::DefinitionForm;

use super::host::{HostResource, StatusEndpoint};

fn resource(group: &str, version: &str, kind: &str, plural: &str, scope: Scope) -> HostResource {
    HostResource {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        scope,
        status: StatusEndpoint::Separate,
    }
}

/// Namespaces.
#[must_use]
pub fn namespaces() -> HostResource {
    resource("", "v1", "Namespace", "namespaces", Scope::Cluster)
}

/// Flux' HelmReleases.
#[must_use]
pub fn helm_releases() -> HostResource {
    resource("helm.toolkit.fluxcd.io", "v2", "HelmRelease", "helmreleases", Scope::Namespaced)
}

/// CustomResourceDefinitions.
#[must_use]
pub fn custom_resource_definitions() -> HostResource {
    let (group, kind) = ("apiextensions.k8s.io", "CustomResourceDefinition");
    resource(group, "v1", kind, "customresourcedefinitions", Scope::Cluster)
}

/// ApplicationDefinitions of a form.
#[must_use]
pub fn application_definitions(form: DefinitionForm) -> HostResource {
    resource(form.group(), form.version(), "ApplicationDefinition", "applicationdefinitions", Scope::Cluster)
}
