//! A compiled definition: everything that serving a kind needs, immutable.

use kindsmith_merge::ObjectType;
use std::sync::OnceLock;

use kindsmith_crds::Scope;

use crate::{
    convert::release::ReleaseTemplate, jsonpath::JsonPath, scale::ScalePaths, structural::Schema, table::Columns,
    usage::Usage,
};

/// Which definition a kind was compiled from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The name of the definition.
    pub name: String,
    /// The uid of the definition, empty for kinds that are built in.
    pub uid: String,
    /// The generation that was compiled.
    pub generation: i64,
    /// When the definition was created, RFC 3339; the older definition keeps a name.
    pub created: String,
}

/// A kind, compiled from one definition.
#[derive(Clone, Debug)]
pub struct Kind {
    /// The definition.
    pub origin: Origin,
    /// The API group; empty only for built-in kinds of the core group.
    pub group: String,
    /// Where instances live.
    pub scope: Scope,
    /// What the kind is called.
    pub names: KindNames,
    /// Its versions, the preferred one first.
    pub versions: Vec<KindVersion>,
    /// What an instance becomes.
    pub backend: KindBackend,
}

/// The names of a kind, all filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindNames {
    /// The kind.
    pub kind: String,
    /// The kind of a list.
    pub list_kind: String,
    /// The resource in URLs.
    pub plural: String,
    /// The singular for kubectl.
    pub singular: String,
    /// Short names for kubectl.
    pub short_names: Vec<String>,
    /// Grouped resources to which the kind belongs.
    pub categories: Vec<String>,
}

/// Whose rules hold for the bodies of a kind: kube-apiserver reads what is built in otherwise than custom resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typing {
    /// There is a Go type: a body may leave `kind` and `apiVersion` out, and strategic merge patches are taken.
    BuiltIn,
    /// There is a schema alone.
    Custom,
}

/// Whether a version can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// Requests for the version are answered.
    Served,
    /// The version is known for conversion alone.
    Hidden,
}

/// Whether a version is the one that the backend sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageRole {
    /// The backend sees this version.
    Storage,
    /// Objects are converted on their way.
    Converted,
}

/// Whether the status of a version is written apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusRole {
    /// `/status` is served; the main endpoint ignores the status.
    Subresource,
    /// The backend reports the status; `/status` is served and takes what the backend does not report.
    Computed,
    /// The status, if any, is a field as any other.
    Field,
}

/// One version of a kind.
#[derive(Clone, Debug)]
pub struct KindVersion {
    /// The name of the version.
    pub name: String,
    /// Whether it can be used.
    pub serving: Serving,
    /// Whether the backend sees it.
    pub storage: StorageRole,
    /// What clients of a deprecated version are told.
    pub deprecation: Option<String>,
    /// The schema of an instance.
    pub schema: Schema,
    /// Which lists and maps of an instance merge: see [`KindVersion::object_type`].
    pub merge_type: OnceLock<ObjectType>,
    /// The same where an instance may hold more: see [`KindVersion::object_and_more_type`].
    pub merge_and_more_type: OnceLock<ObjectType>,
    /// The columns.
    pub columns: Columns,
    /// Fields for selectors, besides name and namespace.
    pub selectable_fields: Vec<SelectablePath>,
    /// How the status is written.
    pub status: StatusRole,
    /// Where replicas are, when `/scale` is served.
    pub scale: Option<ScalePaths>,
    /// What the status tells users of an instance, when the definition says it.
    pub usage: Option<Usage>,
}

/// A field for selectors.
#[derive(Clone, Debug)]
pub struct SelectablePath {
    /// The name in selectors: the path without the leading dot.
    pub name: String,
    /// Where the value is.
    pub path: JsonPath,
}

/// What an instance becomes.
#[derive(Clone, Debug, PartialEq)]
pub enum KindBackend {
    /// A Flux HelmRelease.
    Release(Box<ReleaseTemplate>),
    /// The object itself, as it is.
    Stored,
}

/// What a kind is without its schemas: enough to register it, and to compare it with others.
#[derive(Clone, Debug, PartialEq)]
pub struct KindOutline {
    /// The definition.
    pub origin: Origin,
    /// The API group.
    pub group: String,
    /// Where instances live.
    pub scope: Scope,
    /// What the kind is called.
    pub names: KindNames,
    /// Its versions, the preferred one first.
    pub versions: Vec<VersionOutline>,
    /// What an instance becomes.
    pub backend: KindBackend,
}

