//! What the operator found about a definition.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Names;

/// The definition compiles: its schema, names, columns and backend are sound.
pub const CONDITION_ACCEPTED: &str = "Accepted";

/// No other definition, CustomResourceDefinition or APIService holds the names.
pub const CONDITION_NAMES_ACCEPTED: &str = "NamesAccepted";

/// Each served group-version has its APIService.
pub const CONDITION_REGISTERED: &str = "Registered";

/// Clients find the kind through kube-apiserver.
pub const CONDITION_DISCOVERABLE: &str = "Discoverable";

/// The kind is served.
pub const CONDITION_SERVED: &str = "Served";

/// This generation is accepted and served.
pub const CONDITION_READY: &str = "Ready";

/// The releases there are have the settings of the definition.
pub const CONDITION_ROLLED_OUT: &str = "RolledOut";

/// Releases made by hand are instances, because they have the chart of the definition.
pub const CONDITION_ADOPTS: &str = "Adopts";

/// What instances refer to can be seen. There for a definition that selects objects to refer to.
pub const CONDITION_RESOURCES_VISIBLE: &str = "ResourcesVisible";

/// The definition is being deleted and stays while there are instances.
pub const CONDITION_TERMINATING: &str = "Terminating";

/// The observed generation of a definition that no operator has looked at, as Flux writes it for its own kinds.
pub const NEVER_OBSERVED: i64 = -1;

/// The reason of the conditions of a definition that no operator has looked at.
pub const REASON_NOT_YET_OBSERVED: &str = "NotYetObserved";

/// How many releases have the settings of the definition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// Releases that have them.
    pub updated: i64,
    /// All releases that were made through the kind.
    pub total: i64,
}

/// What the operator found about a definition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationDefinitionStatus {
    /// The generation that the conditions speak of; -1 while no operator has looked at the definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What was found, one condition a type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// When an operator found last that the definition is Ready. While it is and an operator acts, this is at most 16 minutes ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_confirmed_time: Option<Time>,
    /// The names that the kind is served under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_names: Option<Names>,
    /// Versions that objects may be stored in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stored_versions: Vec<String>,
    /// How far the settings of the definition have come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,
}
