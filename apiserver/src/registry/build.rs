//! Builds the next snapshot out of the definitions and the current one.
//!
//! Only a definition whose generation changed is compiled. One that does not compile leaves its last good kind serving,
//! and so does one that takes something from stored instances, until it is recorded as accepted.
//! A kind whose backend and versions stay keeps its caches, so its watches go on.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use kindsmith_schema::{
    compile::OwnStorage,
    convert::release::overlaps,
    form::DefinitionForm,
    kind::{Kind, KindBackend, Serving},
    names, succession,
};
use serde_json::Value;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Snapshot, accepted::AcceptedGenerations};
use crate::storage::{
    cache::{CacheLimits, WatchCache},
    feed::Feed,
    host::{Host, HostResource, StatusEndpoint},
    kind_store::{KindStore, ServedKind},
    kind_view::KindView,
    projection::Projection,
    source::run_source,
    steady::Steady,
};

/// Where instances of definitions can be kept.
pub struct Backends {
    /// The host of HelmReleases, and its feed.
    pub releases: (Arc<dyn Host>, Arc<Feed>),
    /// The host of kinds that are stored as they are, where there is one.
    pub stored: Option<Arc<dyn Host>>,
    /// The generations that were accepted; without them each that compiles is served at once.
    pub accepted: Option<Arc<AcceptedGenerations>>,
}

/// A stored kind's own watch of its host resource.
struct StoredSource {
    feed: Arc<Feed>,
    end: CancellationToken,
}

struct Compiled {
    uid: String,
    state: String,
    /// The state that was recorded as accepted when this was compiled.
    recorded: Option<String>,
    good: Option<Good>,
    /// What waits to be accepted.
    waiting: Option<Arc<Kind>>,
}

/// A kind that may be served, and the state of the definition that it was made of.
#[derive(Clone)]
struct Good {
    state: String,
    kind: Arc<Kind>,
}

/// Group and plural: no two kinds that are served have the same.
type Address = (String, String);

