//! What the cluster takes as a HelmRelease, read from its CustomResourceDefinition and kept until that changes.

use std::sync::{Mutex, PoisonError};

use kindsmith_schema::release_schema::ReleaseSchema;
use kube::{ResourceExt as _, api::DynamicObject};
use kube_runtime::reflector::Store;
use serde_json::Value;

/// The name of the CustomResourceDefinition.
pub(crate) const RELEASE_CRD: &str = "helmreleases.helm.toolkit.fluxcd.io";

/// The version of releases that is used.
pub(crate) const RELEASE_VERSION: &str = "v2";

/// Whether what instances become is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    /// The cluster serves it.
    Served,
    /// It does not: Flux is not installed, or another version of it.
    NotServed,
}

/// The schema of the CustomResourceDefinition that is watched.
pub(crate) struct WatchedReleaseSchema {
    crd: Store<DynamicObject>,
    /// What was read last, and of which revision.
    read: Mutex<Option<(String, ReleaseSchema)>>,
}

impl WatchedReleaseSchema {
    /// Of a store that holds no other CustomResourceDefinition.
    pub(crate) fn new(crd: Store<DynamicObject>) -> Self {
        Self { crd, read: Mutex::default() }
    }

    /// Waits until it is known whether there is one.
    pub(crate) async fn ready(&self) {
        // An error means that the watch is gone; its task says so.
        let _ = self.crd.wait_until_ready().await;
    }

    /// Whether the cluster serves releases in the version in which they are kept.
    pub(crate) fn backend(&self) -> Backend {
        let crd = self.crd.state().into_iter().next();
        let versions = crd.as_ref().and_then(|crd| crd.data.pointer("/spec/versions")?.as_array());
        let is_served = |version: &Value| version["name"] == RELEASE_VERSION && version["served"] == true;
        match versions.is_some_and(|versions| versions.iter().any(is_served)) {
            true => Backend::Served,
            false => Backend::NotServed,
        }
    }

    /// The schema of the cluster; the one that is built in where there is none that can be read.
    pub(crate) fn current(&self) -> ReleaseSchema {
        let Some(crd) = self.crd.state().into_iter().next() else { return ReleaseSchema::built_in() };
        let revision = crd.resource_version().unwrap_or_default();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, schema)) = read.as_ref().filter(|(last, _)| *last == revision) {
            return schema.clone();
        }
        let schema = ReleaseSchema::of_custom_resource_definition(&crd.data).unwrap_or_else(|error| {
            tracing::warn!(%error, "settings of releases are judged by the schema that is built in");
            ReleaseSchema::built_in()
        });
        *read = Some((revision, schema.clone()));
        schema
    }
}
