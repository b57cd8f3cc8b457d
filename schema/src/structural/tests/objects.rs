//! What schemas do to objects, and say about them.

use serde_json::{Value, json};

use super::{compile, texts, with_spec};
use crate::field::FieldPath;
use crate::structural::Schema;

/// What is said of one value.
#[derive(serde::Deserialize)]
struct Case {
    name: String,
    schema: Value,
    value: Value,
    errors: Vec<String>,
}

#[test]
fn values_are_validated_with_the_words_of_kubernetes() {
    let cases: Vec<Case> = serde_saphyr::from_str(include_str!("values.yaml")).unwrap();
    for case in cases {
        let schema = compile(&with_spec(&json!({ "a": case.schema })));
        assert_eq!(texts(&schema.validate(&json!({"spec": {"a": case.value}}))), case.errors, "{}", case.name);
    }
}

#[test]
fn unknown_fields_are_dropped_and_reported() {
    let schema = compile(&with_spec(&json!({
        "a": {"type": "string"},
        "list": {"type": "array", "items": {"type": "object", "properties": {"b": {"type": "string"}}}},
        "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "properties": {"known": {"type": "object", "properties": {"c": {"type": "string"}}}}},
        "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"d": {"type": "string"}}}},
        "resource": {"type": "object", "x-kubernetes-embedded-resource": true,
            "properties": {"spec": {"type": "object"}}},
    })));
    let mut object = json!({
        "apiVersion": "v1", "kind": "A", "metadata": {"x": 1}, "x": 1,
        "spec": {"a": "", "x": {"y": 1}, "metadata": 1, "list": [{"b": "", "x": 1}],
            "any": {"x": 1, "known": {"c": "", "x": 1}},
            "map": {"k": {"d": "", "x": 1}},
            "resource": {"apiVersion": "v1", "kind": "B", "metadata": {"x": 1}, "spec": {"x": 1}, "x": 1}},
    });
    assert_eq!(
        schema.prune(&mut object),
        [
            "spec.any.known.x",
            "spec.list[0].x",
            "spec.map.k.x",
            "spec.metadata",
            "spec.resource.spec.x",
            "spec.resource.x",
            "spec.x",
            "x"
        ]
    );
    assert_eq!(
        object,
        json!({
            "apiVersion": "v1", "kind": "A", "metadata": {"x": 1},
            "spec": {"a": "", "list": [{"b": ""}], "any": {"x": 1, "known": {"c": ""}}, "map": {"k": {"d": ""}},
                "resource": {"apiVersion": "v1", "kind": "B", "metadata": {"x": 1}, "spec": {}}},
        })
    );
}

#[test]
fn defaults_are_filled_in_and_nulls_dropped_first() {
    let schema = compile(&with_spec(&json!({
        "a": {"type": "string", "default": "x"},
        "b": {"type": "string"},
        "c": {"type": "string", "nullable": true},
        "d": {"type": "object", "default": {}, "properties": {"e": {"type": "integer", "default": 1}}},
        "f": {"type": "object", "properties": {"g": {"type": "integer", "default": 1}}},
        "h": {"type": "array", "items": {"type": "object", "properties": {"i": {"type": "integer", "default": 2}}}},
    })));
    let mut object = json!({"spec": {"a": null, "b": null, "c": null, "h": [{}, {"i": null}]}, "x": null});
    schema.default(&mut object);
    assert_eq!(object, json!({"spec": {"a": "x", "c": null, "d": {"e": 1}, "h": [{"i": 2}, {"i": 2}]}, "x": null}));
}

