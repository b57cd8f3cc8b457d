//! What the cluster answers to the questions that all checks begin with.
//!
//! All are asked at once, each with a deadline. One that is refused or late leaves the others as they are.

use std::time::{Duration, Instant};

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        coordination::v1::Lease,
        core::v1::{ConfigMap, Namespace, Pod, Secret},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::{apis::meta::v1::APIGroupList, version::Info},
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kindsmith_apiserver::replica::{REPLICA_LABEL, REPLICA_LABEL_VALUE};
use kindsmith_crds::ApplicationDefinition;
use kindsmith_operator::{DEFAULT_CA_SECRET, DEFAULT_SERVING_SECRET, LEADER_LEASE};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams},
};

use crate::cluster::{Unanswered, ask};

/// What is answered to one question.
pub(super) type Answer<T> = Result<T, Unanswered>;

/// The Deployment of the operator.
pub(super) const OPERATOR: &str = "kindsmith-operator";

/// The Deployment of the API server.
pub(super) const APISERVER: &str = "kindsmith-apiserver";

/// The CustomResourceDefinition of definitions.
pub(super) const CRD: &str = "applicationdefinitions.kindsmith.dev";

/// The CustomResourceDefinition of releases.
pub(super) const RELEASES_CRD: &str = "helmreleases.helm.toolkit.fluxcd.io";

/// How long a Lease that seems old is given to be renewed: clocks need not agree.
const RENEWAL_DEADLINE: Duration = Duration::from_secs(7);

/// Asks a cluster.
#[derive(Clone)]
pub(super) struct Asker {
    /// Asks it.
    pub client: Client,
    /// The namespace that Kindsmith runs in.
    pub namespace: String,
    /// When all must be answered.
    pub end: Instant,
}

impl Asker {
    /// Asks one question.
    pub(super) async fn ask<T>(&self, call: impl Future<Output = Result<T, kube::Error>>) -> Answer<T> {
        ask(self.end, call).await
    }

    /// Asks for a path; the answer is of no account, but that there is one.
    pub(super) async fn get(&self, path: &str) -> Answer<serde_json::Value> {
        let request = http::Request::get(path).body(Vec::new());
        let request = request.map_err(|error| Unanswered::Refused(error.to_string()))?;
        self.ask(self.client.request(request)).await
    }

    fn here<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Returns the version of Kubernetes. Who cannot be told that can be told nothing.
    pub(super) async fn version(&self) -> Answer<Info> {
        self.ask(self.client.apiserver_version()).await
    }

    /// Asks what is asked before an installation, too.
    pub(super) async fn surroundings(&self) -> Surroundings {
        let config_maps = Api::<ConfigMap>::namespaced(self.client.clone(), "kube-system");
        let crds = Api::<CustomResourceDefinition>::all(self.client.clone());
        let api_services = Api::<APIService>::all(self.client.clone());
        let deployments = Api::<Deployment>::all(self.client.clone());
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let all = ListParams::default();
        let helm_controller = ListParams::default().labels("app.kubernetes.io/component=helm-controller");
        let (authentication, groups, release_crd, helm_controllers, crd, api_services, namespaces) = futures::join!(
            self.ask(config_maps.get("extension-apiserver-authentication")),
            self.ask(self.client.list_api_groups()),
            self.ask(crds.get_metadata(RELEASES_CRD)),
            self.ask(deployments.list(&helm_controller)),
            self.ask(crds.get(CRD)),
            self.ask(api_services.list(&all)),
            self.ask(namespaces.list(&all)),
        );
        Surroundings {
            authentication,
            groups,
            flux_version: release_crd.map(|crd| {
                let labels = crd.metadata.labels.unwrap_or_default();
                labels.get("app.kubernetes.io/version").cloned()
            }),
            helm_controllers: helm_controllers.map(|listed| listed.items),
            crd,
            api_services: api_services.map(|listed| listed.items),
            namespaces: namespaces.map(|listed| listed.items),
        }
    }

