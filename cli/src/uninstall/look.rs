//! Looks at what there is to take out.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::{
    api::{apps::v1::Deployment, coordination::v1::Lease},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kindsmith_crds::{ApplicationDefinition, ApplicationDefinitionStatus, FINALIZER};
use kindsmith_operator::{LEADER_LEASE, status_after_uninstall};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DynamicObject, ListParams},
};
use serde_json::Value;

use super::plan::{CRD, Count, Crd, Fate, Finalizer, Found, Operator, Policy, Said, Seen, Surroundings};
use crate::cluster::{Unanswered, ask};

/// The Deployment of the operator, as the manifests name it.
pub(super) const OPERATOR: &str = "kindsmith-operator";

/// APIServices of ours.
pub(super) const OURS: &str = "app.kubernetes.io/managed-by=kindsmith";

/// How long counting of instances may take: an apiserver that is dead answers late.
const COUNT_DEADLINE: Duration = Duration::from_secs(20);

/// Of how many definitions instances are counted at a time.
const COUNTS_AT_ONCE: usize = 8;

/// How many objects are read at a time.
const PAGE_OBJECTS_MAX: u32 = 500;

/// How many instances are named.
const NAMED_MAX: usize = 10;

/// A cluster that Kindsmith is taken out of.
pub(super) struct Cluster {
    /// Asks it.
    pub client: Client,
    /// The namespace that Kindsmith runs in.
    pub namespace: String,
    /// When all must be done.
    pub end: Instant,
}

/// What was seen; what is missing, as such.
fn seen<T, U>(answer: Result<T, Unanswered>, missing: U, known: impl FnOnce(T) -> U) -> Seen<U> {
    match answer {
        Ok(there) => Seen::Known(known(there)),
        Err(Unanswered::Missing) => Seen::Known(missing),
        Err(why) => Seen::Unknown(why.to_string()),
    }
}

impl Cluster {
    /// Returns the definitions, not as our type: one that does not parse has finalizers too.
    pub(super) fn definitions(&self) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &ApiResource::erase::<ApplicationDefinition>(&()))
    }

    /// Returns the CustomResourceDefinitions.
    pub(super) fn crds(&self) -> Api<CustomResourceDefinition> {
        Api::all(self.client.clone())
    }

    /// Returns the APIServices.
    pub(super) fn api_services(&self) -> Api<APIService> {
        Api::all(self.client.clone())
    }

    /// Returns the Deployments in the namespace of Kindsmith.
    pub(super) fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Asks until the time is over.
    pub(super) async fn ask<T>(&self, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Unanswered> {
        ask(self.end, call).await
    }

    /// Looks at what there is, and counts instances.
    ///
    /// # Errors
    /// A definition cannot be written as JSON.
    pub(super) async fn look(&self) -> anyhow::Result<Surroundings> {
        let (mut found, listed) = self.seen().await?;
        let end = self.end.min(Instant::now() + COUNT_DEADLINE);
        let counted = listed.iter().map(|definition| self.instances(definition, found.api_services.known(), end));
        let counts: Vec<Count> = stream::iter(counted).buffered(COUNTS_AT_ONCE).collect().await;
        if let Seen::Known(definitions) = &mut found.definitions {
            for (definition, count) in definitions.iter_mut().zip(counts) {
                definition.instances = count;
            }
        }
        Ok(found)
    }

    /// Looks at what there is, but for instances.
    ///
    /// # Errors
    /// As [`Cluster::look`].
    pub(super) async fn look_again(&self) -> anyhow::Result<Surroundings> {
        Ok(self.seen().await?.0)
    }

    /// Returns what there is, and the definitions themselves in the same order.
    async fn seen(&self) -> anyhow::Result<(Surroundings, Vec<DynamicObject>)> {
        let labelled = ListParams::default().labels(OURS);
        let (operator, api_services, crd, definitions) = futures::join!(
            self.operator(),
            async { self.ask(self.api_services().list_metadata(&labelled)).await },
            async { self.ask(self.crds().get_metadata(CRD)).await },
            async { self.ask(self.definitions().list(&ListParams::default())).await },
        );
        let (definitions, listed) = match definitions {
            Ok(listed) => (Seen::Known(listed.items.iter().map(found).collect::<anyhow::Result<_>>()?), listed.items),
            // Without its CustomResourceDefinition there is none.
            Err(Unanswered::Missing) => (Seen::Known(Vec::new()), Vec::new()),
            Err(why) => (Seen::Unknown(why.to_string()), Vec::new()),
        };
        let fate = |deleted: bool| if deleted { Fate::Goes } else { Fate::Stays };
        let found = Surroundings {
            operator,
            api_services: seen(api_services, Vec::new(), |listed| {
                listed.items.iter().map(|found| found.name_any()).collect()
            }),
            crd: seen(crd, Crd::Absent, |crd| Crd::There(fate(crd.metadata.deletion_timestamp.is_some()))),
            definitions,
        };
        Ok((found, listed))
    }

    async fn operator(&self) -> Seen<Operator> {
        let scale = match self.ask(self.deployments().get_scale(OPERATOR)).await {
            Ok(scale) => scale,
            Err(Unanswered::Missing) => return Seen::Known(Operator::Absent),
            Err(why) => return Seen::Unknown(why.to_string()),
        };
        if scale.spec.and_then(|spec| spec.replicas) != Some(0) {
            return Seen::Known(Operator::Runs);
        }
        // Somebody was here before: the last one may act still.
        let is_held = self.leader().await.is_ok_and(|lease| lease.is_some());
        let runs = scale.status.is_some_and(|status| status.replicas > 0);
        Seen::Known(if runs || is_held { Operator::Ends } else { Operator::Absent })
    }

    /// Returns the Lease of the operator that leads, if one holds it.
    pub(super) async fn leader(&self) -> Result<Option<k8s_openapi::api::coordination::v1::LeaseSpec>, Unanswered> {
        let leases = Api::<Lease>::namespaced(self.client.clone(), &self.namespace);
        let lease = self.ask(leases.get_opt(LEADER_LEASE)).await?.and_then(|lease| lease.spec);
        Ok(lease.filter(|lease| lease.holder_identity.as_ref().is_some_and(|holder| !holder.is_empty())))
    }

    /// Counts the instances of a definition, in the first version that is registered.
    async fn instances(&self, definition: &DynamicObject, api_services: Option<&Vec<String>>, end: Instant) -> Count {
        let group = text(definition, "/spec/group").unwrap_or_default();
        let versions = definition.data.pointer("/spec/versions").and_then(Value::as_array);
        let named = versions.into_iter().flatten().filter_map(|version| version.get("name")?.as_str());
        let registered = |version: &&str| {
            // Where that cannot be seen, it is tried.
            api_services.is_none_or(|names| names.contains(&format!("{version}.{group}")))
        };
        let Some(version) = named.into_iter().find(registered) else { return Count::NotServed };
        let resource = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: format!("{group}/{version}"),
            kind: text(definition, "/spec/names/kind").unwrap_or_default().to_owned(),
            plural: text(definition, "/spec/names/plural").unwrap_or_default().to_owned(),
        };
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &resource);
        let (mut count, mut first) = (0, Vec::new());
        let mut params = ListParams::default().limit(PAGE_OBJECTS_MAX);
        loop {
            let page = match ask(end, api.list_metadata(&params)).await {
                Ok(page) => page,
                Err(Unanswered::Missing) => return Count::NotServed,
                Err(why) => return Count::Unknown(why.to_string()),
            };
            count += page.items.len();
            let named = page.items.iter().map(|it| match it.namespace() {
                Some(namespace) => format!("{namespace}/{}", it.name_any()),
                None => it.name_any(),
            });
            first.extend(named.take(NAMED_MAX.saturating_sub(first.len())));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Count::Known { count, first },
            }
        }
    }
}

