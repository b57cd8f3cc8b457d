//! Puts a server together: in a cluster, or on a store of its own.

use std::{net::SocketAddr, sync::Arc};

use arc_swap::ArcSwap;
use kindsmith_schema::form::DefinitionForm;
use kube::Client;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    authn::{AuthenticationConfig, Authenticators, ConfigError, TokenReviews, watch_authentication_config},
    authz::{Authorizer, MastersOnly, SubjectAccessReviews},
    certificate_source::{self, CertificateSource},
    chain::Chain,
    readiness::Asked,
    registry::{
        Registry,
        accepted::AcceptedGenerations,
        build::Backends,
        build::Builder,
        builtin::{self, BuiltinError},
        foreign::ForeignResources,
        watch::{self as registry_watch, Source},
    },
    replica::{Announcement, ReplicaReport, announce, identity},
    rights::{Rights, try_reviews},
    server::{Lifecycle, Limits, ServeError, ServingCertificate, ShutdownTimes, serve},
    storage::{
        builtin::{application_definitions, helm_releases},
        cluster::Cluster,
        embedded::Embedded,
        feed::Feed,
        host::Host,
        packed::Packing,
        source::run_source,
    },
};

/// Why a server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Connections cannot be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A built-in kind is broken.
    #[error(transparent)]
    Builtin(#[from] BuiltinError),
    /// The CA of clients cannot be used.
    #[error(transparent)]
    Authentication(#[from] ConfigError),
    /// A task that everything depends on ended before the server did.
    #[error("{0} ended unexpectedly")]
    TaskEnded(&'static str),
}

/// A server on a store of its own, without a cluster.
pub struct StandAlone {
    /// The store.
    pub store: Arc<Embedded>,
    /// The CA whose client certificates are believed, PEM.
    pub client_ca_pem: String,
    /// Where to accept connections.
    pub listener: TcpListener,
    /// The serving certificate.
    pub certificate: Arc<ServingCertificate>,
    /// The kinds that are served; empty at first.
    pub registry: Arc<Registry>,
    /// How long each step of the end lasts.
    pub shutdown_times: ShutdownTimes,
    /// The forms in which definitions come.
    pub forms: Vec<DefinitionForm>,
}

impl StandAlone {
    /// Serves until `shutdown`, and for a while after it.
    ///
    /// # Errors
    /// When the server cannot be put together.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RunError> {
        let (tasks, ended) = (TaskTracker::new(), CancellationToken::new());
        let lifecycle = Lifecycle::new(shutdown, self.shutdown_times);
        let host: Arc<dyn Host> = self.store;
        let kinds = builtin::kinds(&self.forms)?;
        let registry = self.registry;
        let authenticators = Authenticators::client_certificates_only(&self.client_ca_pem)?;
        let backing =
            Backing { host: Arc::clone(&host), stored: Some(Arc::clone(&host)), accepted: None, foreign: None };
        let feeds = start(backing, kinds, &self.forms, &registry, &tasks, &ended);
        let probes = Asked {
            registry: Arc::clone(&registry),
            certificate: Arc::clone(&self.certificate),
            definitions: feeds,
            authentication: None,
            rights: Arc::default(),
            lifecycle: Arc::clone(&lifecycle),
        }
        .probes();
        let authorizer: Arc<dyn Authorizer> = Arc::new(MastersOnly);
        let chain = Chain::new(
            registry,
            authenticators,
            authorizer,
            Some(host),
            probes,
            Arc::clone(&lifecycle),
            Arc::clone(&self.certificate),
        );
        // All clients of a laptop have one address.
        let limits = Limits { connections_of_address_max: Limits::default().connections_max, ..Limits::default() };
        let served = serve(self.listener, self.certificate, limits, Arc::new(chain), lifecycle).await;
        // Not before: what is served until then needs its feeds.
        ended.cancel();
        tasks.close();
        tasks.wait().await;
        Ok(served?)
    }
}

/// A server behind a cluster's kube-apiserver.
pub struct InCluster {
    /// The cluster.
    pub client: Client,
    /// The cluster, for reviews of tokens and of rights.
    pub reviews: Client,
    /// The namespace of our own objects.
    pub namespace: String,
    /// Where the serving certificate comes from.
    pub certificate: CertificateSource,
    /// Where to accept connections.
    pub listener: TcpListener,
    /// Where this replica alone is reached.
    pub advertised: SocketAddr,
    /// How long each step of the end lasts.
    pub shutdown_times: ShutdownTimes,
    /// The forms in which definitions come.
    pub forms: Vec<DefinitionForm>,
}

impl InCluster {
    /// Serves until `shutdown`, and for a while after it.
    ///
    /// # Errors
    /// When the server cannot be put together.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RunError> {
        let (tasks, ended) = (TaskTracker::new(), CancellationToken::new());
        let lifecycle = Lifecycle::new(shutdown, self.shutdown_times);
        let client = self.client;
        let certificate = Arc::new(ServingCertificate::default());
        let loaded = Arc::clone(&certificate);
        let (namespace, rights) = (self.namespace.clone(), Arc::new(Rights::default()));
        let (watching, telling) = (client.clone(), Arc::clone(&rights));
        tasks.spawn(certificate_source::follow(self.certificate, watching, namespace, loaded, telling, ended.clone()));
        let (reviews, telling, until) = (self.reviews.clone(), Arc::clone(&rights), ended.clone());
        tasks.spawn(async move { try_reviews(reviews, &telling, until).await });
        let config = Arc::new(ArcSwap::from_pointee(AuthenticationConfig::default()));
        let (synced, authentication) = watch::channel(false);
        let telling = Arc::clone(&rights);
        let followed = watch_authentication_config(client.clone(), Arc::clone(&config), synced, telling, ended.clone());
        tasks.spawn(followed);
        let host: Arc<dyn Host> = Arc::new(Cluster::new(client.clone()));
        let registry = Arc::new(Registry::default());
        let accepted = Arc::new(AcceptedGenerations::default());
        tasks.spawn(Arc::clone(&accepted).follow(client.clone(), self.namespace.clone(), ended.clone()));
        let foreign = Arc::new(ForeignResources::default());
        tasks.spawn(Arc::clone(&foreign).follow(client.clone(), ended.clone()));
        let backing = Backing { host, stored: None, accepted: Some(accepted), foreign: Some(foreign) };
        let feeds = start(backing, Vec::new(), &self.forms, &registry, &tasks, &ended);
        let probes = Asked {
            registry: Arc::clone(&registry),
            certificate: Arc::clone(&certificate),
            definitions: feeds,
            authentication: Some(authentication),
            rights: Arc::clone(&rights),
            lifecycle: Arc::clone(&lifecycle),
        }
        .probes();
        let authenticators = Authenticators::new(config, Some(TokenReviews::new(self.reviews.clone())));
        let authorizer: Arc<dyn Authorizer> = Arc::new(SubjectAccessReviews::new(self.reviews));
        let announcement = Announcement {
            namespace: self.namespace,
            identity: identity(),
            address: self.advertised,
            certificate: Arc::clone(&certificate),
        };
        let report = ReplicaReport::new(announcement.identity.clone(), Arc::clone(&certificate));
        let mut swaps = registry.swaps();
        let chain = Chain::new(
            registry,
            authenticators,
            authorizer,
            None,
            probes,
            Arc::clone(&lifecycle),
            Arc::clone(&certificate),
        )
        .reporting(report);
        // One that begins serves nobody yet, and is not missed in what all replicas serve.
        let begun = ended.clone();
        tasks.spawn(async move {
            let known = async { swaps.wait_for(|swaps| *swaps > 0).await.is_ok() };
            if begun.run_until_cancelled(known).await == Some(true) {
                announce(client, announcement, &rights, begun).await;
            }
        });
        let served = serve(self.listener, certificate, Limits::default(), Arc::new(chain), lifecycle).await;
        ended.cancel();
        tasks.close();
        tasks.wait().await;
        Ok(served?)
    }
}

