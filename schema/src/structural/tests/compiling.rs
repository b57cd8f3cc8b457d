//! Which schemas compile, and what is said of those that do not.

use rstest::rstest;
use serde_json::{Value, json};

use super::{compile, compile_errors, with_spec};
use crate::field::FieldPath;
use crate::structural::{SCHEMA_DEPTH_MAX, Schema};

#[rstest]
#[case::no_type(json!({"a": {}}), &["schema.properties[spec].properties[a].type: Required value: must not be empty for specified object fields"])]
#[case::no_items(json!({"a": {"type": "array"}}), &["schema.properties[spec].properties[a].items: Required value: must be specified"])]
#[case::unknown_type(json!({"a": {"type": "text"}}), &[r#"schema.properties[spec].properties[a].type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", "object", "string""#])]
#[case::reference(json!({"a": {"$ref": "#/x", "type": "object"}}), &["schema.properties[spec].properties[a].$ref: Forbidden: $ref is not supported"])]
#[case::unique(json!({"a": {"type": "array", "uniqueItems": true, "items": {"type": "string"}}}), &["schema.properties[spec].properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic"])]
#[case::both_kinds_of_properties(json!({"a": {"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": {"type": "string"}}}), &["schema.properties[spec].properties[a].additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"])]
#[case::type_in_alternative(json!({"a": {"type": "string", "anyOf": [{"type": "string"}]}}), &["schema.properties[spec].properties[a].anyOf[0].type: Forbidden: must be empty to be structural"])]
#[case::pattern(json!({"a": {"type": "string", "pattern": "("}}), &[r#"schema.properties[spec].properties[a].pattern: Invalid value: "(": must be a valid regular expression, but isn't: unclosed group"#])]
#[case::default_of_wrong_type(json!({"a": {"type": "string", "default": 1}}), &[r#"schema.properties[spec].properties[a].default: Invalid value: "integer":  in body must be of type string: "integer""#])]
#[case::default_with_unknown_field(json!({"a": {"type": "object", "default": {"b": 1}}}), &[r#"schema.properties[spec].properties[a].default: Invalid value: {"b":1}: must not have unknown fields"#])]
#[case::list_map_without_keys(json!({"a": {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"}}), &["schema.properties[spec].properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"])]
#[case::optional_key(json!({"a": {"type": "array", "items": {"type": "object", "properties": {"k": {"type": "string"}}}, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}}), &["schema.properties[spec].properties[a].items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"])]
#[case::preserve_false(json!({"a": {"type": "object", "x-kubernetes-preserve-unknown-fields": false}}), &["schema.properties[spec].properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined"])]
#[case::mistyped(json!({"a": {"type": ["string"]}}), &[r#"schema.properties[spec].properties[a].type: Invalid value: ["string"]: must be a string"#])]
fn a_schema_that_is_not_structural_is_refused(#[case] properties: Value, #[case] errors: &[&str]) {
    assert_eq!(compile_errors(&with_spec(&properties)), errors);
}

#[test]
fn metadata_may_only_restrict_the_name() {
    let schema = |name: &str| json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {name: {"type": "string"}}}}});
    compile(&schema("name"));
    assert_eq!(
        compile_errors(&schema("labels")),
        ["schema.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but \
          metadata is implicitly specified"]
    );
}

#[test]
fn alternatives_may_only_speak_of_what_is_specified() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]},
        {"properties": {"b": {"minLength": 1}}}]});
    assert_eq!(
        compile_errors(&schema),
        ["schema.properties[b]: Required value: because it is defined in schema.anyOf[1].properties[b]"]
    );
}

#[test]
fn int_or_string_may_spell_its_types_out() {
    compile(&with_spec(
        &json!({"a": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        "b": {"x-kubernetes-int-or-string": true, "allOf": [{"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"pattern": "a"}]},
        "c": {"x-kubernetes-int-or-string": true}}),
    ));
}

#[test]
fn a_schema_that_nests_too_deep_is_refused() {
    let mut schema = json!({"type": "string"});
    for _ in 0..SCHEMA_DEPTH_MAX {
        schema = json!({"type": "object", "properties": {"a": schema}});
    }
    let errors = Schema::compile(&schema, &FieldPath::root()).unwrap_err();
    assert!(errors[0].detail.ends_with("schemas must not nest deeper than 64"), "{errors:?}");
}

#[test]
fn rules_are_reported_where_they_stand() {
    let rules = json!([{"rule": "true"}]);
    let schema = compile(&json!({"type": "object", "x-kubernetes-validations": rules, "properties": {
        "spec": {"type": "object", "properties": {"list": {"type": "array", "items":
            {"type": "object", "properties": {"a": {"type": "string", "x-kubernetes-validations": rules}}}}}}}}));
    assert_eq!(schema.rules(), ["", "spec.list[*].a"]);
}

#[test]
fn other_keywords_are_kept_and_ignored() {
    let raw = with_spec(&json!({"a": {"type": "string", "x-display": {"order": 1}, "const": "b"}}));
    let schema = compile(&raw);
    assert_eq!(schema.raw(), &raw);
    assert!(schema.validate(&json!({"spec": {"a": "c"}})).is_empty());
}
