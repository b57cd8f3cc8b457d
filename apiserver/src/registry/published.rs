//! What documents say of one kind: made once, when it is first asked for, and joined into the documents of all.
//!
//! Of a thousand kinds one changes: the others' parts are there.

use std::{
    borrow::Cow,
    sync::{Arc, OnceLock},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kindsmith_crds::Scope;
use kindsmith_schema::{
    kind::{Kind, KindVersion, StatusRole, Typing},
    openapi,
};
use serde_json::{Value, json, value::RawValue};
use sha2::{Digest as _, Sha256};

use crate::encode::{deflated::Part, protobuf::openapi_v2};

/// What can be done with a resource, in the order in which kube-apiserver lists it for a CustomResourceDefinition.
const VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

/// What can be done with namespaces, the one kind that is built in.
const BUILT_IN_VERBS: [&str; 7] = ["create", "delete", "get", "list", "patch", "update", "watch"];

/// What can be done with a subresource that can be written.
const SUBRESOURCE_VERBS: [&str; 3] = ["get", "patch", "update"];

/// What documents say of a kind.
pub(super) struct Published {
    kind: Arc<Kind>,
    versions: Vec<PublishedVersion>,
}

/// What documents say of a version that is served.
pub(super) struct PublishedVersion {
    index: usize,
    /// Its entries in the lists that each client knows.
    pub legacy: Vec<Box<RawValue>>,
    /// Its entry in aggregated discovery.
    pub aggregated: Option<Box<RawValue>>,
    v2: OnceLock<OpenApiParts>,
    v2_protobuf: OnceLock<Part>,
    v3: OnceLock<OpenApiParts>,
}

/// What OpenAPI says of a version of a kind and of no other: members of JSON objects, with commas between them.
pub(super) struct OpenApiParts {
    /// The object and the list.
    pub models: Part,
    /// What can be asked.
    pub paths: Part,
}

impl Published {
    pub(super) fn of(kind: &Arc<Kind>) -> Self {
        let served = kind.versions.iter().enumerate();
        let served = served.filter(|(_, version)| version.serving == kindsmith_schema::kind::Serving::Served);
        let versions = served.map(|(index, version)| PublishedVersion {
            index,
            legacy: legacy(kind, version).iter().filter_map(raw).collect(),
            aggregated: raw(&entry(kind, version)),
            v2: OnceLock::new(),
            v2_protobuf: OnceLock::new(),
            v3: OnceLock::new(),
        });
        Self { kind: Arc::clone(kind), versions: versions.collect() }
    }

    pub(super) fn kind(&self) -> &Arc<Kind> {
        &self.kind
    }

    pub(super) fn version(&self, name: &str) -> Option<&PublishedVersion> {
        self.versions.iter().find(|version| self.kind.versions[version.index].name == name)
    }

    /// What OpenAPI v3 says of a version.
    pub(super) fn v3(&self, version: &str) -> Option<&OpenApiParts> {
        let version = self.version(version)?;
        Some(version.v3.get_or_init(|| {
            let publishable = self.publishable(version);
            let whole =
                openapi::v3_document(publishable.group, publishable.version, std::slice::from_ref(&publishable));
            OpenApiParts::new(&publishable, &whole["components"]["schemas"], &whole["paths"])
        }))
    }

    /// What OpenAPI v2 says of each version.
    pub(super) fn v2(&self) -> impl Iterator<Item = &OpenApiParts> + '_ {
        self.versions.iter().map(|version| {
            version.v2.get_or_init(|| {
                let publishable = self.publishable(version);
                let whole = openapi::v2_document(std::slice::from_ref(&publishable));
                OpenApiParts::new(&publishable, &whole["definitions"], &whole["paths"])
            })
        })
    }

    /// What OpenAPI v2 says of each version, as pieces of a document in protobuf.
    pub(super) fn v2_protobuf(&self) -> impl Iterator<Item = &Part> + '_ {
        self.versions.iter().map(|version| {
            version.v2_protobuf.get_or_init(|| {
                let publishable = self.publishable(version);
                let mut whole = openapi::v2_document(std::slice::from_ref(&publishable));
                let own = publishable.models();
                if let Some(models) = whole["definitions"].as_object_mut() {
                    models.retain(|name, _| own.iter().any(|own| own == name));
                }
                let mut take = |member: &str| whole.get_mut(member).map(Value::take).unwrap_or_default();
                Part::of(openapi_v2::piece(&json!({"definitions": take("definitions"), "paths": take("paths")})))
            })
        })
    }

    fn publishable(&self, version: &PublishedVersion) -> openapi::Publishable<'_> {
        publishable(&self.kind, &self.kind.versions[version.index])
    }
}

