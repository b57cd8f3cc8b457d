//! Behaviours of comparing schemas, from two schemas to texts.

mod kinds;
mod laws;
mod tape;

use rstest::rstest;
use serde_json::{Value, json};

use super::compare;
use crate::field::FieldPath;
use crate::structural::Schema;

/// A resource schema whose `spec.a` is this.
fn with(a: &Value) -> Schema {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": a}}}});
    Schema::compile(&schema, &FieldPath::root()).unwrap()
}

fn texts(old: &Value, new: &Value) -> Vec<String> {
    compare(&with(old), &with(new)).iter().map(ToString::to_string).collect()
}

#[rstest]
#[case::type_changed(
    json!({"type": "number"}), json!({"type": "integer"}),
    "spec.a: the type was number and is integer; keep the old type, or add a new field [hurts stored instances and clients]"
)]
#[case::int_or_string_removed(
    json!({"x-kubernetes-int-or-string": true}), json!({"type": "string"}),
    "spec.a: the type was integer or string and is string; keep the old type, or add a new field \
     [hurts stored instances and clients]"
)]
#[case::format_added(
    json!({"type": "string"}), json!({"type": "string", "format": "date-time"}),
    "spec.a: must have the format date-time now [hurts stored instances and clients]"
)]
#[case::format_narrowed(
    json!({"type": "integer", "format": "int64"}), json!({"type": "integer", "format": "int32"}),
    "spec.a: the format was int64 and is int32 [hurts stored instances and clients]"
)]
#[case::field_removed(
    json!({"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}}),
    json!({"type": "array", "items": {"type": "object"}}),
    "spec.a[*].name: the field is no longer in the schema and is dropped; keep it, or set \
     x-kubernetes-preserve-unknown-fields [hurts stored instances and clients]"
)]
#[case::preserve_removed(
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}), json!({"type": "object"}),
    "spec.a: unknown fields were kept and are dropped now; name them in the schema first \
     [hurts stored instances and clients]"
)]
#[case::kept_field_judged(
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"b": {"type": "string"}}}),
    "spec.a.b: the field was kept whatever it was, and must follow a schema now [hurts stored instances and clients]"
)]
#[case::map_became_fields(
    json!({"type": "object", "additionalProperties": {"type": "string"}}),
    json!({"type": "object", "properties": {"b": {"type": "string"}}}),
    "spec.a: additionalProperties takes less than before [hurts stored instances and clients]"
)]
#[case::entries_of_maps(
    json!({"type": "object", "additionalProperties": {"type": "string"}}),
    json!({"type": "object", "additionalProperties": {"type": "string", "maxLength": 3}}),
    "spec.a[*]: must be at most 3 characters now [hurts stored instances and clients]"
)]
#[case::enum_added(
    json!({"type": "string"}), json!({"type": "string", "enum": ["x"]}),
    "spec.a: any value could be used, now only one of [\"x\"] [hurts stored instances and clients]"
)]
#[case::enum_narrowed(
    json!({"type": "string", "enum": ["x", "y"]}), json!({"type": "string", "enum": ["x", "z"]}),
    "spec.a: can no longer be any of [\"y\"] [hurts stored instances and clients]"
)]
#[case::required_added(
    json!({"type": "object", "properties": {"b": {"type": "string"}}}),
    json!({"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}),
    "spec.a: \"b\" is required now and has no default; give it one, or leave it optional \
     [hurts stored instances and clients]"
)]
#[case::default_changed(
    json!({"type": "integer", "default": 1}), json!({"type": "integer", "default": 2}),
    "spec.a: the default was 1 and is 2: who left the field out gets another value [hurts clients]"
)]
#[case::default_removed(
    json!({"type": "integer", "default": 1}), json!({"type": "integer"}),
    "spec.a: there is no default any more, it was 1: who left the field out gets none [hurts clients]"
)]
#[case::default_under_a_count(
    json!({"type": "object", "maxProperties": 1, "properties": {"b": {"type": "string"}}}),
    json!({"type": "object", "maxProperties": 1, "properties": {"b": {"type": "string", "default": "x"}}}),
    "spec.a.b: the new default \"x\" may break a rule of its own schema or of an object around it; this cannot be \
     proven [hurts stored instances and clients]"
)]
#[case::pattern_added(
    json!({"type": "string"}), json!({"type": "string", "pattern": "^a"}),
    "spec.a: must match \"^a\" now [hurts stored instances and clients]"
)]
#[case::pattern_changed(
    json!({"type": "string", "pattern": "^a"}), json!({"type": "string", "pattern": "^ab?"}),
    "spec.a: had to match \"^a\" and must match \"^ab?\"; that it matches no less cannot be proven \
     [hurts stored instances and clients]"
)]
#[case::maximum(
    json!({"type": "integer", "maximum": 5}), json!({"type": "integer", "maximum": 4}),
    "spec.a: had to be at most 5 and must be at most 4 [hurts stored instances and clients]"
)]
#[case::exclusive(
    json!({"type": "integer", "minimum": 5}), json!({"type": "integer", "minimum": 5, "exclusiveMinimum": true}),
    "spec.a: had to be at least 5 and must be more than 5 [hurts stored instances and clients]"
)]
#[case::multiple_of(
    json!({"type": "integer", "multipleOf": 2}), json!({"type": "integer", "multipleOf": 4}),
    "spec.a: had to be a multiple of 2 and must be a multiple of 4 [hurts stored instances and clients]"
)]
#[case::nullable_removed(
    json!({"type": "integer", "nullable": true}), json!({"type": "integer"}),
    "spec.a: can no longer be null [hurts stored instances and clients]"
)]
#[case::list_type_to_set(
    json!({"type": "array", "items": {"type": "string"}}),
    json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}),
    "spec.a: x-kubernetes-list-type was atomic and is set: server-side apply merges the list differently \
     [hurts stored instances and clients]"
)]
#[case::list_type_to_atomic(
    json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}),
    json!({"type": "array", "items": {"type": "string"}}),
    "spec.a: x-kubernetes-list-type was set and is atomic: server-side apply merges the list differently [hurts clients]"
)]
#[case::map_type(
    json!({"type": "object"}), json!({"type": "object", "x-kubernetes-map-type": "atomic"}),
    "spec.a: x-kubernetes-map-type was granular and is atomic: server-side apply merges the map differently \
     [hurts clients]"
)]
#[case::alternatives(
    json!({"type": "string", "anyOf": [{"pattern": "^a"}]}), json!({"type": "string", "anyOf": [{"pattern": "^b"}]}),
    "spec.a: anyOf changed; that what was valid still is cannot be proven, compare it by hand \
     [hurts stored instances and clients]"
)]
#[case::embedded(
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "x-kubernetes-embedded-resource": true}),
    "spec.a: must be a whole resource now, with apiVersion and kind [hurts stored instances and clients]"
)]
fn each_change_is_named_once_with_its_field(#[case] old: Value, #[case] new: Value, #[case] text: &str) {
    assert_eq!(texts(&old, &new), [text]);
}

