//! Filling in defaults, and dropping the nulls that are none of the values a field may have.
//!
//! Follows apiextensions-apiserver/pkg/apiserver/schema/defaulting/{prunenulls,algorithm}.go.

use serde_json::Value;

use super::node::{Additional, Node};

/// Drops non-nullable nulls that have no default, then fills in defaults.
pub(super) fn default(object: &mut Value, schema: &Node) {
    drop_nulls(object, schema);
    fill_in(object, schema);
}

fn drop_nulls(value: &mut Value, schema: &Node) {
    match value {
        Value::Object(map) => map.retain(|name, value| match schema.field(name) {
            Some(field) if value.is_null() => field.nullable || field.default.is_some(),
            Some(field) => {
                drop_nulls(value, field);
                true
            }
            None => true,
        }),
        Value::Array(items) => {
            if let Some(schema) = schema.items.as_deref() {
                for item in items {
                    drop_nulls(item, schema);
                }
            }
        }
        _ => {}
    }
}

/// Fills in defaults; nulls that are none stay.
pub(super) fn fill_in(value: &mut Value, schema: &Node) {
    match value {
        Value::Object(map) => {
            for (name, field) in &schema.properties {
                let Some(default) = &field.default else { continue };
                if map.get(name).is_none_or(|value| value.is_null() && !field.nullable) {
                    map.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in map.iter_mut() {
                if let Some(field) = schema.properties.get(name) {
                    fill_in(value, field);
                } else if let Some(entry) = schema.additional.as_ref().and_then(Additional::schema) {
                    replace_null(value, entry);
                    fill_in(value, entry);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.items.as_deref() {
                for item in items {
                    replace_null(item, schema);
                    fill_in(item, schema);
                }
            }
        }
        _ => {}
    }
}

fn replace_null(value: &mut Value, schema: &Node) {
    if value.is_null() && !schema.nullable {
        *value = schema.default.clone().unwrap_or(Value::Null);
    }
}
