//! A schema out of `values.yaml`: types and defaults from the values, descriptions from the comments. What the chart's
//! own schema says stays.

use serde_json::{Map, Value, json};

use super::comments::Descriptions;

/// How deep values are followed.
const DEPTH_MAX: usize = 24;

/// Completes the schema of values by the values.
pub(super) fn complete(schema: &mut Value, values: &Value, descriptions: &Descriptions) {
    let mut path = Vec::new();
    object(schema, values.as_object().unwrap_or(&Map::new()), descriptions, &mut path);
    note_default(schema);
}

fn object(schema: &mut Value, values: &Map<String, Value>, descriptions: &Descriptions, path: &mut Vec<String>) {
    let is_map = schema.get("additionalProperties").is_some();
    let Some(members) = schema.as_object_mut().filter(|_| !is_map && path.len() < DEPTH_MAX) else { return };
    let properties = members.entry("properties").or_insert_with(|| json!({}));
    let Some(properties) = properties.as_object_mut() else { return };
    for (key, value) in values {
        path.push(key.clone());
        let field = properties.entry(key.clone()).or_insert_with(|| inferred(value));
        if let (Some(Value::Object(inner)), true) = (Some(value), field["type"] == "object") {
            if !inner.is_empty() {
                object(field, inner, descriptions, path);
            }
            note_default(field);
        } else if field.get("default").is_none() && fits(field, value) {
            field["default"] = value.clone();
        }
        if let (Some(text), None) = (descriptions.get(path.as_slice()), field.get("description")) {
            field["description"] = json!(text);
        }
        path.pop();
    }
    if properties.is_empty() {
        members.remove("properties");
        members.entry("x-kubernetes-preserve-unknown-fields").or_insert(json!(true));
    }
}

/// An object whose fields have defaults has `{}` as its own, so that they are filled in; unless a field is required that
/// has none.
fn note_default(schema: &mut Value) {
    let has_default = |key: &Value| {
        let field = key.as_str().and_then(|key| schema.get("properties")?.get(key));
        field.is_some_and(|field| field.get("default").is_some())
    };
    let complete = schema["required"].as_array().is_none_or(|required| required.iter().all(has_default));
    let sized = schema.get("minProperties").is_some();
    if complete && !sized && schema.get("default").is_none() {
        schema["default"] = json!({});
    }
}

/// The type of a value.
fn inferred(value: &Value) -> Value {
    match value {
        Value::Null => json!({"x-kubernetes-preserve-unknown-fields": true, "nullable": true}),
        Value::Bool(_) => json!({"type": "boolean"}),
        Value::Number(number) if number.is_f64() => json!({"type": "number"}),
        Value::Number(_) => json!({"type": "integer"}),
        Value::String(_) => json!({"type": "string"}),
        Value::Array(items) => json!({"type": "array", "items": item(items)}),
        Value::Object(members) if members.is_empty() => {
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
        }
        Value::Object(_) => json!({"type": "object"}),
    }
}

/// The type of all items, if they have one; objects are not looked into, as each may have other fields.
fn item(items: &[Value]) -> Value {
    let mut types = items.iter().map(|item| match item {
        Value::Object(_) => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
        Value::Array(_) => json!({"x-kubernetes-preserve-unknown-fields": true}),
        other => inferred(other),
    });
    let anything = || json!({"x-kubernetes-preserve-unknown-fields": true});
    let Some(first) = types.next() else { return anything() };
    if types.all(|other| other == first) { first } else { anything() }
}

/// Whether a value can be the default of a field.
fn fits(field: &Value, value: &Value) -> bool {
    if field["x-kubernetes-int-or-string"] == true {
        return value.is_string() || value.is_i64();
    }
    let of_type = match field["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => !value.is_null(),
    };
    of_type && field["enum"].as_array().is_none_or(|values| values.contains(value))
}