/// What a version is without its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionOutline {
    /// The name of the version.
    pub name: String,
    /// Whether it can be used.
    pub serving: Serving,
    /// Whether the backend sees it.
    pub storage: StorageRole,
    /// How the status is written.
    pub status: StatusRole,
    /// Where replicas are, when `/scale` is served.
    pub scale: Option<ScalePaths>,
}

/// What definitions may dispute about.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'k> {
    /// The definition.
    pub origin: &'k Origin,
    /// The API group.
    pub group: &'k str,
    /// The names.
    pub names: &'k KindNames,
    /// What an instance becomes.
    pub backend: &'k KindBackend,
}

impl Claim<'_> {
    /// Whether a dispute ends the same way with the other in the place of this one.
    #[must_use]
    pub fn is_same(&self, other: &Claim<'_>) -> bool {
        let releases = match (self.backend, other.backend) {
            (KindBackend::Release(own), KindBackend::Release(other)) => own.claims_as(other),
            (own, other) => std::mem::discriminant(own) == std::mem::discriminant(other),
        };
        releases
            && self.origin.name == other.origin.name
            && self.origin.created == other.origin.created
            && self.group == other.group
            && self.names == other.names
    }
}

impl<'k> From<&'k Kind> for Claim<'k> {
    fn from(kind: &'k Kind) -> Self {
        Self { origin: &kind.origin, group: &kind.group, names: &kind.names, backend: &kind.backend }
    }
}

impl<'k> From<&'k KindOutline> for Claim<'k> {
    fn from(kind: &'k KindOutline) -> Self {
        Self { origin: &kind.origin, group: &kind.group, names: &kind.names, backend: &kind.backend }
    }
}

impl From<&Kind> for KindOutline {
    fn from(kind: &Kind) -> Self {
        let version = |version: &KindVersion| VersionOutline {
            name: version.name.clone(),
            serving: version.serving,
            storage: version.storage,
            status: version.status,
            scale: version.scale.clone(),
        };
        Self {
            origin: kind.origin.clone(),
            group: kind.group.clone(),
            scope: kind.scope,
            names: kind.names.clone(),
            versions: kind.versions.iter().map(version).collect(),
            backend: kind.backend.clone(),
        }
    }
}

impl KindOutline {
    /// The version that the backend sees.
    #[must_use]
    pub fn storage_version(&self) -> Option<&VersionOutline> {
        self.versions.iter().find(|version| version.storage == StorageRole::Storage)
    }

    /// The versions that can be used, the preferred one first.
    pub fn served_versions(&self) -> impl Iterator<Item = &VersionOutline> {
        self.versions.iter().filter(|version| version.serving == Serving::Served)
    }

    /// The version that clients who can choose read: the one that the backend sees, where it is served.
    #[must_use]
    pub fn read_version(&self) -> Option<&VersionOutline> {
        self.storage_version().filter(|it| it.serving == Serving::Served).or(self.served_versions().next())
    }
}

impl Kind {
    /// The version that the backend sees.
    #[must_use]
    pub fn storage_version(&self) -> Option<&KindVersion> {
        self.versions.iter().find(|version| version.storage == StorageRole::Storage)
    }

    /// The versions that can be used, the preferred one first.
    pub fn served_versions(&self) -> impl Iterator<Item = &KindVersion> {
        self.versions.iter().filter(|version| version.serving == Serving::Served)
    }

    /// The version that clients who can choose read: the one that the backend sees, where it is served.
    #[must_use]
    pub fn read_version(&self) -> Option<&KindVersion> {
        self.storage_version().filter(|it| it.serving == Serving::Served).or(self.served_versions().next())
    }

    /// Whose rules hold for its bodies. Of the built-in kinds, only that of the core group is one of Kubernetes itself.
    #[must_use]
    pub fn typing(&self) -> Typing {
        if self.group.is_empty() { Typing::BuiltIn } else { Typing::Custom }
    }

    /// `apiVersion` of objects of a version.
    #[must_use]
    pub fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }
}
