//! Resources inside of an object (`x-kubernetes-embedded-resource`): their type and the shape of their metadata.
//!
//! Follows apiextensions-apiserver/pkg/apiserver/schema/objectmeta/{coerce,algorithm,validation}.go.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::bounds::Collector;
use super::node::{Additional, Node};
use super::object_meta;
use super::prune::Level;
use super::trail::Trail;
use crate::field::{FieldError, FieldPath};

static KIND: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^[a-z]([-a-z0-9]*[a-z0-9])?$").ok());

/// The longest kind, in bytes.
const KIND_LENGTH_MAX: usize = 63;

/// What is wrong with the resources inside of `value`, reported below `base`; whether it is one itself says `level`.
pub(super) fn check(value: &Value, schema: &Node, level: Level, base: &FieldPath) -> Vec<FieldError> {
    let mut walk = Walk { base, errors: Collector::default() };
    if let (Value::Object(map), Level::Resource, false) = (value, level, schema.extensions.embedded_resource) {
        resource(map, base, &mut walk.errors);
    }
    walk.value(value, schema, Trail::Root);
    walk.errors.into_errors()
}

struct Walk<'a> {
    base: &'a FieldPath,
    errors: Collector,
}

impl Walk<'_> {
    fn value(&mut self, value: &Value, schema: &Node, trail: Trail<'_>) {
        if schema.absent.resources {
            return;
        }
        match value {
            Value::Object(map) => {
                if schema.extensions.embedded_resource && !self.errors.is_full() && !looks_sound(map) {
                    resource(map, &trail.path(self.base), &mut self.errors);
                }
                for (name, value) in map {
                    if let Some(field) = schema.properties.get(name) {
                        self.value(value, field, Trail::Field(&trail, name));
                    } else if let Some(entry) = schema.additional.as_ref().and_then(Additional::schema) {
                        self.value(value, entry, Trail::Entry(&trail, name));
                    }
                }
            }
            Value::Array(items) => {
                if let Some(item_schema) = schema.items.as_deref() {
                    for (i, item) in items.iter().enumerate() {
                        self.value(item, item_schema, Trail::Item(&trail, i));
                    }
                }
            }
            _ => {}
        }
    }
}

/// Makes the resources inside of `value` what kube-apiserver takes them for: their metadata is read and written back.
/// Returns the paths of the fields of metadata that are not known, sorted; the error is the first value of a wrong type.
pub(super) fn coerce(value: &mut Value, schema: &Node) -> Result<Vec<String>, FieldError> {
    let mut unknown = Vec::new();
    coerce_value(value, schema, Trail::Root, &mut unknown)?;
    unknown.sort();
    Ok(unknown)
}

