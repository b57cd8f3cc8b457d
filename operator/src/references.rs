//! References of instances to Secrets, Services and Ingresses, kept in an annotation of their releases.
//!
//! Flow: where a definition selects such objects, their metadata is watched; every second, if anything changed, what
//! each release should refer to is compared with what it holds, and a few releases are patched.
//! Guarantees: contents are never asked for; nothing is watched that no definition selects; a patch holds for the state
//! that it was made for; of kinds that were not seen yet the references stay as they are. Where the cluster does not let us see a
//! kind, objects that are selected by name are those that Flux says it made, in `status.inventory` of the release.

use kindsmith_backoff::patience;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _};
use kindsmith_schema::{
    convert::release::{RESOURCES_ANNOTATION, Reference, ReleaseTemplate, ResourceKind, target_namespace},
    kind::{KindBackend, KindOutline},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta},
};
use kube_runtime::{
    WatchStreamExt as _,
    reflector::{self, Store},
    watcher,
};
use tokio::{sync::Notify, task::AbortHandle};

use crate::{
    listed::List,
    pending::{Patcher, Pending},
    pulse::{Loops, Pulse},
    releases::{Releases, WatchedRelease},
    watch::Stores,
};

/// How often it is looked whether anything changed.
const STEP: Duration = Duration::from_secs(1);

/// How many releases are patched in a step.
const PATCHES_PER_STEP_MAX: usize = 20;

/// An object, of which the metadata alone was asked for.
type Seen = PartialObjectMeta<DynamicObject>;

/// What is kept of it: name, namespace, labels.
fn strip(object: &mut Seen) {
    object.managed_fields_mut().clear();
    object.annotations_mut().clear();
    object.finalizers_mut().clear();
    object.owner_references_mut().clear();
}

fn resource(kind: ResourceKind) -> ApiResource {
    let (group, version) = kind.api_version().split_once('/').unwrap_or(("", kind.api_version()));
    let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind.name()));
    resource.plural = kind.plural().to_owned();
    resource
}

/// Whether the operator sees the objects of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// All were seen once, at least.
    Seen,
    /// The cluster does not let it, in these words.
    Forbidden(Arc<str>),
}

/// What is known of each kind that a definition selects; nothing before the cluster has answered.
pub(crate) type Sights = BTreeMap<ResourceKind, Sight>;

/// What is known of kinds, and who is told when that changes.
struct Sighted {
    sights: Mutex<Arc<Sights>>,
    bell: Arc<Notify>,
}

impl Sighted {
    fn sights(&self) -> Arc<Sights> {
        Arc::clone(&self.sights.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, kind: ResourceKind, sight: Option<Sight>) {
        let mut sights = self.sights.lock().unwrap_or_else(PoisonError::into_inner);
        if sights.get(&kind) == sight.as_ref() {
            return;
        }
        let held = Arc::make_mut(&mut sights);
        match sight {
            Some(sight) => drop(held.insert(kind, sight)),
            None => drop(held.remove(&kind)),
        }
        self.bell.notify_one();
    }
}

/// What the cluster says when it does not let us watch.
fn forbidden(error: &watcher::Error) -> Option<Arc<str>> {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status,
        _ => return None,
    };
    (status.code == 403).then(|| Arc::from(status.message.as_str()))
}

/// A watch of the metadata of one kind; it ends when it is dropped.
struct Watch {
    store: Store<Seen>,
    task: AbortHandle,
}

