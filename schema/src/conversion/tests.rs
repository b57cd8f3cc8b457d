//! One object through two versions, to the backend and back.

use serde_json::{Value, json};

use crate::{compile::OwnStorage, form::DefinitionForm, kind::Kind};

/// `v1` is stored and knows `b` and the default of `late`; `v1beta1` knows `extra` and the default of `early`.
fn kind(backend: &Value) -> Kind {
    let version = |name: &str, is_stored: bool, fields: Value| {
        json!({"name": name, "served": true, "storage": is_stored, "schema": {"openAPIV3Schema": {"type": "object",
            "properties": {"spec": {"type": "object", "properties": fields}}}}})
    };
    let text = json!({"type": "string"});
    let stored = json!({"a": text, "b": text, "late": {"type": "string", "default": "L"}, "deep": {"type": "object",
        "properties": {"a": text}}});
    let other = json!({"a": text, "late": text, "extra": text, "early": {"type": "string", "default": "E"},
        "deep": {"type": "object", "properties": {"a": text, "extra": text}}});
    let definition = json!({
        "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": "hats.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Hat", "plural": "hats"},
            "versions": [version("v1", true, stored), version("v1beta1", false, other)], "backend": backend}});
    DefinitionForm::default().compile(&definition, OwnStorage::Available).unwrap()
}

fn stored() -> Kind {
    kind(&json!({"store": {}}))
}

fn on_releases() -> Kind {
    kind(&json!({"helmRelease": {
        "chartRef": {"kind": "OCIRepository", "name": "hat", "namespace": "charts"}, "prefix": "hat-"}}))
}

fn hat(version: &str, spec: &Value) -> Value {
    json!({"apiVersion": format!("example.com/{version}"), "kind": "Hat", "metadata": {"name": "x"}, "spec": spec})
}

/// The specs of a host object in `v1` and `v1beta1`.
fn shown(kind: &Kind, host: &Value) -> [Value; 2] {
    ["v1", "v1beta1"].map(|name| {
        let mut instance = kind.decode(host);
        let version = kind.versions.iter().find(|version| version.name == name).unwrap();
        kind.convert(&mut instance, version);
        assert_eq!(instance["apiVersion"], format!("example.com/{name}"));
        instance["spec"].clone()
    })
}

fn encoded(kind: &Kind, mut instance: Value, decoded: Option<&Value>) -> Value {
    kind.encode(&mut instance, decoded);
    assert_eq!(instance["apiVersion"], "example.com/v1");
    instance
}

#[test]
fn what_is_stored_is_of_the_storage_version_and_read_by_the_asked_one() {
    let kind = stored();
    let sent = hat("v1beta1", &json!({"a": "1", "extra": "2", "early": "E", "deep": {"a": "1", "extra": "2"}}));
    let host = encoded(&kind, sent, None);
    assert_eq!(host["spec"], json!({"a": "1", "deep": {"a": "1"}}));
    let both = json!({"a": "1", "late": "L", "deep": {"a": "1"}});
    assert_eq!(shown(&kind, &host), [both.clone(), both]);
    let host = encoded(&kind, hat("v1", &json!({"a": "1", "b": "2", "late": "M"})), None);
    assert_eq!(shown(&kind, &host), [json!({"a": "1", "b": "2", "late": "M"}), json!({"a": "1", "late": "M"})]);
}

#[test]
fn an_object_is_read_first_by_the_version_in_which_it_is_stored() {
    let kind = stored();
    let host = hat("v1beta1", &json!({"a": "1", "extra": "2", "b": "3", "gone": "4"}));
    assert_eq!(shown(&kind, &host), [json!({"a": "1"}), json!({"a": "1", "early": "E", "extra": "2"})]);
    // One of a version that the kind has no more is read by the storage version.
    let host = hat("v0", &json!({"a": "1", "b": "3", "gone": "4"}));
    assert_eq!(shown(&kind, &host)[0], json!({"a": "1", "b": "3", "late": "L"}));
}

fn release(values: &Value) -> Value {
    json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "hat-x"},
        "spec": {"values": values}})
}

#[test]
fn on_a_release_what_another_version_declares_is_dropped_and_what_none_declares_is_shown() {
    let kind = on_releases();
    let host = release(&json!({"a": "1", "b": "2", "extra": "3", "theirs": {"x": 1}, "deep": {"extra": 1, "more": 2}}));
    assert_eq!(
        shown(&kind, &host),
        [
            json!({"a": "1", "b": "2", "late": "L", "theirs": {"x": 1}, "deep": {"more": 2}}),
            json!({"a": "1", "late": "L", "theirs": {"x": 1}, "deep": {"more": 2}})
        ]
    );
}

#[test]
fn the_values_of_a_release_are_whole_and_no_client_adds_what_the_storage_version_does_not_know() {
    let kind = on_releases();
    let sent = json!({"a": "2", "early": "E", "extra": "3", "theirs": 1, "ours": 2});
    let decoded = hat("v1", &json!({"a": "1", "b": "2", "late": "L", "theirs": 1}));
    assert_eq!(
        encoded(&kind, hat("v1beta1", &sent), Some(&decoded))["spec"],
        json!({"a": "2", "late": "L", "theirs": 1})
    );
    assert_eq!(encoded(&kind, hat("v1beta1", &sent), None)["spec"], json!({"a": "2", "late": "L"}));
}

#[test]
fn fields_that_one_version_has_and_the_other_loses_are_named() {
    let told: Vec<String> = stored().lost_fields().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "spec.deep.extra of v1beta1 is never stored: v1, the stored version, has no such field",
            "spec.early of v1beta1 is never stored: v1, the stored version, has no such field",
            "spec.extra of v1beta1 is never stored: v1, the stored version, has no such field",
            "spec.b of v1 is lost when an object is written in v1beta1, which has no such field",
        ]
    );
}
