//! OpenAPI documents: v3 for each group-version, v2 for all, each made when it is first asked for after a change.
//!
//! Hashes are of what a document is made of, so that they are known before it is made: an aggregator that has it is
//! answered without making it.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
    io::Read as _,
    sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, Weak},
};

use bytes::Bytes;
use flate2::read::GzDecoder;
use kindsmith_crds::Scope;
use kindsmith_schema::{
    kind::{Kind, KindVersion, Serving, StatusRole},
    openapi,
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha512};

use super::{
    published::{OpenApiParts, Published, members, publishable},
    snapshot::{Document, Group},
};
use crate::encode::{
    deflated::{self, Part},
    protobuf::openapi_v2,
};

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
    json: Made,
    protobuf: Made,
}

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// As JSON.
    Json,
    /// In protobuf; v2 alone.
    Protobuf,
}

/// A document that was made.
struct Made {
    /// As most clients take it; of a thousand kinds it is a tenth of the whole.
    gzipped: OnceLock<Bytes>,
    /// As it is, while anybody is being answered with it: however many ask, and however slowly they read, it is there once.
    whole: Mutex<Weak<[u8]>>,
}

impl Default for Made {
    fn default() -> Self {
        let nobody: Weak<[u8]> = Weak::<[u8; 0]>::new();
        Self { gzipped: OnceLock::new(), whole: Mutex::new(nobody) }
    }
}

impl Made {
    fn whole(&self, gzipped: &[u8]) -> Bytes {
        // Whoever comes while it is made waits for it, and does not make it a second time.
        let mut held = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(whole) = held.upgrade() {
            return Bytes::from_owner(whole);
        }
        let mut whole = Vec::new();
        if let Err(error) = GzDecoder::new(gzipped).read_to_end(&mut whole) {
            tracing::error!(%error, "a document that was compressed here cannot be read");
        }
        let whole: Arc<[u8]> = whole.into();
        *held = Arc::downgrade(&whole);
        Bytes::from_owner(whole)
    }
}

