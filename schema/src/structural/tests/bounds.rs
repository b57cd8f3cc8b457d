//! Whatever a tenant writes, and whatever an administrator allows, ends soon.
//!
//! The times are generous: what these tests find takes minutes, or more memory than there is.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::super::{SCHEMA_NODES_MAX, Schema};
use super::{compile, texts, with_spec};
use crate::decode::json_with_duplicates;
use crate::field::FieldPath;

/// As large as a request may be, in bytes.
const BODY_BYTES: usize = 3 << 20;

#[track_caller]
fn soon<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = act();
    let took = started.elapsed();
    assert!(took < Duration::from_secs(10), "{what} took {took:?}");
    result
}

/// Everything that happens to an object, twice for updates.
#[track_caller]
fn admit(schema: &Schema, object: &Value) -> Vec<String> {
    let mut object = object.clone();
    let unknown = soon("pruning", || schema.prune(&mut object));
    soon("defaulting", || schema.default(&mut object));
    let errors = soon("validating", || schema.validate(&object));
    soon("validating an update", || schema.validate_update(&object, &object));
    assert!(unknown.iter().map(String::len).sum::<usize>() < 2 * BODY_BYTES);
    assert!(errors.len() <= 3002, "{}", errors.len());
    texts(&errors)
}

fn long_key() -> String {
    "k".repeat(BODY_BYTES / 3)
}

fn object_of(entries: usize, value: &Value) -> Value {
    (0..entries).map(|i| (format!("k{i}"), value.clone())).collect::<Map<_, _>>().into()
}

#[test]
fn a_schema_of_many_schemas_compiles_or_is_refused_soon() {
    let wide = |count: usize| with_spec(&object_of(count, &json!({"type": "string", "maxLength": 9, "default": "x"})));
    let schema = soon("compiling", || compile(&wide(SCHEMA_NODES_MAX - 10)));
    assert!(admit(&schema, &json!({"spec": {}})).is_empty());
    let refused = soon("refusing", || Schema::compile(&wide(SCHEMA_NODES_MAX * 10), &FieldPath::root())).unwrap_err();
    assert_eq!(refused.len(), 1);
    let wrong = object_of(SCHEMA_NODES_MAX - 10, &json!({"type": "oops", "x-kubernetes-list-type": "set"}));
    soon("refusing each", || Schema::compile(&with_spec(&wrong), &FieldPath::root()).unwrap_err());
}

#[test]
fn a_schema_of_many_large_patterns_is_refused_soon() {
    let patterns: Map<String, Value> = (0..5000)
        .map(|i| (format!("k{i}"), json!({"type": "string", "pattern": format!(r"^(\pL{{50}}){{2}}{i}$")})))
        .collect();
    let errors = soon("compiling", || Schema::compile(&with_spec(&patterns.into()), &FieldPath::root())).unwrap_err();
    assert!(errors[0].detail.ends_with("would take too much memory"), "{}", errors[0]);
}

#[test]
fn a_pattern_that_visits_every_state_ends() {
    let text = "ab".repeat(BODY_BYTES / 2);
    for pattern in ["[ab]*a[ab]{999}$", "(a?){999}a{999}$", "^(([ab]*)*)*c$", "^(a|b|ab)*c$", ".*.*.*.*.*.*c"] {
        let schema = compile(&with_spec(&json!({"a": {"type": "string", "pattern": pattern}})));
        assert!(!admit(&schema, &json!({"spec": {"a": text}})).is_empty(), "{pattern}");
    }
}

#[test]
fn sets_and_maps_with_many_entries_are_compared_in_linear_time() {
    let keyed = json!({"type": "object", "required": ["k", "l"], "properties": {
        "k": {"type": "string"}, "l": {"type": "integer"}, "v": {"type": "string"}}});
    let schema = compile(&with_spec(&json!({
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "integer"}},
        "objects": {"type": "array", "x-kubernetes-list-type": "set", "items":
            {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "integer"}}},
        "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": keyed},
        "two": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k", "l"],
            "items": keyed},
        "any": {"type": "object", "additionalProperties": {"type": "string"}},
    })));
    let items = |make: &dyn Fn(usize) -> Value, count: usize| (0..count).map(make).collect::<Vec<_>>();
    let item = |i: usize| json!({"k": format!("k{i}"), "l": i});
    let object = json!({"spec": {
        "set": items(&Value::from, 300_000),
        "objects": items(&|i| json!({"n": i}), 10_000),
        "map": items(&item, 20_000),
        "two": items(&item, 20_000),
        "any": object_of(100_000, &json!("v")),
    }});
    assert_eq!(admit(&schema, &object), [""; 0]);
    let twice = json!({"spec": {"set": items(&|i| Value::from(i / 2), 300_000)}});
    assert_eq!(admit(&schema, &twice).len(), 1000);
}

