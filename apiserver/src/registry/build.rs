//! Builds the next snapshot out of the definitions and the current one.
//!
//! Only a definition whose generation changed is compiled. One that does not compile leaves its last good kind serving,
//! and so does one that takes something from stored instances, until it is recorded as accepted.
//! A kind whose backend and versions stay keeps its caches, so its watches go on.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use kindsmith_schema::{
    compile::OwnStorage,
    form::DefinitionForm,
    holders::{Denied, Holders},
    kind::{Kind, KindBackend, Serving},
    succession,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Snapshot, accepted::AcceptedGenerations, snapshot::address};
use crate::storage::{
    cache::{CacheLimits, WatchCache},
    feed::Feed,
    host::{Host, HostResource, StatusEndpoint, tree},
    kind_store::{KindStore, Remembered, ServedKind},
    kind_view::KindView,
    projection::Projection,
    source::run_source,
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

/// What a definition has to be compiled for anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    uid: String,
    /// See [`DefinitionForm::state`].
    state: String,
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
    annotations: Option<Value>,
}

/// The state of a definition; none if it cannot be read.
#[must_use]
pub fn state(form: DefinitionForm, json: &[u8]) -> Option<State> {
    let Head { metadata: HeadMetadata { uid, generation, annotations } } = serde_json::from_slice(json).ok()?;
    let state = form.state(&json!({"metadata": {"generation": generation, "annotations": annotations}}));
    Some(State { uid, state })
}

/// Whether the next snapshot can be another than the present one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// What is served stays.
    Nothing,
    /// Something may be served otherwise.
    Kinds,
}

/// A definition to compile, and what was compiled before.
type Work = ((DefinitionForm, String), Bytes, Option<Compiled>);

/// So few are compiled without further threads.
const COMPILED_ALONE: usize = 8;

