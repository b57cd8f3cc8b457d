//! Follows what the cluster says about front proxies and CAs, which rotate while we serve.

use kindsmith_backoff::patience;
use std::{pin::pin, sync::Arc};

use arc_swap::ArcSwap;
use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use kube_runtime::{WatchStreamExt as _, watcher};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::AuthenticationConfig;
use crate::rights::Rights;

/// The ConfigMap's namespace.
const NAMESPACE: &str = "kube-system";

/// The ConfigMap's name.
const NAME: &str = "extension-apiserver-authentication";

/// What is said to be watched.
pub(crate) const SETTINGS: &str = "the cluster's CAs and headers";

/// Keeps `config` as the cluster says it until `shutdown`. When the ConfigMap goes or cannot be read, nobody is believed.
pub async fn watch_authentication_config(
    client: Client,
    config: Arc<ArcSwap<AuthenticationConfig>>,
    synced: watch::Sender<bool>,
    rights: Arc<Rights>,
    shutdown: CancellationToken,
) {
    let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    let settings = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
    let events = watcher(api, settings).backoff(patience());
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = follow(events, &config, &synced, &rights) => {}
    }
}

/// Whether the ConfigMap was there in the list that is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listed {
    Absent,
    Present,
}

async fn follow(
    events: impl Stream<Item = Result<watcher::Event<ConfigMap>, watcher::Error>>,
    config: &ArcSwap<AuthenticationConfig>,
    synced: &watch::Sender<bool>,
    rights: &Rights,
) {
    let mut events = pin!(events);
    let mut listed = Listed::Absent;
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listed = Listed::Absent,
            Ok(watcher::Event::Apply(held) | watcher::Event::InitApply(held)) => {
                listed = Listed::Present;
                let read = AuthenticationConfig::from_configmap(&held.data.unwrap_or_default());
                let next = read.unwrap_or_else(|error| {
                    tracing::error!(%error, "authentication settings cannot be used; nobody is believed until they can");
                    AuthenticationConfig::default()
                });
                config.store(Arc::new(next));
                synced.send_replace(true);
            }
            Ok(watcher::Event::Delete(_)) => gone(config),
            // It went while the watch was interrupted.
            Ok(watcher::Event::InitDone) if listed == Listed::Absent => gone(config),
            Ok(watcher::Event::InitDone) => rights.went_well(SETTINGS),
            Err(error) => rights.failed(SETTINGS, &error),
        }
    }
}

fn gone(config: &ArcSwap<AuthenticationConfig>) {
    tracing::error!("authentication settings are not there; nobody is believed until they are");
    config.store(Arc::default());
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rstest::rstest;

    use super::*;

    fn settings(key: &str, pem: &str) -> ConfigMap {
        let data = [(key.to_owned(), pem.to_owned())].into();
        ConfigMap { data: Some(data), ..ConfigMap::default() }
    }

    fn ca_pem() -> String {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap().pem()
    }

    async fn after(events: Vec<watcher::Event<ConfigMap>>) -> (AuthenticationConfig, bool) {
        let (config, synced) = (ArcSwap::from_pointee(AuthenticationConfig::default()), watch::Sender::new(false));
        follow(stream::iter(events.into_iter().map(Ok)), &config, &synced, &Rights::default()).await;
        let synced = *synced.borrow();
        ((**config.load()).clone(), synced)
    }

    #[tokio::test]
    async fn authorities_are_taken_over_and_replaced() {
        let clients = settings("client-ca-file", &ca_pem());
        let proxies = settings("requestheader-client-ca-file", &ca_pem());
        let (config, synced) = after(vec![watcher::Event::Init, watcher::Event::InitApply(clients.clone())]).await;
        assert!(config.client_ca_pool().is_some() && config.front_proxy_ca().is_none() && synced);
        let (config, _) = after(vec![watcher::Event::Apply(clients), watcher::Event::Apply(proxies)]).await;
        assert!(config.client_ca_pool().is_none() && config.front_proxy_ca().is_some());
    }

    #[rstest]
    #[case::deleted(vec![watcher::Event::Delete(ConfigMap::default())])]
    #[case::gone_while_the_watch_was_interrupted(vec![watcher::Event::Init, watcher::Event::InitDone])]
    #[case::without_the_authority(vec![watcher::Event::Apply(ConfigMap::default())])]
    #[case::broken(vec![watcher::Event::Apply(settings("client-ca-file", "-----BEGIN CERTIFICATE-----\nAAAA"))])]
    #[case::another_is_broken(vec![watcher::Event::Apply(settings("requestheader-allowed-names", "{"))])]
    #[tokio::test]
    async fn nobody_is_believed_once_the_settings_are_gone(#[case] then: Vec<watcher::Event<ConfigMap>>) {
        let mut events = vec![watcher::Event::Apply(settings("client-ca-file", &ca_pem()))];
        events.extend(then);
        let (config, _) = after(events).await;
        assert!(config.client_ca_pool().is_none() && config.front_proxy_ca().is_none());
    }

    #[tokio::test]
    async fn a_list_that_holds_them_changes_nothing() {
        let held = settings("client-ca-file", &ca_pem());
        let events = vec![watcher::Event::Init, watcher::Event::InitApply(held), watcher::Event::InitDone];
        assert!(after(events).await.0.client_ca_pool().is_some());
    }
}
