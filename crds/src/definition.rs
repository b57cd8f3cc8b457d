//! ApplicationDefinition: one kind, described once.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ApplicationDefinitionStatus, Backend, Names, Version};

/// Describes an application once: its kind, its schema, and what an instance becomes in the cluster.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "kindsmith.dev",
    version = "v1alpha1",
    kind = "ApplicationDefinition",
    plural = "applicationdefinitions",
    singular = "applicationdefinition",
    shortname = "appdef",
    category = "kindsmith",
    status = "ApplicationDefinitionStatus",
    doc = "ApplicationDefinition describes an application once: its kind, its schema, and what an instance becomes in the cluster. From the moment it is accepted the kind is served.",
    printcolumn = r#"{"name":"Kind","type":"string","jsonPath":".spec.names.kind"}"#,
    printcolumn = r#"{"name":"Group","type":"string","jsonPath":".spec.group"}"#,
    printcolumn = r#"{"name":"Accepted","type":"string","jsonPath":".status.conditions[?(@.type==\"Accepted\")].status"}"#,
    printcolumn = r#"{"name":"Served","type":"string","jsonPath":".status.conditions[?(@.type==\"Served\")].status"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationDefinitionSpec {
    /// The API group of the kind, for example `apps.example.com`. It needs a dot and must not be one of Kubernetes' own.
    pub group: String,
    /// Whether instances live in a namespace or in the cluster.
    pub scope: Scope,
    /// What the kind is called.
    pub names: Names,
    /// The versions of the kind. Exactly one has `storage: true`: it is the version that the backend sees.
    pub versions: Vec<Version>,
    /// What an instance becomes. Exactly one member must be set.
    pub backend: Backend,
    /// What becomes of the definition and of instances when it is deleted; `Block` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// What becomes of a definition and of instances when it is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The definition stays, and its kind is served, while there are instances.
    #[default]
    Block,
    /// The definition goes at once; instances are left as what they are made of, such as HelmReleases.
    Orphan,
}

/// Where instances of a kind live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Scope {
    /// Each instance is in a namespace.
    Namespaced,
    /// Instances are in the cluster, outside of any namespace.
    Cluster,
}
