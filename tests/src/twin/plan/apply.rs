//! Server-side applies.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{Ask, Body, VERSION, accept, manager, merge, metadata, name, rarely, spec};

/// What a manager applies; most of it is valid.
fn configuration() -> impl Strategy<Value = Value> {
    let oddities = prop_oneof![
        12 => Just(json!({})),
        // kube-apiserver stores an empty list of finalizers and drops it with the next write, which then is one.
        2 => metadata()
            .prop_filter("no empty finalizers", |metadata| metadata["finalizers"] != json!([]))
            .prop_map(|metadata| json!({"metadata": metadata})),
        1 => select(vec![
            json!({"status": {"phase": "Up"}}),
            json!({"kind": "Other"}),
            json!({"kind": null}),
            json!({"apiVersion": "{group}/v9"}),
            json!({"apiVersion": null}),
            json!({"metadata": {"name": null}}),
            json!({"metadata": {"name": "other"}}),
            json!({"metadata": {"namespace": "elsewhere"}}),
            json!({"metadata": {"namespace": "{ns}"}}),
            json!({"metadata": {"resourceVersion": "{rv}"}}),
            json!({"metadata": {"resourceVersion": "{rv-1}"}}),
            json!({"metadata": {"uid": "{uid}"}}),
            json!({"metadata": {"uid": "11111111-2222-3333-4444-555555555555"}}),
            json!({"spec": null}),
            json!({"spec": []}),
            json!({"more": 1}),
        ]),
    ];
    (spec(), oddities).prop_map(|(spec, oddity)| {
        let mut object =
            json!({"apiVersion": "{group}/v1", "kind": "Twin", "metadata": {"name": "{name}"}, "spec": spec});
        merge(&mut object, &oddity);
        object
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        30 => configuration().prop_map(|object| object.to_string()),
        1 => select(vec!["", "[]", "a: b: c", "text", "null", "spec: {size: 1}\nspec: {size: 2}"]).prop_map(str::to_owned),
    ]
}

/// An apply by one of several managers.
pub(super) fn apply() -> impl Strategy<Value = Ask> {
    let tails = prop_oneof![12 => Just(""), 2 => Just("/status")];
    let manager = prop_oneof![20 => manager().prop_map(Some), 1 => Just(None)];
    let force = prop_oneof![3 => Just(None), 3 => Just(Some("force=true")), 1 => Just(Some("force=false"))];
    let other = rarely(&["dryRun=All", "fieldValidation=Strict", "fieldValidation=Ignore"]);
    (name(), tails, (manager, force, other), accept(), text()).prop_map(|(name, tail, options, accept, text)| Ask {
        version: VERSION,
        method: "PATCH",
        name: Some(name),
        tail,
        query: super::query(vec![options.0, options.1, options.2]),
        content_type: "application/apply-patch+yaml",
        accept,
        body: Body::Text(text.replace("{name}", name)),
    })
}
