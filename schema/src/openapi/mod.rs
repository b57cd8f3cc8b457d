//! The OpenAPI documents of the kinds that are served, as a CustomResourceDefinition's are published.
//!
//! Follows `apiextensions-apiserver/pkg/controller/openapi/builder`. On purpose different:
//! - the types of Kubernetes itself (ObjectMeta, Status, …) carry names of our own (`dev.kindsmith.meta.v1.ObjectMeta`)
//!   and no group-version-kinds. Under their usual names kube-aggregator would rename ours to `…_v2` wherever a letter
//!   differs from its own, and clients that index the merged document by kind (Argo CD, client-go's `GVKParser`) then
//!   fail on the duplicates;
//! - a boolean `additionalProperties` is published as `x-kubernetes-preserve-unknown-fields`, because it has crashed
//!   kube-controller-manager;
//! - an array always has `items`;
//! - only what this server does is published: no sharded lists, and the patch types of [`PATCH_MEDIA_TYPES`].
//!
//! Both documents are deterministic: the same kinds give the same bytes, in any order of the kinds.
//!
//! ```text
//! routes.rs   kind → its operations           ┐
//! schema.rs   schema as written → published   ├─▶ v3.rs, v2.rs: the documents
//! meta.rs     the types all kinds share       ┘
//! ```

mod meta;
mod names;
mod routes;
mod schema;
mod v2;
mod v3;

use std::borrow::Cow;

use serde_json::Value;

use crate::kind::Typing;

pub use names::model_name;
pub use v2::v2_document;
pub use v3::v3_document;

/// The media types of PATCH. `kubectl apply` sends a strategic merge patch wherever that type is listed: it must not
/// be here.
pub const PATCH_MEDIA_TYPES: &[&str] =
    &["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];

/// The media types of PATCH for a type of Kubernetes itself.
pub const BUILT_IN_PATCH_MEDIA_TYPES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

/// Whether the objects of a kind are in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In namespaces.
    Namespaced,
    /// Not in namespaces.
    Cluster,
}

/// Whether a subresource is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subresource {
    /// It is not.
    Absent,
    /// It is.
    Served,
}

/// One version of a kind, with what its documents are made of.
#[derive(Clone, Debug)]
pub struct Publishable<'a> {
    /// The API group.
    pub group: &'a str,
    /// The version.
    pub version: &'a str,
    /// The kind.
    pub kind: &'a str,
    /// The kind of its lists.
    pub list_kind: &'a str,
    /// The resource, as in the path.
    pub plural: &'a str,
    /// Whether it is namespaced.
    pub scope: Scope,
    /// The `openAPIV3Schema` as written: structural, checked before.
    pub schema: Cow<'a, Value>,
    /// Whether `/status` is served.
    pub status: Subresource,
    /// Whether `/scale` is served.
    pub scale: Subresource,
    /// The JSON paths of the selectable fields.
    pub selectable_fields: Vec<&'a str>,
}

impl Publishable<'_> {
    /// Whether the kind is one of Kubernetes itself: those of the core group are.
    fn typing(&self) -> Typing {
        if self.group.is_empty() { Typing::BuiltIn } else { Typing::Custom }
    }

    /// The names of the models that are of this kind alone: its objects and its lists.
    #[must_use]
    pub fn models(&self) -> [String; 2] {
        [self.kind, self.list_kind].map(|kind| names::model_name(self.group, self.version, kind))
    }
}

/// The two dialects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// Swagger 2.0.
    V2,
    /// OpenAPI 3.0.
    V3,
}

impl Dialect {
    /// The reference to a model.
    fn reference(self, model: &str) -> Value {
        let prefix = match self {
            Self::V2 => "#/definitions/",
            Self::V3 => meta::REFERENCE_PREFIX,
        };
        Value::String(format!("{prefix}{model}"))
    }
}

#[cfg(test)]
mod tests;
