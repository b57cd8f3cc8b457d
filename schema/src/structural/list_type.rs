//! Duplicates in lists of type set and map.
//!
//! Follows apiextensions-apiserver/pkg/apiserver/schema/listtype/validation.go.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::node::{Additional, Node};
use super::ratchet::scalar_key;
use super::trail::Trail;
use crate::field::{FieldError, FieldPath, print};

/// Every second appearance of an item, or of an item's keys.
pub(super) fn duplicates(value: &Value, schema: &Node) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(value, schema, Trail::Root, &mut errors);
    errors
}

fn walk(value: &Value, schema: &Node, trail: Trail<'_>, errors: &mut Vec<FieldError>) {
    match value {
        Value::Object(map) => {
            if let Some(entry) = schema.additional.as_ref().and_then(Additional::schema) {
                for (name, value) in map {
                    walk(value, entry, Trail::Entry(&trail, name), errors);
                }
            }
            for (name, value) in map {
                if let Some(field) = schema.properties.get(name) {
                    walk(value, field, Trail::Field(&trail, name), errors);
                }
            }
        }
        Value::Array(items) => {
            match schema.list_type() {
                "set" => {
                    let keys = items.iter().map(key_of);
                    for i in second_appearances(keys) {
                        errors.push(FieldError::duplicate(&item_path(trail, i), &items[i]));
                    }
                }
                "map" => list_map(items, schema, trail, errors),
                _ => {}
            }
            if let Some(item_schema) = schema.items.as_deref() {
                for (i, item) in items.iter().enumerate() {
                    walk(item, item_schema, Trail::Item(&trail, i), errors);
                }
            }
        }
        _ => {}
    }
}

fn list_map(items: &[Value], schema: &Node, trail: Trail<'_>, errors: &mut Vec<FieldError>) {
    if let Some((i, item)) = items.iter().enumerate().find(|(_, item)| !item.is_null() && !item.is_object()) {
        let detail = "must be an object for an array of list-type map";
        errors.push(FieldError::invalid(&item_path(trail, i), item, detail));
        return;
    }
    let names = &schema.extensions.list_map_keys;
    let keys: Vec<Value> = items.iter().map(|item| keys_of(item, names)).collect();
    // One key is compared as it is, several as JSON, where 2 and 2.0 are the same.
    let compared = keys.iter().map(|key| match &names[..] {
        [name] => key.get(name).map(key_of).unwrap_or_default(),
        _ => key_of(key),
    });
    for i in second_appearances(compared) {
        errors.push(FieldError::duplicate(&item_path(trail, i), &keys[i]));
    }
}

/// The keys of an item, as an object; absent ones are left out.
fn keys_of(item: &Value, names: &[String]) -> Value {
    let of = |name: &String| item.get(name).map(|value| (name.clone(), value.clone()));
    Value::Object(names.iter().filter_map(of).collect::<Map<_, _>>())
}

/// The indices of items that appear for the second time.
fn second_appearances(keys: impl Iterator<Item = String>) -> Vec<usize> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut second = Vec::new();
    for (i, key) in keys.enumerate() {
        let times = seen.entry(key).or_default();
        *times += 1;
        if *times == 2 {
            second.push(i);
        }
    }
    second
}

/// A text that two values share when Kubernetes holds them equal.
fn key_of(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => print::json(value),
        scalar => scalar_key(scalar),
    }
}

fn item_path(trail: Trail<'_>, index: usize) -> FieldPath {
    trail.path(&FieldPath::root()).index(index)
}
