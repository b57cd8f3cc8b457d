//! Kinds and documents at one moment, immutable.

use std::{fmt::Write as _, sync::Arc};

use bytes::Bytes;
use kindsmith_schema::{kind::Kind, priority};

use super::{discovery::DiscoveryDocuments, openapi::OpenApiDocuments, published::Published};
use crate::storage::{kind_store::ServedKind, kind_view::KindView};

/// Whether the definitions have been read once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// Not yet: an unknown path may be a kind that we are about to know.
    #[default]
    Pending,
    /// Yes: an unknown path is not served.
    Done,
}

/// A document as it goes out, with its hash.
#[derive(Clone, Debug)]
pub struct Document {
    /// The body.
    pub body: Bytes,
    /// Upper-case hexadecimal SHA-512 of the body.
    pub hash: Arc<str>,
}

impl Document {
    /// A document of what becomes JSON.
    #[must_use]
    pub fn new(value: &impl serde::Serialize) -> Self {
        use sha2::Digest as _;
        let written = serde_json::to_vec(value);
        let written = written.inspect_err(|error| tracing::error!(%error, "a document cannot be written"));
        let body = Bytes::from(written.unwrap_or_default());
        let hash = sha2::Sha512::digest(&body).iter().map(|byte| format!("{byte:02X}")).collect::<String>();
        Self { body, hash: hash.into() }
    }
}

/// What a request addresses: a kind in one of its versions.
#[derive(Clone)]
pub struct Resource {
    /// The kind.
    pub kind: Arc<ServedKind>,
    /// Its version.
    pub view: Arc<KindView>,
}

/// A kind, and what documents say of it.
#[derive(Clone)]
struct Member {
    served: Arc<ServedKind>,
    published: Arc<Published>,
}

impl Member {
    fn address(&self) -> (&str, &str) {
        address(&self.served.kind)
    }
}

/// Where a kind is found: no two that are served have the same.
pub(super) fn address(kind: &Kind) -> (&str, &str) {
    (&kind.group, &kind.names.plural)
}

/// What is served in a group.
#[derive(Clone)]
pub(super) struct Group {
    /// Its name.
    pub name: String,
    /// The served versions, the preferred one first.
    pub versions: Vec<String>,
    /// Its kinds, by plural.
    pub kinds: Vec<Arc<Published>>,
}

/// Kinds and documents at one moment.
#[derive(Default)]
pub struct Snapshot {
    /// Whether the definitions have been read once.
    pub sync: Sync,
    /// By address.
    members: Vec<Member>,
    /// Discovery.
    pub discovery: DiscoveryDocuments,
    /// OpenAPI.
    pub openapi: OpenApiDocuments,
    digest: String,
}

impl Snapshot {
    /// A snapshot of kinds. Documents of group-versions that did not change since `previous` are kept.
    #[must_use]
    pub fn new(kinds: Vec<Arc<ServedKind>>, previous: &Self) -> Self {
        let member = |served: Arc<ServedKind>| {
            let held =
                previous.member(address(&served.kind)).filter(|held| Arc::ptr_eq(held.published.kind(), &served.kind));
            let published =
                held.map_or_else(|| Arc::new(Published::of(&served.kind)), |held| Arc::clone(&held.published));
            Member { served, published }
        };
        let mut members: Vec<Member> = kinds.into_iter().map(member).collect();
        members.sort_by(|left, right| left.address().cmp(&right.address()));
        let groups = groups(&members);
        let digest = digest(&members);
        let openapi = OpenApiDocuments::new(&groups, &previous.openapi);
        let discovery = DiscoveryDocuments::new(groups);
        Self { sync: Sync::Done, members, discovery, openapi, digest }
    }

    fn member(&self, address: (&str, &str)) -> Option<&Member> {
        let at = self.members.binary_search_by(|member| member.address().cmp(&address));
        at.ok().and_then(|at| self.members.get(at))
    }

    /// The resource at an address.
    #[must_use]
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<Resource> {
        let served = &self.member((group, plural))?.served;
        let view = served.views.iter().find(|view| view.projection().version().name == version)?;
        Some(Resource { kind: Arc::clone(served), view: Arc::clone(view) })
    }

    /// All kinds, by group and plural.
    pub fn kinds(&self) -> impl ExactSizeIterator<Item = &Arc<ServedKind>> {
        self.members.iter().map(|member| &member.served)
    }

    /// A hash that differs when another definition or another generation of one is served.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The uid of each definition that a kind was made of, with the generation that is served.
    pub fn generations(&self) -> impl Iterator<Item = (&str, i64)> {
        generations(&self.members)
    }
}

fn generations(members: &[Member]) -> impl Iterator<Item = (&str, i64)> {
    let origins = members.iter().map(|member| &member.served.kind.origin);
    origins.filter(|origin| !origin.uid.is_empty()).map(|origin| (origin.uid.as_str(), origin.generation))
}

fn groups(members: &[Member]) -> Vec<Arc<Group>> {
    let of_group = members.chunk_by(|left, right| left.address().0 == right.address().0);
    of_group
        .filter_map(|members| {
            let mut versions: Vec<String> = Vec::new();
            for version in members.iter().flat_map(|member| member.served.kind.served_versions()) {
                if !versions.contains(&version.name) {
                    versions.push(version.name.clone());
                }
            }
            versions.sort_by(|left, right| priority::compare(left, right));
            let kinds = members.iter().map(|member| Arc::clone(&member.published)).collect();
            Some(Arc::new(Group { name: members.first()?.served.kind.group.clone(), versions, kinds }))
        })
        .collect()
}

fn digest(members: &[Member]) -> String {
    use sha2::Digest as _;
    let mut text = String::new();
    for (uid, generation) in generations(members) {
        // Writing into memory does not fail.
        let _ = writeln!(text, "{uid}:{generation}");
    }
    format!("{:x}", sha2::Sha256::digest(text))
}
