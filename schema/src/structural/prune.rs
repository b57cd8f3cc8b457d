//! Dropping the fields that a schema does not know.
//!
//! Follows apiextensions-apiserver/pkg/apiserver/schema/pruning/algorithm.go.

use serde_json::{Map, Value};

use super::node::{Additional, Node, is_meta_field};
use super::trail::Trail;

/// How many unknown fields are named; the others are dropped without a word.
pub(super) const UNKNOWN_FIELDS_MAX: usize = 1000;

/// How much text the names of unknown fields have in all, in bytes; the last one may exceed it.
const UNKNOWN_TEXT_BYTES_MAX: usize = 1 << 20;

/// The paths of unknown fields, as many as are named.
#[derive(Default)]
struct Unknown {
    paths: Vec<String>,
    text_bytes: usize,
}

impl Unknown {
    fn add(&mut self, trail: Trail<'_>, name: &str) {
        if self.paths.len() < UNKNOWN_FIELDS_MAX && self.text_bytes < UNKNOWN_TEXT_BYTES_MAX {
            let path = trail.unknown(name);
            self.text_bytes += path.len();
            self.paths.push(path);
        }
    }
}

/// Whether the fields that every resource has are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// The object is a resource, whatever its schema says.
    Resource,
    /// The object is what its schema says.
    Value,
}

/// Drops unknown fields; their paths, sorted.
pub(super) fn prune(object: &mut Value, schema: &Node, level: Level) -> Vec<String> {
    let mut unknown = Unknown::default();
    match object {
        Value::Object(map) if level == Level::Resource => {
            let mode = Mode { embedded: true, preserving: schema.preserves_unknown_fields() };
            prune_map(map, schema, mode, Trail::Root, &mut unknown);
        }
        other => prune_value(other, Some(schema), Trail::Root, &mut unknown),
    }
    unknown.paths.sort();
    unknown.paths
}

/// How the fields of one object are treated.
#[derive(Clone, Copy)]
struct Mode {
    embedded: bool,
    preserving: bool,
}

fn prune_value(value: &mut Value, schema: Option<&Node>, trail: Trail<'_>, unknown: &mut Unknown) {
    let preserving = schema.is_some_and(Node::preserves_unknown_fields);
    match value {
        Value::Object(map) => match schema {
            Some(schema) => {
                let mode = Mode { embedded: schema.extensions.embedded_resource, preserving };
                prune_map(map, schema, mode, trail, unknown);
            }
            None => {
                map.keys().for_each(|name| unknown.add(trail, name));
                map.clear();
            }
        },
        Value::Array(items) => {
            let schema = schema.and_then(|schema| schema.items.as_deref());
            for (i, item) in items.iter_mut().enumerate() {
                let trail = Trail::Item(&trail, i);
                match (preserving, schema) {
                    (true, None) => {}
                    (true, Some(schema)) => keep_value(item, schema, trail, unknown),
                    (false, schema) => prune_value(item, schema, trail, unknown),
                }
            }
        }
        _ => {}
    }
}

/// Below a list that preserves unknown fields: only what is specified is pruned (`skipPrune`).
fn keep_value(value: &mut Value, schema: &Node, trail: Trail<'_>, unknown: &mut Unknown) {
    match value {
        Value::Object(map) => {
            let mode = Mode { embedded: schema.extensions.embedded_resource, preserving: true };
            prune_map(map, schema, mode, trail, unknown);
        }
        Value::Array(items) => {
            if let Some(schema) = schema.items.as_deref() {
                for (i, item) in items.iter_mut().enumerate() {
                    keep_value(item, schema, Trail::Item(&trail, i), unknown);
                }
            }
        }
        _ => {}
    }
}

fn prune_map(map: &mut Map<String, Value>, schema: &Node, mode: Mode, trail: Trail<'_>, unknown: &mut Unknown) {
    let is_known = |name: &str| {
        mode.preserving
            || schema.additional.is_some()
            || (mode.embedded && is_meta_field(name))
            || schema.properties.contains_key(name)
    };
    let mut dropped = false;
    let mut fields = schema.properties.in_order();
    for (name, value) in map.iter_mut() {
        if mode.embedded && is_meta_field(name) {
            continue;
        }
        if let Some(field) = fields.get(name) {
            prune_value(value, Some(field), Trail::Field(&trail, name), unknown);
        } else if let Some(additional) = &schema.additional {
            // A bare boolean says nothing about what is inside, which is pruned as a whole.
            prune_value(value, Additional::schema(additional), Trail::Field(&trail, name), unknown);
        } else if !mode.preserving {
            dropped = true;
            if !is_meta_field(name) || !matches!(trail, Trail::Root) {
                unknown.add(trail, name);
            }
        }
    }
    // Taking entries out of a map costs more than all of the above, and there is mostly nothing to take.
    if dropped {
        map.retain(|name, _| is_known(name));
    }
}

/// Drops the fields that `own` does not know and one of `others` declares: names as a property or takes as an entry of a
/// map. What none of them declares stays. The status of a resource is not looked at.
pub(super) fn drop_declared(object: &mut Value, own: &Node, others: &[&Node]) {
    let Value::Object(map) = object else { return };
    let status = map.remove("status");
    drop_declared_fields(map, Some(own), others, Level::Resource);
    map.extend(status.map(|status| ("status".to_owned(), status)));
}

fn drop_declared_below(value: &mut Value, own: Option<&Node>, others: &[&Node]) {
    match value {
        Value::Object(map) => {
            let embedded = own.is_some_and(|own| own.extensions.embedded_resource);
            drop_declared_fields(map, own, others, if embedded { Level::Resource } else { Level::Value });
        }
        Value::Array(items) => {
            let own_items = own.and_then(|own| own.items.as_deref());
            if own_items.is_none() && own.is_some_and(Node::preserves_unknown_fields) {
                return;
            }
            let others: Vec<&Node> = others.iter().filter_map(|other| other.items.as_deref()).collect();
            items.iter_mut().for_each(|item| drop_declared_below(item, own_items, &others));
        }
        _ => {}
    }
}

fn drop_declared_fields(map: &mut Map<String, Value>, own: Option<&Node>, others: &[&Node], level: Level) {
    map.retain(|name, value| {
        if level == Level::Resource && is_meta_field(name) {
            return true;
        }
        let property = own.and_then(|own| own.properties.get(name));
        let entry = own.and_then(|own| own.additional.as_ref());
        if property.is_none() && entry.is_none() {
            let is_kept = own.is_some_and(Node::preserves_unknown_fields);
            return is_kept || !others.iter().any(|other| declares(other, name));
        }
        let others: Vec<&Node> = others.iter().filter_map(|other| other.field(name)).collect();
        drop_declared_below(value, property.or(entry.and_then(Additional::schema)), &others);
        true
    });
}

fn declares(schema: &Node, name: &str) -> bool {
    schema.properties.contains_key(name) || schema.additional.as_ref().is_some_and(|it| *it != Additional::Any(false))
}
