//! Follows what the cluster says about front proxies and CAs, which rotate while we serve.

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use kube_runtime::{WatchStreamExt as _, watcher};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::AuthenticationConfig;

/// The ConfigMap's namespace.
const NAMESPACE: &str = "kube-system";

/// The ConfigMap's name.
const NAME: &str = "extension-apiserver-authentication";

/// Keeps `config` as the cluster says it until `shutdown`. When the ConfigMap goes or cannot be read, nobody is believed.
pub async fn watch_authentication_config(
    client: Client,
    config: Arc<ArcSwap<AuthenticationConfig>>,
    synced: watch::Sender<bool>,
    shutdown: CancellationToken,
) {
    let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    let settings = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
    let mut events = watcher(api, settings).default_backoff().boxed();
    loop {
        let event = tokio::select! {
            () = shutdown.cancelled() => return,
            event = events.next() => event,
        };
        match event {
            None => return,
            Some(Ok(watcher::Event::Apply(held) | watcher::Event::InitApply(held))) => {
                let read = AuthenticationConfig::from_configmap(&held.data.unwrap_or_default());
                let next = read.unwrap_or_else(|error| {
                    tracing::error!(%error, "authentication settings cannot be used; nobody is believed until they can");
                    AuthenticationConfig::default()
                });
                config.store(Arc::new(next));
                synced.send_replace(true);
            }
            Some(Ok(watcher::Event::Delete(_))) => {
                tracing::error!("authentication settings are gone; nobody is believed until they are back");
                config.store(Arc::new(AuthenticationConfig::default()));
            }
            Some(Ok(watcher::Event::Init | watcher::Event::InitDone)) => {}
            Some(Err(error)) => tracing::warn!(%error, "authentication settings cannot be watched; trying again"),
        }
    }
}