/// Builds snapshots.
pub struct Builder {
    backends: Backends,
    remembered: Remembered,
    builtin: Vec<Arc<Kind>>,
    compiled: BTreeMap<(DefinitionForm, String), Compiled>,
    sources: HashMap<HostResource, StoredSource>,
    /// By address.
    served: Vec<Arc<ServedKind>>,
    holders: Holders<Kind>,
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
        let remembered = Remembered::default();
        backends.releases.1.attach(Arc::clone(&remembered.steady) as _);
        Self {
            backends,
            remembered,
            builtin: builtin.into_iter().map(Arc::new).collect(),
            compiled: BTreeMap::new(),
            sources,
            served: Vec::new(),
            holders: Holders::default(),
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

    /// Whether a definition is known in a state, and in what was recorded of it.
    pub(super) fn has(&self, form: DefinitionForm, name: &str, state: &State) -> bool {
        let held = self.compiled.get(&(form, name.to_owned()));
        held.is_some_and(|held| held.state == *state && self.is_recorded(held))
    }

    /// The definitions of a form of which another generation was recorded since they were compiled.
    pub(super) fn rerecorded(&self, form: DefinitionForm) -> Vec<String> {
        let of_form = self.compiled.iter().filter(|((held, _), _)| *held == form);
        let other = of_form.filter(|(_, held)| !self.is_recorded(held));
        other.map(|((_, name), _)| name.clone()).collect()
    }

    /// The generations that were accepted, where somebody says so.
    #[must_use]
    pub fn accepted(&self) -> Option<&Arc<AcceptedGenerations>> {
        self.backends.accepted.as_ref()
    }

    /// Whether what is recorded of a definition is what was when it was compiled.
    fn is_recorded(&self, held: &Compiled) -> bool {
        let record = self.accepted().and_then(|accepted| accepted.last(&held.state.uid));
        held.recorded.as_deref() == record.as_ref().map(|record| record.state.as_str())
    }

    /// Compiles what changed, on as many threads as there are processors when it is much.
    pub fn take(&mut self, changes: Vec<Change>) -> News {
        let mut work = Vec::new();
        let mut news = News::Nothing;
        let mut served = HashMap::new();
        for change in changes {
            match change {
                Change::Gone { form, name } => {
                    if self.compiled.remove(&(form, name)).is_some() {
                        news = News::Kinds;
                    }
                }
                Change::Applied { form, name, json } => {
                    let key = (form, name);
                    let held = self.compiled.remove(&key);
                    served.extend(held.as_ref().and_then(Compiled::kind).map(|kind| (key.clone(), Arc::clone(kind))));
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
        let accepted = self.backends.accepted.as_deref();
        let compile_all = |share: Vec<Work>| -> Vec<_> {
            let compiled = share.into_iter().map(|(key, json, held)| {
                let compiled = compile(&key, &json, held, own_storage, accepted);
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
        for (key, compiled) in compiled {
            let same = match (served.remove(&key), compiled.kind()) {
                (None, None) => true,
                (Some(before), Some(now)) => Arc::ptr_eq(&before, now),
                _ => false,
            };
            if !same {
                news = News::Kinds;
            }
            self.compiled.insert(key, compiled);
        }
        // What could not be read any more.
        if served.is_empty() { news } else { News::Kinds }
    }

    /// The next snapshot, of the definitions that are known.
    pub fn build(&mut self, previous: &Snapshot) -> Snapshot {
        let good = self.compiled.values().filter_map(|compiled| compiled.kind().cloned());
        let kinds: Vec<Arc<Kind>> = self.builtin.iter().cloned().chain(good).collect();
        let may_be_served = |(kind, denied): (&Arc<Kind>, &Denied)| {
            let conflict = denied.names.first().map(ToString::to_string);
            let conflict = conflict.or_else(|| denied.overlap.as_ref().map(ToString::to_string));
            if let Some(conflict) = &conflict {
                tracing::warn!(definition = kind.origin.name, conflict, "kind is not served");
            }
            conflict.is_none().then(|| Arc::clone(kind))
        };
        let kinds: Vec<Arc<Kind>> = kinds.iter().zip(self.holders.judge(&kinds)).filter_map(may_be_served).collect();
        let mut held: Vec<Option<Arc<ServedKind>>> = std::mem::take(&mut self.served).into_iter().map(Some).collect();
        let addresses: Vec<Arc<Kind>> = held.iter().flatten().map(|served| Arc::clone(&served.kind)).collect();
        let mut served = Vec::with_capacity(kinds.len());
        for kind in &kinds {
            let before = addresses.binary_search_by(|other| address(other).cmp(&address(kind)));
            let before = before.ok().and_then(|at| held.get_mut(at)?.take());
            served.extend(self.serve(kind, before));
        }
        served.sort_by(|left, right| address(&left.kind).cmp(&address(&right.kind)));
        for old in held.into_iter().flatten() {
            Self::retire(&old);
        }
        self.served = served;
        self.end_unused_sources();
        Snapshot::new(self.served.clone(), previous)
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
                    held.store.feed().between_changes(|objects| view.reproject(projection, objects));
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
                Some(KindStore::of_releases(Arc::clone(host), resource, Arc::clone(feed), self.remembered.clone()))
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
            let used = builtin.contains(resource) || served.iter().any(|served| served.store.resource() == resource);
            if !used {
                source.end.cancel();
            }
            used
        });
    }
}

impl Compiled {
    /// What may be served.
    fn kind(&self) -> Option<&Arc<Kind>> {
        self.good.as_ref().map(|good| &good.kind)
    }
}

/// Compiles a definition that changed. One that is no good leaves its last good kind. None if it cannot be read.
fn compile(
    (form, name): &(DefinitionForm, String),
    json: &Bytes,
    held: Option<Compiled>,
    own_storage: OwnStorage,
    accepted: Option<&AcceptedGenerations>,
) -> Option<Compiled> {
    let state = state(*form, json)?;
    let record = accepted.and_then(|accepted| accepted.last(&state.uid));
    let recorded = record.as_ref().map(|record| record.state.clone());
    let held = held.filter(|held| held.state.uid == state.uid);
    let is_accepted = recorded.as_ref() == Some(&state.state);
    let held = match held {
        Some(held) if held.state == state && held.recorded == recorded => return Some(held),
        // What was compiled already is not compiled again only because the operator agrees.
        Some(Compiled { waiting: Some(kind), state: compiled, .. }) if is_accepted && compiled == state => {
            let good = Some(Good { state: compiled.state, kind });
            return Some(Compiled { state, recorded, good, waiting: None });
        }
        Some(Compiled { good: Some(good), .. }) if is_accepted && good.state == state.state => {
            return Some(Compiled { state, recorded, good: Some(good), waiting: None });
        }
        held => held.and_then(|held| held.good),
    };
    let definition = tree(json)?;
    // What is served here and what was recorded differ for moments alone: of both nothing may be taken.
    let known = held.as_ref().map(|held| held.state.clone());
    let record = record.filter(|record| !is_accepted && Some(&record.state) != known.as_ref()).and_then(|record| {
        let kind = record.kind(own_storage).inspect_err(|error| {
            tracing::warn!(definition = record.name, %error, "there is no recorded generation");
        });
        Some(Good { state: record.state.clone(), kind: Arc::new(kind.ok()?) })
    });
    let before: Vec<Good> = held.filter(|held| held.state != state.state).into_iter().chain(record).collect();
    let (good, waiting) = match form.compile(&definition, own_storage) {
        Err(error) => {
            tracing::warn!(
                definition = name,
                %error,
                "definition is not accepted; the last good one, if any, stays"
            );
            (before.into_iter().next(), None)
        }
        Ok(kind) => {
            let free = is_accepted || accepted.is_none();
            let hurt = |last: &Good| !succession::threats(&last.kind, &kind).is_empty();
            if !free && before.iter().any(hurt) {
                let generation = kind.origin.generation;
                tracing::info!(definition = name, generation, "the change may hurt instances and waits");
                (before.into_iter().next(), Some(Arc::new(kind)))
            } else {
                (Some(Good { state: state.state.clone(), kind: Arc::new(kind) }), None)
            }
        }
    };
    Some(Compiled { state, recorded, good, waiting })
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