#[test]
fn an_update_forgives_what_did_not_change() {
    let schema = compile(&with_spec(&json!({
        "a": {"type": "string", "maxLength": 1},
        "b": {"type": "string"},
        "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items":
            {"type": "object", "required": ["k"], "properties":
                {"k": {"type": "string"}, "v": {"type": "integer", "maximum": 1}}}},
        "atomic": {"type": "array", "items": {"type": "integer", "maximum": 1}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
    })));
    let old = json!({"spec": {"a": "long", "list": [{"k": "x", "v": 5}], "atomic": [5], "set": ["a", "a"]}});
    let mut new = old.clone();
    new["spec"]["b"] = json!("changed");
    new["spec"]["list"] = json!([{"k": "new", "v": 5}, {"k": "x", "v": 5}]);
    assert_eq!(
        texts(&schema.validate_update(&new, &old)),
        ["spec.list[0].v: Invalid value: 5: spec.list[0].v in body should be less than or equal to 1"]
    );
    new["spec"]["a"] = json!("longer");
    new["spec"]["list"] = old["spec"]["list"].clone();
    new["spec"]["atomic"] = json!([5, 0]);
    assert_eq!(
        texts(&schema.validate_update(&new, &old)),
        [
            "spec.a: Too long: may not be more than 1 bytes".replace("bytes", "byte"),
            "spec.atomic[0]: Invalid value: 5: spec.atomic[0] in body should be less than or equal to 1".to_owned()
        ]
    );
    assert_eq!(texts(&schema.validate(&new)).len(), 4);
}

#[test]
fn a_status_is_validated_on_its_own() {
    let schema = compile(&json!({"type": "object", "properties": {
        "spec": {"type": "object", "required": ["a"]},
        "status": {"type": "object", "properties": {"n": {"type": "integer"}}}}}));
    assert_eq!(
        texts(&schema.validate_status_update(&json!({"spec": {}, "status": {"n": "x"}}), &json!({"spec": {}}))),
        [r#"status.n: Invalid value: "string": n in body must be of type integer: "string""#]
    );
}

#[test]
fn the_errors_of_one_object_are_bounded() {
    let schema = compile(&with_spec(&json!({"a": {"type": "array", "items": {"type": "string"}}})));
    let items: Vec<Value> = (0..5000).map(Value::from).collect();
    assert_eq!(schema.validate(&json!({"spec": {"a": items}})).len(), 1000);
}

#[test]
fn the_metadata_of_resources_inside_is_what_kubernetes_knows_of_it() {
    let schema = json!({"type": "object", "properties": {"spec": {
        "type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true,
    }}});
    let schema = Schema::compile(&schema, &FieldPath::root()).unwrap();
    let with = |metadata: Value| json!({"spec": {"apiVersion": "v1", "kind": "A", "metadata": metadata}});
    let kept = [
        (json!({"name": "", "labels": {"a": null}, "x": 1}), json!({"labels": {"a": ""}})),
        (
            json!({"creationTimestamp": "2024-01-01T01:00:00+01:00"}),
            json!({"creationTimestamp": "2024-01-01T00:00:00Z"}),
        ),
        (
            json!({"ownerReferences": [{"name": "n", "controller": false, "y": 1}]}),
            json!({"ownerReferences": [{"apiVersion": "", "kind": "", "name": "n", "uid": "", "controller": false}]}),
        ),
        (Value::Null, json!({})),
    ];
    let mut unknown = Vec::new();
    for (sent, expected) in kept {
        let mut object = with(sent);
        unknown.extend(schema.coerce(&mut object).unwrap());
        assert_eq!(object, with(expected));
    }
    assert_eq!(unknown, ["spec.metadata.x", "spec.metadata.ownerReferences[0].y"]);
    let text = "Go struct field OwnerReference.ownerReferences.uid of type types.UID";
    let error = schema.coerce(&mut with(json!({"ownerReferences": [{"uid": 1}]}))).unwrap_err();
    assert!(error.detail.ends_with(text), "{error}");
    let errors = schema.validate(&with(json!({"labels": {"a b": "c"}, "generation": -1, "namespace": "a.b"})));
    let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["spec.metadata.namespace", "spec.metadata.labels", "spec.metadata.generation"]);
}
