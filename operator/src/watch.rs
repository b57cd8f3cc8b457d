//! What is watched: each sort of object in a store of its own, and one bell that rings when any of them changes.

use kindsmith_backoff::patience;
use std::{fmt::Debug, hash::Hash, pin::pin, sync::Arc};

use futures::{StreamExt, future::join_all};
use jiff::Timestamp;
use k8s_openapi::{
    api::{coordination::v1::Lease, core::v1::Secret, rbac::v1::ClusterRole},
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kindsmith_schema::form::DefinitionForm;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, NotUsed, Object},
};
use kube_runtime::{
    WatchStreamExt,
    reflector::{self, Store},
    watcher,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::Notify;

use crate::{
    OperatorConfig, Registration,
    decide::{CrdClaim, ROLES_LABEL},
    listed::{Changes, Listed},
    pulse::Loops,
    records::Records,
    release_schema::{RELEASE_CRD, WatchedReleaseSchema},
    releases::{self, Releases, WatchedRelease},
    replicas::REPLICA_SELECTOR,
    watched::{self, WatchedDefinition},
};

/// CustomResourceDefinitions are large: this many at a time while they are listed.
const CRD_PAGE_OBJECTS_MAX: u32 = 50;

/// What matters here of a CustomResourceDefinition; its schemas are skipped while it is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CrdSpec {
    group: String,
    names: CrdNames,
    versions: Vec<CrdVersion>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct CrdNames {
    plural: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct CrdVersion {
    name: String,
    served: bool,
}

type Crd = Object<CrdSpec, NotUsed>;

/// What is seen of the cluster beyond the definitions.
pub(crate) struct ClusterStores {
    pub(crate) api_services: Store<APIService>,
    crds: Store<Crd>,
    /// What the cluster takes as a HelmRelease.
    pub(crate) release_schema: WatchedReleaseSchema,
    ca: Store<Secret>,
    serving: Store<Secret>,
    /// ClusterRoles of kinds.
    pub(crate) roles: Listed<ClusterRole>,
    /// The generations that were accepted.
    pub(crate) records: Arc<Records>,
    /// Leases of replicas of the API server.
    pub(crate) leases: Store<Lease>,
    /// Rings when a Lease changes; they are renewed all the time, which wakes nobody else.
    pub(crate) leases_changed: Arc<Notify>,
}

/// All that is seen.
pub(crate) struct Stores {
    pub(crate) definitions: Vec<(DefinitionForm, Listed<WatchedDefinition>)>,
    /// Releases; `ready` does not wait for them.
    pub(crate) releases: Releases,
    /// None when stand-alone.
    pub(crate) cluster: Option<ClusterStores>,
}

impl Stores {
    /// Starts the watches. `bell` rings at every change; each loop ends only if its watch does.
    pub(crate) fn start(client: &Client, config: &OperatorConfig, bell: &Arc<Notify>, loops: &mut Loops) -> Self {
        let any = watcher::Config::default;
        let of_form = |form: DefinitionForm, loops: &mut Loops| {
            let (group, version) = (form.group(), form.version());
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, "ApplicationDefinition"));
            let api = Api::<WatchedDefinition>::all_with(client.clone(), &resource);
            let mut at_once = any();
            // Pages would be read from etcd one by one; all together come from kube-apiserver's memory, as consistent.
            at_once.page_size = None;
            let sort = "ApplicationDefinitions";
            let (store, changes) = start_stripped(sort, api, at_once, resource, bell, loops, watched::strip);
            (form, Listed::new(store, changes))
        };
        let definitions = config.forms.iter().map(|form| of_form(*form, loops)).collect();
        let cluster = match config.registration {
            Registration::StandAlone => None,
            Registration::ApiServices => {
                let api_services = Api::<APIService>::all(client.clone());
                let crd_resource = ApiResource {
                    group: "apiextensions.k8s.io".to_owned(),
                    version: "v1".to_owned(),
                    api_version: "apiextensions.k8s.io/v1".to_owned(),
                    kind: "CustomResourceDefinition".to_owned(),
                    plural: "customresourcedefinitions".to_owned(),
                };
                let crds = Api::<Crd>::all_with(client.clone(), &crd_resource);
                let release_crd = Api::<DynamicObject>::all_with(client.clone(), &crd_resource);
                let paged = any().page_size(CRD_PAGE_OBJECTS_MAX);
                let secrets = || Api::<Secret>::namespaced(client.clone(), &config.namespace);
                let named = |name: &str| any().fields(&format!("metadata.name={name}"));
                let leases = Api::<Lease>::namespaced(client.clone(), &config.namespace);
                let labelled = any().labels(REPLICA_SELECTOR);
                let leases_changed = Arc::new(Notify::new());
                let records = Records::new(Arc::clone(bell));
                let following = Arc::clone(&records);
                let (of_cluster, namespace) = (client.clone(), config.namespace.clone());
                loops.start("records", |pulse| following.follow(of_cluster, namespace, pulse));
                let roles = Api::<ClusterRole>::all(client.clone());
                Some(ClusterStores {
                    roles: {
                        let labelled = any().labels(ROLES_LABEL);
                        let strip = |role: &mut ClusterRole| role.managed_fields_mut().clear();
                        let (store, changes) = start_stripped("ClusterRoles", roles, labelled, (), bell, loops, strip);
                        Listed::new(store, changes)
                    },
                    records,
                    leases: start("Leases of replicas", leases, labelled, (), &leases_changed, loops),
                    leases_changed,
                    api_services: start("APIServices", api_services, any(), (), bell, loops),
                    release_schema: WatchedReleaseSchema::new(start(
                        "the CustomResourceDefinition of HelmReleases",
                        release_crd,
                        named(RELEASE_CRD),
                        crd_resource.clone(),
                        bell,
                        loops,
                    )),
                    crds: start("CustomResourceDefinitions", crds, paged, crd_resource, bell, loops),
                    ca: start("the CA Secret", secrets(), named(&config.ca_secret), (), bell, loops),
                    serving: start("the serving Secret", secrets(), named(&config.serving_secret), (), bell, loops),
                })
            }
        };
        let resource = releases::resource();
        let api = Api::<WatchedRelease>::all_with(client.clone(), &resource);
        // Nobody is woken: rollouts look by themselves.
        let asleep = Arc::new(Notify::new());
        let (releases, changes) = start_stripped("HelmReleases", api, any(), resource, &asleep, loops, releases::strip);
        Self { definitions, releases: Releases::new(Listed::new(releases, changes)), cluster }
    }

    /// Waits until each store has seen everything once: before that nothing may be judged missing.
    pub(crate) async fn ready(&self) {
        // An error means that the watch is gone; its task says so.
        for (_, definitions) in &self.definitions {
            definitions.ready().await;
        }
        if let Some(cluster) = &self.cluster {
            let _ = cluster.api_services.wait_until_ready().await;
            let _ = cluster.crds.wait_until_ready().await;
            cluster.release_schema.ready().await;
            cluster.records.ready().await;
            cluster.roles.ready().await;
            let _ = join_all([cluster.ca.wait_until_ready(), cluster.serving.wait_until_ready()]).await;
        }
    }
}

