//! The parsed form of one schema: the keywords that the engine acts on, typed.
//!
//! Follows `JSONSchemaProps` (apiextensions-apiserver/pkg/apis/apiextensions/v1/types_jsonschema.go).

use std::ops::Deref;
use std::sync::Arc;

use serde_json::Value;

use super::compact::{Fields, Rare, Unused};
use super::format::Format;
use crate::cel::rules::Rule;
use kindsmith_text::pattern::Pattern;

/// A JSON type that a schema can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    String,
    Number,
    Integer,
    Boolean,
    Array,
    Object,
}

impl Type {
    /// All of them, sorted by name.
    pub(crate) const ALL: [Self; 6] =
        [Self::Array, Self::Boolean, Self::Integer, Self::Number, Self::Object, Self::String];

    /// The types of int-or-string.
    pub(crate) const INT_OR_STRING: &'static [Self] = &[Self::Integer, Self::String];

    /// The name as `type` has it.
    pub(crate) fn name(self) -> &'static str {
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
    pub(crate) fn list_of(name: &str) -> &'static [Self] {
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
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// `type` as written: mostly a known one, which takes no memory of its own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TypeName {
    Known(Type),
    /// No type, or not one that there is.
    Other(Box<str>),
}

impl TypeName {
    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Known(known) => known.name(),
            Self::Other(text) => text,
        }
    }
}

impl From<String> for TypeName {
    fn from(text: String) -> Self {
        Type::named(&text).map_or_else(|| Self::Other(text.into()), Self::Known)
    }
}

impl Default for TypeName {
    fn default() -> Self {
        Self::Other(Box::default())
    }
}

impl Deref for TypeName {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<&str> for TypeName {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<str> for TypeName {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

/// `additionalProperties`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Additional {
    /// A bare `true` or `false`.
    Any(bool),
    /// A schema that each of them has to follow.
    Schema(Box<Node>),
}

impl Additional {
    /// The schema, if there is one.
    pub(crate) fn schema(&self) -> Option<&Node> {
        match self {
            Self::Schema(node) => Some(node),
            Self::Any(_) => None,
        }
    }
}

/// Numeric bounds. Kubernetes holds all of them as 64-bit floats.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) maximum: Option<f64>,
    pub(crate) exclusive_maximum: bool,
    pub(crate) minimum: Option<f64>,
    pub(crate) exclusive_minimum: bool,
    pub(crate) multiple_of: Option<f64>,
}

/// Length and size bounds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sizes {
    pub(crate) max_length: Option<i64>,
    pub(crate) min_length: Option<i64>,
    pub(crate) max_items: Option<i64>,
    pub(crate) min_items: Option<i64>,
    pub(crate) max_properties: Option<i64>,
    pub(crate) min_properties: Option<i64>,
}

/// The `x-kubernetes-*` keywords.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Extensions {
    pub(crate) preserve_unknown_fields: Option<bool>,
    pub(crate) embedded_resource: bool,
    pub(crate) int_or_string: bool,
    pub(crate) list_map_keys: Vec<String>,
    pub(crate) list_type: Option<String>,
    pub(crate) map_type: Option<String>,
    /// `x-kubernetes-validations`.
    pub(crate) rules: Vec<Rule>,
}

/// Keywords that say nothing about a value, but are not allowed everywhere.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Annotations {
    pub(crate) title: bool,
    pub(crate) description: bool,
    /// `example` or `externalDocs`.
    pub(crate) example: bool,
    pub(crate) unique_items: bool,
    /// `items` is a list of schemas.
    pub(crate) item_tuple: bool,
    /// Keywords that custom resources must not use, in the order they are reported.
    pub(crate) unsupported: Rare<Vec<&'static str>>,
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

/// What neither a schema nor anything that it specifies inside has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Absent {
    /// Resources inside of the object.
    pub(crate) resources: bool,
    /// Lists of type set or map.
    pub(crate) keyed_lists: bool,
    /// Defaults of what is inside.
    pub(crate) defaults: bool,
}

/// One schema.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Node {
    /// `type` as written; empty when absent.
    pub(crate) type_name: TypeName,
    /// The types that a value may have; two of them for int-or-string.
    pub(crate) types: &'static [Type],
    pub(crate) nullable: bool,
    /// The format, if it is one that is checked for the type.
    pub(crate) format: Option<Box<Format>>,
    pub(crate) default: Option<Box<Value>>,
    pub(crate) bounds: Rare<Bounds>,
    pub(crate) sizes: Rare<Sizes>,
    /// Shared with the other schemas of the tree that have the same.
    pub(crate) pattern: Option<Arc<Pattern>>,
    pub(crate) choices: Rare<Vec<Value>>,
    pub(crate) required: Rare<Vec<String>>,
    pub(crate) items: Option<Box<Node>>,
    pub(crate) properties: Fields,
    pub(crate) additional: Option<Additional>,
    pub(crate) all_of: Rare<Vec<Node>>,
    pub(crate) any_of: Rare<Vec<Node>>,
    pub(crate) one_of: Rare<Vec<Node>>,
    pub(crate) not: Option<Box<Node>>,
    pub(crate) extensions: Rare<Extensions>,
    pub(crate) annotations: Annotations,
    /// What walks need not look for here and below; known once the schema is compiled.
    pub(crate) absent: Absent,
}

impl Node {
    /// Finds out what is absent here and below.
    pub(crate) fn note_absent(&mut self) {
        let mut absent = Absent {
            resources: !self.extensions.embedded_resource,
            keyed_lists: matches!(self.list_type(), "atomic"),
            defaults: true,
        };
        let additional = match &mut self.additional {
            Some(Additional::Schema(entry)) => Some(&mut **entry),
            _ => None,
        };
        for inner in self.properties.values_mut().chain(self.items.as_deref_mut()).chain(additional) {
            inner.note_absent();
            absent.resources &= inner.absent.resources;
            absent.keyed_lists &= inner.absent.keyed_lists;
            absent.defaults &= inner.absent.defaults && inner.default.is_none();
        }
        self.absent = absent;
    }

    /// Whether unknown fields of values of this schema are kept.
    pub(crate) fn preserves_unknown_fields(&self) -> bool {
        self.extensions.preserve_unknown_fields == Some(true)
    }

    /// The structural schema of the field `name` of an object of this schema.
    pub(crate) fn field(&self, name: &str) -> Option<&Node> {
        self.properties.get(name).or_else(|| self.additional.as_ref().and_then(Additional::schema))
    }

    /// Whether the fields of an old and a new value of this schema correspond by their names.
    pub(crate) fn is_correlatable_map(&self) -> bool {
        self.extensions.map_type.as_deref().is_none_or(|map_type| matches!(map_type, "granular" | "atomic"))
    }

    /// `x-kubernetes-list-type` with its default.
    pub(crate) fn list_type(&self) -> &str {
        self.extensions.list_type.as_deref().unwrap_or("atomic")
    }
}

/// The fields that every object has, whatever its schema says.
pub(crate) fn is_meta_field(name: &str) -> bool {
    matches!(name, "apiVersion" | "kind" | "metadata")
}