fn coerce_value(
    value: &mut Value,
    schema: &Node,
    trail: Trail<'_>,
    unknown: &mut Vec<String>,
) -> Result<(), FieldError> {
    match value {
        Value::Object(map) => {
            if schema.extensions.embedded_resource {
                coerce_resource(map, trail, unknown)?;
            }
            for (name, value) in map.iter_mut() {
                if let Some(field) = schema.properties.get(name) {
                    coerce_value(value, field, Trail::Field(&trail, name), unknown)?;
                } else if let Some(entry) = schema.additional.as_ref().and_then(Additional::schema) {
                    coerce_value(value, entry, Trail::Entry(&trail, name), unknown)?;
                }
            }
        }
        Value::Array(items) => {
            if let Some(item_schema) = schema.items.as_deref() {
                for (i, item) in items.iter_mut().enumerate() {
                    coerce_value(item, item_schema, Trail::Item(&trail, i), unknown)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn coerce_resource(
    map: &mut Map<String, Value>,
    trail: Trail<'_>,
    unknown: &mut Vec<String>,
) -> Result<(), FieldError> {
    for name in ["apiVersion", "kind"] {
        if let Some(value) = map.get(name).filter(|value| !value.is_string()) {
            let at = trail.path(&FieldPath::root()).child(name);
            return Err(FieldError::invalid(&at, value, "must be a string"));
        }
    }
    if let Some(value) = map.get_mut("metadata") {
        let at = trail.path(&FieldPath::root()).child("metadata");
        let (metadata, paths) = object_meta::read(value).map_err(|error| FieldError::invalid(&at, value, &error))?;
        unknown.extend(paths.iter().map(|path| format!("{at}.{path}")));
        *value = Value::Object(metadata);
    }
    Ok(())
}

/// Drops what cannot be read of the type and the metadata of the resources inside of `value`, and the fields of their
/// metadata that are not known. Whether the value is a resource itself says `level`.
pub(super) fn repair(value: &mut Value, schema: &Node, level: Level) {
    if let (Value::Object(map), Level::Resource, false) = (&mut *value, level, schema.extensions.embedded_resource) {
        repair_resource(map);
    }
    repair_below(value, schema);
}

fn repair_below(value: &mut Value, schema: &Node) {
    if schema.absent.resources {
        return;
    }
    match value {
        Value::Object(map) => {
            if schema.extensions.embedded_resource {
                repair_resource(map);
            }
            for (name, value) in map.iter_mut() {
                if let Some(field) = schema.field(name) {
                    repair_below(value, field);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.items.as_deref() {
                items.iter_mut().for_each(|item| repair_below(item, schema));
            }
        }
        _ => {}
    }
}

fn repair_resource(map: &mut Map<String, Value>) {
    for name in ["apiVersion", "kind"] {
        if map.get(name).is_some_and(|value| !value.is_string()) {
            map.remove(name);
        }
    }
    match map.get_mut("metadata") {
        Some(Value::Object(fields)) => *fields = object_meta::read_what_can_be(fields),
        Some(null @ Value::Null) => *null = Value::Object(Map::new()),
        // What is no object at all stays as it is.
        Some(_) | None => {}
    }
}

/// Whether there is nothing to look at closely: most resources are right, and their paths need not be made.
fn looks_sound(map: &Map<String, Value>) -> bool {
    let mut errors = Collector::default();
    resource(map, &FieldPath::root(), &mut errors);
    errors.into_errors().is_empty()
}

fn resource(map: &Map<String, Value>, at: &FieldPath, errors: &mut Collector) {
    for name in ["apiVersion", "kind"] {
        if !map.contains_key(name) {
            errors.push(FieldError::required(&at.child(name), ""));
        }
    }
    if let Some(value) = map.get("apiVersion") {
        let at = at.child("apiVersion");
        match value {
            Value::String(text) if text.is_empty() => errors.push(FieldError::invalid(&at, value, "must not be empty")),
            Value::String(text) if text != "/" && text.matches('/').count() > 1 => {
                let detail = format!("unexpected GroupVersion string: {text}");
                errors.push(FieldError::invalid(&at, value, &detail));
            }
            Value::String(_) => {}
            _ => errors.push(FieldError::invalid(&at, value, "must be a string")),
        }
    }
    if let Some(value) = map.get("kind") {
        let at = at.child("kind");
        match value {
            Value::String(text) if text.is_empty() => errors.push(FieldError::invalid(&at, value, "must not be empty")),
            Value::String(text) => {
                let mistakes = kind_mistakes(&text.to_lowercase());
                if !mistakes.is_empty() {
                    let detail = format!("may have mixed case, but should otherwise match: {}", mistakes.join(","));
                    errors.push(FieldError::invalid(&at, value, &detail));
                }
            }
            _ => errors.push(FieldError::invalid(&at, value, "must be a string")),
        }
    }
    if let Some(value) = map.get("metadata") {
        let at = at.child("metadata");
        match object_meta::read(value) {
            Ok((metadata, _)) => object_meta::check(&metadata, &at).into_iter().for_each(|error| errors.push(error)),
            Err(error) => errors.push(FieldError::invalid(&at, value, &error)),
        }
    }
}

/// `IsDNS1035Label`.
fn kind_mistakes(kind: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    if kind.len() > KIND_LENGTH_MAX {
        mistakes.push(format!("must be no more than {KIND_LENGTH_MAX} characters"));
    }
    if !KIND.as_ref().is_some_and(|pattern| pattern.is_match(kind)) {
        mistakes.push(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
             character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
             validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
                .to_owned(),
        );
    }
    mistakes
}
