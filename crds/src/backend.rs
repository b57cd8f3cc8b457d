//! What an instance becomes in the cluster. Field names under `helmRelease` are Flux's own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    resources::Resources,
    version::{any_object, any_objects},
};

/// Fields of Flux that have no type here, such as those that only a newer one knows, by name.
pub type OtherFields = BTreeMap<String, Value>;

/// What an instance becomes. Exactly one member must be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backend {
    /// A Flux HelmRelease in the namespace of the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm_release: Option<HelmReleaseBackend>,
    /// The object itself, in Kindsmith's own storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<EmbeddedStore>,
}

/// Kindsmith's own storage. It has no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EmbeddedStore {}

/// A Flux HelmRelease per instance. Exactly one of `chartRef` and `chart` must be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct HelmReleaseBackend {
    /// The chart as an object of Flux' source-controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart_ref: Option<ChartRef>,
    /// The chart as a template of a HelmChart object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chart: Option<Chart>,
    /// The name of the release is this prefix followed by the name of the instance.
    #[serde(default)]
    pub prefix: String,
    /// Labels for each release.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How often Flux reconciles the release; `5m` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// How long Flux waits for a single operation of Helm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Flux' settings for installing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub install: Option<Value>,
    /// Flux' settings for upgrading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub upgrade: Option<Value>,
    /// Flux' settings for rolling back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub rollback: Option<Value>,
    /// Flux' settings for uninstalling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub uninstall: Option<Value>,
    /// Flux' settings for Helm's tests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub test: Option<Value>,
    /// Flux' settings for what others changed in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub drift_detection: Option<Value>,
    /// Values from ConfigMaps and Secrets, under those of the instance. The name may have placeholders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_from: Vec<ValuesReference>,
    /// Releases that must be ready first. The name and the namespace may have placeholders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependencyReference>,
    /// The service account that Flux acts as, in the namespace of the instance. It may have placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// The namespace that the chart is installed into; that of the instance when absent. It may have placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_namespace: Option<String>,
    /// The namespace where Helm keeps its records; that of the instance when absent. It may have placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_namespace: Option<String>,
    /// What Flux does to the manifests before they are applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "any_objects")]
    pub post_renderers: Vec<Value>,
    /// How Flux waits for resources to become ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_strategy: Option<WaitStrategy>,
    /// When custom resources count as healthy, in CEL.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health_check_exprs: Vec<HealthCheckExpr>,
    /// How many revisions Helm keeps; 0 for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_history: Option<i64>,
    /// What Helm calls the release; made by Flux when absent. It may have placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_name: Option<String>,
    /// The cluster that the chart is installed into; this one when absent. Names in it may have placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub kube_config: Option<Value>,
    /// Labels and annotations for all objects of the chart. Their values may have placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub common_metadata: Option<Value>,
    /// Whether hooks of the chart go through `postRenderers`, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_render_strategy: Option<String>,
    /// Whether Flux reaches the cluster by one client during an action of Helm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_client: Option<bool>,
    /// Which HelmReleases are instances besides those made through the kind; `Chart` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<Adopt>,
    /// Whether annotations of an instance that ask Flux to reconcile reach the release; `Allow` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_reconcile: Option<TenantReconcile>,
    /// Fields of the status that are computed from the release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub status: Vec<StatusField>,
    /// Which Secrets, Services and Ingresses `status.resources` refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Other fields of Flux.
    #[serde(flatten)]
    #[schemars(skip)]
    pub others: OtherFields,
}

/// Which HelmReleases are instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Adopt {
    /// Those with the labels of the kind, and those without labels of any kind that have its chart, its source and its
    /// prefix, such as releases made by hand.
    #[default]
    Chart,
    /// Those with the labels of the kind alone.
    Labels,
}

/// Whether tenants may ask Flux to reconcile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TenantReconcile {
    /// The annotations `reconcile.fluxcd.io/requestedAt`, `forceAt` and `resetAt` of an instance are those of its release.
    #[default]
    Allow,
    /// They are kept as any other annotation, and Flux does not see them.
    Deny,
}

