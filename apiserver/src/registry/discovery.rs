//! Discovery documents: the legacy lists and the aggregated v2 form, joined at the swap from what each kind says.
//!
//! Sources: k8s.io/apiserver/pkg/endpoints/discovery and k8s.io/api/apidiscovery/v2.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use super::{published::Published, snapshot::Document};

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
    /// The documents of groups: their versions, the preferred one first, and their kinds.
    #[must_use]
    pub(super) fn new(groups: &BTreeMap<&str, (Vec<String>, Vec<&Arc<Published>>)>) -> Self {
        let mut documents = HashMap::new();
        let mut put = |path: String, legacy: Document, aggregated: Option<Document>| {
            documents.insert(path, DiscoveryDocument { legacy, aggregated });
        };
        let mut group_list = Vec::new();
        let mut aggregated = Vec::new();
        for (&group, (versions, kinds)) in groups {
            let mut versions_aggregated = Vec::with_capacity(versions.len());
            for version in versions {
                let (path, group_version) = if group.is_empty() {
                    (format!("/api/{version}"), version.clone())
                } else {
                    (format!("/apis/{group}/{version}"), format!("{group}/{version}"))
                };
                let published: Vec<_> = kinds.iter().filter_map(|kind| kind.version(version)).collect();
                let list = ResourceList {
                    api_version: "v1",
                    group_version: &group_version,
                    kind: "APIResourceList",
                    resources: published.iter().flat_map(|it| it.legacy.iter().map(AsRef::as_ref)).collect(),
                };
                put(path, Document::new(&list), None);
                let resources = published.iter().filter_map(|it| it.aggregated.as_deref()).collect();
                versions_aggregated.push(VersionDiscovery { freshness: "Current", resources, version });
            }
            let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
            let item = GroupDiscovery { metadata, versions: versions_aggregated };
            if group.is_empty() {
                put(
                    "/api".to_owned(),
                    Document::new(
                        &json!({"kind": "APIVersions", "versions": versions, "serverAddressByClientCIDRs": []}),
                    ),
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
            put(format!("/apis/{group}"), Document::new(&api_group), None);
        }
        put(
            "/apis".to_owned(),
            Document::new(&json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": group_list})),
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

fn aggregated_list(items: &[GroupDiscovery<'_>]) -> Document {
    Document::new(&GroupList {
        api_version: "apidiscovery.k8s.io/v2",
        items,
        kind: "APIGroupDiscoveryList",
        metadata: json!({}),
    })
}
