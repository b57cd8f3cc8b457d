//! Looks at the cluster, and carries steps out.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use k8s_openapi::{
    api::{apps::v1::Deployment, coordination::v1::Lease},
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kindsmith_crds::{ApplicationDefinition, ApplicationDefinitionStatus, FINALIZER};
use kindsmith_operator::{LEADER_LEASE, status_after_uninstall};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::plan::{Count, Finalizer, Found, Policy, Said, Step, Surroundings};

/// The Deployment of the operator, as the manifests name it.
const OPERATOR: &str = "kindsmith-operator";

/// APIServices of ours.
const OURS: &str = "app.kubernetes.io/managed-by=kindsmith";

/// How long a step may wait for the cluster.
const STEP_DEADLINE: Duration = Duration::from_secs(120);

/// How often it looks meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How many objects are read at a time.
const PAGE_OBJECTS_MAX: u32 = 500;

/// How many instances are named.
const NAMED_MAX: usize = 10;

fn definitions(client: &Client) -> Api<DynamicObject> {
    // Not as our type: one that does not parse has finalizers too.
    Api::all_with(client.clone(), &ApiResource::erase::<ApplicationDefinition>(&()))
}

/// Whether the cluster says that there is no such thing.
fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// What is there.
pub(super) async fn look(client: &Client, namespace: &str) -> anyhow::Result<Surroundings> {
    let operator = Api::<Deployment>::namespaced(client.clone(), namespace).get_opt(OPERATOR).await;
    let operator = operator.context("the operator's Deployment cannot be read")?;
    let runs = |found: &Deployment| found.spec.replicas != Some(0);
    let listed = Api::<APIService>::all(client.clone()).list(&ListParams::default().labels(OURS)).await;
    let api_services: Vec<String> =
        listed.context("APIServices cannot be listed")?.iter().map(|found| found.name_any()).collect();
    let listed = match definitions(client).list(&ListParams::default()).await {
        Ok(listed) => listed.items,
        // Without its CustomResourceDefinition there is none.
        Err(error) if is_missing(&error) => Vec::new(),
        Err(error) => return Err(error).context("definitions cannot be listed"),
    };
    let mut found = Vec::new();
    for definition in &listed {
        found.push(Found {
            name: definition.name_any(),
            finalizer: finalizer(definition),
            policy: match text(definition, "/spec/deletionPolicy") {
                Some("Orphan") => Policy::Orphan,
                _ => Policy::Block,
            },
            instances: instances(client, definition, &api_services).await,
            said: if uninstalled(definition)?.is_none() { Said::Uninstalled } else { Said::Otherwise },
        });
    }
    Ok(Surroundings { operator: operator.filter(runs).map(|found| found.name_any()), api_services, definitions: found })
}

fn text<'a>(definition: &'a DynamicObject, path: &str) -> Option<&'a str> {
    definition.data.pointer(path)?.as_str()
}

fn finalizer(definition: &DynamicObject) -> Option<Finalizer> {
    let (ours, others): (Vec<String>, Vec<String>) =
        definition.finalizers().iter().cloned().partition(|finalizer| finalizer == FINALIZER);
    let resource_version = definition.resource_version().unwrap_or_default();
    (!ours.is_empty()).then_some(Finalizer { others, resource_version })
}