/// What the registry is built on.
struct Backing {
    host: Arc<dyn Host>,
    stored: Option<Arc<dyn Host>>,
    accepted: Option<Arc<AcceptedGenerations>>,
    foreign: Option<Arc<ForeignResources>>,
}

/// Starts what keeps the registry as the definitions say. Returns the feeds of the definitions.
fn start(
    Backing { host, stored, accepted, foreign }: Backing,
    kinds: Vec<kindsmith_schema::kind::Kind>,
    forms: &[DefinitionForm],
    registry: &Arc<Registry>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> Vec<Source> {
    let releases = Arc::new(Feed::new(Packing::Deflated));
    let definitions: Vec<Source> = forms.iter().map(|form| (*form, Arc::default())).collect();
    let mut feeds = vec![(helm_releases(), Arc::clone(&releases))];
    feeds.extend(definitions.iter().map(|(form, feed)| (application_definitions(*form), Arc::clone(feed))));
    for (resource, feed) in &feeds {
        tasks.spawn(run_source(Arc::clone(&host), resource.clone(), Arc::clone(feed), shutdown.clone()));
    }
    let builder = Builder::new(
        Backends { releases: (host, releases), stored, accepted, foreign },
        kinds,
        feeds,
        tasks.clone(),
        shutdown.clone(),
    );
    tasks.spawn(registry_watch::run(definitions.clone(), builder, Arc::clone(registry), shutdown.clone()));
    definitions
}
