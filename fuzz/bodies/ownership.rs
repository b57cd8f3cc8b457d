//! Whatever clients send as `fieldsV1`, as owners and as configurations: sets survive the wire, and an apply ends.

use std::collections::BTreeMap;

use kindsmith_merge::{By, ConvertError, FieldManager, Force, Kinds, ObjectType, Set};
use kindsmith_schema::field::FieldPath;
use kindsmith_schema::structural::Schema;
use serde_json::{Value, json};

/// A kind with one version.
struct Single {
    schema: Schema,
    kind: ObjectType,
}

impl Kinds for Single {
    fn object_type(&self, api_version: &str) -> Option<&ObjectType> {
        (api_version == "g.example/v1").then_some(&self.kind)
    }

    fn convert(&self, _: &Value, api_version: &str) -> Result<Value, ConvertError> {
        Err(ConvertError::MissingVersion(format!("no version {api_version}")))
    }

    fn default(&self, object: &mut Value) {
        self.schema.fill_in(object);
    }
}

fn single() -> Single {
    let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "replicas": {"type": "integer", "default": 1},
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "users": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string"}, "limit": {"type": "integer"}}},
        },
        "values": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }}}});
    let schema = Schema::compile(&schema, &FieldPath::root()).unwrap_or_else(|errors| panic!("{errors:?}"));
    Single { kind: ObjectType::of_schema(&schema.raw()), schema }
}

/// `data` is a `fieldsV1`, an object and a configuration, a line each.
pub(crate) fn run(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    if let Ok(set) = Set::from_json(lines.next().unwrap_or_default()) {
        survives_the_wire(&set);
    }
    let mut object = || lines.next().and_then(|line| serde_json::from_slice::<Value>(line).ok());
    let (Some(live), Some(patch)) = (object(), object()) else { return };
    let kinds = single();
    let reset = BTreeMap::new();
    let endpoint =
        FieldManager { kinds: &kinds, api_version: "g.example/v1", kind: "Thing", subresource: "", reset: &reset };
    let by = By { manager: "fuzz", now: jiff::Timestamp::UNIX_EPOCH };
    let _ = endpoint.update(&live, patch.clone(), by);
    let Ok(applied) = endpoint.apply(&live, &patch, by, Force::Take) else { return };
    for entry in applied.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten() {
        assert!(Set::from_value(&entry["fieldsV1"]).is_ok(), "{entry}");
    }
}

fn survives_the_wire(set: &Set) {
    let text = set.to_json();
    let again = Set::from_json(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(again.to_json(), text);
    assert!(set.difference(set).is_empty(), "{text}");
    assert_eq!(set.union(set).to_json(), text);
    assert_eq!(set.intersection(set).to_json(), text);
}
