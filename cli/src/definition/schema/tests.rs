use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{NODES_MAX, PRESERVE, structural};
use crate::definition::{judge, warnings::Warnings};

/// The schema of the field `f`, and what was told on the way.
fn field(schema: &Value) -> (Value, Vec<String>) {
    let mut warnings = Warnings::default();
    let made = structural(&json!({"type": "object", "properties": {"f": schema}}), &json!({}), &mut warnings);
    assert_eq!(judge::schema_fault(&made), None, "{made}");
    (made["properties"]["f"].clone(), warnings.lines())
}

#[track_caller]
fn becomes(schema: &Value, wanted: &Value) {
    assert_eq!(field(schema).0, *wanted);
}

fn nodes(schema: &Value) -> usize {
    let inside: usize = match schema {
        Value::Object(members) => members.values().map(nodes).sum(),
        Value::Array(items) => items.iter().map(nodes).sum(),
        _ => 0,
    };
    inside + usize::from(schema.get("type").is_some() || schema.get(PRESERVE).is_some())
}

#[test]
fn references_that_go_round_end_and_keep_what_is_below() {
    let tree = json!({"type": "object", "properties": {
        "name": {"type": "string"}, "left": {"$ref": "#/definitions/tree"},
        "others": {"type": "array", "items": {"$ref": "#/definitions/tree"}}
    }});
    let mut warnings = Warnings::default();
    let schema = json!({"definitions": {"tree": tree}, "properties": {"root": {"$ref": "#/definitions/tree"}}});
    let made = structural(&schema, &json!({}), &mut warnings);
    let open = json!({"type": "object", PRESERVE: true});
    assert_eq!(made["properties"]["root"]["properties"]["left"], open);
    assert_eq!(made["properties"]["root"]["properties"]["others"], json!({"type": "array", "items": open}));
    assert_eq!(warnings.lines().len(), 1, "{warnings:?}");
    assert!(warnings.lines()[0].starts_with("warning: spec.root.left: \"#/definitions/tree\" is a part of itself"));
}