#[test]
fn a_list_with_many_alternatives_or_choices_ends_with_an_error_about_the_work() {
    let alternatives: Vec<Value> = (1..5000).map(|i| json!({"minimum": i * 10})).collect();
    let choices: Vec<Value> = (1..100_000).map(|i| json!(i * 10)).collect();
    let schema = compile(&with_spec(&json!({
        "a": {"type": "array", "items": {"type": "integer", "anyOf": alternatives}},
        "b": {"type": "array", "items": {"type": "integer", "enum": choices}},
    })));
    for name in ["a", "b"] {
        let errors = admit(&schema, &json!({"spec": {name: vec![1; 500_000]}}));
        let last = errors.last().map(String::as_str).unwrap_or_default();
        assert!(last.ends_with("takes more than 20000000 steps"), "{last}");
    }
}

#[test]
fn a_long_key_above_many_mistakes_is_not_repeated_for_each() {
    let any = |schema: Value| json!({"type": "object", "additionalProperties": schema});
    let schema = compile(&with_spec(&json!({
        "wrong": any(json!({"type": "array", "items": {"type": "string"}})),
        "unknown": any(json!({"type": "object", "properties": {"a": {"type": "string"}}})),
        "items": any(json!({"type": "array", "items": {"type": "object"}})),
        "twice": any(json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "integer"}})),
        "missing": any(json!({"type": "array", "items": {"type": "object", "required": ["a"],
            "properties": {"a": {"type": "string"}}}})),
        "resources": any(json!({"type": "array", "items": {"type": "object", "x-kubernetes-embedded-resource": true,
            "x-kubernetes-preserve-unknown-fields": true}})),
    })));
    let twice: Vec<usize> = (0..200_000).map(|i| i / 2).collect();
    for (name, value, mistakes) in [
        ("wrong", json!(vec![1; 500_000]), true),
        ("unknown", object_of(200_000, &json!(1)), false),
        ("items", json!(vec![json!({"b": 1}); 200_000]), false),
        ("twice", json!(twice), true),
        ("missing", json!(vec![json!({}); 500_000]), true),
        ("resources", json!(vec![json!({}); 500_000]), true),
    ] {
        let errors = admit(&schema, &json!({"spec": {name: {long_key(): value}}}));
        assert_eq!(!errors.is_empty(), mistakes, "{name}");
        assert!(errors.iter().map(String::len).sum::<usize>() < 64 << 20, "{name}");
    }
}

#[test]
fn duplicates_below_a_long_key_are_not_repeated_for_each() {
    let inner: Vec<String> = (0..100_000).map(|i| format!("\"a\":{i},\"b{i}\":1,\"b{i}\":2")).collect();
    let text = format!("{{\"{}\":{{{}}}}}", long_key(), inner.join(","));
    let (_, duplicates) = soon("decoding", || json_with_duplicates(text.as_bytes())).unwrap();
    assert!(!duplicates.is_empty() && duplicates.len() <= 100);
}

#[test]
fn defaults_of_many_empty_objects_do_not_fill_the_memory() {
    let default = object_of(50, &json!("a value that is somewhat long"));
    let schema = compile(&with_spec(&json!({"a": {"type": "array", "items": {"type": "object", "properties": {
        "b": {"type": "object", "default": default, "additionalProperties": {"type": "string"}}}}}})));
    let mut object = json!({"spec": {"a": vec![json!({}); 1_000_000]}});
    soon("defaulting", || schema.default(&mut object));
    let filled = object["spec"]["a"].as_array().unwrap().iter().filter(|item| item.get("b").is_some()).count();
    assert_eq!(filled, super::super::default::DEFAULTED_VALUES_MAX / 51);
}

#[test]
fn an_object_that_nests_as_deep_as_can_be_is_validated() {
    let schema = compile(&json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}));
    let levels = crate::decode::JSON_DEPTH_MAX;
    let text = format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    let (object, _) = json_with_duplicates(text.as_bytes()).unwrap();
    assert!(admit(&schema, &object).is_empty());
}