impl Watch {
    fn start(client: &Client, kind: ResourceKind, changes: &Arc<AtomicU64>, sighted: &Arc<Sighted>) -> Self {
        let resource = resource(kind);
        let api = Api::<Seen>::all_with(client.clone(), &resource);
        let writer = reflector::store::Writer::new(resource);
        let (store, changes, sighted) = (writer.as_reader(), Arc::clone(changes), Arc::clone(sighted));
        let task = tokio::spawn(async move {
            watcher(api, watcher::Config::default())
                .modify(strip)
                .backoff(patience())
                .reflect(writer)
                .for_each(|event| {
                    match event {
                        Ok(event) => {
                            if !matches!(event, watcher::Event::Init | watcher::Event::InitApply(_)) {
                                sighted.set(kind, Some(Sight::Seen));
                            }
                            changes.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => {
                            tracing::warn!(%error, "cannot watch the metadata of {}; trying again", kind.name());
                            if let Some(why) = forbidden(&error) {
                                sighted.set(kind, Some(Sight::Forbidden(why)));
                                changes.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    }
                    std::future::ready(())
                })
                .await;
        });
        Self { store, task: task.abort_handle() }
    }

    /// What there is; none until everything was seen once.
    fn objects(&self) -> Option<Vec<Arc<Seen>>> {
        self.store.wait_until_ready().now_or_never()?.ok()?;
        Some(self.store.state())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The objects that were seen, by kind and namespace. A kind that is not in it was not seen yet.
type Objects = BTreeMap<ResourceKind, HashMap<String, Vec<Arc<Seen>>>>;

/// The references of all instances.
pub(crate) struct References {
    client: Client,
    releases: Releases,
    kinds: Mutex<List<KindOutline>>,
    sighted: Arc<Sighted>,
}

impl References {
    /// Starts to keep references, where there is a cluster. `bell` rings when other kinds of objects can be seen than before.
    pub(crate) fn start(client: &Client, stores: &Stores, bell: &Arc<Notify>, loops: &mut Loops) -> Option<Arc<Self>> {
        stores.cluster.as_ref()?;
        let (client, releases) = (client.clone(), stores.releases.clone());
        let sighted = Arc::new(Sighted { sights: Mutex::default(), bell: Arc::clone(bell) });
        let references = Arc::new(Self { client, releases, kinds: Mutex::default(), sighted });
        let keeping = Arc::clone(&references);
        loops.start("references", |pulse| keeping.run(pulse));
        Some(references)
    }

    fn kinds(&self) -> MutexGuard<'_, List<KindOutline>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the kinds of objects that definitions select.
    pub(crate) fn sights(&self) -> Arc<Sights> {
        self.sighted.sights()
    }

    /// Says which kinds there are.
    pub(crate) fn set_kinds(&self, kinds: Vec<Arc<KindOutline>>) {
        *self.kinds() = Arc::new(kinds);
    }

    /// Goes on until the task is ended.
    async fn run(self: Arc<Self>, pulse: Pulse) {
        // Without Flux there is nothing to wait for.
        pulse.wait(self.releases.seen()).await;
        let changes = Arc::new(AtomicU64::new(0));
        let mut watches: BTreeMap<ResourceKind, Watch> = BTreeMap::new();
        let mut patcher = Patcher::new(self.client.clone(), "references are", PATCHES_PER_STEP_MAX);
        let mut watched = None;
        // For which state of what is referred to, and for which kinds, releases are settled; and for which of them there
        // was nothing to be done.
        let mut asked: Option<(u64, List<KindOutline>)> = None;
        let mut done: Option<List<WatchedRelease>> = None;
        let mut settled = Settled::new();
        loop {
            pulse.beat();
            tokio::time::sleep(STEP).await;
            let kinds = Arc::clone(&self.kinds());
            if watched.as_ref().is_none_or(|watched| !Arc::ptr_eq(watched, &kinds)) {
                let wanted: BTreeSet<ResourceKind> = kinds.iter().filter_map(template).flat_map(selected).collect();
                let unwanted: Vec<ResourceKind> =
                    watches.keys().filter(|kind| !wanted.contains(kind)).copied().collect();
                for kind in unwanted {
                    watches.remove(&kind);
                    self.sighted.set(kind, None);
                }
                for kind in wanted {
                    watches.entry(kind).or_insert_with(|| Watch::start(&self.client, kind, &changes, &self.sighted));
                }
                watched = Some(Arc::clone(&kinds));
            }
            // Read before the objects: what comes meanwhile is looked at in the next step.
            let counted = changes.load(Ordering::Relaxed);
            let releases = self.releases.state();
            if asked.as_ref().is_none_or(|(seen, of)| *seen != counted || !Arc::ptr_eq(of, &kinds)) {
                settled.clear();
            } else if done.as_ref().is_some_and(|by| Arc::ptr_eq(by, &releases)) {
                continue;
            }
            let seen = watches.iter().filter_map(|(kind, watch)| Some((*kind, by_namespace(watch.objects()?))));
            let objects: Objects = seen.collect();
            let forbidden: BTreeSet<ResourceKind> = self
                .sights()
                .iter()
                .filter(|(kind, sight)| matches!(sight, Sight::Forbidden(_)) && !objects.contains_key(kind))
                .map(|(kind, _)| *kind)
                .collect();
            let complete = objects.len() + forbidden.len() == watches.len();
            let pending = assess(&kinds, &releases, Seeing { objects: &objects, forbidden: &forbidden }, &mut settled);
            if !complete {
                settled.clear();
            }
            done = (complete && pending.is_empty()).then_some(releases);
            asked = Some((counted, kinds));
            patcher.send(pending).await;
        }
    }
}

/// What was seen.
#[derive(Clone, Copy)]
struct Seeing<'s> {
    objects: &'s Objects,
    /// Kinds that the cluster does not let us see.
    forbidden: &'s BTreeSet<ResourceKind>,
}

/// The revisions of releases that refer to what they should or are no instances, by uid. It holds while the kinds and all that can be
/// referred to stay the same.
type Settled = HashMap<String, Option<String>>;

fn template(kind: &Arc<KindOutline>) -> Option<&ReleaseTemplate> {
    match &kind.backend {
        KindBackend::Release(template) => Some(template),
        KindBackend::Stored => None,
    }
}

fn selected(template: &ReleaseTemplate) -> BTreeSet<ResourceKind> {
    template.selected_kinds()
}

fn by_namespace(objects: Vec<Arc<Seen>>) -> HashMap<String, Vec<Arc<Seen>>> {
    let mut sorted: HashMap<String, Vec<Arc<Seen>>> = HashMap::new();
    for object in objects {
        sorted.entry(object.namespace().unwrap_or_default()).or_default().push(object);
    }
    sorted
}

/// The releases whose references are not what they should be, by namespace and name. Those that are settled are not
/// looked into.
fn assess(
    kinds: &[Arc<KindOutline>],
    releases: &[Arc<WatchedRelease>],
    Seeing { objects, forbidden }: Seeing<'_>,
    settled: &mut Settled,
) -> Vec<Pending> {
    let templates: Vec<(&ReleaseTemplate, bool)> =
        kinds.iter().filter_map(template).map(|it| (it, !it.selected_kinds().is_empty())).collect();
    let mut pending = Vec::new();
    let mut still = Settled::with_capacity(settled.len());
    for release in releases {
        let (uid, version) = (release.uid().unwrap_or_default(), release.resource_version());
        if let Some(held) = settled.remove(&uid).filter(|held| *held == version) {
            still.insert(uid, held);
            continue;
        }
        let (name, namespace) = (release.name_any(), release.namespace().unwrap_or_default());
        // Most kinds select nothing, and nothing is to be taken from most of their releases.
        let refers = release.annotations().contains_key(RESOURCES_ANNOTATION);
        let with_references = templates.iter().filter(|(_, selects)| *selects || refers);
        let named: Vec<_> = with_references.map(|(it, _)| it).filter(|it| it.instance_name(&name).is_some()).collect();
        if named.is_empty() || release.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let Ok(object) = serde_json::to_value(&**release) else { continue };
        let Some(template) = named.into_iter().find(|template| template.matches(&object)) else {
            still.insert(uid, version);
            continue;
        };
        let selectors = template.selectors(&object);
        // The chart may be installed into another namespace.
        let place = target_namespace(&object);
        let other = (place != namespace).then(|| place.to_owned());
        let refer = |kind, name: String| Reference { kind, name, namespace: other.clone() };
        let mut wanted: BTreeSet<Reference> = BTreeSet::new();
        for kind in template.selected_kinds() {
            let Some(of_kind) = objects.get(&kind) else {
                // Flux may have told what it made: that names it, and labels are told by a look alone.
                let made = release.status.as_ref().and_then(|status| status.made.as_ref());
                let made_here = made.into_iter().flatten().filter(|it| it.kind == kind && it.namespace == place);
                let by_name = made_here.filter(|it| selectors.select_by_name(kind, &it.name));
                wanted.extend(by_name.map(|it| refer(kind, it.name.clone())));
                if made.is_none() || !forbidden.contains(&kind) {
                    wanted.extend(template.references(&object).into_iter().filter(|held| held.kind == kind));
                }
                continue;
            };
            let here = of_kind.get(place).into_iter().flatten();
            let fits = here.filter(|it| selectors.select(kind, &it.name_any(), it.labels()));
            wanted.extend(fits.map(|it| refer(kind, it.name_any())));
        }
        match template.refer(&object, &wanted) {
            None => drop(still.insert(uid, version)),
            Some(patch) => pending.push(Pending { namespace, name, uid, patch }),
        }
    }
    *settled = still;
    pending.sort_by(|left, right| (&left.namespace, &left.name).cmp(&(&right.namespace, &right.name)));
    pending
}

#[cfg(test)]
mod tests {
    use kindsmith_schema::{compile::OwnStorage, form::DefinitionForm};
    use serde_json::{Value, json};

    use super::*;
    use crate::decide::testing::definition;

    fn kind(resources: &Value) -> Arc<KindOutline> {
        let mut definition = definition("redises", "Redis");
        definition["spec"]["backend"]["helmRelease"]["resources"] = resources.clone();
        let kind = DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Absent).unwrap();
        Arc::new(KindOutline::from(&kind))
    }

    fn release(kind: &Arc<KindOutline>, name: &str, annotation: Option<&str>) -> Arc<WatchedRelease> {
        let instance = json!({"metadata": {"name": name, "namespace": "t", "resourceVersion": "1"}, "spec": {"a": 1}});
        let mut object: WatchedRelease = serde_json::from_value(template(kind).unwrap().create(&instance)).unwrap();
        object.metadata.uid = Some(format!("uid-of-{name}"));
        let held = annotation.map(|text| ("kindsmith.dev/resources".to_owned(), text.to_owned()));
        object.annotations_mut().extend(held);
        Arc::new(object)
    }

    /// Nothing is forbidden.
    fn seeing(objects: &Objects) -> Seeing<'_> {
        static NOTHING: BTreeSet<ResourceKind> = BTreeSet::new();
        Seeing { objects, forbidden: &NOTHING }
    }

    fn secrets(names: &[(&str, &str)]) -> HashMap<String, Vec<Arc<Seen>>> {
        let one = |(namespace, name): &(&str, &str)| {
            let metadata = json!({"metadata": {"name": name, "namespace": namespace}});
            Arc::new(serde_json::from_value::<Seen>(metadata).unwrap())
        };
        by_namespace(names.iter().map(one).collect())
    }

    #[test]
    fn releases_get_the_references_of_their_own_namespace() {
        let kind =
            kind(&json!({"secrets": {"include": [{"resourceNames": ["{{ .release }}-a", "{{ .release }}-b"]}]}}));
        let kinds = [Arc::clone(&kind)];
        let held = r#"[["Secret","x-two-a"]]"#;
        let releases =
            [release(&kind, "one", None), release(&kind, "two", Some(held)), release(&kind, "three", Some(held))];
        let seen = secrets(&[("t", "x-one-b"), ("t", "x-one-a"), ("t", "x-two-a"), ("other", "x-three-a"), ("t", "y")]);
        let mut settled = Settled::new();
        let pending = assess(&kinds, &releases, seeing(&[(ResourceKind::Secret, seen)].into()), &mut settled);
        let text = |pending: &Pending| pending.patch["metadata"]["annotations"]["kindsmith.dev/resources"].clone();
        let found: Vec<(&str, Value)> = pending.iter().map(|it| (it.name.as_str(), text(it))).collect();
        let wanted = json!(r#"[["Secret","x-one-a"],["Secret","x-one-b"]]"#);
        assert_eq!(found, [("x-one", wanted), ("x-three", Value::Null)]);
        assert_eq!(settled.keys().collect::<Vec<_>>(), ["uid-of-two"]);
        // What is settled is looked into again when it changes: somebody took the annotation away.
        let mut changed = (*releases[1]).clone();
        changed.metadata.resource_version = Some("2".to_owned());
        changed.metadata.annotations = None;
        let objects: Objects = [(ResourceKind::Secret, secrets(&[("t", "x-two-a")]))].into();
        let pending = assess(&kinds, &[Arc::new(changed)], seeing(&objects), &mut settled);
        assert_eq!((pending.len(), settled.len()), (1, 0));
        // One of another chart, whose name alone is like that of an instance, is looked into once too.
        let mut foreign = (*releases[0]).clone();
        foreign.spec = Default::default();
        assert_eq!(assess(&kinds, &[Arc::new(foreign)], seeing(&objects), &mut settled).len(), 0);
        assert_eq!(settled.keys().collect::<Vec<_>>(), ["uid-of-one"]);
    }

    #[test]
    fn what_flux_made_is_referred_to_by_name_where_nothing_may_be_seen() {
        let kind = kind(&json!({
            "secrets": {"include": [{"resourceNames": ["{{ .release }}-a", "{{ .release }}-b"]}, {"matchLabels": {"a": "{{ .name }}"}}],
                "exclude": [{"resourceNames": ["{{ .release }}-b"], "matchLabels": {"internal": "true"}}]}}));
        let kinds = [Arc::clone(&kind)];
        let with = |held: Option<&str>, status: Value| {
            let mut release = (*release(&kind, "one", held)).clone();
            release.status = serde_json::from_value(status).unwrap();
            [Arc::new(release)]
        };
        let entry = |id: &str| json!({"id": id, "v": "v1"});
        let inventory = json!({"history": [{}], "inventory": {"entries": [
            entry("t_x-one-a__Secret"), entry("t_x-one-b__Secret"), entry("t_other__Secret"), entry("u_x-one-a__Secret"),
            entry("t_x-one-a_apps_Deployment"), entry("t_x-one-a_example.org_Secret"), entry("nonsense"), 7]}});
        let forbidden: BTreeSet<ResourceKind> = [ResourceKind::Secret].into();
        let found = |releases: &[Arc<WatchedRelease>], forbidden: &BTreeSet<ResourceKind>| {
            let seeing = Seeing { objects: &Objects::new(), forbidden };
            let pending = assess(&kinds, releases, seeing, &mut Settled::new());
            pending.first().map(|it| it.patch["metadata"]["annotations"]["kindsmith.dev/resources"].clone())
        };
        // One that may be excluded by its labels is not shown.
        assert_eq!(found(&with(None, inventory.clone()), &forbidden), Some(json!(r#"[["Secret","x-one-a"]]"#)));
        let held = Some(r#"[["Secret","x-one-a"],["Secret","x-one-gone"]]"#);
        assert_eq!(found(&with(held, inventory.clone()), &forbidden), Some(json!(r#"[["Secret","x-one-a"]]"#)));
        assert_eq!(found(&with(held, inventory), &BTreeSet::new()), None, "nobody has looked yet");
        for silent in [json!({}), json!({"inventory": 7}), json!({"inventory": null}), Value::Null] {
            assert_eq!(found(&with(held, silent), &forbidden), None, "an older Flux says nothing");
        }
    }

    #[test]
    fn what_a_chart_has_in_another_namespace_is_referred_to_there() {
        let kind = kind(&json!({"secrets": {"include": [{"resourceNames": ["{{ .release }}-a"]}]}}));
        let mut placed = (*release(&kind, "one", None)).clone();
        let mut spec = serde_json::to_value(&placed.spec).unwrap();
        spec["targetNamespace"] = json!("apps");
        placed.spec = serde_json::from_value(spec).unwrap();
        let id = json!({"id": "apps_apps-x-one-a__Secret", "v": "v1"});
        placed.status = serde_json::from_value(json!({"inventory": {"entries": [id]}})).unwrap();
        let releases = [Arc::new(placed)];
        let wanted = json!(r#"[["Secret","apps-x-one-a","apps"]]"#);
        let seen = secrets(&[("t", "x-one-a"), ("t", "apps-x-one-a"), ("apps", "apps-x-one-a"), ("apps", "x-one-a")]);
        let forbidden: BTreeSet<ResourceKind> = [ResourceKind::Secret].into();
        for (objects, forbidden) in
            [([(ResourceKind::Secret, seen)].into(), BTreeSet::new()), (Objects::new(), forbidden)]
        {
            let seeing = Seeing { objects: &objects, forbidden: &forbidden };
            let pending = assess(&[Arc::clone(&kind)], &releases, seeing, &mut Settled::new());
            assert_eq!(pending[0].patch["metadata"]["annotations"]["kindsmith.dev/resources"], wanted);
        }
    }

    #[test]
    fn what_was_not_seen_yet_stays_and_what_is_selected_no_more_goes() {
        let selecting = json!({"secrets": {"include": [{"resourceNames": ["{{ .release }}-a"]}]}});
        let (with, without) = (kind(&selecting), kind(&json!({})));
        let releases = [release(&with, "one", Some(r#"[["Secret","x-one-a"]]"#))];
        assert_eq!(assess(&[with], &releases, seeing(&Objects::new()), &mut Settled::new()).len(), 0);
        let pending = assess(&[without], &releases, seeing(&Objects::new()), &mut Settled::new());
        assert_eq!(pending[0].patch["metadata"]["annotations"], json!({"kindsmith.dev/resources": null}));
    }
}