/// Counts the instances of a definition, in the first version that is registered.
async fn instances(client: &Client, definition: &DynamicObject, api_services: &[String]) -> Count {
    let group = text(definition, "/spec/group").unwrap_or_default();
    let versions = definition.data.pointer("/spec/versions").and_then(Value::as_array);
    let named = versions.into_iter().flatten().filter_map(|version| version.get("name")?.as_str());
    let registered = |version: &&str| api_services.contains(&format!("{version}.{group}"));
    let Some(version) = named.into_iter().find(registered) else { return Count::NotServed };
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: format!("{group}/{version}"),
        kind: text(definition, "/spec/names/kind").unwrap_or_default().to_owned(),
        plural: text(definition, "/spec/names/plural").unwrap_or_default().to_owned(),
    };
    let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
    let (mut count, mut first) = (0, Vec::new());
    let mut params = ListParams::default().limit(PAGE_OBJECTS_MAX);
    loop {
        let page = match api.list(&params).await {
            Ok(page) => page,
            Err(error) if is_missing(&error) => return Count::NotServed,
            Err(error) => return Count::Unknown(error.to_string()),
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

/// Carries a step out, and waits until it is done.
pub(super) async fn out(client: &Client, namespace: &str, step: &Step) -> anyhow::Result<()> {
    match step {
        Step::StopOperator(name) => stop_operator(client, namespace, name).await,
        Step::DeleteApiService(name) => {
            let api = Api::<APIService>::all(client.clone());
            match api.delete(name, &DeleteParams::default()).await {
                Err(error) if !is_missing(&error) => Err(error).with_context(|| format!("{name} cannot be deleted")),
                _ => Ok(()),
            }
        }
        Step::AwaitApiServices(names) => {
            let api = Api::<APIService>::all(client.clone());
            until("the APIServices to be gone", || async {
                let there = api.list(&ListParams::default().labels(OURS)).await?;
                match there.iter().map(|found| found.name_any()).find(|name| names.contains(name)) {
                    Some(name) => bail!("{name} is there: does an operator still run?"),
                    None => Ok(()),
                }
            })
            .await
        }
        Step::TellUninstalled(name) => tell_uninstalled(client, name).await,
        Step::RemoveFinalizer { name, finalizer } => remove_finalizer(client, name, finalizer).await,
    }
}

async fn stop_operator(client: &Client, namespace: &str, name: &str) -> anyhow::Result<()> {
    let api = Api::<Deployment>::namespaced(client.clone(), namespace);
    let none = Patch::Merge(json!({"spec": {"replicas": 0}}));
    api.patch(name, &PatchParams::default(), &none).await.with_context(|| format!("{name} cannot be scaled"))?;
    let leases = Api::<Lease>::namespaced(client.clone(), namespace);
    let began = Instant::now();
    let mut renewed = (None, Instant::now());
    // One that ends in its orderly way gives its Lease back; that of one that was killed is not renewed any more. Clocks
    // are not compared.
    while began.elapsed() < STEP_DEADLINE {
        let replicas = api.get(name).await?.status.and_then(|status| status.replicas).unwrap_or_default();
        let lease = leases.get_opt(LEADER_LEASE).await?.and_then(|lease| lease.spec).unwrap_or_default();
        let held = lease.holder_identity.is_some_and(|holder| !holder.is_empty());
        if renewed.0 != lease.renew_time {
            renewed = (lease.renew_time, Instant::now());
        }
        let lasts = u64::try_from(lease.lease_duration_seconds.unwrap_or_default()).unwrap_or_default();
        if replicas == 0 && (!held || renewed.1.elapsed() > Duration::from_secs(lasts)) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    bail!("the operator does not end")
}

/// The status of a definition without its kind being served, where it says otherwise.
fn uninstalled(definition: &DynamicObject) -> anyhow::Result<Option<Value>> {
    // A status that is none of ours is written anew.
    let held = definition.data.get("status").cloned().unwrap_or_default();
    let before: ApplicationDefinitionStatus = serde_json::from_value(held).unwrap_or_default();
    let after = status_after_uninstall(&before, definition.metadata.generation, Timestamp::now());
    Ok(if after == before { None } else { Some(serde_json::to_value(after)?) })
}

async fn tell_uninstalled(client: &Client, name: &str) -> anyhow::Result<()> {
    let api = definitions(client);
    until("the status to be written", || {
        let api = api.clone();
        async move {
            let Some(found) = api.get_opt(name).await? else { return Ok(()) };
            let Some(status) = uninstalled(&found)? else { return Ok(()) };
            let patch = json!({"metadata": {"resourceVersion": found.resource_version()}, "status": status});
            match api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
                Err(error) if !is_missing(&error) => Err(error.into()),
                _ => Ok(()),
            }
        }
    })
    .await
}

async fn remove_finalizer(client: &Client, name: &str, finalizer: &Finalizer) -> anyhow::Result<()> {
    let api = definitions(client);
    let mut finalizer = Some(finalizer.clone());
    // Others write definitions too: what was seen may be old.
    until("the finalizer to be removed", || {
        let wanted = finalizer.take();
        let api = api.clone();
        async move {
            let wanted = match wanted {
                Some(wanted) => Some(wanted),
                None => api.get_opt(name).await?.and_then(|found| self::finalizer(&found)),
            };
            let Some(Finalizer { others, resource_version }) = wanted else { return Ok(()) };
            let patch = json!({"metadata": {"resourceVersion": resource_version, "finalizers": others}});
            match api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
                Err(error) if !is_missing(&error) => Err(error.into()),
                _ => Ok(()),
            }
        }
    })
    .await
}

/// Tries until it succeeds or the time is over.
async fn until<F: Future<Output = anyhow::Result<()>>>(
    what: &str,
    mut attempt: impl FnMut() -> F,
) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        match attempt().await {
            Ok(()) => return Ok(()),
            Err(error) if began.elapsed() > STEP_DEADLINE => {
                return Err(error).with_context(|| format!("waiting for {what}"));
            }
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}
