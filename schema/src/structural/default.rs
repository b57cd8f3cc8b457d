//! Filling in defaults, and dropping the nulls that are none of the values a field may have.
//!
//! Follows apiextensions-apiserver/pkg/apiserver/schema/defaulting/{prunenulls,algorithm}.go.

use serde_json::{Map, Value};

use super::node::{Additional, Node};

/// How many values defaulting adds to one object. One with more would be larger than what etcd takes, so that nothing is
/// lost when the rest stays away; kube-apiserver would run out of memory for a list of a million empty objects.
pub(super) const DEFAULTED_VALUES_MAX: usize = 250_000;

/// What becomes of nulls that may not be and have no default.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nulls {
    Dropped,
    Kept,
}

/// Drops non-nullable nulls that have no default, then fills in defaults: `drop_nulls` and `add_defaults` in one walk.
pub(super) fn default(object: &mut Value, schema: &Node) {
    fill_in(object, schema, Nulls::Dropped, &mut Room { values: DEFAULTED_VALUES_MAX });
}

fn fill_in(value: &mut Value, schema: &Node, nulls: Nulls, room: &mut Room) {
    if nulls == Nulls::Kept && schema.absent.defaults {
        return;
    }
    match value {
        Value::Object(map) => {
            let entry = schema.additional.as_ref().and_then(Additional::schema);
            if schema.properties.is_empty() && entry.is_none() {
                return;
            }
            let goes = |field: &Node| nulls == Nulls::Dropped && !field.nullable && field.default.is_none();
            let mut dropped = false;
            let mut fields = schema.properties.in_order();
            for (name, value) in map.iter_mut() {
                let own = fields.get(name);
                match own.or(entry) {
                    Some(field) if !value.is_null() => fill_in(value, field, nulls, room),
                    Some(field) if goes(field) => dropped = true,
                    // Of fields the default is filled in below.
                    Some(field) if own.is_none() => replace_null(value, field, room),
                    _ => {}
                }
            }
            if dropped {
                map.retain(|name, value| !value.is_null() || !schema.field(name).is_some_and(goes));
            }
            if !schema.absent.defaults {
                add_missing(map, schema, room);
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.items.as_deref() {
                for item in items {
                    if item.is_null() { replace_null(item, schema, room) } else { fill_in(item, schema, nulls, room) }
                }
            }
        }
        _ => {}
    }
}

/// Fills in the defaults of fields that are not there, and those that are inside of them.
fn add_missing(map: &mut Map<String, Value>, schema: &Node, room: &mut Room) {
    for (name, field) in &schema.properties {
        let Some(default) = &field.default else { continue };
        if map.get(name).is_none_or(|value| value.is_null() && !field.nullable)
            && let Some(mut default) = room.take(default)
        {
            fill_in(&mut default, field, Nulls::Kept, room);
            map.insert(name.to_owned(), default);
        }
    }
}

/// Fills in defaults; nulls that are none stay.
pub(super) fn add_defaults(object: &mut Value, schema: &Node) {
    fill_in(object, schema, Nulls::Kept, &mut Room { values: DEFAULTED_VALUES_MAX });
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

/// Puts the default in the place of a null, where that may not be.
fn replace_null(value: &mut Value, schema: &Node, room: &mut Room) {
    if !schema.nullable
        && let Some(default) = schema.default.as_ref().and_then(|default| room.take(default))
    {
        *value = default;
        fill_in(value, schema, Nulls::Kept, room);
    }
}
