//! Names of a kind, field by field those of `CustomResourceDefinitionNames`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a kind is called, as in a CustomResourceDefinition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Names {
    /// The kind, CamelCase and singular, for example `Redis`.
    pub kind: String,
    /// The resource in URLs and for kubectl, lower case, for example `redises`.
    pub plural: String,
    /// The singular for kubectl; the lower-cased kind when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub singular: Option<String>,
    /// The kind of a list; the kind with `List` appended when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_kind: Option<String>,
    /// Short names for kubectl.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub short_names: Vec<String>,
    /// Grouped resources to which the kind belongs, such as `all`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
}
