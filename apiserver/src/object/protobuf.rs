//! Namespaces in protobuf: kubectl sends core objects so, and without a cluster namespaces are ours to serve.
//!
//! Sources: k8s.io/apimachinery/pkg/runtime/generated.proto, pkg/apis/meta/v1/generated.proto, k8s.io/api/core/v1. Only
//! what a client may choose is read; the status and the system's metadata are made here.

use std::collections::HashMap;

use prost::Message;
use serde_json::{Map, Value, json};

/// What every such body begins with.
const MAGIC: &[u8] = b"k8s\0";

#[derive(Clone, PartialEq, Message)]
struct TypeMeta {
    #[prost(string, tag = "1")]
    api_version: String,
    #[prost(string, tag = "2")]
    kind: String,
}

#[derive(Clone, PartialEq, Message)]
struct Unknown {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", tag = "2")]
    raw: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ObjectMeta {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    generate_name: String,
    #[prost(string, tag = "5")]
    uid: String,
    #[prost(string, tag = "6")]
    resource_version: String,
    #[prost(map = "string, string", tag = "11")]
    labels: HashMap<String, String>,
    #[prost(map = "string, string", tag = "12")]
    annotations: HashMap<String, String>,
    #[prost(string, repeated, tag = "14")]
    finalizers: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Namespace {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
}

/// Reads a namespace. None when the body is something else.
#[must_use]
pub fn namespace(body: &[u8]) -> Option<Value> {
    let envelope = Unknown::decode(body.strip_prefix(MAGIC)?).ok()?;
    let type_meta = envelope.type_meta?;
    if type_meta.kind != "Namespace" || type_meta.api_version != "v1" {
        return None;
    }
    let held = Namespace::decode(envelope.raw.as_slice()).ok()?.metadata.unwrap_or_default();
    let mut metadata = Map::new();
    let texts = [
        ("name", held.name),
        ("generateName", held.generate_name),
        ("uid", held.uid),
        ("resourceVersion", held.resource_version),
    ];
    metadata.extend(
        texts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(member, text)| (member.to_owned(), json!(text))),
    );
    for (member, map) in [("labels", held.labels), ("annotations", held.annotations)] {
        if !map.is_empty() {
            metadata.insert(member.to_owned(), json!(map));
        }
    }
    if !held.finalizers.is_empty() {
        metadata.insert("finalizers".to_owned(), json!(held.finalizers));
    }
    Some(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_read_and_other_kinds_are_not() {
        let body = |kind: &str| {
            let metadata = ObjectMeta {
                name: "team".to_owned(),
                labels: [("a".to_owned(), "b".to_owned())].into(),
                ..ObjectMeta::default()
            };
            let raw = Namespace { metadata: Some(metadata) }.encode_to_vec();
            let type_meta = Some(TypeMeta { api_version: "v1".to_owned(), kind: kind.to_owned() });
            [MAGIC, &Unknown { type_meta, raw }.encode_to_vec()].concat()
        };
        let read = namespace(&body("Namespace")).unwrap();
        assert_eq!(read["metadata"], json!({"name": "team", "labels": {"a": "b"}}));
        assert_eq!(namespace(&body("Pod")), None);
        assert_eq!(namespace(b"k8s\0\xff\xff"), None);
        assert_eq!(namespace(b"{}"), None);
    }
}
