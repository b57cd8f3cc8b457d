//! The parsed form of one schema: the keywords that the engine acts on, typed.
//!
//! Follows `JSONSchemaProps` (apiextensions-apiserver/pkg/apis/apiextensions/v1/types_jsonschema.go).

use std::sync::Arc;

use serde_json::Value;

use super::compact::{Fields, Rare, Unused};
use super::format::Format;
use super::pattern::Pattern;

/// A JSON type that a schema can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    String,
    Number,
    Integer,
    Boolean,
    Array,
    Object,
}

impl Type {
    /// All of them, sorted by name.
    pub(super) const ALL: [Self; 6] =
        [Self::Array, Self::Boolean, Self::Integer, Self::Number, Self::Object, Self::String];

    /// The types of int-or-string.
    pub(super) const INT_OR_STRING: &'static [Self] = &[Self::Integer, Self::String];

    /// The name as `type` has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    /// The types of `type`: one, or none if the name is unknown.
    pub(super) fn list_of(name: &str) -> &'static [Self] {
        match Self::named(name) {
            Some(Self::Array) => &[Self::Array],
            Some(Self::Boolean) => &[Self::Boolean],
            Some(Self::Integer) => &[Self::Integer],
            Some(Self::Number) => &[Self::Number],
            Some(Self::Object) => &[Self::Object],
            Some(Self::String) => &[Self::String],
            None => &[],
        }
    }

    /// The type of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// `additionalProperties`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Additional {
    /// A bare `true` or `false`.
    Any(bool),
    /// A schema that each of them has to follow.
    Schema(Box<Node>),
}

impl Additional {
    /// The schema, if there is one.
    pub(super) fn schema(&self) -> Option<&Node> {
        match self {
            Self::Schema(node) => Some(node),
            Self::Any(_) => None,
        }
    }
}

/// Numeric bounds. Kubernetes holds all of them as 64-bit floats.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Bounds {
    pub(super) maximum: Option<f64>,
    pub(super) exclusive_maximum: bool,
    pub(super) minimum: Option<f64>,
    pub(super) exclusive_minimum: bool,
    pub(super) multiple_of: Option<f64>,
}

/// Length and size bounds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sizes {
    pub(super) max_length: Option<i64>,
    pub(super) min_length: Option<i64>,
    pub(super) max_items: Option<i64>,
    pub(super) min_items: Option<i64>,
    pub(super) max_properties: Option<i64>,
    pub(super) min_properties: Option<i64>,
}

/// The `x-kubernetes-*` keywords.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Extensions {
    pub(super) preserve_unknown_fields: Option<bool>,
    pub(super) embedded_resource: bool,
    pub(super) int_or_string: bool,
    pub(super) list_map_keys: Vec<String>,
    pub(super) list_type: Option<String>,
    pub(super) map_type: Option<String>,
    /// `x-kubernetes-validations`, not evaluated here.
    pub(super) rules: Vec<Value>,
}

/// Keywords that say nothing about a value, but are not allowed everywhere.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Annotations {
    pub(super) title: bool,
    pub(super) description: bool,
    /// `example` or `externalDocs`.
    pub(super) example: bool,
    pub(super) unique_items: bool,
    /// `items` is a list of schemas.
    pub(super) item_tuple: bool,
    /// Keywords that custom resources must not use, in the order they are reported.
    pub(super) unsupported: Rare<Vec<&'static str>>,
}

impl Unused for Bounds {
    const UNUSED: &'static Self =
        &Self { maximum: None, exclusive_maximum: false, minimum: None, exclusive_minimum: false, multiple_of: None };
}

impl Unused for Sizes {
    const UNUSED: &'static Self = &Self {
        max_length: None,
        min_length: None,
        max_items: None,
        min_items: None,
        max_properties: None,
        min_properties: None,
    };
}

impl Unused for Extensions {
    const UNUSED: &'static Self = &Self {
        preserve_unknown_fields: None,
        embedded_resource: false,
        int_or_string: false,
        list_map_keys: Vec::new(),
        list_type: None,
        map_type: None,
        rules: Vec::new(),
    };
}

impl<T: PartialEq + 'static> Unused for Vec<T> {
    const UNUSED: &'static Self = &Self::new();
}

/// One schema.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Node {
    /// `type` as written; empty when absent.
    pub(super) type_name: String,
    /// The types that a value may have; two of them for int-or-string.
    pub(super) types: &'static [Type],
    pub(super) nullable: bool,
    /// The format, if it is one that is checked for the type.
    pub(super) format: Option<Box<Format>>,
    pub(super) default: Option<Value>,
    pub(super) bounds: Rare<Bounds>,
    pub(super) sizes: Rare<Sizes>,
    /// Shared with the other schemas of the tree that have the same.
    pub(super) pattern: Option<Arc<Pattern>>,
    pub(super) choices: Rare<Vec<Value>>,
    pub(super) required: Rare<Vec<String>>,
    pub(super) items: Option<Box<Node>>,
    pub(super) properties: Fields,
    pub(super) additional: Option<Additional>,
    pub(super) all_of: Rare<Vec<Node>>,
    pub(super) any_of: Rare<Vec<Node>>,
    pub(super) one_of: Rare<Vec<Node>>,
    pub(super) not: Option<Box<Node>>,
    pub(super) extensions: Rare<Extensions>,
    pub(super) annotations: Annotations,
}

impl Node {
    /// Whether unknown fields of values of this schema are kept.
    pub(super) fn preserves_unknown_fields(&self) -> bool {
        self.extensions.preserve_unknown_fields == Some(true)
    }

    /// The structural schema of the field `name` of an object of this schema.
    pub(super) fn field(&self, name: &str) -> Option<&Node> {
        self.properties.get(name).or_else(|| self.additional.as_ref().and_then(Additional::schema))
    }

    /// `x-kubernetes-list-type` with its default.
    pub(super) fn list_type(&self) -> &str {
        self.extensions.list_type.as_deref().unwrap_or("atomic")
    }
}

/// The fields that every object has, whatever its schema says.
pub(super) fn is_meta_field(name: &str) -> bool {
    matches!(name, "apiVersion" | "kind" | "metadata")
}
