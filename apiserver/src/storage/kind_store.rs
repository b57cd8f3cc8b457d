//! Reads and writes of one kind: instances in, host objects out.
//!
//! Guarantees: a write is answered after the host has it; what the instance does not own on its host object is not
//! touched; every error of the host is told in the terms of the instance.

use kindsmith_text::print::quoted;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kindsmith_schema::{
    convert::release::is_suspended,
    kind::{Kind, KindBackend},
};
use serde_json::Value;

use super::{
    cache::WatchCache,
    feed::Feed,
    freshness::{Freshness, Waiting},
    held_lists::HeldLists,
    host::{
        DeleteOptions, Deleted, Generation, Host, HostError, HostResource, ListAt, Persistence, Progress, WriteOptions,
        WriteTarget, tree,
    },
    kind_view::KindView,
    projection::Projection,
    steady::Steady,
};
use crate::{
    encode::status::{ApiError, Cause, Named},
    object::admitted::{Admitted, Effect},
    request::{Name, NameError, Namespace},
};

/// How long a view may take to hear of what the feed has.
const CACHE_WAIT: Duration = Duration::from_secs(3);

/// How long the cache of a cluster's objects is waited for before the cluster itself is asked how far it has come.
const NEWS_WAIT: Duration = Duration::from_millis(100);

/// Who has reached a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// The cache has all that was written up to it.
    ByCache,
    /// The host has come so far; the cache may lag behind.
    ByHost,
}

/// An instance, and the host object that it was read from.
#[derive(Clone, Debug)]
pub struct Read {
    /// The host object.
    pub host: Value,
    /// The instance in the version that was asked for, with defaults applied.
    pub instance: Value,
}

/// How a write of an instance ended.
#[derive(Clone, Debug)]
pub enum Written {
    /// The host has it, and this is how it is now.
    Changed(Value),
    /// It is as it was read; nothing was sent.
    Unchanged(Value),
}

/// How the deletion of an instance ended.
#[derive(Clone, Debug)]
pub enum Removed {
    /// It is gone. This is how it was when it was read.
    Gone(Value),
    /// Finalizers hold it. This is how it is now.
    Finalizing(Value),
}

/// What becomes of what was installed for an instance that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// It goes, or there is nothing of the kind.
    Uninstalled,
    /// It stays: Flux does not uninstall a release that is suspended.
    Left,
}

/// What is remembered of releases besides the feed.
#[derive(Clone, Default)]
pub struct Remembered {
    /// Since when each is as it is.
    pub steady: Arc<Steady>,
    /// Lists that are taken page by page.
    pub lists: Arc<HeldLists>,
    /// Questions how new the feed is; all kinds share them.
    pub freshness: Arc<Freshness>,
}

/// Where the instances of a kind are kept.
pub struct KindStore {
    host: Arc<dyn Host>,
    resource: HostResource,
    feed: Arc<Feed>,
    remembered: Option<Remembered>,
    freshness: Arc<Freshness>,
}

impl KindStore {
    /// The store of a kind whose host objects are of `resource`.
    #[must_use]
    pub fn new(host: Arc<dyn Host>, resource: HostResource, feed: Arc<Feed>) -> Arc<Self> {
        Arc::new(Self { host, resource, feed, remembered: None, freshness: Arc::default() })
    }

    /// The store of a kind on releases, whose status others write all the time.
    #[must_use]
    pub fn of_releases(
        host: Arc<dyn Host>,
        resource: HostResource,
        feed: Arc<Feed>,
        remembered: Remembered,
    ) -> Arc<Self> {
        let freshness = Arc::clone(&remembered.freshness);
        Arc::new(Self { host, resource, feed, remembered: Some(remembered), freshness })
    }

    fn steady(&self) -> Option<&Steady> {
        self.remembered.as_ref().map(|remembered| remembered.steady.as_ref())
    }

    /// Lists that are taken page by page, where the cache may not know their revision.
    #[must_use]
    pub fn held_lists(&self) -> Option<&HeldLists> {
        self.remembered.as_ref().map(|remembered| remembered.lists.as_ref())
    }

