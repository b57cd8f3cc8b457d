//! The parsed form of one schema: the keywords that the engine acts on, typed.
//!
//! Follows `JSONSchemaProps` (apiextensions-apiserver/pkg/apis/apiextensions/v1/types_jsonschema.go).

use std::collections::BTreeMap;

use serde_json::Value;

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
    pub(super) unsupported: Vec<&'static str>,
}

/// One schema.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Node {
    /// `type` as written; empty when absent.
    pub(super) type_name: String,
    /// The types that a value may have; two of them for int-or-string.
    pub(super) types: Vec<Type>,
    pub(super) nullable: bool,
    /// The format, if it is one that is checked for the type.
    pub(super) format: Option<Format>,
    pub(super) default: Option<Value>,
    pub(super) bounds: Bounds,
    pub(super) sizes: Sizes,
    pub(super) pattern: Option<Pattern>,
    pub(super) choices: Vec<Value>,
    pub(super) required: Vec<String>,
    pub(super) items: Option<Box<Node>>,
    pub(super) properties: BTreeMap<String, Node>,
    pub(super) additional: Option<Additional>,
    pub(super) all_of: Vec<Node>,
    pub(super) any_of: Vec<Node>,
    pub(super) one_of: Vec<Node>,
    pub(super) not: Option<Box<Node>>,
    pub(super) extensions: Extensions,
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