/// A field of the status that is computed from the release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusField {
    /// The name of the field under `status`.
    pub name: String,
    /// A CEL expression over `release`, the HelmRelease.
    pub expression: String,
}

/// A release that must be ready first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct DependencyReference {
    /// The name of the HelmRelease.
    pub name: String,
    /// Its namespace; that of the instance when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// When it counts as ready, in CEL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_expr: Option<String>,
    /// Other fields of Flux.
    #[serde(flatten)]
    #[schemars(skip)]
    pub others: OtherFields,
}

/// How Flux waits for resources to become ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct WaitStrategy {
    /// Which of Flux' ways.
    pub name: WaitStrategyName,
    /// Other fields of Flux.
    #[serde(flatten)]
    #[schemars(skip)]
    pub others: OtherFields,
}

/// Ways to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WaitStrategyName {
    /// The statuses of the resources are polled.
    Poller,
    /// As Helm 3 did.
    Legacy,
}

/// When a custom resource counts as healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct HealthCheckExpr {
    /// `apiVersion` of the resources.
    pub api_version: String,
    /// The kind of the resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whether it is as wanted, in CEL.
    pub current: String,
    /// Whether it is on its way, in CEL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_progress: Option<String>,
    /// Whether it has failed, in CEL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Other fields of Flux.
    #[serde(flatten)]
    #[schemars(skip)]
    pub others: OtherFields,
}

/// A chart held by an object of Flux' source-controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct ChartRef {
    /// The kind of the object.
    pub kind: ChartRefKind,
    /// The name of the object.
    pub name: String,
    /// The namespace of the object; that of the instance when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Other fields of Flux.
    #[serde(flatten)]
    #[schemars(skip)]
    pub others: OtherFields,
}

/// Kinds that hold a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ChartRefKind {
    /// An OCI artifact.
    OCIRepository,
    /// A chart that was fetched.
    HelmChart,
    /// An artifact made elsewhere.
    ExternalArtifact,
}

/// A template of a HelmChart object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct Chart {
    /// Labels and annotations of the HelmChart object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub metadata: Option<Value>,
    /// What to fetch.
    pub spec: ChartSpec,
    /// Other fields of Flux.
    #[serde(flatten)]
    #[schemars(skip)]
    pub others: OtherFields,
}

/// What to fetch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct ChartSpec {
    /// The name or path of the chart in the source.
    pub chart: String,
    /// A version or a range of versions; the latest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where the chart comes from.
    pub source_ref: SourceRef,
    /// How often the source is looked at; as often as the release when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// What counts as a new chart: `ChartVersion` or `Revision`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconcile_strategy: Option<ReconcileStrategy>,
    /// Files of values in the chart to take instead of `values.yaml`, the last over the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_files: Vec<String>,
    /// Whether such files may be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_missing_values_files: Option<bool>,
    /// Whose signature the chart must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub verify: Option<Value>,
    /// Other fields of Flux.
    #[serde(flatten)]
    #[schemars(skip)]
    pub others: OtherFields,
}

/// What counts as a new chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReconcileStrategy {
    /// Another version of the chart.
    ChartVersion,
    /// Another revision of the source.
    Revision,
}

/// A source of charts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct SourceRef {
    /// The kind of the source.
    pub kind: SourceKind,
    /// The name of the source.
    pub name: String,
    /// The namespace of the source; that of the instance when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Other fields of Flux.
    #[serde(flatten)]
    #[schemars(skip)]
    pub others: OtherFields,
}

/// Kinds of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SourceKind {
    /// A Helm repository.
    HelmRepository,
    /// A Git repository.
    GitRepository,
    /// A bucket.
    Bucket,
}

/// A reference to values in a ConfigMap or a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct ValuesReference {
    /// `ConfigMap` or `Secret`.
    pub kind: String,
    /// The name of the object.
    pub name: String,
    /// The key that holds the values; `values.yaml` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values_key: Option<String>,
    /// Where in the values the value goes; the root when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_path: Option<String>,
    /// Whether the object may be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
    /// Whether the value is put at the target path as it is, without Helm's syntax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub literal: Option<bool>,
    /// Other fields of Flux.
    #[serde(flatten)]
    #[schemars(skip)]
    pub others: OtherFields,
}