enum Form {
    /// Of all kinds.
    V2,
    /// Of a group-version.
    V3 { version: String },
}

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
        Self { hash: hash(made_of.as_bytes()), form, kinds, json: Made::default(), protobuf: Made::default() }
    }

    /// Upper-case hexadecimal, as long as the SHA-512 of a body.
    #[must_use]
    pub fn hash(&self) -> &Arc<str> {
        &self.hash
    }

    /// The document, compressed with gzip. Making it takes a while.
    #[must_use]
    pub fn gzipped(&self, writing: Writing) -> Bytes {
        let (made, make): (_, fn(&Self) -> Vec<u8>) = match writing {
            Writing::Json => (&self.json, Self::make),
            Writing::Protobuf => (&self.protobuf, Self::make_protobuf),
        };
        made.gzipped.get_or_init(|| Bytes::from(make(self))).clone()
    }

    /// The document as it is. Making it takes a while.
    #[must_use]
    pub fn body(&self, writing: Writing) -> Bytes {
        let gzipped = self.gzipped(writing);
        match writing {
            Writing::Json => self.json.whole(&gzipped),
            Writing::Protobuf => self.protobuf.whole(&gzipped),
        }
    }

    /// Pieces that follow each other are one message.
    fn make_protobuf(&self) -> Vec<u8> {
        let Frame { models, info, parameters, version } = self.frame();
        let frame = json!({"swagger": version, "info": info, "definitions": models, "parameters": parameters});
        let frame = Part::of(openapi_v2::piece(&frame));
        deflated::gzip([&frame].into_iter().chain(self.kinds.iter().flat_map(|kind| kind.v2_protobuf())))
    }

    fn make(&self) -> Vec<u8> {
        let frame = self.frame();
        let own: Vec<&OpenApiParts> = match &self.form {
            Form::V3 { version } => self.kinds.iter().filter_map(|kind| kind.v3(version)).collect(),
            Form::V2 => self.kinds.iter().flat_map(|kind| kind.v2()).collect(),
        };
        let (comma, text) = (Part::of(","), |text: &str| Part::of(text));
        let (shared, models) = (text(&members(&frame.models, |_| true)), own.iter().map(|own| &own.models));
        let (before, between, after) = match &self.form {
            Form::V3 { .. } => (
                text(r#"{"components":{"schemas":{"#),
                text(&format!(r#"}}}},"info":{},"openapi":{},"paths":{{"#, frame.info, frame.version)),
                text("}}"),
            ),
            Form::V2 => (
                text(r#"{"definitions":{"#),
                text(&format!(r#"}},"info":{},"parameters":{},"paths":{{"#, frame.info, frame.parameters)),
                text(&format!(r#"}},"swagger":{}}}"#, frame.version)),
            ),
        };
        // There are shared models wherever there is a kind.
        let models = models.flat_map(|own| [&comma, own]);
        let paths = own.iter().enumerate().flat_map(|(at, own)| {
            let separator = (at > 0).then_some(&comma);
            separator.into_iter().chain([&own.paths])
        });
        deflated::gzip([&before, &shared].into_iter().chain(models).chain([&between]).chain(paths).chain([&after]))
    }

    /// What is said once: what is shared depends on what can be asked of a kind, so one of each sort stands for all.
    fn frame(&self) -> Frame {
        let wanted = |version: &KindVersion| match &self.form {
            Form::V2 => version.serving == Serving::Served,
            Form::V3 { version: wanted } => version.name == *wanted,
        };
        let mut sorts = BTreeMap::new();
        for kind in self.kinds.iter().map(|published| published.kind()) {
            for version in kind.versions.iter().filter(|version| wanted(version)) {
                let sort = (
                    kind.scope == Scope::Namespaced,
                    version.status != StatusRole::Field,
                    version.scale.is_some(),
                    version.selectable_fields.is_empty(),
                );
                sorts.entry(sort).or_insert_with(|| publishable(kind, version));
            }
        }
        let own: HashSet<String> = sorts.values().flat_map(openapi::Publishable::models).collect();
        let sorts: Vec<openapi::Publishable<'_>> = sorts.into_values().collect();
        let (mut whole, models, version) = match &self.form {
            Form::V2 => (openapi::v2_document(&sorts), "/definitions", "swagger"),
            Form::V3 { version } => {
                let group = sorts.first().map_or("", |kind| kind.group);
                (openapi::v3_document(group, version, &sorts), "/components/schemas", "openapi")
            }
        };
        let mut models = whole.pointer_mut(models).map(Value::take).unwrap_or_default();
        if let Some(models) = models.as_object_mut() {
            models.retain(|name, _| !own.contains(name));
        }
        let mut take = |member: &str| whole.get_mut(member).map(Value::take).unwrap_or_default();
        Frame { models, info: take("info"), parameters: take("parameters"), version: take(version) }
    }
}

/// What a document says besides the kinds.
struct Frame {
    models: Value,
    info: Value,
    /// Of v2 alone.
    parameters: Value,
    version: Value,
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
    pub(super) fn new(groups: &[Arc<Group>], previous: &Self) -> Self {
        let mut group_versions = BTreeMap::new();
        for Group { name: group, versions, kinds } in groups.iter().map(AsRef::as_ref) {
            for version in versions {
                let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
                let kinds = kinds.iter().filter(|kind| kind.version(version).is_some());
                let kinds: Vec<Arc<Published>> = kinds.cloned().collect();
                let kept = previous.group_versions.get(&path).filter(|held| same(&held.kinds, &kinds)).cloned();
                let form = Form::V3 { version: version.clone() };
                group_versions.insert(path, kept.unwrap_or_else(|| Arc::new(OpenApiDocument::new(form, kinds))));
            }
        }
        let all: Vec<Arc<Published>> = groups.iter().flat_map(|group| group.kinds.iter().cloned()).collect();
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
        kind_with("Namespaced", &json!({"status": {}}), plural)
    }

    fn kind_with(scope: &str, subresources: &Value, plural: &str) -> Arc<Kind> {
        let definition = json!({
            "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
            "metadata": {"name": format!("{plural}.apps.example.com"), "uid": plural, "generation": 1},
            "spec": {"group": "apps.example.com", "scope": scope,
                "names": {"kind": plural.to_uppercase(), "plural": plural},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "subresources": subresources,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                        "spec": {"type": "object", "properties": {plural: {"type": "string"}}}}}}}],
                "backend": {"store": {}}},
        });
        let own = kindsmith_schema::compile::OwnStorage::Available;
        Arc::new(kindsmith_schema::form::DefinitionForm::Kindsmith.compile(&definition, own).unwrap())
    }

    #[test]
    fn documents_joined_from_each_kind_are_those_of_all_kinds() {
        let scale = json!({"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"});
        let sorts = [json!({"status": {}}), json!({}), json!({"status": {}, "scale": scale}), json!({"scale": scale})];
        let mut kinds = vec![kind("lions"), kind("bears")];
        for (index, subresources) in sorts.iter().enumerate() {
            kinds.push(kind_with("Namespaced", subresources, &format!("mice{index}")));
            kinds.push(kind_with("Cluster", subresources, &format!("rats{index}")));
        }
        // Of one sort alone, of all, and of none.
        for kinds in (0..kinds.len()).map(|at| &kinds[at..=at]).chain([&kinds[..], &kinds[..0]]) {
            let published: Vec<Arc<Published>> = kinds.iter().map(|kind| Arc::new(Published::of(kind))).collect();
            let publishable: Vec<_> =
                kinds.iter().map(|kind| super::super::published::publishable(kind, &kind.versions[0])).collect();
            let read =
                |document: &OpenApiDocument| serde_json::from_slice::<Value>(&document.body(Writing::Json)).unwrap();
            let v3 = OpenApiDocument::new(Form::V3 { version: "v1".to_owned() }, published.clone());
            assert_eq!(read(&v3), openapi::v3_document("apps.example.com", "v1", &publishable));
            let v2 = OpenApiDocument::new(Form::V2, published);
            assert_eq!(read(&v2), openapi::v2_document(&publishable));
        }
    }

    #[test]
    fn a_document_is_there_once_while_anybody_reads_it() {
        let published = vec![Arc::new(Published::of(&kind("lions")))];
        let document = OpenApiDocument::new(Form::V2, published);
        for writing in [Writing::Json, Writing::Protobuf] {
            let (one, other) = (document.body(writing), document.body(writing));
            assert!(!one.is_empty() && one.as_ptr() == other.as_ptr(), "{writing:?} is there twice");
            drop((one, other));
            let made = if writing == Writing::Json { &document.json } else { &document.protobuf };
            assert!(made.whole.lock().unwrap().upgrade().is_none(), "nobody reads {writing:?}, and it is there");
        }
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
