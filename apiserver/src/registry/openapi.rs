//! OpenAPI documents: v3 for each group-version, v2 for all, each made when it is first asked for after a change.
//!
//! Hashes are of what a document is made of, so that they are known before it is made: an aggregator that has it is
//! answered without making it.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, LazyLock, OnceLock},
};

use bytes::Bytes;
use kindsmith_schema::{kind::Kind, openapi};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json, value::RawValue};
use sha2::{Digest as _, Sha512};

use super::{published::Published, snapshot::Document};

/// All OpenAPI documents.
#[derive(Default)]
pub struct OpenApiDocuments {
    group_versions: BTreeMap<String, Arc<OpenApiDocument>>,
    index: Option<Document>,
    v2: Option<Arc<OpenApiDocument>>,
}

/// A document that is made when it is first asked for.
pub struct OpenApiDocument {
    hash: Arc<str>,
    form: Form,
    kinds: Vec<Arc<Published>>,
    body: OnceLock<Bytes>,
}

enum Form {
    /// Of all kinds.
    V2,
    /// Of a group-version.
    V3 { version: String },
}

/// A document of one kind, or of all, in the form of v3.
#[derive(Serialize, Deserialize)]
struct V3<'a> {
    #[serde(borrow)]
    components: Components<'a>,
    info: Value,
    openapi: String,
    #[serde(borrow)]
    paths: Parts<'a>,
}

#[derive(Serialize, Deserialize)]
struct Components<'a> {
    #[serde(borrow)]
    schemas: Parts<'a>,
}

/// A document of one kind, or of all, in the form of v2.
#[derive(Serialize, Deserialize)]
struct V2<'a> {
    #[serde(borrow)]
    definitions: Parts<'a>,
    info: Value,
    #[serde(borrow)]
    parameters: Parts<'a>,
    #[serde(borrow)]
    paths: Parts<'a>,
    swagger: String,
}

/// Parts by name. What kinds share is the same in the documents of all.
type Parts<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

impl OpenApiDocument {
    fn new(form: Form, kinds: Vec<Arc<Published>>) -> Self {
        let mut made_of = MADE_HOW.to_string();
        for origin in kinds.iter().map(|published| &published.kind().origin) {
            // Writing into memory does not fail.
            let _ = write!(made_of, "\n{} {} {}", origin.name, origin.uid, origin.generation);
        }
        if let Form::V3 { version } = &form {
            let _ = write!(made_of, "\n{version}");
        }
        Self { hash: hash(made_of.as_bytes()), form, kinds, body: OnceLock::new() }
    }

    /// Upper-case hexadecimal, as long as the SHA-512 of a body.
    #[must_use]
    pub fn hash(&self) -> &Arc<str> {
        &self.hash
    }

    /// The document. Making it takes a while.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.body.get_or_init(|| Bytes::from(self.make())).clone()
    }

    fn make(&self) -> Vec<u8> {
        match &self.form {
            Form::V3 { version } => {
                let documents: Vec<Vec<u8>> = self.kinds.iter().filter_map(|kind| kind.v3(version)).collect();
                let mut whole: Option<V3<'_>> = None;
                for part in documents.iter().filter_map(|document| read::<V3<'_>>(document)) {
                    match &mut whole {
                        None => whole = Some(part),
                        Some(whole) => {
                            whole.paths.extend(part.paths);
                            whole.components.schemas.extend(part.components.schemas);
                        }
                    }
                }
                whole.map_or_else(Vec::new, |whole| written(&whole))
            }
            Form::V2 => {
                let documents: Vec<Vec<u8>> = self.kinds.iter().flat_map(|kind| kind.v2()).collect();
                let mut whole: Option<V2<'_>> = None;
                for part in documents.iter().filter_map(|document| read::<V2<'_>>(document)) {
                    match &mut whole {
                        None => whole = Some(part),
                        Some(whole) => {
                            whole.paths.extend(part.paths);
                            whole.definitions.extend(part.definitions);
                            whole.parameters.extend(part.parameters);
                        }
                    }
                }
                whole.map_or_else(|| openapi::v2_document(&[]).to_string().into_bytes(), |whole| written(&whole))
            }
        }
    }
}

fn read<'a, T: Deserialize<'a>>(document: &'a [u8]) -> Option<T> {
    let parsed = serde_json::from_slice(document);
    parsed.inspect_err(|error| tracing::error!(%error, "a document that was made here cannot be read")).ok()
}

fn written(document: &impl Serialize) -> Vec<u8> {
    let written = serde_json::to_vec(document);
    written.inspect_err(|error| tracing::error!(%error, "a document cannot be written")).unwrap_or_default()
}

fn hash(bytes: &[u8]) -> Arc<str> {
    let mut text = String::with_capacity(128);
    for byte in Sha512::digest(bytes) {
        let _ = write!(text, "{byte:02X}");
    }
    text.into()
}

