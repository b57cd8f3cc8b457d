//! OpenAPI documents: v3 for each group-version, made at the swap when the group-version changed; v2 for all, made when it
//! is first asked for after a swap.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use kindsmith_schema::{kind::StatusRole, openapi};
use serde_json::{Map, Value, json};

use super::snapshot::{Document, Snapshot};
use crate::storage::kind_store::ServedKind;

/// All OpenAPI documents.
#[derive(Default)]
pub struct OpenApiDocuments {
    group_versions: BTreeMap<String, GroupVersion>,
    index: Option<Document>,
    kinds: Vec<Arc<ServedKind>>,
    v2: OnceLock<Document>,
}

#[derive(Clone)]
struct GroupVersion {
    /// What the document was made of: definition, uid and generation of each kind.
    made_of: Vec<(String, String, i64)>,
    document: Document,
}

impl OpenApiDocuments {
    /// The documents of a snapshot.
    #[must_use]
    pub(super) fn new(snapshot: &Snapshot, previous: &Self) -> Self {
        let kinds: Vec<Arc<ServedKind>> = snapshot.kinds().cloned().collect();
        let mut group_versions = BTreeMap::new();
        for (group, versions) in snapshot.groups() {
            for version in versions {
                let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
                let members: Vec<_> = kinds
                    .iter()
                    .filter(|served| served.kind.group == group)
                    .filter_map(|served| {
                        let index = served.kind.versions.iter().position(|held| held.name == version)?;
                        Some((served, index))
                    })
                    .collect();
                let made_of: Vec<_> = members
                    .iter()
                    .map(|(served, _)| {
                        let origin = &served.kind.origin;
                        (origin.name.clone(), origin.uid.clone(), origin.generation)
                    })
                    .collect();
                let kept = previous.group_versions.get(&path).filter(|held| held.made_of == made_of).cloned();
                let entry = kept.unwrap_or_else(|| {
                    let publishable: Vec<_> =
                        members.iter().map(|(served, index)| publishable(served, *index)).collect();
                    GroupVersion {
                        made_of,
                        document: Document::new(&openapi::v3_document(group, &version, &publishable)),
                    }
                });
                group_versions.insert(path, entry);
            }
        }
        let paths: Map<String, Value> = group_versions
            .iter()
            .map(|(path, held)| {
                let url = format!("/openapi/v3/{path}?hash={}", held.document.hash);
                (path.clone(), json!({"serverRelativeURL": url}))
            })
            .collect();
        let index = Some(Document::new(&json!({"paths": paths})));
        Self { group_versions, index, kinds, v2: OnceLock::new() }
    }

    /// The list of the v3 documents, with their hashes.
    #[must_use]
    pub fn index(&self) -> Option<&Document> {
        self.index.as_ref()
    }

    /// The v3 document at a path such as `apis/apps.example.com/v1alpha1`.
    #[must_use]
    pub fn v3(&self, path: &str) -> Option<&Document> {
        self.group_versions.get(path).map(|held| &held.document)
    }

    /// The v2 document of all kinds.
    #[must_use]
    pub fn v2(&self) -> &Document {
        self.v2.get_or_init(|| {
            let publishable: Vec<_> = self
                .kinds
                .iter()
                .flat_map(|served| {
                    (0..served.kind.versions.len())
                        .filter(|&index| served.kind.versions[index].serving == kindsmith_schema::kind::Serving::Served)
                        .map(|index| publishable(served, index))
                })
                .collect();
            Document::new(&openapi::v2_document(&publishable))
        })
    }
}

fn publishable(served: &ServedKind, index: usize) -> openapi::Publishable<'_> {
    let (kind, version) = (&served.kind, &served.kind.versions[index]);
    openapi::Publishable {
        group: &kind.group,
        version: &version.name,
        kind: &kind.names.kind,
        list_kind: &kind.names.list_kind,
        plural: &kind.names.plural,
        scope: match kind.scope {
            kindsmith_crds::Scope::Namespaced => openapi::Scope::Namespaced,
            kindsmith_crds::Scope::Cluster => openapi::Scope::Cluster,
        },
        schema: Cow::Owned(version.schema.raw()),
        status: match version.status {
            StatusRole::Field => openapi::Subresource::Absent,
            StatusRole::Subresource | StatusRole::Computed => openapi::Subresource::Served,
        },
        scale: openapi::Subresource::Absent,
        selectable_fields: version.selectable_fields.iter().map(|field| field.path.source()).collect(),
    }
}