impl OpenApiParts {
    fn new(publishable: &openapi::Publishable<'_>, models: &Value, paths: &Value) -> Self {
        let own = publishable.models();
        let is_own = |name: &str| own.iter().any(|own| own == name);
        Self { models: Part::of(members(models, is_own)), paths: Part::of(members(paths, |_| true)) }
    }
}

/// Members of an object as they stand in JSON, with commas between them.
pub(super) fn members(object: &Value, wanted: impl Fn(&str) -> bool) -> String {
    let members = object.as_object().into_iter().flatten().filter(|(key, _)| wanted(key));
    let written = members.map(|(key, value)| format!("{}:{value}", Value::from(key.as_str())));
    written.collect::<Vec<_>>().join(",")
}

fn raw(value: &Value) -> Option<Box<RawValue>> {
    RawValue::from_string(value.to_string()).ok()
}

fn verbs(kind: &Kind) -> &'static [&'static str] {
    match kind.typing() {
        Typing::BuiltIn => &BUILT_IN_VERBS,
        Typing::Custom => &VERBS,
    }
}

fn status_verbs(version: &KindVersion) -> Option<Value> {
    match version.status {
        StatusRole::Subresource | StatusRole::Computed => Some(json!(SUBRESOURCE_VERBS)),
        StatusRole::Field => None,
    }
}

fn legacy(kind: &Kind, version: &KindVersion) -> Vec<Value> {
    let names = &kind.names;
    let namespaced = kind.scope == Scope::Namespaced;
    let hash = Sha256::digest(format!("{}/{}/{}", kind.group, version.name, names.kind));
    let mut main = json!({
        "name": names.plural,
        "singularName": names.singular,
        "namespaced": namespaced,
        "kind": names.kind,
        "verbs": verbs(kind),
        "storageVersionHash": STANDARD.encode(&hash[..8]),
    });
    put_names(&mut main, kind);
    let mut list = vec![main];
    list.extend(status_verbs(version).map(|verbs| {
        json!({
            "name": format!("{}/status", names.plural),
            "singularName": "",
            "namespaced": namespaced,
            "kind": names.kind,
            "verbs": verbs,
        })
    }));
    list.extend(version.scale.is_some().then(|| {
        json!({
            "name": format!("{}/scale", names.plural),
            "singularName": "",
            "namespaced": namespaced,
            "group": "autoscaling",
            "version": "v1",
            "kind": "Scale",
            "verbs": SUBRESOURCE_VERBS,
        })
    }));
    list
}

fn put_names(entry: &mut Value, kind: &Kind) {
    let names = &kind.names;
    for (member, list) in [("shortNames", &names.short_names), ("categories", &names.categories)] {
        if !list.is_empty() {
            entry[member] = json!(list);
        }
    }
}

fn entry(kind: &Kind, version: &KindVersion) -> Value {
    let response_kind = json!({"group": kind.group, "version": version.name, "kind": kind.names.kind});
    let mut entry = json!({
        "resource": kind.names.plural,
        "responseKind": response_kind,
        "scope": match kind.scope { Scope::Namespaced => "Namespaced", Scope::Cluster => "Cluster" },
        "singularResource": kind.names.singular,
        "verbs": verbs(kind),
    });
    put_names(&mut entry, kind);
    let status = status_verbs(version)
        .map(|verbs| json!({"subresource": "status", "responseKind": response_kind, "verbs": verbs}));
    let scale = version.scale.is_some().then(|| {
        let response_kind = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
        json!({"subresource": "scale", "responseKind": response_kind, "verbs": SUBRESOURCE_VERBS})
    });
    let subresources: Vec<Value> = status.into_iter().chain(scale).collect();
    if !subresources.is_empty() {
        entry["subresources"] = Value::Array(subresources);
    }
    entry
}

pub(super) fn publishable<'k>(kind: &'k Kind, version: &'k KindVersion) -> openapi::Publishable<'k> {
    openapi::Publishable {
        group: &kind.group,
        version: &version.name,
        kind: &kind.names.kind,
        list_kind: &kind.names.list_kind,
        plural: &kind.names.plural,
        scope: match kind.scope {
            Scope::Namespaced => openapi::Scope::Namespaced,
            Scope::Cluster => openapi::Scope::Cluster,
        },
        schema: Cow::Owned(version.schema.raw()),
        status: match version.status {
            StatusRole::Field => openapi::Subresource::Absent,
            StatusRole::Subresource | StatusRole::Computed => openapi::Subresource::Served,
        },
        scale: match version.scale {
            Some(_) => openapi::Subresource::Served,
            None => openapi::Subresource::Absent,
        },
        selectable_fields: match kind.typing() {
            // Kubernetes says nothing of those of its own types.
            Typing::BuiltIn => Vec::new(),
            Typing::Custom => version.selectable_fields.iter().map(|field| field.path.source()).collect(),
        },
    }
}
