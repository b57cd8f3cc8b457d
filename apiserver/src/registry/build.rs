//! Builds the next snapshot out of the definitions and the current one.
//!
//! Only a definition whose generation changed is compiled (see `compiled`). A kind whose backend and versions stay keeps its
//! caches, so its watches go on.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use kindsmith_schema::{
    compile::OwnStorage,
    form::DefinitionForm,
    holders::{Findings, Holders},
    kind::{Kind, KindBackend, Serving},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Snapshot,
    accepted::AcceptedGenerations,
    compiled::{self, Compiled, Key, State},
    foreign::ForeignResources,
    snapshot::address,
};
use crate::storage::{
    cache::{CacheLimits, WatchCache},
    feed::Feed,
    host::{Host, HostResource, StatusEndpoint},
    kind_store::{Creation, KindStore, Remembered, ServedKind},
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
    /// The resources of others, where there are others.
    pub foreign: Option<Arc<ForeignResources>>,
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

/// Whether the next snapshot can be another than the present one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// What is served stays.
    Nothing,
    /// Something may be served otherwise.
    Kinds,
}

/// Builds snapshots.
pub struct Builder {
    backends: Backends,
    remembered: Remembered,
    builtin: Vec<Arc<Kind>>,
    compiled: BTreeMap<Key, Compiled>,
    sources: HashMap<HostResource, StoredSource>,
    /// By address.
    served: Vec<Arc<ServedKind>>,
    holders: Holders<Kind>,
    /// The CustomResourceDefinitions that were in the way when the last snapshot was built.
    in_the_way: BTreeSet<String>,
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
            in_the_way: BTreeSet::new(),
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

    /// The resources of others, where there are others.
    #[must_use]
    pub fn foreign(&self) -> Option<&Arc<ForeignResources>> {
        self.backends.foreign.as_ref()
    }

    /// The CustomResourceDefinitions that have the address of a kind.
    fn collisions(&self) -> BTreeSet<String> {
        let Some(foreign) = self.foreign() else { return BTreeSet::new() };
        self.compiled.values().filter_map(|compiled| foreign.holder(compiled.kind()?)).collect()
    }

    /// Reports whether other kinds than before have the address of a CustomResourceDefinition.
    pub(super) fn has_other_collisions(&self) -> bool {
        self.collisions() != self.in_the_way
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
        let mut creations = HashMap::new();
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
                    creations.extend(held.as_ref().map(|held| (key.clone(), held.state.creation)));
                    served.extend(held.as_ref().and_then(Compiled::kind).map(|kind| (key.clone(), Arc::clone(kind))));
                    work.push((key, json, held));
                }
            }
        }
        let own_storage = if self.backends.stored.is_some() { OwnStorage::Available } else { OwnStorage::Absent };
        let compiled = compiled::all(work, own_storage, self.backends.accepted.as_deref());
        for (key, compiled) in compiled {
            let same = match (served.remove(&key), compiled.kind()) {
                (None, None) => true,
                (Some(before), Some(now)) => Arc::ptr_eq(&before, now),
                _ => false,
            };
            if !same || creations.get(&key).is_some_and(|before| *before != compiled.state.creation) {
                news = News::Kinds;
            }
            self.compiled.insert(key, compiled);
        }
        // What could not be read any more.
        if served.is_empty() && !self.has_other_collisions() { news } else { News::Kinds }
    }

    /// The next snapshot, of the definitions that are known.
    pub fn build(&mut self, previous: &Snapshot) -> Snapshot {
        let collisions = self.collisions();
        let good = self.compiled.values().filter_map(|compiled| compiled.kind().cloned());
        let kinds: Vec<Arc<Kind>> = self.builtin.iter().cloned().chain(good).collect();
        let in_the_way = |kind: &Kind| {
            Some(format!("{}.{}", kind.names.plural, kind.group)).filter(|name| collisions.contains(name))
        };
        let may_be_served = |(kind, findings): (&Arc<Kind>, &Findings)| {
            let conflict = findings.names.first().map(ToString::to_string);
            let conflict = conflict.or_else(|| findings.overlap.as_ref().map(ToString::to_string));
            let conflict =
                conflict.or_else(|| Some(format!("CustomResourceDefinition {:?} has its plural", in_the_way(kind)?)));
            if let Some(conflict) = &conflict {
                tracing::warn!(definition = kind.origin.name, conflict, "kind is not served");
            }
            conflict.is_none().then(|| Arc::clone(kind))
        };
        let kinds: Vec<Arc<Kind>> = kinds.iter().zip(self.holders.judge(&kinds)).filter_map(may_be_served).collect();
        let closed: HashSet<String> = self
            .compiled
            .values()
            .filter(|compiled| compiled.state.creation == Creation::Closed)
            .map(|compiled| compiled.state.uid.clone())
            .collect();
        let mut held: Vec<Option<Arc<ServedKind>>> = std::mem::take(&mut self.served).into_iter().map(Some).collect();
        let addresses: Vec<Arc<Kind>> = held.iter().flatten().map(|served| Arc::clone(&served.kind)).collect();
        let mut served = Vec::with_capacity(kinds.len());
        for kind in &kinds {
            let before = addresses.binary_search_by(|other| address(other).cmp(&address(kind)));
            let before = before.ok().and_then(|at| held.get_mut(at)?.take());
            let creation = if closed.contains(&kind.origin.uid) { Creation::Closed } else { Creation::Open };
            served.extend(self.serve(kind, creation, before));
        }
        served.sort_by(|left, right| address(&left.kind).cmp(&address(&right.kind)));
        for old in held.into_iter().flatten() {
            Self::retire(&old);
        }
        self.served = served;
        self.in_the_way = collisions;
        self.end_unused_sources();
        Snapshot::new(self.served.clone(), previous)
    }

    /// The kind as it is served; views of the one that was served before are kept when they fit.
    fn serve(
        &mut self,
        kind: &Arc<Kind>,
        creation: Creation,
        held: Option<Arc<ServedKind>>,
    ) -> Option<Arc<ServedKind>> {
        let versions = |kind: &Kind| kind.served_versions().map(|version| version.name.clone()).collect::<Vec<_>>();
        if let Some(held) = held {
            if Arc::ptr_eq(&held.kind, kind) && held.creation == creation {
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
                    creation,
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
        Some(Arc::new(ServedKind { kind: Arc::clone(kind), store, views, creation }))
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
