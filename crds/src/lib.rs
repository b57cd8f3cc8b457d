//! The ApplicationDefinition API: the Rust types of the objects that platform teams write.
//!
//! One resource, in the order in which its YAML is read. Where a CustomResourceDefinition has a field for the same
//! thing, ours has the same name, shape and rules.

/// The object itself: metadata, spec, status.
mod definition;

/// Names of a kind, as CustomResourceDefinitions have them.
mod names;

/// One version of a kind: schema, columns, subresources.
mod version;

/// How instances are reached.
mod access;

/// What an instance becomes in the cluster.
mod backend;

/// Which objects the status of an instance refers to.
mod resources;

/// What the operator found.
mod status;

/// The CustomResourceDefinition as YAML-ready JSON, for installing.
mod manifest;

pub use access::{AccessEntry, AccessPort, AccessSecret};
pub use backend::{
    Adopt, Backend, Chart, ChartRef, ChartRefKind, ChartSpec, DependencyReference, EmbeddedStore, HealthCheckExpr,
    HelmReleaseBackend, OtherFields, ReconcileStrategy, SourceKind, SourceRef, StatusField, TenantReconcile,
    ValuesReference, WaitStrategy, WaitStrategyName,
};
pub use definition::{ApplicationDefinition, ApplicationDefinitionSpec, DeletionPolicy, Scope};
pub use manifest::custom_resource_definition;
pub use names::Names;
pub use resources::{ResourceSelection, ResourceSelector, Resources};
pub use status::{
    ApplicationDefinitionStatus, CONDITION_ACCEPTED, CONDITION_ADOPTS, CONDITION_DISCOVERABLE,
    CONDITION_NAMES_ACCEPTED, CONDITION_READY, CONDITION_REGISTERED, CONDITION_RESOURCES_VISIBLE, CONDITION_ROLLED_OUT,
    CONDITION_SERVED, CONDITION_TERMINATING, NEVER_OBSERVED, REASON_NOT_YET_OBSERVED, RolloutStatus,
};
pub use version::{
    PrinterColumn, ScaleSubresource, SelectableField, StatusSubresource, Subresources, Validation, Version,
};

/// The API group of Kindsmith's own objects.
pub const GROUP: &str = "kindsmith.dev";

/// The finalizer of definitions: the kind is served until nothing needs it, and its APIService goes before it.
pub const FINALIZER: &str = "kindsmith.dev/served-kind";

/// The API version of Kindsmith's own objects.
pub const VERSION: &str = "v1alpha1";
