//! What Kindsmith would say of a schema: the compiler itself is asked.

use kindsmith_schema::{field::FieldPath, structural::Schema};
use serde_json::{Value, json};

/// What is wrong with a schema as one of `spec`, if there is something.
pub(super) fn schema_fault(schema: &Value) -> Option<String> {
    let resource = json!({"type": "object", "properties": {"spec": schema}});
    let errors = Schema::compile(&resource, &FieldPath::root()).err()?;
    Some(errors.first().map_or_else(|| "it is not structural".to_owned(), |error| error.detail.clone()))
}

/// Why a value cannot be the default of a schema, if it cannot.
pub(super) fn default_fault(schema: &Value, default: &Value) -> Option<String> {
    let mut schema = schema.clone();
    schema.as_object_mut()?.insert("default".to_owned(), default.clone());
    schema_fault(&schema)
}

/// Why a pattern is none to Kubernetes, if it is none.
pub(super) fn pattern_fault(pattern: &str) -> Option<String> {
    schema_fault(&json!({"type": "string", "pattern": pattern}))
}
