//! A schema: it compiles or says why not, always in the same way; what compiles can be published.

use std::borrow::Cow;

use kindsmith_schema::field::FieldPath;
use kindsmith_schema::openapi::{Publishable, Scope, Subresource, v2_document, v3_document};
use kindsmith_schema::structural::{Dialect, Schema};
use serde_json::Value;

/// `data` is a schema as JSON.
pub(crate) fn run(data: &[u8]) {
    let Ok(written) = serde_json::from_slice::<Value>(data) else { return };
    let at = FieldPath::root().child("schema");
    for dialect in [Dialect::CustomResource, Dialect::ChartValues] {
        let first = Schema::compile_dialect(&written, &at, dialect);
        let second = Schema::compile_dialect(&written, &at, dialect);
        match (first, second) {
            (Ok(schema), Ok(_)) => publish(&schema),
            (Err(first), Err(second)) => {
                assert!(!first.is_empty(), "refused without a reason");
                assert_eq!(first, second);
            }
            _ => panic!("compiles only sometimes"),
        }
    }
}

fn publish(schema: &Schema) {
    let kind = Publishable {
        group: "apps.example.com",
        version: "v1",
        kind: "Cup",
        list_kind: "CupList",
        plural: "cups",
        scope: Scope::Namespaced,
        schema: Cow::Owned(schema.raw()),
        status: Subresource::Served,
        scale: Subresource::Absent,
        selectable_fields: vec![".spec.size"],
    };
    let kinds = std::slice::from_ref(&kind);
    let v3 = v3_document("apps.example.com", "v1", kinds);
    assert_eq!(v3, v3_document("apps.example.com", "v1", kinds));
    v2_document(kinds);
}