impl ClusterStores {
    /// The Secret of the authority.
    pub(crate) fn ca(&self) -> Option<Arc<Secret>> {
        self.ca.state().into_iter().next()
    }

    /// The Secret of the serving certificate.
    pub(crate) fn serving(&self) -> Option<Arc<Secret>> {
        self.serving.state().into_iter().next()
    }

    /// The CustomResourceDefinitions of some groups.
    pub(crate) fn crds(&self, in_groups: impl Fn(&str) -> bool) -> Vec<CrdClaim> {
        let claim = |crd: &Crd| CrdClaim {
            name: crd.name_any(),
            group: crd.spec.group.clone(),
            plural: crd.spec.names.plural.clone(),
            served: crd.spec.versions.iter().filter(|it| it.served).map(|it| it.name.clone()).collect(),
            created: crd.metadata.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0),
        };
        self.crds.state().iter().filter(|crd| in_groups(&crd.spec.group)).map(|crd| claim(crd)).collect()
    }
}

fn start<K>(
    what: &'static str,
    api: Api<K>,
    config: watcher::Config,
    resource: K::DynamicType,
    bell: &Arc<Notify>,
    loops: &mut Loops,
) -> Store<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Clone + Eq + Hash + Send + Sync,
{
    let strip = |object: &mut K| object.managed_fields_mut().clear();
    start_stripped(what, api, config, resource, bell, loops, strip).0
}

/// Starts a watch whose store keeps of each object what `strip` leaves, and counts its changes.
fn start_stripped<K>(
    what: &'static str,
    api: Api<K>,
    config: watcher::Config,
    resource: K::DynamicType,
    bell: &Arc<Notify>,
    loops: &mut Loops,
    strip: fn(&mut K),
) -> (Store<K>, Changes)
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Clone + Eq + Hash + Send + Sync,
{
    let writer = reflector::store::Writer::new(resource);
    let store = writer.as_reader();
    let (bell, changes) = (Arc::clone(bell), Changes::default());
    let counted = changes.clone();
    loops.start(what, |pulse| async move {
        let mut events = pin!(watcher(api, config).modify(strip).backoff(patience()).reflect(writer));
        while let Some(event) = pulse.wait(events.next()).await {
            match event {
                Ok(event) => {
                    // It begins to list, which may fail.
                    if !matches!(event, watcher::Event::Init) {
                        pulse.went_well();
                    }
                    counted.count();
                    bell.notify_one();
                }
                Err(error) => pulse.failed(&error),
            }
        }
    });
    (store, changes)
}