#[test]
fn schemas_that_unfold_without_end_are_bounded() {
    // Each of 12 definitions has 10 fields of the next, and 8 of all.
    let name = |n: usize| format!("#/definitions/d{n}");
    let definition = |n: usize| {
        let next = (0..10).map(|f| (format!("f{f}"), json!({"$ref": name(n + 1)})));
        let all = (0..8).map(|f| (format!("g{f}"), json!({"$ref": name(f)})));
        (format!("d{n}"), json!({"type": "object", "properties": next.chain(all).collect::<serde_json::Map<_, _>>()}))
    };
    let definitions: serde_json::Map<_, _> = (0..12).map(definition).collect();
    let started = Instant::now();
    let mut warnings = Warnings::default();
    let made = structural(&json!({"definitions": definitions, "$ref": name(0)}), &json!({}), &mut warnings);
    assert!(nodes(&made) <= 2 * NODES_MAX, "{}", nodes(&made));
    assert_eq!(judge::schema_fault(&made), None);
    assert!(warnings.lines().iter().any(|line| line.contains("too large or too deep")), "{warnings:?}");
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

#[test]
fn text_that_many_references_repeat_is_bounded() {
    let long = json!({"type": "string", "description": "x".repeat(100_000)});
    let fields: serde_json::Map<_, _> =
        (0..5_000).map(|n| (format!("f{n}"), json!({"$ref": "#/definitions/long"}))).collect();
    let mut warnings = Warnings::default();
    let made = structural(&json!({"definitions": {"long": long}, "properties": fields}), &json!({}), &mut warnings);
    assert!(made.to_string().len() < 8 << 20);
    assert!(!warnings.lines().is_empty());
}

#[test]
fn patterns_that_kubernetes_does_not_have_are_left_out_and_told() {
    let (made, told) = field(&json!({"type": "string", "pattern": "^(?!x)", "maxLength": 3}));
    assert_eq!(made, json!({"type": "string", "maxLength": 3}));
    assert_eq!(told, [r#"warning: spec.f: Kubernetes has no such pattern as "^(?!x)"; it is left out"#]);
    becomes(&json!({"type": "string", "pattern": "^[a-z]$"}), &json!({"type": "string", "pattern": "^[a-z]$"}));
}

#[test]
fn fields_by_pattern_are_kept() {
    let string = json!({"type": "string"});
    becomes(
        &json!({"type": "object", "patternProperties": {"^a": string}, "additionalProperties": false}),
        &json!({"type": "object", "additionalProperties": {"type": "string"}}),
    );
    becomes(
        &json!({"type": "object", "patternProperties": {"^a": string, "^b": {"type": "integer"}}}),
        &json!({"type": "object", "additionalProperties": {"x-kubernetes-int-or-string": true}}),
    );
    becomes(
        &json!({"type": "object", "properties": {"a": string}, "patternProperties": {"^b": string}}),
        &json!({"type": "object", "properties": {"a": string}, PRESERVE: true}),
    );
    becomes(&json!({"type": "object", "additionalProperties": false}), &json!({"type": "object"}));
}

#[test]
fn all_of_is_one_schema() {
    becomes(
        &json!({
            "type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"],
            "allOf": [
                {"properties": {"a": {"minimum": 3, "maximum": 9}, "b": {"type": "string"}}, "required": ["b"]},
                {"properties": {"a": {"exclusiveMaximum": 9}, "c": {"enum": ["x", "y"]}}}
            ]
        }),
        &json!({"type": "object", "required": ["a", "b"], "properties": {
            "a": {"type": "integer", "minimum": 3, "maximum": 9, "exclusiveMaximum": true},
            "b": {"type": "string"}, "c": {"type": "string", "enum": ["x", "y"]}
        }}),
    );
    becomes(
        &json!({"allOf": [{"type": "string", "pattern": "a"}, {"pattern": "b", "minLength": 2}], "minLength": 1}),
        &json!({"type": "string", "minLength": 2, "pattern": "a", "allOf": [{"pattern": "b"}]}),
    );
    becomes(
        &json!({"allOf": [{"enum": [1, 2]}, {"enum": [2, 3]}, {"type": ["integer", "string"]}]}),
        &json!({"type": "integer", "enum": [2]}),
    );
}

#[test]
fn what_holds_only_sometimes_bounds_nothing_and_its_fields_are_known() {
    let (made, told) = field(&json!({
        "type": "object", "properties": {"mode": {"type": "string"}, "size": {"type": "integer", "minimum": 1}},
        "if": {"properties": {"mode": {"const": "big"}}},
        "then": {"required": ["extra"], "properties": {
            "size": {"minimum": 10}, "extra": {"type": "string", "minLength": 3}
        }},
        "else": {"properties": {"other": {"type": "boolean"}}},
        "not": {"required": ["x"]},
        "dependencies": {"mode": {"properties": {"depends": {"type": "integer"}}}, "size": ["mode"]}
    }));
    assert_eq!(
        made,
        json!({"type": "object", "properties": {
            "mode": {"type": "string"}, "size": {"type": "integer", "minimum": 1}, "extra": {"type": "string"},
            "other": {"type": "boolean"}, "depends": {"type": "integer"}
        }})
    );
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn alternatives_of_one_type_have_the_fields_of_all() {
    becomes(
        &json!({"oneOf": [
            {"type": "object", "properties": {"kind": {"const": "a"}, "size": {"type": "integer", "minimum": 2}},
                "required": ["kind", "size"], "additionalProperties": false},
            {"type": "object", "properties": {"kind": {"const": "b"}, "name": {"type": "string"}}, "required": ["kind"],
                "additionalProperties": false}
        ]}),
        &json!({"type": "object", "required": ["kind"], "properties": {
            "kind": {"type": "string", "enum": ["a", "b"]}, "size": {"type": "integer"}, "name": {"type": "string"}
        }}),
    );
    becomes(
        &json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
        &json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}),
    );
    becomes(
        &json!({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 5}, {"type": "integer", "minimum": 3}]}),
        &json!({"type": "integer", "minimum": 1}),
    );
    becomes(
        &json!({"oneOf": [{"type": "object", "properties": {"a": {}}}, {"type": "object"}]}),
        &json!({
            "type": "object", "properties": {"a": {PRESERVE: true}}, PRESERVE: true
        }),
    );
}

#[test]
fn alternatives_of_several_types_are_what_kubernetes_has_for_them() {
    let int_or_string = json!({"x-kubernetes-int-or-string": true});
    becomes(&json!({"oneOf": [{"type": "string"}, {"type": "integer"}]}), &int_or_string);
    becomes(
        &json!({"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": true}),
        &int_or_string,
    );
    becomes(
        &json!({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "%$"}]}),
        &json!({"x-kubernetes-int-or-string": true, "minimum": 1, "pattern": "%$"}),
    );
    becomes(
        &json!({"anyOf": [{"type": "string", "enum": ["a"], "description": "d"}, {"type": "null"}]}),
        &json!({"type": "string", "nullable": true, "description": "d", "allOf": [{"enum": ["a"]}]}),
    );
    becomes(
        &json!({"oneOf": [{"type": "string"}, {"type": "object", "properties": {"a": {}}}]}),
        &json!({PRESERVE: true}),
    );
    becomes(&json!({"type": ["number", "string"]}), &json!({PRESERVE: true}));
}

