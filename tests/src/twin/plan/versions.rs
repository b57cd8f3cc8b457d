//! Requests in two versions, whose schemas know other fields and have other defaults: see `it::twin::versions`.

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

use super::{
    Ask, Body, Step, VERSION, accept, apply, create, delete, get, list, name, patch, update, watch, write_query,
};

/// The versions; the first one is stored.
const VERSIONS: [&str; 2] = [VERSION, "v1beta1"];

/// A sequence of steps in both versions.
pub fn sequence() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..40)
}

/// A step in one of the versions.
pub(super) fn step() -> impl Strategy<Value = Step> {
    let ask = prop_oneof![
        6 => create().boxed(),
        4 => get().boxed(),
        2 => list().boxed(),
        5 => update().boxed(),
        4 => patch().boxed(),
        3 => patch_of_versions().boxed(),
        6 => apply::apply().boxed(),
        1 => delete().boxed(),
    ];
    prop_oneof![
        30 => (ask, version(), fields()).prop_map(|(ask, version, fields)| Step::Ask(in_version(ask, version, &fields))),
        1 => (watch(), version()).prop_map(|(step, version)| match step {
            Step::Watch { query, accept, .. } => Step::Watch { version, query, accept },
            other => other,
        }),
    ]
}

fn version() -> impl Strategy<Value = &'static str> {
    select(&VERSIONS[..])
}

/// Fields of a spec that not all versions know, or know otherwise.
fn fields() -> impl Strategy<Value = Value> {
    let text = || select(vec![json!("x"), json!("y")]);
    let open = select(vec![
        json!({"tls": {"a": "x"}}),
        json!({"tls": {"a": "x", "unknown": "y"}, "free": {"deep": 1}}),
        json!({"map": {"k": {"a": "x", "unknown": 1}}}),
        json!({"list": [{"a": "x", "unknown": 1}, {"a": "y"}]}),
        json!({"tls": {"a": null}, "map": {"k": null}, "free": null}),
        json!({"map": {"k": {}}}),
    ]);
    let loose =
        select(vec![json!({"a": "x"}), json!({"a": "x", "b": "y"}), json!({"b": {"c": 1}}), json!({"a": null})]);
    (
        option::weighted(0.3, text()),
        option::weighted(0.3, text()),
        option::weighted(0.2, text()),
        option::weighted(0.2, text()),
        option::weighted(0.3, open),
        option::weighted(0.3, loose),
    )
        .prop_map(|(new, old, late, early, open, loose)| {
            let fields =
                [("new", new), ("old", old), ("late", late), ("early", early), ("open", open), ("loose", loose)];
            fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
        })
}

/// The request in a version, with fields of versions in its spec, if it has one.
pub(super) fn in_version(ask: Ask, version: &'static str, fields: &Value) -> Ask {
    let own = format!("{{group}}/{version}");
    let settle = |object: &mut Value| {
        let held = object.get("apiVersion").and_then(Value::as_str).and_then(|held| held.strip_prefix("{group}/"));
        if held.is_some_and(|held| held == VERSION || held == ask.version) {
            object["apiVersion"] = json!(own);
        }
        if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
            spec.extend(fields.as_object().cloned().unwrap_or_default());
        }
    };
    Ask { version, body: ask.body.settled(settle), ..ask }
}

/// Patches about the fields that versions differ in.
fn patch_of_versions() -> impl Strategy<Value = Ask> {
    let merges = select(vec![
        json!({"metadata": {"labels": {"k": "v"}}}),
        json!({"metadata": {"labels": {"k": "w"}}}),
        json!({"spec": {"new": null, "old": null}}),
        json!({"spec": {"open": {"tls": {"unknown": "z"}}}}),
        json!({"spec": {"open": null, "loose": null}}),
        json!({"spec": {"late": null}}),
    ]);
    let operations = select(vec![
        json!([{"op": "test", "path": "/spec/new", "value": "x"}, {"op": "add", "path": "/spec/mode", "value": "safe"}]),
        json!([{"op": "test", "path": "/spec/old", "value": "x"}, {"op": "add", "path": "/spec/mode", "value": "fast"}]),
        json!([{"op": "test", "path": "/spec/late", "value": "L"}, {"op": "replace", "path": "/spec/late", "value": "M"}]),
        json!([{"op": "remove", "path": "/spec/early"}]),
        json!([{"op": "add", "path": "/spec/open/tls/unknown", "value": 1}]),
        json!([{"op": "copy", "from": "/spec/loose", "path": "/spec/free"}]),
    ]);
    let sent = prop_oneof![
        merges.prop_map(|patch| ("application/merge-patch+json", patch.to_string())),
        operations.prop_map(|patch| ("application/json-patch+json", patch.to_string())),
    ];
    (name(), sent, write_query(), accept()).prop_map(|(name, (content_type, text), query, accept)| Ask {
        version: VERSION,
        method: "PATCH",
        name: Some(name),
        tail: "",
        query,
        content_type,
        accept,
        body: Body::Text(text),
    })
}