    /// The feed of the host resource.
    #[must_use]
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// The host resource.
    #[must_use]
    pub fn resource(&self) -> &HostResource {
        &self.resource
    }

    /// Lets a write that was made from an older revision of a release go on from the one that was read, when nothing but the
    /// status moved in between: whoever wrote it has missed nothing.
    pub async fn follow_status(&self, object: &mut Value, read: &Read) {
        let Some(steady) = self.steady() else { return };
        let revision = |object: &Value| object.pointer("/metadata/resourceVersion").cloned();
        let (wanted, held) = (revision(object), revision(&read.host));
        if wanted == held {
            return;
        }
        let since = wanted.as_ref().and_then(Value::as_str).and_then(|text| text.parse().ok()).unwrap_or_default();
        if steady.only_status_moved(&read.host, since).await
            && let (Some(metadata), Some(held)) = (object.get_mut("metadata").and_then(Value::as_object_mut), held)
        {
            metadata.insert("resourceVersion".to_owned(), held);
        }
    }

    /// Why the host cannot be watched at present, as an answer to a client.
    #[must_use]
    pub fn unavailable(&self, named: &Named) -> ApiError {
        match self.feed.failure() {
            Some(error) => ApiError::from_host(error, named),
            None => ApiError::TooManyRequests { message: "storage is (re)initializing".to_owned(), retry_after: 1 },
        }
    }

    /// Whether a cache of this store has everything that was written before this call, perhaps after a short wait.
    pub async fn has_reached(&self, cache: &WatchCache, waiting: Waiting) -> bool {
        self.freshness.reached(self.host.as_ref(), &self.resource, cache, waiting).await
    }

    /// Waits until a cache of this store has everything of a namespace, or of all, that was written before this call.
    ///
    /// # Errors
    /// What the host says, or 504 when the cache does not get so far in time.
    pub async fn catch_up(&self, cache: &WatchCache, namespace: Option<&str>, named: &Named) -> Result<(), ApiError> {
        if self.has_reached(cache, Waiting::WhereItHelps).await {
            return Ok(());
        }
        let Some(namespace) = possible(namespace) else { return Ok(()) };
        let fed = self.freshness.is_fed(self.host.as_ref(), &self.resource, &self.feed, namespace).await;
        let is_fed = fed.map_err(|error| ApiError::from_host(error, named))?;
        // Views hear of a change after the feed has it.
        let wanted = self.feed.revision().unwrap_or_default();
        if is_fed && cache.wait_for(wanted, Instant::now() + CACHE_WAIT).await.is_ok() {
            return Ok(());
        }
        Err(ApiError::TooLargeResourceVersion { wanted: wanted.saturating_add(1), current: cache.revision() })
    }

    /// Waits until a cache of this store has everything of a namespace, or of all, up to a revision that the client has seen
    /// elsewhere.
    ///
    /// # Errors
    /// What the host says, or 504 when the host itself has not come so far, or the cache does not in time.
    pub async fn catch_up_with(
        &self,
        cache: &WatchCache,
        revision: u64,
        namespace: Option<&str>,
        named: &Named,
    ) -> Result<(), ApiError> {
        if self.has_come_to(cache, revision, named).await? == Reached::ByCache {
            return Ok(());
        }
        self.catch_up(cache, namespace, named).await
    }

    /// Waits until the cache has a revision that the client has seen elsewhere, or the host has it, which moves its revision
    /// for other resources too.
    ///
    /// # Errors
    /// What the host says, or 504 when neither has it in time.
    pub async fn has_come_to(&self, cache: &WatchCache, revision: u64, named: &Named) -> Result<Reached, ApiError> {
        let end = Instant::now() + CACHE_WAIT;
        let first = match self.progress() {
            Progress::Prompt => end,
            Progress::Occasional => Instant::now() + NEWS_WAIT,
        };
        if cache.wait_for(revision, first).await.is_ok() {
            return Ok(Reached::ByCache);
        }
        let mut current = cache.revision();
        if self.progress() == Progress::Occasional {
            let known = self.host.revision(&self.resource).await.map_err(|error| ApiError::from_host(error, named))?;
            if known >= revision {
                return Ok(Reached::ByHost);
            }
            current = current.max(known);
            if cache.wait_for(revision, end).await.is_ok() {
                return Ok(Reached::ByCache);
            }
        }
        Err(ApiError::TooLargeResourceVersion { wanted: revision, current: current.max(cache.revision()) })
    }

