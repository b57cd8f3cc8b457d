//! Discovery documents, made at the swap: the legacy lists and the aggregated v2 form.
//!
//! Sources: k8s.io/apiserver/pkg/endpoints/discovery and k8s.io/api/apidiscovery/v2.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kindsmith_crds::Scope;
use kindsmith_schema::kind::{KindVersion, StatusRole};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::snapshot::{Document, Snapshot};
use crate::storage::kind_store::ServedKind;

/// What can be done with a resource, in the order in which kube-apiserver lists it for a CustomResourceDefinition.
const VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

/// What can be done with a subresource that can be written.
const SUBRESOURCE_VERBS: [&str; 3] = ["get", "patch", "update"];

/// The media type of aggregated discovery.
pub const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// One discovery path, in both forms where there are two.
#[derive(Clone, Debug)]
pub struct DiscoveryDocument {
    /// The form that each client knows.
    pub legacy: Document,
    /// The form with everything in one answer; only `/api` and `/apis` have it.
    pub aggregated: Option<Document>,
}

/// All discovery documents, by path.
#[derive(Clone, Debug, Default)]
pub struct DiscoveryDocuments {
    documents: HashMap<String, DiscoveryDocument>,
}

impl DiscoveryDocuments {
    /// The documents of a snapshot.
    #[must_use]
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let groups = snapshot.groups();
        let mut documents = HashMap::new();
        let mut put = |path: String, legacy: Value, aggregated: Option<Value>| {
            let aggregated = aggregated.as_ref().map(Document::new);
            documents.insert(path, DiscoveryDocument { legacy: Document::new(&legacy), aggregated });
        };
        let mut group_list = Vec::new();
        let mut aggregated = Vec::new();
        for (group, versions) in &groups {
            for version in versions {
                let (path, group_version) = if group.is_empty() {
                    (format!("/api/{version}"), version.clone())
                } else {
                    (format!("/apis/{group}/{version}"), format!("{group}/{version}"))
                };
                let list: Vec<Value> =
                    resources(snapshot, group, version).flat_map(|(served, version)| legacy(served, version)).collect();
                put(
                    path,
                    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list}),
                    None,
                );
            }
            let versions_aggregated: Vec<Value> = versions
                .iter()
                .map(|name| {
                    let list: Vec<Value> =
                        resources(snapshot, group, name).map(|(served, version)| entry(served, version)).collect();
                    json!({"version": name, "resources": list, "freshness": "Current"})
                })
                .collect();
            let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
            let item = json!({"metadata": metadata, "versions": versions_aggregated});
            if group.is_empty() {
                put(
                    "/api".to_owned(),
                    json!({"kind": "APIVersions", "versions": versions, "serverAddressByClientCIDRs": []}),
                    Some(aggregated_list(&[item])),
                );
                continue;
            }
            aggregated.push(item);
            let mut api_group = json!({
                "name": group,
                "versions": versions.iter().map(|version| group_version(group, version)).collect::<Vec<_>>(),
                "preferredVersion": versions.first().map(|version| group_version(group, version)),
            });
            group_list.push(api_group.clone());
            api_group["kind"] = json!("APIGroup");
            api_group["apiVersion"] = json!("v1");
            put(format!("/apis/{group}"), api_group, None);
        }
        put(
            "/apis".to_owned(),
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": group_list}),
            Some(aggregated_list(&aggregated)),
        );
        Self { documents }
    }

    /// The document at a path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&DiscoveryDocument> {
        self.documents.get(path.trim_end_matches('/'))
    }
}

fn group_version(group: &str, version: &str) -> Value {
    json!({"groupVersion": format!("{group}/{version}"), "version": version})
}

fn aggregated_list(items: &[Value]) -> Value {
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn resources<'a>(
    snapshot: &'a Snapshot,
    group: &'a str,
    version: &'a str,
) -> impl Iterator<Item = (&'a ServedKind, &'a KindVersion)> {
    snapshot.kinds().filter(move |served| served.kind.group == group).filter_map(move |served| {
        let found = served.kind.served_versions().find(|held| held.name == version)?;
        Some((served.as_ref(), found))
    })
}

fn status_verbs(version: &KindVersion) -> Option<Value> {
    match version.status {
        StatusRole::Subresource => Some(json!(SUBRESOURCE_VERBS)),
        StatusRole::Computed => Some(json!(["get"])),
        StatusRole::Field => None,
    }
}

fn legacy(served: &ServedKind, version: &KindVersion) -> Vec<Value> {
    let kind = &served.kind;
    let names = &kind.names;
    let namespaced = kind.scope == Scope::Namespaced;
    let hash = Sha256::digest(format!("{}/{}/{}", kind.group, version.name, names.kind));
    let mut main = json!({
        "name": names.plural,
        "singularName": names.singular,
        "namespaced": namespaced,
        "kind": names.kind,
        "verbs": VERBS,
        "storageVersionHash": STANDARD.encode(&hash[..8]),
    });
    put_names(&mut main, served);
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

fn put_names(entry: &mut Value, served: &ServedKind) {
    let names = &served.kind.names;
    for (member, list) in [("shortNames", &names.short_names), ("categories", &names.categories)] {
        if !list.is_empty() {
            entry[member] = json!(list);
        }
    }
}

fn entry(served: &ServedKind, version: &KindVersion) -> Value {
    let kind = &served.kind;
    let response_kind = json!({"group": kind.group, "version": version.name, "kind": kind.names.kind});
    let mut entry = json!({
        "resource": kind.names.plural,
        "responseKind": response_kind,
        "scope": match kind.scope { Scope::Namespaced => "Namespaced", Scope::Cluster => "Cluster" },
        "singularResource": kind.names.singular,
        "verbs": VERBS,
    });
    put_names(&mut entry, served);
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
