//! One version of a kind, field by field that of `CustomResourceDefinitionVersion`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::AccessEntry;

/// One version of a kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The name of the version, for example `v1alpha1`.
    pub name: String,
    /// Whether the version can be used through the API.
    pub served: bool,
    /// Whether this is the version that the backend sees. Exactly one version has it.
    pub storage: bool,
    /// Whether clients are warned when they use the version.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
    /// The warning clients get; a default text when absent. Only with `deprecated: true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecation_warning: Option<String>,
    /// The schema that instances are pruned, defaulted and validated with.
    pub schema: Validation,
    /// The columns that `kubectl get` prints after the name; the age alone when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_printer_columns: Vec<PrinterColumn>,
    /// Fields that may be used in field selectors, besides the name and the namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub selectable_fields: Vec<SelectableField>,
    /// Subresources of the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subresources: Option<Subresources>,
    /// How an instance is used, shown in its `status.notes`: a text for people, with expressions in CEL such as
    /// `${self.metadata.name}`. Only with `helmRelease`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16384))]
    pub notes: Option<String>,
    /// How an instance is reached, shown in its `status.access`. Only with `helmRelease`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub access: Vec<AccessEntry>,
}

/// The schema of a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Validation {
    /// A structural OpenAPI v3 schema, as in a CustomResourceDefinition.
    #[serde(rename = "openAPIV3Schema")]
    #[schemars(schema_with = "any_object")]
    pub open_api_v3_schema: Value,
}

/// A column of `kubectl get`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrinterColumn {
    /// The heading.
    pub name: String,
    /// The OpenAPI type of the cell: integer, number, string, boolean or date.
    #[serde(rename = "type")]
    pub kind: String,
    /// An OpenAPI format for the cell; `name` marks the primary identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// What the column shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// 0 for the standard view; greater for `-o wide` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Where the value is, for example `.spec.replicas`. Either this or `expression` is set.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub json_path: String,
    /// A CEL expression that computes the value from `self`, for example `self.spec.replicas > 1 ? 'yes' : 'no'`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
}

/// A field for field selectors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SelectableField {
    /// A simple path such as `.spec.color`, without array notation.
    pub json_path: String,
}

/// Subresources of a kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subresources {
    /// Serves `/status`, and makes the main endpoint ignore changes of the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusSubresource>,
    /// Serves `/scale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<ScaleSubresource>,
}

/// The `/status` subresource. It has no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusSubresource {}

/// The `/scale` subresource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScaleSubresource {
    /// Where the wanted number of replicas is, under `.spec`.
    pub spec_replicas_path: String,
    /// Where the actual number of replicas is, under `.status`.
    pub status_replicas_path: String,
    /// Where the serialized label selector is, under `.status` or `.spec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector_path: Option<String>,
}

/// An object whose fields are judged by our own schema compiler and not by the schema of the definition.
pub(crate) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// A list of such objects.
pub(crate) fn any_objects(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}})
}
