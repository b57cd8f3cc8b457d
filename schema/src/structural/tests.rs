//! Behaviours of structural schemas, from a schema and an object to errors.

mod bounds;
mod compiling;
mod objects;
mod properties;
mod real_schemas;
mod rules;

use serde_json::{Value, json};

use super::Schema;
use crate::field::{FieldError, FieldPath};

/// A resource schema whose `spec` has these properties.
fn with_spec(properties: &Value) -> Value {
    json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}})
}

fn compile(schema: &Value) -> Schema {
    Schema::compile(schema, &FieldPath::root()).unwrap()
}

fn compile_errors(schema: &Value) -> Vec<String> {
    texts(&Schema::compile(schema, &FieldPath::root().child("schema")).unwrap_err())
}

fn texts(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}