    /// How soon the cache hears of the host's progress.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.host.progress()
    }

    /// Reads the most recent state of an instance.
    ///
    /// # Errors
    /// 404 when there is no host object of the name, or when it is no instance of the kind. 400 for what is no name.
    pub async fn get(
        &self,
        projection: &Projection,
        namespace: Option<&str>,
        name: &str,
        named: &Named,
    ) -> Result<Read, ApiError> {
        let host_name = checked_host_name(projection, name)?;
        let Some(namespace) = possible(namespace) else { return Err(ApiError::NotFound(named.clone())) };
        let host = self
            .host
            .get(&self.resource, namespace, Name::parse(&host_name)?)
            .await
            .map_err(|error| ApiError::from_host(error, named))?;
        if !projection.matches(&host) {
            return Err(ApiError::NotFound(named.clone()));
        }
        Ok(Read { instance: projection.instance(&host), host })
    }

    /// The instance as the watch brought it last, which may be older than what the host has. None where the host is asked
    /// as fast, and where there is no such instance yet or any more.
    #[must_use]
    pub fn remembered(&self, projection: &Projection, namespace: Option<&str>, name: &str) -> Option<Read> {
        self.remembered.as_ref()?;
        let key = (namespace.unwrap_or_default().to_owned(), projection.host_name(name));
        let host = self.feed.object(&key).filter(|host| projection.matches(host))?;
        Some(Read { instance: projection.instance(&host), host })
    }

    /// How long the JSON of the host object of an instance is, in bytes, where it is held.
    #[must_use]
    pub fn held_bytes(&self, projection: &Projection, namespace: Option<&str>, name: &str) -> Option<usize> {
        let key = (namespace.unwrap_or_default().to_owned(), projection.host_name(name));
        self.feed.bytes(&key)
    }

    /// Reads all instances at a revision, past the cache. Returns what is made of each of them, with the revision.
    ///
    /// # Errors
    /// What the host says, for example 410 when the revision is no longer known.
    pub async fn list<T>(
        &self,
        projection: &Projection,
        namespace: Option<&str>,
        at: ListAt,
        named: &Named,
        make: impl Fn(Value) -> T,
    ) -> Result<(Vec<T>, u64), ApiError> {
        let Some(namespace) = possible(namespace) else {
            let revision = match at {
                ListAt::MostRecent => self.host.revision(&self.resource).await,
                ListAt::Exactly(revision) => Ok(revision),
            };
            return Ok((Vec::new(), revision.map_err(|error| ApiError::from_host(error, named))?));
        };
        let list =
            self.host.list(&self.resource, namespace, at).await.map_err(|error| ApiError::from_host(error, named))?;
        let hosts = list.items.iter().filter_map(|(_, json)| tree(json)).filter(|host| projection.matches(host));
        let instances = hosts.map(|host| make(projection.instance(&host))).collect();
        Ok((instances, list.revision))
    }

    /// Creates an instance.
    ///
    /// # Errors
    /// 409 when the name is taken, also by a host object that is no instance of the kind; 404 in a namespace that cannot be.
    pub async fn create(
        &self,
        projection: &Projection,
        admitted: Admitted,
        options: &WriteOptions,
        named: &Named,
    ) -> Result<Value, ApiError> {
        let namespace = text(admitted.object(), "/metadata/namespace").filter(|held| !held.is_empty());
        if let Some(namespace) = namespace {
            check_possible(&namespace)?;
        }
        let host = projection.new_host(admitted);
        check_annotations(projection.kind(), &host, named)?;
        let (namespace, name) = (text(&host, "/metadata/namespace"), text(&host, "/metadata/name").unwrap_or_default());
        let created = self.host.create(&self.resource, host, options).await;
        match created.map_err(|error| ApiError::from_host(error, named)) {
            Ok(created) => {
                let mut instance = projection.instance(&created);
                let is_release = matches!(projection.kind().backend, KindBackend::Release(_));
                if is_release && options.persistence == Persistence::DryRun {
                    keep_status(&mut instance, None);
                }
                Ok(instance)
            }
            Err(ApiError::AlreadyExists(named)) => {
                Err(self.name_taken(projection, namespace.as_deref(), &name, named).await)
            }
            Err(error) => Err(error),
        }
    }

    /// Why an instance cannot be created whose host object has a name that is taken: who gets the instance finds nothing when
    /// another's object has it.
    async fn name_taken(&self, projection: &Projection, namespace: Option<&str>, name: &str, named: Named) -> ApiError {
        let place = possible(namespace).zip(Name::parse(name).ok());
        let (KindBackend::Release(template), Some((namespace, host_name))) = (&projection.kind().backend, place) else {
            return ApiError::AlreadyExists(named);
        };
        match self.host.get(&self.resource, namespace, host_name).await {
            Ok(found) if !projection.matches(&found) => {
                let holder = Named {
                    group: self.resource.group.clone(),
                    kind: self.resource.kind.clone(),
                    resource: self.resource.plural.clone(),
                    name: name.to_owned(),
                };
                ApiError::NameTaken { of: template.other_kind(&found), named, holder }
            }
            // It is an instance, or gone meanwhile.
            _ => ApiError::AlreadyExists(named),
        }
    }

    /// Replaces an instance that was read before.
    ///
    /// # Errors
    /// 409 when the host object has changed since it was read.
    pub async fn update(
        &self,
        projection: &Projection,
        read: &Read,
        admitted: Admitted,
        target: WriteTarget,
        options: &WriteOptions,
        named: &Named,
    ) -> Result<Written, ApiError> {
        let mut options = options.clone();
        options.generation = match (&projection.kind().backend, admitted.effect()) {
            (KindBackend::Release(_), _) => Generation::Host,
            (KindBackend::Stored, Effect::Metadata) => Generation::Same,
            (KindBackend::Stored, Effect::Generation) => Generation::Next,
        };
        let next = projection.changed_host(admitted, read);
        // What changes nothing on a release is not sent: a patch without fields can move its revision.
        if next == read.host && matches!(projection.kind().backend, KindBackend::Release(_)) {
            return Ok(Written::Unchanged(projection.instance(&read.host)));
        }
        check_annotations(projection.kind(), &next, named)?;
        let (target, answers) = match (&projection.kind().backend, options.persistence, target) {
            // Nobody has looked at what is not kept.
            (KindBackend::Release(_), Persistence::DryRun, WriteTarget::Main) => (target, Answers::StatusAsRead),
            // The status of a release is Flux' own: what others write is kept beside it.
            (KindBackend::Release(_), _, _) => (WriteTarget::Main, Answers::AsWritten),
            (KindBackend::Stored, _, _) => (target, Answers::AsWritten),
        };
        let written = self
            .host
            .update(&self.resource, &read.host, next, target, &options)
            .await
            .map_err(|error| ApiError::from_host(error, named))?;
        let mut instance = projection.instance(&written);
        if answers == Answers::StatusAsRead {
            keep_status(&mut instance, read.instance.get("status"));
        }
        Ok(Written::Changed(instance))
    }

    /// Deletes an instance. It is read first, so that a host object which is no instance of the kind is never deleted; the
    /// uid that was read goes with the deletion, so that no other object of the same name can be hit. Where the read is what
    /// is remembered, its revision goes with it too, and what the host has against that is looked at anew.
    ///
    /// # Errors
    /// 404 when there is no such instance, 409 when a precondition does not hold.
    pub async fn delete(
        &self,
        projection: &Projection,
        namespace: Option<&str>,
        name: &str,
        options: &DeleteOptions,
        named: &Named,
    ) -> Result<(Removed, Installed), ApiError> {
        if let Some(read) = self.remembered(projection, namespace, name) {
            let mut tied = options.clone();
            tied.resource_version = tied.resource_version.or_else(|| text(&read.host, "/metadata/resourceVersion"));
            match self.delete_read(projection, read, tied, named).await {
                Err(ApiError::Conflict { .. } | ApiError::NotFound(_)) => {}
                outcome => return outcome,
            }
        }
        let read = self.get(projection, namespace, name, named).await?;
        self.delete_read(projection, read, options.clone(), named).await
    }

    async fn delete_read(
        &self,
        projection: &Projection,
        read: Read,
        mut options: DeleteOptions,
        named: &Named,
    ) -> Result<(Removed, Installed), ApiError> {
        if let (Some(steady), Some(wanted)) = (self.steady(), &options.resource_version)
            && steady.only_status_moved(&read.host, wanted.parse().unwrap_or_default()).await
        {
            options.resource_version = text(&read.host, "/metadata/resourceVersion");
        }
        check_preconditions(&read.instance, &options, named)?;
        if options.uid.is_none() {
            options.uid = text(&read.host, "/metadata/uid");
        }
        let (namespace, name) = (text(&read.host, "/metadata/namespace"), text(&read.host, "/metadata/name"));
        let Some(namespace) = possible(namespace.as_deref()) else { return Err(ApiError::NotFound(named.clone())) };
        let deleted = self
            .host
            .delete(&self.resource, namespace, Name::parse(name.as_deref().unwrap_or_default())?, &options)
            .await
            .map_err(|error| ApiError::from_host(error, named))?;
        let installed = match projection.kind().backend {
            KindBackend::Release(_) if is_suspended(&read.host) => Installed::Left,
            _ => Installed::Uninstalled,
        };
        let removed = match deleted {
            Deleted::Gone => Removed::Gone(read.instance),
            Deleted::Finalizing(host) => Removed::Finalizing(projection.instance(&host)),
        };
        Ok((removed, installed))
    }
}

