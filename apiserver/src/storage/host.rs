//! Where host objects are read and written: the trait that a cluster and the embedded store implement.
//!
//! The host is an API server for plain objects: it assigns uid, creationTimestamp, generation and resourceVersion, keeps
//! finalizers, and refuses a write whose resourceVersion is not the current one. It does not know our kinds.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use kube::core::Status;
use serde_json::Value;

use crate::request::{Name, Namespace};

/// A resource of the host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostResource {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version of the group.
    pub version: String,
    /// The kind of the objects.
    pub kind: String,
    /// The resource in URLs.
    pub plural: String,
    /// Whether objects are in namespaces.
    pub scope: kindsmith_crds::Scope,
    /// Whether the status is written apart from the rest.
    pub status: StatusEndpoint,
}

/// Whether a resource has a `/status` subresource. It decides what moves the generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StatusEndpoint {
    /// `/status` exists: the main endpoint ignores changes of the status.
    Separate,
    /// The status, if any, is a field as any other.
    Absent,
}

/// Whether a write is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// The write is durable before it is answered.
    Durable,
    /// All checks run, nothing is kept (`dryRun=All`).
    DryRun,
}

/// Which part of an object a write may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteTarget {
    /// Everything but what belongs to `/status`.
    Main,
    /// The status alone.
    Status,
}

/// Who writes, and whether it is kept.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// Whether the write is kept.
    pub persistence: Persistence,
    /// The field manager to name to the host.
    pub field_manager: String,
    /// Who counts the generations of an object.
    pub generation: Generation,
}

/// Who counts the generations of an object that is updated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Generation {
    /// The host, which compares what it has with what it gets.
    #[default]
    Host,
    /// The writer: this is the same one.
    Same,
    /// The writer: this is the next one.
    Next,
}

/// What happens to objects that the deleted one owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// Dependents are left, without their owner.
    Orphan,
    /// Dependents go after the object.
    Background,
    /// The object goes after its dependents.
    Foreground,
}

/// Options of a deletion.
#[derive(Clone, Debug)]
pub struct DeleteOptions {
    /// The object must have this uid.
    pub uid: Option<String>,
    /// The object must have this resourceVersion.
    pub resource_version: Option<String>,
    /// What happens to dependents; the host's default when absent.
    pub propagation: Option<Propagation>,
    /// Whether the deletion is kept.
    pub persistence: Persistence,
}

/// How a deletion ended.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// The object is gone.
    Gone,
    /// Finalizers hold the object. This is how it is now, with a deletionTimestamp.
    Finalizing(Value),
}

/// Namespace (empty in the cluster) and name of a host object.
pub type Key = (String, String);

/// Namespace and name of an object.
#[must_use]
pub fn key_of(object: &Value) -> Key {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("/metadata/namespace"), text("/metadata/name"))
}

/// An object as compact JSON, in as many bytes as it takes: what is written piece by piece has room for up to twice as
/// much, and thousands of objects are held.
#[must_use]
pub fn encoded(object: &Value) -> Bytes {
    // A copy, as an allocator may leave what shrinks by less than half where it is.
    Bytes::copy_from_slice(object.to_string().as_bytes())
}

/// An object that was encoded here, as a tree.
#[must_use]
pub fn tree(json: &Bytes) -> Option<Value> {
    let parsed = serde_json::from_slice(json);
    if let Err(error) = &parsed {
        tracing::error!(%error, "an object that was encoded here cannot be read");
    }
    parsed.ok()
}

/// Objects of a resource at one revision.
#[derive(Clone, Debug)]
pub struct HostList {
    /// The objects, ordered by namespace and name; encoded, since trees of many objects take several times the memory.
    pub items: Vec<(Key, Bytes)>,
    /// The revision at which they were all current.
    pub revision: u64,
}

/// At which revision to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListAt {
    /// The most recent state, never a stale one.
    MostRecent,
    /// Exactly this revision, or 410 Expired.
    Exactly(u64),
}

/// One change of a resource of the host.
#[derive(Clone, Debug)]
pub enum HostEvent {
    /// The object was created, or changed to this.
    Applied {
        /// The revision of the change.
        revision: u64,
        /// The object after the change.
        object: Value,
    },
    /// The object is gone.
    Deleted {
        /// The revision of the deletion.
        revision: u64,
        /// The object as it was last, with the resourceVersion of the deletion.
        object: Value,
    },
    /// Nothing changed up to this revision.
    Progress {
        /// The revision.
        revision: u64,
    },
}

/// How soon a watch of the host tells that its revision moved for other resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// At once: whoever waits for a revision gets it.
    Prompt,
    /// Now and then: a cluster counts the writes of all resources, and says so to a watch about once a minute.
    Occasional,
}

/// Why the host did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HostError {
    /// The host answered with a Kubernetes Status.
    #[error("{}", .0.message)]
    Status(Box<Status>),
    /// The host could not be reached, or did not answer in time.
    #[error("the host cluster cannot be reached: {0}")]
    Unreachable(String),
    /// The host does not serve the resource, for example because its CustomResourceDefinition is not installed.
    #[error("the host cluster does not serve {0}")]
    NotServed(String),
    /// The host answered something that is not a Kubernetes answer, or the store is broken.
    #[error("the host's answer cannot be used: {0}")]
    Malformed(String),
}

/// Reads and writes objects of the host.
///
/// Guarantees: a write that returned `Ok` with [`Persistence::Durable`] survives a crash; a list or get sees every write that
/// returned before it began; a watch from revision N delivers every change after N once, in order, or ends with 410.
#[async_trait]
pub trait Host: Send + Sync + 'static {
    /// Reads one object.
    async fn get(
        &self,
        resource: &HostResource,
        namespace: Option<Namespace<'_>>,
        name: Name<'_>,
    ) -> Result<Value, HostError>;

    /// Reads all objects of a namespace, or of all namespaces.
    async fn list(
        &self,
        resource: &HostResource,
        namespace: Option<Namespace<'_>>,
        at: ListAt,
    ) -> Result<HostList, HostError>;

    /// A revision that every write has reached which returned before this was asked. It may count writes of other
    /// resources too.
    async fn revision(&self, resource: &HostResource) -> Result<u64, HostError>;

    /// How soon a watch tells of that revision.
    fn progress(&self) -> Progress;

    /// Creates an object. System metadata in it is replaced.
    async fn create(&self, resource: &HostResource, object: Value, options: &WriteOptions) -> Result<Value, HostError>;

    /// Replaces `current`, as it was read, by `next`: refused with 409 when the object is no longer `current`'s revision.
    /// Only the difference of the two is written, so what a newer host knows and we do not stays.
    async fn update(
        &self,
        resource: &HostResource,
        current: &Value,
        next: Value,
        target: WriteTarget,
        options: &WriteOptions,
    ) -> Result<Value, HostError>;

    /// Deletes an object, or marks it as being deleted when finalizers hold it.
    async fn delete(
        &self,
        resource: &HostResource,
        namespace: Option<Namespace<'_>>,
        name: Name<'_>,
        options: &DeleteOptions,
    ) -> Result<Deleted, HostError>;

    /// All changes of a resource, in all namespaces, after a revision.
    async fn watch(
        &self,
        resource: &HostResource,
        after: u64,
    ) -> Result<BoxStream<'static, Result<HostEvent, HostError>>, HostError>;
}
