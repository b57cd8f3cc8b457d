//! Proof that a resource is not there: its CustomResourceDefinition is gone, and so are all objects of it.
//!
//! That the cluster answers 404 is none: it may be starting, or serve another version of what is stored. An empty answer
//! tells informers and the garbage collector that everything was deleted, so nothing less than this makes one; and without
//! one no namespace could be deleted in a cluster where Flux was uninstalled.

use http::Method;
use serde_json::Value;

use super::{Cluster, revision, url::Url};
use crate::storage::{
    builtin::{custom_resource_definitions, helm_releases},
    host::{HostError, HostList, HostResource},
};

impl Cluster {
    /// What is left of a resource that the cluster says it does not serve: nothing, at a revision, where that is proven.
    ///
    /// # Errors
    /// What the cluster said, where it is not proven.
    pub(super) async fn nothing_of(&self, resource: &HostResource, said: HostError) -> Result<HostList, HostError> {
        // What definitions are there is told by the cluster, or not known.
        if !matches!(said, HostError::NotServed(_)) || *resource != helm_releases() {
            return Err(said);
        }
        // A list without a revision is of the most recent state. One name is asked for, so one name may be all we may read.
        let definitions = custom_resource_definitions();
        let selector = format!("metadata.name={}.{}", resource.plural, resource.group);
        let url = Url::collection(&definitions, None).with("fieldSelector", selector);
        let listed: Value = match self.call(&definitions, Method::GET, url, None).await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::debug!(%error, resource = resource.plural, "whether the resource is gone cannot be proven");
                return Err(said);
            }
        };
        match listed.get("items").and_then(Value::as_array) {
            Some(items) if items.is_empty() => Ok(HostList { items: Vec::new(), revision: revision(&listed)? }),
            _ => Err(said),
        }
    }
}
