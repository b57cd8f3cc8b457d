//! Kinds and documents at one moment, immutable.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use kindsmith_schema::priority;

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

/// Kinds and documents at one moment.
#[derive(Default)]
pub struct Snapshot {
    /// Whether the definitions have been read once.
    pub sync: Sync,
    kinds: BTreeMap<(String, String), Arc<ServedKind>>,
    resources: HashMap<String, Resource>,
    published: HashMap<(String, String), Arc<Published>>,
    /// Discovery.
    pub discovery: DiscoveryDocuments,
    /// OpenAPI.
    pub openapi: OpenApiDocuments,
    digest: String,
}

fn address(group: &str, version: &str, plural: &str) -> String {
    format!("{group}/{version}/{plural}")
}

impl Snapshot {
    /// A snapshot of kinds. Documents of group-versions that did not change since `previous` are kept.
    #[must_use]
    pub fn new(kinds: Vec<Arc<ServedKind>>, previous: &Self) -> Self {
        let kinds: BTreeMap<(String, String), Arc<ServedKind>> = kinds
            .into_iter()
            .map(|served| ((served.kind.group.clone(), served.kind.names.plural.clone()), served))
            .collect();
        let mut resources = HashMap::new();
        for served in kinds.values() {
            for view in &served.views {
                let projection = view.projection();
                resources.insert(
                    address(&served.kind.group, &projection.version().name, &served.kind.names.plural),
                    Resource { kind: Arc::clone(served), view: Arc::clone(view) },
                );
            }
        }
        let published = kinds.iter().map(|(address, served)| {
            let held = previous.published.get(address).filter(|held| Arc::ptr_eq(held.kind(), &served.kind));
            (address.clone(), held.cloned().unwrap_or_else(|| Arc::new(Published::of(&served.kind))))
        });
        let published = published.collect();
        let mut snapshot = Self { sync: Sync::Done, kinds, resources, published, ..Self::default() };
        snapshot.digest = digest(&snapshot);
        let groups = snapshot.groups();
        let discovery = DiscoveryDocuments::new(&groups);
        let openapi = OpenApiDocuments::new(&groups, &previous.openapi);
        drop(groups);
        Self { discovery, openapi, ..snapshot }
    }

    /// The resource at an address.
    #[must_use]
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<&Resource> {
        self.resources.get(&address(group, version, plural))
    }

    /// All kinds, by group and plural.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<ServedKind>> {
        self.kinds.values()
    }

    /// A hash that differs when another definition or another generation of one is served.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The uid of each definition that a kind was made of, with the generation that is served.
    pub fn generations(&self) -> impl Iterator<Item = (&str, i64)> {
        let origins = self.kinds().map(|served| &served.kind.origin);
        origins.filter(|origin| !origin.uid.is_empty()).map(|origin| (origin.uid.as_str(), origin.generation))
    }

    /// The served versions of each group, the preferred one first, and its kinds, by plural.
    fn groups(&self) -> BTreeMap<&str, (Vec<String>, Vec<&Arc<Published>>)> {
        let mut groups: BTreeMap<&str, (Vec<String>, Vec<&Arc<Published>>)> = BTreeMap::new();
        for (address, served) in &self.kinds {
            let (versions, kinds) = groups.entry(served.kind.group.as_str()).or_default();
            for version in served.kind.served_versions() {
                if !versions.contains(&version.name) {
                    versions.push(version.name.clone());
                }
            }
            kinds.extend(self.published.get(address));
        }
        for (versions, _) in groups.values_mut() {
            versions.sort_by(|left, right| priority::compare(left, right));
        }
        groups
    }
}

fn digest(snapshot: &Snapshot) -> String {
    use sha2::Digest as _;
    let mut generations: Vec<(&str, i64)> = snapshot.generations().collect();
    generations.sort_unstable();
    let mut digest = sha2::Sha256::new();
    for (uid, generation) in generations {
        digest.update(format!("{uid}:{generation}\n"));
    }
    format!("{:x}", digest.finalize())
}
