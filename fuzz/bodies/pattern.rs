//! A pattern in Go's syntax and a text: it compiles or says why not; letters and digits match themselves.

use kindsmith_schema::field::FieldPath;
use kindsmith_schema::structural::Schema;
use serde_json::json;

/// The first line of `data` is a pattern, the rest a text.
pub(crate) fn run(data: &[u8]) {
    let Ok(data) = std::str::from_utf8(data) else { return };
    let (pattern, text) = data.split_once('\n').unwrap_or((data, ""));
    let schema = json!({"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}});
    let plain = pattern.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match Schema::compile(&schema, &FieldPath::root()) {
        Ok(schema) => {
            let errors = schema.validate(&json!({ "a": text }));
            assert_eq!(errors, schema.validate(&json!({ "a": text })));
            if plain {
                assert_eq!(errors.is_empty(), text.contains(pattern));
            }
        }
        Err(errors) => {
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert!(!plain || pattern.len() > 1000, "{errors:?}");
        }
    }
}