/// Builds snapshots.
pub struct Builder {
    backends: Backends,
    steady: Arc<Steady>,
    builtin: Vec<Arc<Kind>>,
    compiled: HashMap<(DefinitionForm, String), Compiled>,
    sources: HashMap<HostResource, StoredSource>,
    served: BTreeMap<Address, Arc<ServedKind>>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Builder {
    /// A builder. `feeds` are host resources that are watched already; tasks it starts end with `shutdown` and are in `tasks`.
    #[must_use]
    pub fn new(
        backends: Backends,
        builtin: Vec<Kind>,
        feeds: Vec<(HostResource, Arc<Feed>)>,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let sources = feeds
            .into_iter()
            .map(|(resource, feed)| (resource, StoredSource { feed, end: shutdown.child_token() }))
            .collect();
        let steady = Arc::new(Steady::default());
        backends.releases.1.attach(Arc::clone(&steady) as _);
        Self {
            backends,
            steady,
            builtin: builtin.into_iter().map(Arc::new).collect(),
            compiled: HashMap::new(),
            sources,
            served: BTreeMap::new(),
            tasks,
            shutdown,
        }
    }

    /// The generations that were accepted, where somebody says so.
    #[must_use]
    pub fn accepted(&self) -> Option<&Arc<AcceptedGenerations>> {
        self.backends.accepted.as_ref()
    }

    /// The next snapshot.
    pub fn build(&mut self, definitions: Vec<(DefinitionForm, Arc<Value>)>, previous: &Snapshot) -> Snapshot {
        let mut kinds: Vec<Arc<Kind>> = self.builtin.clone();
        let mut compiled = HashMap::new();
        for (form, definition) in definitions {
            let key = (form, text(&definition, "name").to_owned());
            let held = self.compiled.remove(&key);
            let entry = self.compile(form, &definition, held);
            kinds.extend(entry.good.as_ref().map(|good| Arc::clone(&good.kind)));
            compiled.insert(key, entry);
        }
        self.compiled = compiled;
        let borrowed: Vec<&Kind> = kinds.iter().map(Arc::as_ref).collect();
        let conflicts = names::conflicts(&borrowed);
        let mut served = BTreeMap::new();
        let overlaps = overlaps(&borrowed);
        for ((kind, conflicts), overlap) in kinds.iter().zip(conflicts).zip(overlaps) {
            let conflict = conflicts.first().map(ToString::to_string).or_else(|| overlap.map(|it| it.to_string()));
            if let Some(conflict) = conflict {
                tracing::warn!(definition = kind.origin.name, conflict, "kind is not served");
                continue;
            }
            let address = (kind.group.clone(), kind.names.plural.clone());
            let held = self.served.remove(&address);
            if let Some(next) = self.serve(kind, held) {
                served.insert(address, next);
            }
        }
        let gone = std::mem::replace(&mut self.served, served);
        for old in gone.into_values() {
            Self::retire(&old);
        }
        self.end_unused_sources();
        Snapshot::new(self.served.values().cloned().collect(), previous)
    }

    fn compile(&self, form: DefinitionForm, definition: &Value, held: Option<Compiled>) -> Compiled {
        let uid = text(definition, "uid").to_owned();
        let state = form.state(definition);
        let record = self.accepted().and_then(|accepted| accepted.last(&uid));
        let recorded = record.as_ref().map(|record| record.state.clone());
        let held = held.filter(|held| held.uid == uid);
        let is_accepted = recorded.as_ref() == Some(&state);
        let held = match held {
            Some(held) if held.state == state && held.recorded == recorded => return held,
            // What was compiled already is not compiled again only because the operator agrees.
            Some(Compiled { waiting: Some(kind), state: compiled, .. }) if is_accepted && compiled == state => {
                let good = Some(Good { state: compiled, kind });
                return Compiled { uid, state, recorded, good, waiting: None };
            }
            Some(Compiled { good: Some(good), .. }) if is_accepted && good.state == state => {
                return Compiled { uid, state, recorded, good: Some(good), waiting: None };
            }
            held => held.and_then(|held| held.good),
        };
        let own_storage = if self.backends.stored.is_some() { OwnStorage::Available } else { OwnStorage::Absent };
        // What is served here and what was recorded differ for moments alone: of both nothing may be taken.
        let known = held.as_ref().map(|held| held.state.clone());
        let record = record.filter(|record| !is_accepted && Some(&record.state) != known.as_ref()).and_then(|record| {
            let kind = record.kind(own_storage).inspect_err(|error| {
                tracing::warn!(definition = record.name, %error, "there is no recorded generation");
            });
            Some(Good { state: record.state.clone(), kind: Arc::new(kind.ok()?) })
        });
        let before: Vec<Good> = held.filter(|held| held.state != state).into_iter().chain(record).collect();
        let name = text(definition, "name");
        let (good, waiting) = match form.compile(definition, own_storage) {
            Err(error) => {
                tracing::warn!(
                    definition = name,
                    %error,
                    "definition is not accepted; the last good one, if any, stays"
                );
                (before.into_iter().next(), None)
            }
            Ok(kind) => {
                let free = is_accepted || self.accepted().is_none();
                let hurt = |last: &Good| !succession::threats(&last.kind, &kind).is_empty();
                if !free && before.iter().any(hurt) {
                    let generation = kind.origin.generation;
                    tracing::info!(definition = name, generation, "the change may hurt instances and waits");
                    (before.into_iter().next(), Some(Arc::new(kind)))
                } else {
                    (Some(Good { state: state.clone(), kind: Arc::new(kind) }), None)
                }
            }
        };
        Compiled { uid, state, recorded, good, waiting }
    }

    /// The kind as it is served; views of the one that was served before are kept when they fit.
    fn serve(&mut self, kind: &Arc<Kind>, held: Option<Arc<ServedKind>>) -> Option<Arc<ServedKind>> {
        let versions = |kind: &Kind| kind.served_versions().map(|version| version.name.clone()).collect::<Vec<_>>();
        if let Some(held) = held {
            if Arc::ptr_eq(&held.kind, kind) {
                return Some(held);
            }
            let fits = held.kind.origin.uid == kind.origin.uid
                && held.kind.names.kind == kind.names.kind
                && held.kind.scope == kind.scope
                && same_identity(&held.kind, kind)
                && versions(&held.kind) == versions(kind);
            if fits {
                for (view, projection) in held.views.iter().zip(projections(kind)) {
                    held.store.feed().with_objects(|objects, _| view.reproject(projection.clone(), objects));
                }
                return Some(Arc::new(ServedKind {
                    kind: Arc::clone(kind),
                    store: Arc::clone(&held.store),
                    views: held.views.clone(),
                }));
            }
            Self::retire(&held);
        }
        let store = self.store(kind)?;
        let views: Vec<Arc<KindView>> = projections(kind)
            .map(|projection| KindView::new(projection, WatchCache::new(CacheLimits::default())))
            .collect();
        for view in &views {
            store.feed().attach(Arc::clone(view) as _);
        }
        Some(Arc::new(ServedKind { kind: Arc::clone(kind), store, views }))
    }

    fn store(&mut self, kind: &Kind) -> Option<Arc<KindStore>> {
        match &kind.backend {
            KindBackend::Release(_) => {
                let (host, feed) = &self.backends.releases;
                let resource = crate::storage::builtin::helm_releases();
                let (host, feed, steady) = (Arc::clone(host), Arc::clone(feed), Arc::clone(&self.steady));
                Some(KindStore::of_releases(host, resource, feed, steady))
            }
            KindBackend::Stored => {
                let Some(host) = self.backends.stored.clone() else {
                    tracing::warn!(
                        definition = kind.origin.name,
                        "kind is not served: there is no storage of our own here"
                    );
                    return None;
                };
                let version = kind.storage_version()?;
                let resource = HostResource {
                    group: kind.group.clone(),
                    version: version.name.clone(),
                    kind: kind.names.kind.clone(),
                    plural: kind.names.plural.clone(),
                    scope: kind.scope,
                    status: match version.status {
                        kindsmith_schema::kind::StatusRole::Subresource => StatusEndpoint::Separate,
                        _ => StatusEndpoint::Absent,
                    },
                };
                let source = self.sources.entry(resource.clone()).or_insert_with(|| {
                    let feed = Arc::new(Feed::default());
                    let end = self.shutdown.child_token();
                    let sink = Arc::clone(&feed);
                    self.tasks.spawn(run_source(Arc::clone(&host), resource.clone(), sink, end.clone()));
                    StoredSource { feed, end }
                });
                Some(KindStore::new(host, resource, Arc::clone(&source.feed)))
            }
        }
    }

    /// Ends the watches of a kind that is no longer served so.
    fn retire(served: &ServedKind) {
        for view in &served.views {
            let gone = Arc::as_ptr(view).cast::<()>();
            served.store.feed().detach(|held| Arc::as_ptr(held).cast::<()>() == gone);
            view.cache().close();
        }
    }

    fn end_unused_sources(&mut self) {
        let served = &self.served;
        let mut builtin = DefinitionForm::ALL.map(crate::storage::builtin::application_definitions).to_vec();
        builtin.extend([crate::storage::builtin::helm_releases(), crate::storage::builtin::namespaces()]);
        self.sources.retain(|resource, source| {
            let used = builtin.contains(resource) || served.values().any(|served| served.store.resource() == resource);
            if !used {
                source.end.cancel();
            }
            used
        });
    }
}

fn text<'a>(definition: &'a Value, member: &str) -> &'a str {
    definition.get("metadata").and_then(|metadata| metadata.get(member)).and_then(Value::as_str).unwrap_or_default()
}

/// Whether the same host objects are instances of both.
fn same_identity(left: &Kind, right: &Kind) -> bool {
    match (&left.backend, &right.backend) {
        (KindBackend::Release(left), KindBackend::Release(right)) => {
            left.settings.prefix == right.settings.prefix
                && left.settings.chart_ref == right.settings.chart_ref
                && left.settings.chart == right.settings.chart
                && left.adopt() == right.adopt()
                && left.marks == right.marks
        }
        (KindBackend::Stored, KindBackend::Stored) => {
            let storage = |kind: &Kind| kind.storage_version().map(|version| (version.name.clone(), version.status));
            storage(left) == storage(right)
        }
        _ => false,
    }
}

fn projections(kind: &Arc<Kind>) -> impl Iterator<Item = Projection> + '_ {
    (0..kind.versions.len())
        .filter(|&index| kind.versions[index].serving == Serving::Served)
        .filter_map(|index| Projection::new(Arc::clone(kind), index))
}