/// What the answer to a write shows as the status.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
    /// That of the object that was written.
    AsWritten,
    /// That of the object that was read: a write that is not kept is nothing to report about.
    StatusAsRead,
}

fn keep_status(instance: &mut Value, status: Option<&Value>) {
    let Some(members) = instance.as_object_mut() else { return };
    match status {
        Some(status) => members.insert("status".to_owned(), status.clone()),
        None => members.remove("status"),
    };
}

/// The namespace of a request, none for all. `None` for one that cannot exist: there is nothing in it.
fn possible(namespace: Option<&str>) -> Option<Option<Namespace<'_>>> {
    match namespace {
        None => Some(None),
        Some(namespace) => Namespace::parse(namespace).map(Some),
    }
}

/// The host object's name for the name in a request. What is wrong is said of the latter.
fn checked_host_name(projection: &Projection, name: &str) -> Result<String, ApiError> {
    Ok(projection.host_name(Name::parse(name)?.as_str()))
}

fn text(object: &Value, pointer: &str) -> Option<String> {
    object.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// Checks what a deletion demands before the host does, in the words of the first of kube-apiserver's two checks.
///
/// Source: k8s.io/apiserver/pkg/registry/rest/delete.go (BeforeDelete), which puts the kind where the resource should be.
fn check_preconditions(instance: &Value, options: &DeleteOptions, named: &Named) -> Result<(), ApiError> {
    let held = |member: &str| instance["metadata"][member].as_str().unwrap_or_default();
    let checks = [
        ("UID", &options.uid, held("uid"), "deleted and then recreated"),
        ("ResourceVersion", &options.resource_version, held("resourceVersion"), "modified"),
    ];
    for (what, wanted, held, happened) in checks {
        if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != held) {
            return Err(ApiError::Conflict {
                named: Named { resource: named.kind.clone(), ..named.clone() },
                reason: format!(
                    "the {what} in the precondition ({wanted}) does not match the {what} in record ({held}). The object \
                     might have been {happened}"
                ),
            });
        }
    }
    Ok(())
}