/// Stands for how documents are made: the documents of a kind that never changes.
static MADE_HOW: LazyLock<Arc<str>> = LazyLock::new(|| {
    let kind = openapi::Publishable {
        group: "sample.kindsmith.dev",
        version: "v1",
        kind: "Sample",
        list_kind: "SampleList",
        plural: "samples",
        scope: openapi::Scope::Namespaced,
        schema: Cow::Owned(json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "size": {"type": "string", "pattern": "^[a-z]$", "default": "s", "nullable": true, "maxLength": 1},
            "many": {"type": "array", "items": {"type": "integer", "format": "int32"}},
            "any": {"x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-int-or-string": true},
        }}}})),
        status: openapi::Subresource::Served,
        scale: openapi::Subresource::Served,
        selectable_fields: vec![".spec.size"],
    };
    let kinds = std::slice::from_ref(&kind);
    let documents = [openapi::v3_document(kind.group, kind.version, kinds), openapi::v2_document(kinds)];
    hash(format!("{}{}", documents[0], documents[1]).as_bytes())
});

fn same(left: &[Arc<Published>], right: &[Arc<Published>]) -> bool {
    let kind = |published: &Arc<Published>| Arc::as_ptr(published.kind()).cast::<Kind>();
    left.len() == right.len() && left.iter().map(kind).eq(right.iter().map(kind))
}

impl OpenApiDocuments {
    /// The documents of groups: their versions, and their kinds. Those that did not change since `previous` are kept.
    #[must_use]
    pub(super) fn new(groups: &BTreeMap<&str, (Vec<String>, Vec<&Arc<Published>>)>, previous: &Self) -> Self {
        let mut group_versions = BTreeMap::new();
        for (group, (versions, kinds)) in groups {
            for version in versions {
                let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
                let kinds = kinds.iter().filter(|kind| kind.version(version).is_some());
                let kinds: Vec<Arc<Published>> = kinds.map(|kind| Arc::clone(kind)).collect();
                let kept = previous.group_versions.get(&path).filter(|held| same(&held.kinds, &kinds)).cloned();
                let form = Form::V3 { version: version.clone() };
                group_versions.insert(path, kept.unwrap_or_else(|| Arc::new(OpenApiDocument::new(form, kinds))));
            }
        }
        let all: Vec<Arc<Published>> =
            groups.values().flat_map(|(_, kinds)| kinds.iter().map(|it| Arc::clone(it))).collect();
        let kept = previous.v2.as_ref().filter(|held| same(&held.kinds, &all)).cloned();
        let v2 = Some(kept.unwrap_or_else(|| Arc::new(OpenApiDocument::new(Form::V2, all))));
        let paths: Map<String, Value> = group_versions
            .iter()
            .map(|(path, held)| {
                let url = format!("/openapi/v3/{path}?hash={}", held.hash);
                (path.clone(), json!({"serverRelativeURL": url}))
            })
            .collect();
        let index = Some(Document::new(&json!({"paths": paths})));
        Self { group_versions, index, v2 }
    }

    /// The list of the v3 documents, with their hashes.
    #[must_use]
    pub fn index(&self) -> Option<&Document> {
        self.index.as_ref()
    }

    /// The v3 document at a path such as `apis/apps.example.com/v1alpha1`.
    #[must_use]
    pub fn v3(&self, path: &str) -> Option<&Arc<OpenApiDocument>> {
        self.group_versions.get(path)
    }

    /// The v2 document of all kinds; none before the definitions have been read.
    #[must_use]
    pub fn v2(&self) -> Option<&Arc<OpenApiDocument>> {
        self.v2.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(plural: &str) -> Arc<Kind> {
        let definition = json!({
            "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
            "metadata": {"name": format!("{plural}.apps.example.com"), "uid": plural, "generation": 1},
            "spec": {"group": "apps.example.com", "scope": "Namespaced",
                "names": {"kind": plural.to_uppercase(), "plural": plural},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                        "spec": {"type": "object", "properties": {plural: {"type": "string"}}}}}}}],
                "backend": {"store": {}}},
        });
        let own = kindsmith_schema::compile::OwnStorage::Available;
        Arc::new(kindsmith_schema::form::DefinitionForm::Kindsmith.compile(&definition, own).unwrap())
    }

    #[test]
    fn documents_joined_from_each_kind_are_those_of_all_kinds() {
        let kinds = [kind("lions"), kind("bears"), kind("mice")];
        let published: Vec<Arc<Published>> = kinds.iter().map(|kind| Arc::new(Published::of(kind))).collect();
        let publishable: Vec<_> =
            kinds.iter().map(|kind| super::super::published::publishable(kind, &kind.versions[0])).collect();
        let v3 = OpenApiDocument::new(Form::V3 { version: "v1".to_owned() }, published.clone());
        assert_eq!(v3.body(), openapi::v3_document("apps.example.com", "v1", &publishable).to_string());
        let v2 = OpenApiDocument::new(Form::V2, published);
        assert_eq!(v2.body(), openapi::v2_document(&publishable).to_string());
    }

    #[test]
    fn a_document_has_another_hash_when_another_generation_is_in_it() {
        let of = |kind: Arc<Kind>| OpenApiDocument::new(Form::V2, vec![Arc::new(Published::of(&kind))]).hash;
        let mut changed = Kind::clone(&kind("lions"));
        changed.origin.generation = 2;
        assert_ne!(of(kind("lions")), of(Arc::new(changed)));
        assert_eq!(of(kind("lions")), of(kind("lions")));
    }
}