    /// Asks about what is installed.
    pub(super) async fn installation(&self) -> Installation {
        let definitions: Api<DynamicObject> =
            Api::all_with(self.client.clone(), &ApiResource::erase::<ApplicationDefinition>(&()));
        let (deployments, pods, leases, secrets) =
            (self.here::<Deployment>(), self.here::<Pod>(), self.here::<Lease>(), self.here::<Secret>());
        let pods_of = ListParams::default().labels("app.kubernetes.io/name=kindsmith");
        let replicas = ListParams::default().labels(&format!("{REPLICA_LABEL}={REPLICA_LABEL_VALUE}"));
        let all = ListParams::default();
        let (operator, apiserver, pods, leader, replicas, ca, serving, definitions) = futures::join!(
            self.ask(deployments.get(OPERATOR)),
            self.ask(deployments.get(APISERVER)),
            self.ask(pods.list(&pods_of)),
            self.renewed_leader(&leases),
            self.ask(leases.list(&replicas)),
            self.ask(secrets.get(DEFAULT_CA_SECRET)),
            self.ask(secrets.get(DEFAULT_SERVING_SECRET)),
            self.ask(definitions.list(&all)),
        );
        Installation {
            operator,
            apiserver,
            pods: pods.map(|listed| listed.items),
            leader,
            replicas: replicas.map(|listed| listed.items),
            ca,
            serving,
            definitions: definitions.map(|listed| listed.items),
        }
    }

    /// Reads the Lease of the operator that leads; where it seems old, until it is renewed, as clocks may differ.
    async fn renewed_leader(&self, leases: &Api<Lease>) -> Answer<Leader> {
        let first = self.ask(leases.get(LEADER_LEASE)).await?;
        if super::operator::is_fresh(&first, jiff::Timestamp::now()) {
            return Ok(Leader { lease: first, renewal: Renewal::Fresh });
        }
        let holder = first.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
        if holder.is_none_or(str::is_empty) {
            return Ok(Leader { lease: first, renewal: Renewal::Stale });
        }
        let end = self.end.min(Instant::now() + RENEWAL_DEADLINE);
        let renewed = |lease: &Lease| lease.spec.as_ref().and_then(|spec| spec.renew_time.clone());
        while Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let lease = self.ask(leases.get(LEADER_LEASE)).await?;
            if renewed(&lease) != renewed(&first) {
                return Ok(Leader { lease, renewal: Renewal::Fresh });
            }
        }
        Ok(Leader { lease: first, renewal: Renewal::Stale })
    }
}

/// The Lease of the operator that leads, and whether it is renewed.
pub(super) struct Leader {
    /// The Lease.
    pub lease: Lease,
    /// Whether it is renewed.
    pub renewal: Renewal,
}

/// Whether a Lease is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// It was, within its duration or while we looked.
    Fresh,
    /// It was not.
    Stale,
}

/// What is there without Kindsmith, too.
pub(super) struct Surroundings {
    /// How kube-apiserver says who asks.
    pub authentication: Answer<ConfigMap>,
    /// The groups that are served.
    pub groups: Answer<APIGroupList>,
    /// The version of Flux, where its CustomResourceDefinition says one.
    pub flux_version: Answer<Option<String>>,
    /// What installs releases.
    pub helm_controllers: Answer<Vec<Deployment>>,
    /// The CustomResourceDefinition of definitions.
    pub crd: Answer<CustomResourceDefinition>,
    /// All APIServices.
    pub api_services: Answer<Vec<APIService>>,
    /// All namespaces.
    pub namespaces: Answer<Vec<Namespace>>,
}

/// What is there of Kindsmith.
pub(super) struct Installation {
    /// The operator's Deployment.
    pub operator: Answer<Deployment>,
    /// The API server's.
    pub apiserver: Answer<Deployment>,
    /// The pods of both.
    pub pods: Answer<Vec<Pod>>,
    /// Which operator leads.
    pub leader: Answer<Leader>,
    /// The Leases of the replicas of the API server.
    pub replicas: Answer<Vec<Lease>>,
    /// The Secret of the CA.
    pub ca: Answer<Secret>,
    /// The Secret of the serving certificate.
    pub serving: Answer<Secret>,
    /// Definitions, not as our type: one that does not parse is told of, too.
    pub definitions: Answer<Vec<DynamicObject>>,
}
