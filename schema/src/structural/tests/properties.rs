//! What holds for all objects.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::compile;
use crate::decode::json_with_duplicates;
use crate::field::FieldPath;
use crate::structural::node::Additional;
use crate::structural::{Schema, default, fit, validate};

/// A schema that uses every keyword, of names that random objects hit.
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    compile(&json!({"type": "object", "required": ["a"], "properties": {
        "a": {"type": "object", "default": {"b": null, "c": [{}]}, "properties": {
            "b": {"type": "string", "nullable": true, "pattern": "^a", "maxLength": 3, "format": "duration"},
            "c": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["d"], "maxItems": 3,
                "items": {"type": "object", "properties": {
                    "d": {"type": "integer", "default": 1, "maximum": 3, "multipleOf": 1},
                    "e": {"x-kubernetes-preserve-unknown-fields": true, "type": "object",
                        "properties": {"a": {"type": "boolean", "default": true}}}}}}}},
        "b": {"x-kubernetes-int-or-string": true, "default": 1},
        "c": {"type": "object", "minProperties": 1,
            "additionalProperties": {"type": "number", "minimum": 0.5, "default": 1}},
        "d": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string", "enum": ["a", "b"]}},
        "e": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
    }, "anyOf": [{"required": ["b"]}, {"properties": {"c": {"maxProperties": 1}}}], "not": {"required": ["d"]}}))
});

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..4i64).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ab]{0,4}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        let name = prop_oneof!["[abcde]", "kind|apiVersion|metadata"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// As kube-apiserver treats what it is sent.
fn admitted(object: &Value) -> Value {
    let mut object = object.clone();
    SCHEMA.prune(&mut object);
    SCHEMA.default(&mut object);
    object
}

proptest! {
    #[test]
    fn pruning_twice_is_pruning_once(mut object in any_json()) {
        SCHEMA.prune(&mut object);
        let once = object.clone();
        prop_assert!(SCHEMA.prune(&mut object).is_empty());
        prop_assert_eq!(object, once);
    }

    #[test]
    fn defaulting_twice_is_defaulting_once(mut object in any_json()) {
        SCHEMA.default(&mut object);
        let once = object.clone();
        SCHEMA.default(&mut object);
        prop_assert_eq!(object, once);
    }

    #[test]
    fn nulls_are_dropped_before_defaults_are_filled_in(object in any_json()) {
        let (mut at_once, mut apart) = (object.clone(), object);
        SCHEMA.default(&mut at_once);
        default::drop_nulls(&mut apart, SCHEMA.root());
        default::add_defaults(&mut apart, SCHEMA.root());
        prop_assert_eq!(at_once, apart);
    }

    #[test]
    fn any_object_can_be_validated(object in any_json(), old in any_json()) {
        SCHEMA.validate(&object);
        SCHEMA.validate_update(&admitted(&object), &old);
    }

    #[test]
    fn an_object_fits_its_schema_if_nothing_is_wrong_with_it(object in any_json()) {
        for object in [&object, &admitted(&object)] {
            let wrong = validate::at_length(SCHEMA.root(), object, None, &FieldPath::root());
            prop_assert_eq!(fit::fits(SCHEMA.root(), object), wrong.is_empty(), "{:?}", wrong);
        }
    }

    #[test]
    fn a_value_fits_the_schema_of_a_field_if_nothing_is_wrong_with_it(value in any_json()) {
        let mut inner = vec![SCHEMA.root()];
        while let Some(schema) = inner.pop() {
            let wrong = validate::at_length(schema, &value, None, &FieldPath::root());
            prop_assert_eq!(fit::fits(schema, &value), wrong.is_empty(), "{:?}", wrong);
            inner.extend(schema.properties.values().chain(schema.items.as_deref()));
            inner.extend(schema.any_of.iter().chain(schema.additional.as_ref().and_then(Additional::schema)));
        }
    }

    #[test]
    fn an_object_that_does_not_change_has_only_errors_outside_of_its_schema(object in any_json()) {
        // Only the object's type, alternatives aside, and embedded resources are judged again.
        let object = admitted(&object);
        let errors = SCHEMA.validate_update(&object, &object);
        prop_assert!(errors.iter().all(|e| e.field.starts_with("e.")) || !object.is_object()
            || errors.len() <= SCHEMA.validate(&object).len());
    }

    #[test]
    fn what_serde_writes_is_decoded_as_it_was(object in any_json()) {
        let (decoded, duplicates) = json_with_duplicates(object.to_string().as_bytes()).unwrap();
        prop_assert!(duplicates.is_empty());
        prop_assert_eq!(decoded.as_object().map(|map| map.len()), object.as_object().map(|map| map.len()));
        prop_assert_eq!(decoded.as_str(), object.as_str());
        prop_assert_eq!(decoded.as_i64(), object.as_i64());
    }

    #[test]
    fn any_bytes_can_be_decoded(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = json_with_duplicates(&bytes);
    }
}