/// Checks that the annotations of a release have room, before the host says so in words about the release.
fn check_annotations(kind: &Kind, host: &Value, named: &Named) -> Result<(), ApiError> {
    let KindBackend::Release(template) = &kind.backend else { return Ok(()) };
    let of_status = || Some(("status", template.written_status_fault(host)?));
    let of_all = || Some(("metadata.annotations", template.annotations_fault(host)?));
    let Some((field, message)) = of_status().or_else(of_all) else { return Ok(()) };
    let cause = Cause { reason: "FieldValueTooLong".to_owned(), message, field: field.to_owned() };
    Err(ApiError::Invalid { named: named.clone(), causes: vec![cause] })
}

/// Whether instances can be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creation {
    /// They can.
    Open,
    /// The definition is being deleted: what is there can be changed and deleted alone.
    Closed,
}

/// A kind as it is served: what was compiled, where it is kept, and a view for each served version.
pub struct ServedKind {
    /// What was compiled.
    pub kind: Arc<Kind>,
    /// Where instances are kept.
    pub store: Arc<KindStore>,
    /// One view for each served version, the preferred one first.
    pub views: Vec<Arc<KindView>>,
    /// Whether instances can be created.
    pub creation: Creation,
}

/// A namespace as errors name it.
fn named_namespace(name: &str) -> Named {
    let resource = super::builtin::namespaces();
    Named { group: resource.group, resource: resource.plural, kind: resource.kind, name: name.to_owned() }
}

