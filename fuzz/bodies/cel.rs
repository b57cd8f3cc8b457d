//! An expression: as a rule of a schema it compiles or is refused, and then it holds for an object or does not.

use kindsmith_schema::field::FieldPath;
use kindsmith_schema::structural::Schema;
use serde_json::{Value, json};

/// The first line of `data` is an expression, the second one the object that it is about.
pub(crate) fn run(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let Some(Ok(rule)) = lines.next().map(std::str::from_utf8) else { return };
    let object: Value = lines.next().and_then(|line| serde_json::from_slice(line).ok()).unwrap_or_default();
    let text = json!({"type": "string", "maxLength": 16});
    let schema = json!({"type": "object", "x-kubernetes-validations": [{"rule": rule, "messageExpression": rule}], "properties": {
        "n": {"type": "integer"}, "d": {"type": "number"}, "s": text, "b": {"type": "boolean"}, "t": {"type": "string", "format": "date-time"},
        "l": {"type": "array", "maxItems": 4, "items": text}, "m": {"type": "object", "maxProperties": 4, "additionalProperties": text},
        "i": {"x-kubernetes-int-or-string": true},
    }});
    match Schema::compile(&schema, &FieldPath::root()) {
        Ok(schema) => {
            let errors = schema.validate(&object);
            assert_eq!(errors, schema.validate(&object));
            schema.validate_update(&object, &json!({"n": 1, "s": "a", "l": ["a"]}));
        }
        Err(errors) => assert!(!errors.is_empty()),
    }
}
