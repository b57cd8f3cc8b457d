//! What schemas let expressions see.

use rstest::rstest;
use serde_json::{Value, json};

use kindsmith_cel::declared::Declared;

use super::{Place, from_schema};
use crate::field::FieldPath;
use crate::structural::parse::parse;

fn declared(schema: &Value) -> Option<std::sync::Arc<Declared>> {
    let node = parse(schema, &FieldPath::root()).expect("a schema");
    from_schema(&node, Place::Inside)
}

#[rstest]
#[case(json!({"type": "string"}), "string", 3_145_726, 2)]
#[case(json!({"type": "string", "maxLength": 3}), "string", 12, 2)]
#[case(json!({"type": "string", "enum": ["a", "abc"]}), "string", 3, 2)]
#[case(json!({"type": "string", "format": "byte", "maxLength": 3}), "bytes", 3, 2)]
#[case(json!({"type": "string", "format": "duration"}), "duration", 32, 3)]
#[case(json!({"type": "string", "format": "date"}), "timestamp", 12, 12)]
#[case(json!({"type": "string", "format": "date-time"}), "timestamp", 32, 21)]
#[case(json!({"x-kubernetes-int-or-string": true}), "dyn", 3_145_726, 1)]
#[case(json!({"type": "array", "items": {"type": "integer"}}), "list(int)", 1_572_863, 2)]
#[case(json!({"type": "array", "maxItems": 7, "items": {"type": "object"}}), "list(T.@idx)", 7, 2)]
#[case(json!({"type": "object", "additionalProperties": {"type": "object"}}), "map(string, T.@elem)", 393_215, 2)]
#[case(json!({"type": "object", "required": ["ab", "c"], "properties": {
    "ab": {"type": "boolean"}, "c": {"type": "boolean", "default": true}}}), "T", 0, 12)]
fn schemas_have_types_and_sizes(#[case] schema: Value, #[case] name: &str, #[case] most: u64, #[case] smallest: u64) {
    let declared = declared(&schema).expect("a declaration");
    assert_eq!(declared.cel_type("T").to_string(), name);
    assert_eq!((declared.max_elements, declared.min_serialized_size), (Some(most), smallest));
}

#[rstest]
#[case(json!({"x-kubernetes-preserve-unknown-fields": true}))]
#[case(json!({"type": "array"}))]
#[case(json!({"type": "array", "items": {"x-kubernetes-preserve-unknown-fields": true}}))]
fn what_is_not_specified_is_not_seen(#[case] schema: Value) {
    assert!(declared(&schema).is_none());
}
