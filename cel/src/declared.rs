//! What a schema lets an expression see: types, field names as expressions write them, and size limits for costs.
//!
//! Follows k8s.io/apiserver/pkg/cel/common/schemas.go (`SchemaDeclType`) and pkg/cel/types.go (`DeclType`).

pub mod names;

use std::collections::BTreeMap;
use std::sync::Arc;

/// A schema as expressions see it. Parts of a schema that expressions cannot see have none.
#[derive(Debug)]
pub struct Declared {
    /// What it is.
    pub shape: Shape,
    /// The most elements it can have (items, entries, characters or bytes), for estimates; `None` is unbounded.
    pub max_elements: Option<u64>,
    /// The fewest bytes it takes in a request.
    pub min_serialized_size: u64,
    /// A value of this schema may be null.
    pub nullable: bool,
}

/// What a declared value is.
#[derive(Debug)]
pub enum Shape {
    /// `x-kubernetes-int-or-string`: dynamic, an int or a string.
    IntOrString,
    /// `type: boolean`.
    Bool,
    /// `type: integer`.
    Int,
    /// `type: number`.
    Double,
    /// `type: string`.
    String,
    /// `type: string, format: byte`, base64 in JSON.
    Bytes,
    /// `type: string, format: duration`.
    Duration,
    /// `type: string, format: date`; a timestamp in expressions.
    Date,
    /// `type: string, format: date-time`; a timestamp in expressions.
    DateTime,
    /// `type: array`.
    List {
        /// Each item.
        items: Arc<Declared>,
        /// Equality and `+` depend on it.
        merge: ListMerge,
    },
    /// `type: object` with `additionalProperties`.
    Map {
        /// Each value; keys are strings.
        values: Arc<Declared>,
    },
    /// `type: object` with declared fields.
    Object {
        /// By the field's name in JSON.
        fields: BTreeMap<String, Field>,
    },
}

/// `x-kubernetes-list-type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListMerge {
    /// Compared and concatenated as lists are.
    Atomic,
    /// Compared without order; `+` is a union.
    Set,
    /// Compared without order by these keys; `+` merges by key.
    Map(Vec<String>),
}

/// A field of a declared object.
#[derive(Debug)]
pub struct Field {
    /// The name as expressions write it: escaped, see `apiserver/pkg/cel/escaping.go`.
    pub escaped: String,
    /// What the field is.
    pub declared: Arc<Declared>,
}
