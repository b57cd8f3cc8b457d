//! Duplicates in lists of type set and map.
//!
//! Follows apiextensions-apiserver/pkg/apiserver/schema/listtype/validation.go.

use kindsmith_text::print;
use std::collections::HashMap;

use serde_json::{Map, Value};

use super::bounds::Collector;
use super::node::{Additional, Node};
use super::trail::Trail;
use crate::field::{FieldError, FieldPath};

/// Every second appearance of an item, or of an item's keys.
pub(super) fn duplicates(value: &Value, schema: &Node) -> Vec<FieldError> {
    let mut errors = Collector::default();
    walk(value, schema, Trail::Root, &mut errors);
    errors.into_errors()
}

fn walk(value: &Value, schema: &Node, trail: Trail<'_>, errors: &mut Collector) {
    if schema.absent.keyed_lists || errors.is_full() {
        return;
    }
    match value {
        Value::Object(map) => {
            if let Some(entry) = schema.additional.as_ref().and_then(Additional::schema) {
                for (name, value) in map {
                    walk(value, entry, Trail::Entry(&trail, name), errors);
                }
            }
            let mut fields = schema.properties.in_order();
            for (name, value) in map {
                if let Some(field) = fields.get(name) {
                    walk(value, field, Trail::Field(&trail, name), errors);
                }
            }
        }
        Value::Array(items) => {
            match schema.list_type() {
                "set" => {
                    let second = second_appearances(items.iter().map(Key::of));
                    report(&second, trail, |i| items.get(i).cloned(), errors);
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

fn list_map(items: &[Value], schema: &Node, trail: Trail<'_>, errors: &mut Collector) {
    if let Some((i, item)) = items.iter().enumerate().find(|(_, item)| !item.is_null() && !item.is_object()) {
        let detail = "must be an object for an array of list-type map";
        errors.push(FieldError::invalid(&item_path(trail, i), item, detail));
        return;
    }
    let names = &schema.extensions.list_map_keys;
    // One key is compared as it is, several as JSON, where 2 and 2.0 are the same.
    let second = match &names[..] {
        [name] => second_appearances(items.iter().map(|item| item.get(name).map_or(Key::Absent, Key::of))),
        _ => second_appearances(items.iter().map(|item| Key::of_object(&keys_of(item, names)))),
    };
    report(&second, trail, |i| items.get(i).map(|item| keys_of(item, names)), errors);
}

/// Reports items, as long as there is room: each names its whole path.
fn report(indices: &[usize], trail: Trail<'_>, shown: impl Fn(usize) -> Option<Value>, errors: &mut Collector) {
    for &i in indices {
        if errors.is_full() {
            return;
        }
        errors.push(FieldError::duplicate(&item_path(trail, i), &shown(i).unwrap_or_default()));
    }
}

/// The keys of an item, as an object; absent ones are left out.
fn keys_of(item: &Value, names: &[String]) -> Value {
    let of = |name: &String| item.get(name).map(|value| (name.clone(), value.clone()));
    Value::Object(names.iter().filter_map(of).collect::<Map<_, _>>())
}

/// The indices of items that appear for the second time.
fn second_appearances<'a>(keys: impl ExactSizeIterator<Item = Key<'a>>) -> Vec<usize> {
    // Most lists are short, and then looking is quicker than hashing.
    const SHORT: usize = 8;
    let mut second = Vec::new();
    if keys.len() <= SHORT {
        let keys: Vec<Key<'_>> = keys.collect();
        for (i, key) in keys.iter().enumerate() {
            if keys.iter().take(i).filter(|before| *before == key).count() == 1 {
                second.push(i);
            }
        }
        return second;
    }
    let mut seen: HashMap<Key<'_>, usize> = HashMap::with_capacity(keys.len());
    for (i, key) in keys.enumerate() {
        let times = seen.entry(key).or_default();
        *times += 1;
        if *times == 2 {
            second.push(i);
        }
    }
    second
}

/// What two values share when Kubernetes holds them equal: integers and floats differ, but inside of lists and objects.
#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    Absent,
    Null,
    Bool(bool),
    Integer(i64),
    /// The bits of a float, of which there is one zero.
    Float(u64),
    Text(&'a str),
    Json(String),
}

impl<'a> Key<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(bool) => Self::Bool(*bool),
            Value::String(text) => Self::Text(text),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(int), _) => Self::Integer(int),
                // Adding makes the negative zero positive.
                (None, float) => Self::Float((float.unwrap_or_default() + 0.0).to_bits()),
            },
            Value::Array(_) | Value::Object(_) => Self::of_object(value),
        }
    }

    fn of_object(value: &Value) -> Self {
        Self::Json(print::json(value))
    }
}

fn item_path(trail: Trail<'_>, index: usize) -> FieldPath {
    trail.path(&FieldPath::root()).index(index)
}