#[rstest]
#[case(json!({"type": "integer"}), json!({"type": "number"}))]
#[case(json!({"type": "string"}), json!({"x-kubernetes-int-or-string": true}))]
#[case(json!({"type": "string", "format": "date"}), json!({"type": "string"}))]
#[case(json!({"type": "string", "enum": ["x"]}), json!({"type": "string", "enum": ["y", "x"]}))]
#[case(json!({"type": "integer", "multipleOf": 6}), json!({"type": "integer", "multipleOf": 3}))]
#[case(json!({"type": "integer", "minimum": 1}), json!({"type": "integer", "minimum": 0}))]
#[case(json!({"type": "string", "not": {"pattern": "a"}}), json!({"type": "string"}))]
#[case(json!({"type": "object"}), json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}))]
#[case(
    json!({"type": "object"}),
    json!({"type": "object", "properties": {"b": {"type": "string", "default": "x"}}, "required": ["b"]})
)]
#[case(
    json!({"type": "object", "properties": {"b": {"type": "string", "pattern": "x"}}}),
    json!({"type": "object", "additionalProperties": {"type": "string"}})
)]
#[case(
    json!({"type": "object", "properties": {"b": {"type": "string"}}}),
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
)]
#[case(
    json!({"type": "object", "required": ["b"], "properties": {"b": {"type": "string"}}}),
    json!({"type": "object", "properties": {"b": {"type": "string"}, "c": {"type": "integer"}}})
)]
fn what_widens_is_not_named(#[case] old: Value, #[case] new: Value) {
    assert_eq!(texts(&old, &new), Vec::<String>::new());
}

#[test]
fn metadata_that_gets_a_schema_is_named_by_its_field() {
    let root = |metadata: Value| {
        let schema = json!({"type": "object", "properties": {"metadata": metadata}});
        Schema::compile(&schema, &FieldPath::root()).unwrap()
    };
    let none = Schema::compile(&json!({"type": "object"}), &FieldPath::root()).unwrap();
    let short = root(json!({"type": "object", "properties": {"name": {"type": "string", "maxLength": 9}}}));
    assert_eq!(compare(&none, &root(json!({"type": "object"}))), []);
    let found = compare(&none, &short);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, "metadata.name");
    assert_eq!(compare(&short, &none), []);
}

#[test]
fn long_values_are_cut_when_they_are_told() {
    let choices: Vec<Value> = (0..100).map(|i| json!(format!("choice-{i}"))).collect();
    let found = texts(&json!({"type": "string"}), &json!({"type": "string", "enum": choices}));
    assert!(found[0].chars().count() < 250, "{}", found[0]);
}
