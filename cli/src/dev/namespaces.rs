//! Ends the deletion of namespaces, as kube-controller-manager does in a cluster: the contents go first.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kindsmith_apiserver::storage::embedded::Embedded;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams, PostParams},
    discovery::{Discovery, Scope, verbs},
};
use kube_runtime::{WatchStreamExt as _, watcher};
use tokio_util::sync::CancellationToken;

/// How long to wait for contents that finalizers hold.
const RETRY: Duration = Duration::from_secs(1);

/// Makes the default namespace, which every cluster has.
pub(super) async fn ensure_default(client: &Client) -> anyhow::Result<()> {
    let default = Namespace {
        metadata: kube::core::ObjectMeta { name: Some("default".to_owned()), ..Default::default() },
        ..Default::default()
    };
    match Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &default).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error).context("the default namespace cannot be made"),
        Ok(_) => Ok(()),
    }
}

/// Ends deletions until `shutdown`.
pub(super) async fn run(client: Client, store: Arc<Embedded>, shutdown: CancellationToken) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let mut events = watcher(namespaces, watcher::Config::default()).default_backoff().applied_objects().boxed();
    let mut waiting: Vec<String> = Vec::new();
    loop {
        let again = async {
            if waiting.is_empty() { std::future::pending::<()>().await } else { tokio::time::sleep(RETRY).await }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            event = events.next() => match event {
                None => return,
                Some(Err(error)) => tracing::warn!(%error, "namespaces cannot be watched; trying again"),
                Some(Ok(namespace)) => if namespace.metadata.deletion_timestamp.is_some() {
                    waiting.extend(namespace.metadata.name);
                },
            },
            () = again => {}
        }
        waiting.sort();
        waiting.dedup();
        let mut still = Vec::new();
        for name in std::mem::take(&mut waiting) {
            match empty(&client, &name).await {
                Ok(0) => {
                    if let Err(error) = store.finalize_namespace(&name).await {
                        tracing::debug!(%error, namespace = name, "the namespace went by other means");
                    }
                }
                Ok(_) => still.push(name),
                Err(error) => {
                    tracing::warn!(%error, namespace = name, "the namespace cannot be emptied; trying again");
                    still.push(name);
                }
            }
        }
        waiting = still;
    }
}

/// Deletes what is in a namespace and returns how many kinds have something left.
async fn empty(client: &Client, namespace: &str) -> anyhow::Result<usize> {
    let discovery = Discovery::new(client.clone()).run().await?;
    let mut left = 0;
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            if capabilities.scope != Scope::Namespaced || !capabilities.supports_operation(verbs::DELETE_COLLECTION) {
                continue;
            }
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
            api.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
            left += api.list_metadata(&ListParams::default().limit(1)).await?.items.len();
        }
    }
    Ok(left)
}
