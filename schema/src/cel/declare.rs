//! A structural schema → what expressions see of it.
//!
//! Follows `SchemaDeclType` of apiserver/pkg/cel/common/schemas.go, the limits of apiserver/pkg/cel/limits.go, and
//! apiextensions-apiserver/pkg/apiserver/schema/cel/model/schemas.go.

/// What texts about an instance see of it.
mod instance;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::structural::node::{Additional, Node};
use kindsmith_cel::declared::names::escape;
use kindsmith_cel::declared::{Declared, Field, ListMerge, Shape};

pub(crate) use instance::of_instance;

/// The largest request, in bytes.
const REQUEST_BYTES_MAX: u64 = 3 << 20;
/// The longest `metadata.name`, in characters.
const NAME_CHARACTERS_MAX: u64 = 253;
/// The longest duration and date-time in JSON, in bytes.
const TIME_BYTES_MAX: u64 = 32;
/// `"2006-01-02"`.
const DATE_BYTES: u64 = 12;

/// Where a schema stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is the root of a resource, or of an embedded one: its type and name can be seen whatever it says.
    Resource,
    /// It is part of another.
    Inside,
}

impl Place {
    /// Where a schema within another stands.
    pub(crate) fn of(node: &Node) -> Self {
        if node.extensions.embedded_resource { Self::Resource } else { Self::Inside }
    }
}

/// Returns what expressions see of values of this schema; none if nothing. Recursion follows the schema, whose depth is
/// bounded.
pub(crate) fn from_schema(node: &Node, place: Place) -> Option<Arc<Declared>> {
    if node.extensions.int_or_string {
        let characters = node.sizes.max_length.map(bytes_of);
        return Some(leaf(node, Shape::IntOrString, characters.unwrap_or(REQUEST_BYTES_MAX - 2), 1));
    }
    match node.type_name.as_str() {
        "array" => list(node),
        "object" => object(node, place),
        "string" => Some(string(node)),
        "boolean" => Some(leaf(node, Shape::Bool, 0, 4)),
        "number" => Some(leaf(node, Shape::Double, 0, 1)),
        "integer" => Some(leaf(node, Shape::Int, 0, 1)),
        _ => None,
    }
}

fn leaf(node: &Node, shape: Shape, max_elements: u64, min_serialized_size: u64) -> Arc<Declared> {
    Arc::new(Declared { shape, max_elements: Some(max_elements), min_serialized_size, nullable: node.nullable })
}

fn list(node: &Node) -> Option<Arc<Declared>> {
    let item = node.items.as_deref()?;
    let items = from_schema(item, Place::of(item))?;
    let fitting = (REQUEST_BYTES_MAX - 2) / (items.min_serialized_size + 1);
    let most = node.sizes.max_items.map_or(fitting, at_least_zero);
    let merge = match node.list_type() {
        "set" => ListMerge::Set,
        "map" => ListMerge::Map(node.extensions.list_map_keys.clone()),
        _ => ListMerge::Atomic,
    };
    Some(leaf(node, Shape::List { items, merge }, most, 2))
}

fn object(node: &Node, place: Place) -> Option<Arc<Declared>> {
    if let Some(entry) = node.additional.as_ref().and_then(Additional::schema) {
        let values = from_schema(entry, Place::of(entry))?;
        let fitting = (REQUEST_BYTES_MAX - 2) / (values.min_serialized_size + 6);
        let most = node.sizes.max_properties.map_or(fitting, at_least_zero);
        return Some(leaf(node, Shape::Map { values }, most, 2));
    }
    let mut parts: BTreeMap<&str, Part<'_>> =
        node.properties.iter().map(|(name, field)| (name, Part::Written(field))).collect();
    if place == Place::Resource && !has_type_and_name(node) {
        parts.insert("kind", Part::Text(None));
        parts.insert("apiVersion", Part::Text(None));
        parts.insert("metadata", Part::Metadata(node.properties.get("metadata")));
    }
    let mut fields = BTreeMap::new();
    let mut size = 2;
    for (name, part) in parts {
        let Some(declared) = part.declared() else { continue };
        let required = node.required.iter().any(|required| required == name);
        if required && !part.has_default() {
            size += name.len() as u64 + declared.min_serialized_size + 4;
        }
        if let Some(escaped) = escape(name) {
            fields.insert(name.to_owned(), Field { escaped, declared });
        }
    }
    Some(leaf(node, Shape::Object { fields }, 0, size))
}

fn string(node: &Node) -> Arc<Declared> {
    let length = node.sizes.max_length;
    match node.format.as_ref().map_or("", |format| format.text()) {
        "byte" => leaf(node, Shape::Bytes, length.map_or(REQUEST_BYTES_MAX - 2, at_least_zero), 2),
        "duration" => leaf(node, Shape::Duration, TIME_BYTES_MAX, 3),
        "date" => leaf(node, Shape::Date, DATE_BYTES, DATE_BYTES),
        "date-time" => leaf(node, Shape::DateTime, TIME_BYTES_MAX, 21),
        _ => {
            let longest = match length {
                Some(length) => bytes_of(length),
                None if node.choices.is_empty() => REQUEST_BYTES_MAX - 2,
                None => node.choices.iter().filter_map(Value::as_str).map(str::len).max().unwrap_or(0) as u64,
            };
            leaf(node, Shape::String, longest, 2)
        }
    }
}

/// A string of a resource's type or name, of so many characters at most.
fn text(characters: Option<u64>) -> Arc<Declared> {
    let most = characters.map_or(REQUEST_BYTES_MAX - 2, |most| most * 4);
    leaf(&Node::default(), Shape::String, most, 2)
}

/// A field of an object: as its schema says, or as every resource has it.
enum Part<'a> {
    Written(&'a Node),
    Text(Option<u64>),
    /// With what the schema says of it.
    Metadata(Option<&'a Node>),
}

impl Part<'_> {
    fn declared(&self) -> Option<Arc<Declared>> {
        match self {
            Self::Written(node) => from_schema(node, Place::of(node)),
            Self::Text(characters) => Some(text(*characters)),
            Self::Metadata(written) => {
                let name = |name: &str, most: u64| {
                    let written = written.and_then(|node| node.properties.get(name));
                    let length = written.and_then(|node| node.sizes.max_length).map_or(most, at_least_zero);
                    let declared = text(Some(length.min(most)));
                    (name.to_owned(), Field { escaped: name.to_owned(), declared })
                };
                // A generated name gets a suffix of one character at least.
                let fields = [name("name", NAME_CHARACTERS_MAX), name("generateName", NAME_CHARACTERS_MAX - 1)].into();
                Some(leaf(&Node::default(), Shape::Object { fields }, 0, 2))
            }
        }
    }

    fn has_default(&self) -> bool {
        matches!(self, Self::Written(node) if node.default.as_ref().is_some_and(|default| !default.is_null()))
    }
}

/// Whether the schema says itself what a resource's type and name are.
fn has_type_and_name(node: &Node) -> bool {
    let is = |node: &Node, name: &str, wanted: &str| {
        node.properties.get(name).is_some_and(|field| field.type_name == wanted)
    };
    is(node, "kind", "string")
        && is(node, "apiVersion", "string")
        && is(node, "metadata", "object")
        && node
            .properties
            .get("metadata")
            .is_some_and(|metadata| is(metadata, "name", "string") && is(metadata, "generateName", "string"))
}

/// The most bytes of so many characters.
fn bytes_of(characters: i64) -> u64 {
    at_least_zero(characters).saturating_mul(4)
}

fn at_least_zero(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
