//! Builds the next snapshot out of the definitions and the current one.
//!
//! Only a definition whose generation changed is compiled. One that does not compile leaves its last good kind serving.
//! A kind whose backend and versions stay keeps its caches, so its watches go on.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use kindsmith_schema::{
    compile::OwnStorage,
    convert::release::overlaps,
    form::DefinitionForm,
    kind::{Kind, KindBackend, Serving},
    names,
};
use serde::Deserialize;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Snapshot;
use crate::storage::{
    cache::{CacheLimits, WatchCache},
    feed::{Feed, tree},
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
}

/// A stored kind's own watch of its host resource.
struct StoredSource {
    feed: Arc<Feed>,
    end: CancellationToken,
}

/// A change of a definition.
pub enum Change {
    /// It was created, or changed.
    Applied {
        /// Its form.
        form: DefinitionForm,
        /// Its name.
        name: String,
        /// The definition.
        json: Bytes,
    },
    /// It is gone.
    Gone {
        /// Its form.
        form: DefinitionForm,
        /// Its name.
        name: String,
    },
}

struct Compiled {
    state: State,
    good: Option<Arc<Kind>>,
}

/// What a definition has to be compiled for anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    uid: String,
    generation: Option<i64>,
    /// Of a form that reads them.
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Head {
    metadata: HeadMetadata,
}

#[derive(Deserialize)]
struct HeadMetadata {
    #[serde(default)]
    uid: String,
    generation: Option<i64>,
    annotations: Option<BTreeMap<String, String>>,
}

/// The state of a definition; none if it cannot be read.
#[must_use]
pub fn state(form: DefinitionForm, json: &[u8]) -> Option<State> {
    let Head { metadata } = serde_json::from_slice(json).ok()?;
    let annotations = metadata.annotations.filter(|_| form.reads_annotations());
    Some(State { uid: metadata.uid, generation: metadata.generation, annotations })
}

/// A definition to compile, and what was compiled before.
type Work = ((DefinitionForm, String), Bytes, Option<Compiled>);

/// So few are compiled without further threads.
const COMPILED_ALONE: usize = 8;

/// Group and plural: no two kinds that are served have the same.
type Address = (String, String);

/// Builds snapshots.
pub struct Builder {
    backends: Backends,
    steady: Arc<Steady>,
    builtin: Vec<Arc<Kind>>,
    compiled: BTreeMap<(DefinitionForm, String), Compiled>,
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
            compiled: BTreeMap::new(),
            sources,
            served: BTreeMap::new(),
            tasks,
            shutdown,
        }
    }

    /// The definitions of a form that are known.
    pub(super) fn names(&self, form: DefinitionForm) -> Vec<String> {
        self.compiled.keys().filter(|(held, _)| *held == form).map(|(_, name)| name.clone()).collect()
    }

    /// Whether a definition is known.
    pub(super) fn knows(&self, form: DefinitionForm, name: &str) -> bool {
        self.compiled.contains_key(&(form, name.to_owned()))
    }

    /// Whether a definition is known in a state.
    pub(super) fn has(&self, form: DefinitionForm, name: &str, state: &State) -> bool {
        self.compiled.get(&(form, name.to_owned())).is_some_and(|held| held.state == *state)
    }

    /// Compiles what changed, on as many threads as there are processors when it is much.
    pub fn take(&mut self, changes: Vec<Change>) {
        let mut work = Vec::new();
        for change in changes {
            match change {
                Change::Gone { form, name } => drop(self.compiled.remove(&(form, name))),
                Change::Applied { form, name, json } => {
                    let key = (form, name);
                    let held = self.compiled.remove(&key);
                    work.push((key, json, held));
                }
            }
        }
        let own_storage = if self.backends.stored.is_some() { OwnStorage::Available } else { OwnStorage::Absent };
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let each = work.len().div_ceil(threads).max(COMPILED_ALONE);
        let mut shares = Vec::new();
        while !work.is_empty() {
            shares.push(work.split_off(work.len().saturating_sub(each)));
        }
        let compile_all = |share: Vec<Work>| -> Vec<_> {
            let compiled = share.into_iter().map(|(key, json, held)| {
                let compiled = compile(&key, &json, held, own_storage);
                (key, compiled)
            });
            compiled.filter_map(|(key, compiled)| Some((key, compiled?))).collect()
        };
        let compiled: Vec<_> = std::thread::scope(|scope| {
            let own = shares.pop();
            let others: Vec<_> = shares.into_iter().map(|share| scope.spawn(|| compile_all(share))).collect();
            let mut compiled = own.map(compile_all).unwrap_or_default();
            for other in others {
                match other.join() {
                    Ok(theirs) => compiled.extend(theirs),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            compiled
        });
        self.compiled.extend(compiled);
    }

    /// The next snapshot, of the definitions that are known.
    pub fn build(&mut self, previous: &Snapshot) -> Snapshot {
        let good = self.compiled.values().filter_map(|compiled| compiled.good.clone());
        let kinds: Vec<Arc<Kind>> = self.builtin.iter().cloned().chain(good).collect();
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

/// Compiles a definition that changed. One that is no good leaves its last good kind. None if it cannot be read.
fn compile(
    (form, name): &(DefinitionForm, String),
    json: &Bytes,
    held: Option<Compiled>,
    own_storage: OwnStorage,
) -> Option<Compiled> {
    let state = state(*form, json)?;
    let definition = tree(json)?;
    let held = held.filter(|held| held.state.uid == state.uid);
    let good = match form.compile(&definition, own_storage) {
        Ok(kind) => Some(Arc::new(kind)),
        Err(error) => {
            tracing::warn!(
                definition = name,
                %error,
                "definition is not accepted; the last good one, if any, stays"
            );
            held.and_then(|held| held.good)
        }
    };
    Some(Compiled { state, good })
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
