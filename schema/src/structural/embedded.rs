//! Resources inside of an object (`x-kubernetes-embedded-resource`): their type and the shape of their metadata.
//!
//! Follows apiextensions-apiserver/pkg/apiserver/schema/objectmeta/validation.go. Of the metadata the name, the
//! namespace, labels and annotations are checked for their types.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::bounds::Collector;
use super::node::{Additional, Node};
use super::trail::Trail;
use crate::field::{FieldError, FieldPath};

static KIND: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^[a-z]([-a-z0-9]*[a-z0-9])?$").ok());

/// The longest kind, in bytes.
const KIND_LENGTH_MAX: usize = 63;

/// What is wrong with the resources inside of `value`, reported below `base`.
pub(super) fn check(value: &Value, schema: &Node, base: &FieldPath) -> Vec<FieldError> {
    let mut walk = Walk { base, errors: Collector::default() };
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
        metadata(value, &at.child("metadata"), errors);
    }
}

/// `IsDNS1035Label`.
fn kind_mistakes(kind: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    if kind.len() > KIND_LENGTH_MAX {
        mistakes.push(format!("must be no more than {KIND_LENGTH_MAX} bytes"));
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

fn metadata(value: &Value, at: &FieldPath, errors: &mut Collector) {
    let Value::Object(map) = value else {
        if !value.is_null() {
            let found = match value {
                Value::String(_) => "string",
                Value::Number(_) => "number",
                Value::Bool(_) => "bool",
                _ => "array",
            };
            let detail = format!("json: cannot unmarshal {found} into Go value of type v1.ObjectMeta");
            errors.push(FieldError::invalid(at, value, &detail));
        }
        return;
    };
    for name in ["name", "generateName", "namespace"] {
        if let Some(other) = map.get(name).filter(|value| !value.is_string() && !value.is_null()) {
            errors.push(FieldError::invalid(&at.child(name), other, "must be a string"));
        }
    }
    for name in ["labels", "annotations"] {
        match map.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::Object(entries)) => {
                for (key, value) in entries.iter().filter(|(_, value)| !value.is_string()) {
                    errors.push(FieldError::invalid(&at.child(name).key(key), value, "must be a string"));
                }
            }
            Some(other) => errors.push(FieldError::invalid(&at.child(name), other, "must be an object")),
        }
    }
    if let Some(Value::String(name)) = map.get("name") {
        let at = at.child("name");
        if name == "." || name == ".." {
            errors.push(FieldError::invalid_text(&at, name, &format!("may not be '{name}'")));
        }
        for illegal in ["/", "%"].into_iter().filter(|illegal| name.contains(illegal)) {
            errors.push(FieldError::invalid_text(&at, name, &format!("may not contain '{illegal}'")));
        }
    }
}
