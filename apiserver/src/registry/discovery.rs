//! Discovery documents: the legacy lists and the aggregated v2 form, joined from what each kind says when they are first
//! asked for.
//!
//! Sources: k8s.io/apiserver/pkg/endpoints/discovery and k8s.io/api/apidiscovery/v2.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use super::snapshot::{Document, Group};

/// A document that is made when it is first asked for.
type MadeOnce = LazyLock<Document, Box<dyn FnOnce() -> Document + Send>>;

fn made_once(make: impl FnOnce() -> Document + Send + 'static) -> MadeOnce {
    LazyLock::new(Box::new(make))
}

/// One discovery path, in both forms where there are two.
pub struct DiscoveryDocument {
    legacy: MadeOnce,
    aggregated: Option<MadeOnce>,
}

impl DiscoveryDocument {
    /// The form that each client knows.
    #[must_use]
    pub fn legacy(&self) -> &Document {
        &self.legacy
    }

    /// The form with everything in one answer; only `/api` and `/apis` have it.
    #[must_use]
    pub fn aggregated(&self) -> Option<&Document> {
        self.aggregated.as_deref()
    }
}

/// All discovery documents, by path.
#[derive(Default)]
pub struct DiscoveryDocuments {
    documents: HashMap<String, DiscoveryDocument>,
}

/// `APIResourceList` of k8s.io/apimachinery/pkg/apis/meta/v1.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceList<'a> {
    api_version: &'a str,
    group_version: &'a str,
    kind: &'a str,
    resources: Vec<&'a RawValue>,
}

/// `APIGroupDiscoveryList`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupList<'a> {
    api_version: &'a str,
    items: &'a [GroupDiscovery<'a>],
    kind: &'a str,
    metadata: Value,
}

#[derive(Serialize)]
struct GroupDiscovery<'a> {
    metadata: Value,
    versions: Vec<VersionDiscovery<'a>>,
}

#[derive(Serialize)]
struct VersionDiscovery<'a> {
    freshness: &'a str,
    resources: Vec<&'a RawValue>,
    version: &'a str,
}

impl DiscoveryDocuments {
    /// The paths of the documents, in no order.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        self.documents.keys().cloned()
    }

    /// The documents of groups.
    #[must_use]
    pub(super) fn new(groups: Vec<Arc<Group>>) -> Self {
        let mut documents = HashMap::new();
        let mut put = |path: String, legacy: MadeOnce, aggregated: Option<MadeOnce>| {
            documents.insert(path, DiscoveryDocument { legacy, aggregated });
        };
        for group in &groups {
            for version in &group.versions {
                let path = path(&group.name, version);
                let (group, version) = (Arc::clone(group), version.clone());
                put(path, made_once(move || resource_list(&group, &version)), None);
            }
            let group = Arc::clone(group);
            if group.name.is_empty() {
                let versions =
                    json!({"kind": "APIVersions", "versions": group.versions, "serverAddressByClientCIDRs": []});
                let aggregated = made_once(move || aggregated_list(&[group]));
                put("/api".to_owned(), made_once(move || Document::new(&versions)), Some(aggregated));
            } else {
                let path = format!("/apis/{}", group.name);
                put(
                    path,
                    made_once(move || {
                        let mut api_group = api_group(&group);
                        api_group["kind"] = json!("APIGroup");
                        api_group["apiVersion"] = json!("v1");
                        Document::new(&api_group)
                    }),
                    None,
                );
            }
        }
        let named: Arc<[Arc<Group>]> = groups.into_iter().filter(|group| !group.name.is_empty()).collect();
        let of_legacy = Arc::clone(&named);
        let legacy = made_once(move || {
            let groups: Vec<Value> = of_legacy.iter().map(|group| api_group(group)).collect();
            Document::new(&json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        });
        put("/apis".to_owned(), legacy, Some(made_once(move || aggregated_list(&named))));
        Self { documents }
    }

    /// The document at a path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&DiscoveryDocument> {
        self.documents.get(path.trim_end_matches('/'))
    }
}

fn path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}

fn group_version(group: &str, version: &str) -> Value {
    json!({"groupVersion": format!("{group}/{version}"), "version": version})
}

fn api_group(group: &Group) -> Value {
    json!({
        "name": group.name,
        "versions": group.versions.iter().map(|version| group_version(&group.name, version)).collect::<Vec<_>>(),
        "preferredVersion": group.versions.first().map(|version| group_version(&group.name, version)),
    })
}

fn resource_list(group: &Group, version: &str) -> Document {
    let group_version = if group.name.is_empty() { version.to_owned() } else { format!("{}/{version}", group.name) };
    let published = group.kinds.iter().filter_map(|kind| kind.version(version));
    Document::new(&ResourceList {
        api_version: "v1",
        group_version: &group_version,
        kind: "APIResourceList",
        resources: published.flat_map(|it| it.legacy.iter().map(AsRef::as_ref)).collect(),
    })
}

fn version_discovery<'g>(group: &'g Group, version: &'g str) -> VersionDiscovery<'g> {
    let published = group.kinds.iter().filter_map(|kind| kind.version(version));
    let resources = published.filter_map(|it| it.aggregated.as_deref()).collect();
    VersionDiscovery { freshness: "Current", resources, version }
}

fn aggregated_list(groups: &[Arc<Group>]) -> Document {
    let items: Vec<GroupDiscovery<'_>> = groups
        .iter()
        .map(|group| GroupDiscovery {
            metadata: if group.name.is_empty() { json!({}) } else { json!({"name": group.name}) },
            versions: group.versions.iter().map(|version| version_discovery(group, version)).collect(),
        })
        .collect();
    Document::new(&GroupList {
        api_version: "apidiscovery.k8s.io/v2",
        items: &items,
        kind: "APIGroupDiscoveryList",
        metadata: json!({}),
    })
}