/// A definition as it is now; its instances are not counted here.
fn found(definition: &DynamicObject) -> anyhow::Result<Found> {
    let others = definition.finalizers().iter().filter(|finalizer| *finalizer != FINALIZER).cloned().collect();
    Ok(Found {
        name: definition.name_any(),
        finalizer: finalizer(definition),
        others,
        fate: if definition.metadata.deletion_timestamp.is_some() { Fate::Goes } else { Fate::Stays },
        policy: match text(definition, "/spec/deletionPolicy") {
            Some("Orphan") => Policy::Orphan,
            _ => Policy::Block,
        },
        instances: Count::NotServed,
        said: if uninstalled(definition)?.is_none() { Said::Uninstalled } else { Said::Otherwise },
    })
}

fn text<'a>(definition: &'a DynamicObject, path: &str) -> Option<&'a str> {
    definition.data.pointer(path)?.as_str()
}

/// Returns our finalizer of a definition, and those of others.
pub(super) fn finalizer(definition: &DynamicObject) -> Option<Finalizer> {
    let (ours, others): (Vec<String>, Vec<String>) =
        definition.finalizers().iter().cloned().partition(|finalizer| finalizer == FINALIZER);
    let resource_version = definition.resource_version().unwrap_or_default();
    (!ours.is_empty()).then_some(Finalizer { others, resource_version })
}

/// Returns the status of a definition without its kind being served, where it says otherwise.
///
/// # Errors
/// It cannot be written as JSON.
pub(super) fn uninstalled(definition: &DynamicObject) -> anyhow::Result<Option<Value>> {
    // A status that is none of ours is written anew.
    let held = definition.data.get("status").cloned().unwrap_or_default();
    let before: ApplicationDefinitionStatus = serde_json::from_value(held).unwrap_or_default();
    let after = status_after_uninstall(&before, definition.metadata.generation, Timestamp::now());
    Ok(if after == before { None } else { Some(serde_json::to_value(after)?) })
}