/// Whether there can be a namespace of a name. What is no segment of a path is an internal error to kube-apiserver, whose
/// own client refuses to ask for it.
///
/// Source: k8s.io/client-go/rest/request.go (`Name`).
fn check_possible(namespace: &str) -> Result<(), ApiError> {
    if let Err(NameError::Invalid { name, faults }) = Name::parse(namespace) {
        return Err(ApiError::Internal(format!("invalid resource name {}: [{}]", quoted(&name), faults.join(" "))));
    }
    match Namespace::parse(namespace) {
        Some(_) => Ok(()),
        None => Err(ApiError::NotFound(named_namespace(namespace))),
    }
}

/// Whether a namespace can take new objects, for hosts that do not check it themselves.
///
/// Source: k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle/admission.go.
///
/// # Errors
/// 404 when the namespace does not exist, 403 when it is being deleted.
pub async fn check_namespace(host: &dyn Host, namespace: &str, named: &Named) -> Result<(), ApiError> {
    let resource = super::builtin::namespaces();
    let namespaces = named_namespace(namespace);
    check_possible(namespace)?;
    let held = match host.get(&resource, None, Name::parse(namespace)?).await {
        Ok(held) => held,
        Err(HostError::Status(status)) if status.code == 404 => return Err(ApiError::NotFound(namespaces)),
        Err(error) => return Err(ApiError::from_host(error, &namespaces)),
    };
    if held.pointer("/metadata/deletionTimestamp").is_none() {
        return Ok(());
    }
    let message = format!("namespace {namespace} is being terminated");
    Err(ApiError::Forbidden {
        message: format!(
            "{} {} is forbidden: unable to create new content in namespace {namespace} because it is being terminated",
            named.qualified(),
            quoted(&named.name)
        ),
        named: Some(named.clone()),
        causes: vec![crate::encode::status::Cause {
            reason: "NamespaceTerminating".to_owned(),
            message,
            field: "metadata.namespace".to_owned(),
        }],
    })
}

/// The persistence of a write.
#[must_use]
pub fn persistence(dry_run: crate::request::DryRun) -> Persistence {
    match dry_run {
        crate::request::DryRun::No => Persistence::Durable,
        crate::request::DryRun::All => Persistence::DryRun,
    }
}
