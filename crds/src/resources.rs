//! Which Secrets, Services and Ingresses the status of an instance refers to.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What `status.resources` refers to: names and kinds, never contents. Only objects in the namespace of the instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// Secrets, such as those with credentials.
    #[serde(default, skip_serializing_if = "ResourceSelection::is_empty")]
    pub secrets: ResourceSelection,
    /// Services, by which the application is reached.
    #[serde(default, skip_serializing_if = "ResourceSelection::is_empty")]
    pub services: ResourceSelection,
    /// Ingresses, by which the application is reached from outside.
    #[serde(default, skip_serializing_if = "ResourceSelection::is_empty")]
    pub ingresses: ResourceSelection,
}

/// Which objects of one kind: those that one of `include` selects, and none of `exclude`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSelection {
    /// What is referred to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub include: Vec<ResourceSelector>,
    /// What is not, although it is included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub exclude: Vec<ResourceSelector>,
}

impl ResourceSelection {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }
}

/// Selects objects that have one of the names, if there are any, and all of the labels. Names and values of labels may
/// have placeholders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSelector {
    /// The names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub resource_names: Vec<String>,
    /// The labels. Without names, one of the values must have a placeholder that names the instance.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}