#[test]
fn types_come_from_what_is_said_besides() {
    becomes(&json!({"enum": ["a", "b"]}), &json!({"type": "string", "enum": ["a", "b"]}));
    becomes(&json!({"enum": [1, "b"]}), &json!({"x-kubernetes-int-or-string": true, "enum": [1, "b"]}));
    becomes(&json!({"enum": [true, "auto"]}), &json!({PRESERVE: true, "enum": [true, "auto"]}));
    becomes(&json!({"const": 3}), &json!({"type": "integer", "enum": [3]}));
    becomes(&json!({"type": ["string", "null"]}), &json!({"type": "string", "nullable": true}));
    becomes(&json!({"enum": ["a", null]}), &json!({"type": "string", "nullable": true, "allOf": [{"enum": ["a"]}]}));
    becomes(&json!({"items": {"type": "string"}}), &json!({"type": "array", "items": {"type": "string"}}));
    becomes(&json!({"items": [{"type": "string"}]}), &json!({"type": "array", "items": {PRESERVE: true}}));
    becomes(&json!({"type": "array"}), &json!({"type": "array", "items": {PRESERVE: true}}));
    becomes(&json!(true), &json!({PRESERVE: true}));
    becomes(&json!({}), &json!({PRESERVE: true}));
}

#[test]
fn what_is_said_of_parts_does_not_bind_values_of_other_types() {
    let anything = json!({PRESERVE: true});
    // As helm-schema writes it for a list.
    becomes(&json!({"additionalProperties": true, "items": {"type": "string"}}), &anything);
    becomes(&json!({"properties": {"a": {"type": "string"}}, "items": {}}), &anything);
    becomes(
        &json!({"type": "array", "additionalProperties": true, "items": {"type": "string"}}),
        &json!({"type": "array", "items": {"type": "string"}}),
    );
    becomes(&json!({"additionalProperties": true}), &json!({"type": "object", PRESERVE: true}));
    let guessed = |schema: Value, value: Value| {
        let schema = json!({"type": "object", "properties": {"f": schema}});
        let made = structural(&schema, &json!({"f": value}), &mut Warnings::default());
        assert_eq!(judge::schema_fault(&made), None, "{made}");
        made["properties"]["f"].clone()
    };
    let fields = json!({"properties": {"a": {"type": "string"}}});
    for value in [json!([]), json!(""), json!(false), json!(3)] {
        assert_eq!(guessed(fields.clone(), value.clone()), anything, "{value}");
        assert_eq!(guessed(json!({"allOf": [fields]}), value.clone()), anything, "{value}");
    }
    let object = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    for value in [json!({}), json!(null), json!({"a": "x"})] {
        assert_eq!(guessed(fields.clone(), value.clone()), object, "{value}");
    }
    assert_eq!(guessed(json!({"items": {"type": "string"}}), json!({"a": 1})), anything);
    assert_eq!(guessed(object.clone(), json!([])), object, "a type that is said is kept");
    let list = |inner: Value| json!({"type": "array", "items": inner});
    assert_eq!(guessed(list(fields.clone()), json!([{"a": "x"}, "x"])), list(anything.clone()));
    assert_eq!(guessed(list(fields.clone()), json!([{"a": "x"}, null])), list(object.clone()));
    let map = |inner: Value| json!({"type": "object", "additionalProperties": inner});
    assert_eq!(guessed(map(fields), json!({"k": ["x"]})), map(anything));
}

#[test]
fn a_reference_with_more_beside_it_keeps_both() {
    let mut warnings = Warnings::default();
    let schema = json!({
        "$defs": {"port": {"type": "integer", "minimum": 1, "description": "A port"}},
        "properties": {
            "all": {"allOf": [{"$ref": "#/$defs/port"}], "description": "Of the service"},
            "beside": {"$ref": "#/$defs/port", "maximum": 9},
            "lost": {"$ref": "https://example.com/schema.json"}
        }
    });
    let made = structural(&schema, &json!({}), &mut warnings);
    let port = json!({"type": "integer", "minimum": 1, "description": "Of the service"});
    assert_eq!(made["properties"]["all"], port);
    assert_eq!(made["properties"]["beside"]["maximum"], 9);
    assert_eq!(made["properties"]["lost"], json!({PRESERVE: true}));
    assert_eq!(warnings.lines().len(), 1);
}

#[test]
fn keywords_of_wrong_types_are_left_out() {
    becomes(
        &json!({"type": "string", "minLength": "1", "maxLength": 5.0, "title": 1, "pattern": 7, "format": false,
            "multipleOf": 2, "minItems": 3, "default": null, "nullable": "yes", "x-kubernetes-group-version-kind": []}),
        &json!({"type": "string", "maxLength": 5}),
    );
    becomes(
        &json!({"type": "integer", "multipleOf": 2, "minimum": 1, "exclusiveMinimum": 3}),
        &json!({
            "type": "integer", "multipleOf": 2, "minimum": 3, "exclusiveMinimum": true
        }),
    );
    becomes(&json!({"type": "int"}), &json!({PRESERVE: true}));
    becomes(&json!({"type": "object", "properties": [], "required": "x"}), &json!({"type": "object", PRESERVE: true}));
}
