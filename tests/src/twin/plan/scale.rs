//! Requests of the scale subresource.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{Ask, Body, VERSION, accept, merge, name, write_query};

/// Requests of the scale subresource, whose replicas are `spec.size`.
pub(super) fn scale() -> impl Strategy<Value = Ask> {
    let ask = |method, content_type, body: Value| (method, content_type, body.to_string());
    let put = |metadata: Value, spec: Value| {
        let mut scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "{name}"}});
        merge(&mut scale, &json!({"metadata": metadata, "spec": spec}));
        ask("PUT", "application/json", scale)
    };
    let json = |operations: Value| ask("PATCH", "application/json-patch+json", operations);
    let merges = |patch: Value| ask("PATCH", "application/merge-patch+json", patch);
    let requests = select(vec![
        ("GET", "", String::new()),
        ("GET", "", String::new()),
        ("GET", "", String::new()),
        put(json!({}), json!({"replicas": 4})),
        put(json!({}), json!({"replicas": 40})),
        put(json!({}), json!({"replicas": -4})),
        put(json!({}), json!({})),
        put(json!({"resourceVersion": "{rv}"}), json!({"replicas": 5})),
        put(json!({"resourceVersion": "{rv-1}"}), json!({"replicas": 6})),
        put(json!({"uid": "{uid}"}), json!({"replicas": 7})),
        put(json!({"name": "other"}), json!({"replicas": 7})),
        put(json!({"finalizers": ["example.com/hold"], "labels": {"app": "x"}}), json!({"replicas": 8})),
        merges(json!({"spec": {"replicas": 3}})),
        merges(json!({"spec": {"replicas": -3}})),
        merges(json!({"spec": {"replicas": null}})),
        merges(json!({"spec": {"unknown": 1}})),
        merges(json!({"status": {"replicas": 3}})),
        merges(json!({"metadata": {"resourceVersion": "{rv}"}, "spec": {"replicas": 2}})),
        merges(json!({"metadata": {"resourceVersion": "{rv-1}"}, "spec": {"replicas": 1}})),
        merges(json!({"metadata": {"labels": {"app": "x"}}})),
        json(json!([{"op": "add", "path": "/spec/replicas", "value": 9}])),
        json(json!([{"op": "test", "path": "/spec/replicas", "value": 9}, {"op": "remove", "path": "/spec/replicas"}])),
        json(json!([{"op": "replace", "path": "/spec/none", "value": 1}])),
    ]);
    (name(), requests, write_query(), accept()).prop_map(|(name, (method, content_type, text), query, accept)| {
        let body = if text.is_empty() { Body::None } else { Body::Text(text.replace("{name}", name)) };
        let query = if method == "GET" { String::new() } else { query };
        Ask { version: VERSION, method, name: Some(name), tail: "/scale", query, content_type, accept, body }
    })
}
