//! Schemas that are in use compile: the ApplicationDefinitions in the folder `COZYSTACK_DEFINITIONS`.

use serde_json::{Value, json};

use super::super::{Dialect, Schema};
use crate::field::FieldPath;

#[test]
fn the_schemas_of_cozystack_compile() {
    let Ok(folder) = std::env::var("COZYSTACK_DEFINITIONS") else {
        eprintln!("NOT CHECKED: set COZYSTACK_DEFINITIONS to a folder of ApplicationDefinitions to compile theirs");
        return;
    };
    let (mut compiled, mut immutable) = (0, 0);
    let mut failures = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let Ok(definition) = serde_saphyr::from_str::<Value>(&text) else { continue };
        let Some(schema) = definition.pointer("/spec/application/openAPISchema").and_then(Value::as_str) else {
            continue;
        };
        let spec: Value = serde_json::from_str(schema).unwrap();
        let schema = json!({"type": "object", "properties": {"spec": spec}});
        match Schema::compile_dialect(&schema, &FieldPath::root(), Dialect::ChartValues) {
            Ok(schema) => {
                let mut object = json!({"spec": {}});
                schema.default(&mut object);
                assert!(schema.prune(&mut object).is_empty());
                immutable += immutable_fields(&schema);
                compiled += 1;
            }
            Err(errors) => failures.extend(errors.iter().map(|error| format!("{}: {error}", path.display()))),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(compiled > 0, "no definition with a schema in {folder}");
    eprintln!("{compiled} schemas compiled, {immutable} immutable fields kept");
}

/// Checks that texts in `spec` that must stay as they are cannot be changed, and returns how many there are.
fn immutable_fields(schema: &Schema) -> usize {
    let raw = schema.raw();
    let Some(properties) = raw.pointer("/properties/spec/properties").and_then(Value::as_object) else {
        return 0;
    };
    let mut found = 0;
    for (name, field) in properties {
        let Some(rule) = field.pointer("/x-kubernetes-validations/0").filter(|rule| rule["rule"] == "self == oldSelf")
        else {
            continue;
        };
        found += 1;
        let object = |value: &str| json!({"spec": {name: value}});
        let message = rule["message"].as_str().unwrap();
        assert_eq!(schema.validate_update(&object("a"), &object("a")), []);
        let errors = schema.validate_update(&object("b"), &object("a"));
        let broken: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(broken, [format!("spec.{name}: Invalid value: \"b\": {message}")]);
    }
    found
}
