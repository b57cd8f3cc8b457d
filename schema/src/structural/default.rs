//! Filling in defaults, and dropping the nulls that are none of the values a field may have.
//!
//! Follows apiextensions-apiserver/pkg/apiserver/schema/defaulting/{prunenulls,algorithm}.go.

use serde_json::Value;

use super::node::{Additional, Node};

/// How many values defaulting adds to one object. One with more would be larger than what etcd takes, so that nothing is
/// lost when the rest stays away; kube-apiserver would run out of memory for a list of a million empty objects.
pub(super) const DEFAULTED_VALUES_MAX: usize = 250_000;

/// Drops non-nullable nulls that have no default, then fills in defaults.
pub(super) fn default(object: &mut Value, schema: &Node) {
    drop_nulls(object, schema);
    add_defaults(object, schema);
}

/// Fills in defaults; nulls that are none stay.
pub(super) fn add_defaults(object: &mut Value, schema: &Node) {
    fill_in(object, schema, &mut Room { values: DEFAULTED_VALUES_MAX });
}

/// How many values may still be added.
struct Room {
    values: usize,
}

impl Room {
    /// The default, if there is room for it.
    fn take(&mut self, default: &Value) -> Option<Value> {
        self.values = self.values.checked_sub(size(default))?;
        Some(default.clone())
    }
}

/// How many values a value consists of.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

/// Drops non-nullable nulls that have no default.
pub(super) fn drop_nulls(value: &mut Value, schema: &Node) {
    match value {
        Value::Object(map) => {
            let stays = |field: &Node, value: &Value| !value.is_null() || field.nullable || field.default.is_some();
            let mut dropped = false;
            let mut fields = schema.properties.in_order();
            let entry = schema.additional.as_ref().and_then(Additional::schema);
            for (name, value) in map.iter_mut() {
                let Some(field) = fields.get(name).or(entry) else { continue };
                dropped |= !stays(field, value);
                drop_nulls(value, field);
            }
            if dropped {
                map.retain(|name, value| schema.field(name).is_none_or(|field| stays(field, value)));
            }
        }
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

fn fill_in(value: &mut Value, schema: &Node, room: &mut Room) {
    match value {
        Value::Object(map) => {
            for (name, field) in &schema.properties {
                let Some(default) = &field.default else { continue };
                if map.get(name).is_none_or(|value| value.is_null() && !field.nullable)
                    && let Some(default) = room.take(default)
                {
                    map.insert(name.to_owned(), default);
                }
            }
            let mut fields = schema.properties.in_order();
            for (name, value) in map.iter_mut() {
                if let Some(field) = fields.get(name) {
                    fill_in(value, field, room);
                } else if let Some(entry) = schema.additional.as_ref().and_then(Additional::schema) {
                    replace_null(value, entry, room);
                    fill_in(value, entry, room);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.items.as_deref() {
                for item in items {
                    replace_null(item, schema, room);
                    fill_in(item, schema, room);
                }
            }
        }
        _ => {}
    }
}

fn replace_null(value: &mut Value, schema: &Node, room: &mut Room) {
    if value.is_null() && !schema.nullable {
        *value = schema.default.as_ref().and_then(|default| room.take(default)).unwrap_or(Value::Null);
    }
}
