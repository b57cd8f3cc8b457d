//! Which schemas compile, and what is said of those that do not.

use serde_json::{Value, json};

use super::{compile, compile_errors, with_spec};
use crate::field::FieldPath;
use crate::structural::{SCHEMA_DEPTH_MAX, Schema};

/// What is said of one schema.
#[derive(serde::Deserialize)]
struct Case {
    name: String,
    properties: Value,
    errors: Vec<String>,
}

#[test]
fn a_schema_that_is_not_structural_is_refused() {
    let cases: Vec<Case> = serde_saphyr::from_str(include_str!("refused.yaml")).unwrap();
    for case in cases {
        assert_eq!(compile_errors(&with_spec(&case.properties)), case.errors, "{}", case.name);
    }
}

#[test]
fn metadata_may_only_restrict_the_name() {
    let schema = |name: &str| {
        let metadata = json!({"type": "object", "properties": {name: {"type": "string"}}});
        json!({"type": "object", "properties": {"metadata": metadata}})
    };
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
        "b": {"x-kubernetes-int-or-string": true, 
            "allOf": [{"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"pattern": "a"}]},
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
fn other_keywords_are_kept_and_ignored() {
    let raw = with_spec(&json!({"a": {"type": "string", "x-display": {"order": 1}, "const": "b"}}));
    let schema = compile(&raw);
    assert_eq!(schema.raw(), raw);
    assert!(schema.validate(&json!({"spec": {"a": "c"}})).is_empty());
}
