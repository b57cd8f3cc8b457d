//! `values.schema.json` as a structural schema: what structural schemas do not have is left out, and so only widens.

use serde_json::{Map, Value, json};

/// How deep a schema is followed; references may go round.
const DEPTH_MAX: usize = 24;

/// Keywords that are taken as they are.
const KEPT: [&str; 13] = [
    "default",
    "description",
    "format",
    "maxItems",
    "maxLength",
    "maxProperties",
    "minItems",
    "minLength",
    "minProperties",
    "multipleOf",
    "nullable",
    "pattern",
    "title",
];

/// A structural schema of values.
pub(super) fn from_json_schema(schema: &Value) -> Value {
    let mut root = convert(schema, schema, 0);
    if root.get("type").is_none() {
        root = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    }
    root
}

fn anything() -> Value {
    json!({"x-kubernetes-preserve-unknown-fields": true})
}

fn convert(schema: &Value, root: &Value, depth: usize) -> Value {
    let Some(members) = schema.as_object().filter(|_| depth < DEPTH_MAX) else { return anything() };
    if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        let mut merged = target.and_then(Value::as_object).cloned().unwrap_or_default();
        let beside = members.iter().filter(|(key, _)| *key != "$ref");
        merged.extend(beside.map(|(key, value)| (key.clone(), value.clone())));
        return convert(&Value::Object(merged), root, depth + 1);
    }
    let mut made = Map::new();
    for keyword in KEPT {
        made.extend(members.get(keyword).map(|value| (keyword.to_owned(), value.clone())));
    }
    let extensions = members.iter().filter(|(key, _)| key.starts_with("x-kubernetes-"));
    made.extend(extensions.map(|(key, value)| (key.clone(), value.clone())));
    let Some(kind) = kind(members, &mut made) else {
        made.insert("x-kubernetes-preserve-unknown-fields".to_owned(), json!(true));
        made.retain(|key, _| matches!(key.as_str(), "description" | "title" | "default") || key.starts_with("x-"));
        return Value::Object(made);
    };
    if kind == "int-or-string" {
        made.retain(|key, _| matches!(key.as_str(), "description" | "title" | "default" | "nullable"));
        made.insert("x-kubernetes-int-or-string".to_owned(), json!(true));
        return Value::Object(made);
    }
    made.insert("type".to_owned(), json!(kind));
    bounds(members, &mut made);
    match members.get("enum").and_then(Value::as_array) {
        Some(values) => drop(made.insert("enum".to_owned(), json!(values))),
        None => made.extend(members.get("const").map(|value| ("enum".to_owned(), json!([value])))),
    }
    match kind.as_str() {
        "array" => {
            let items = members.get("items").map_or_else(anything, |items| convert(items, root, depth + 1));
            made.insert("items".to_owned(), items);
        }
        "object" => object(members, &mut made, root, depth),
        _ => {}
    }
    Value::Object(made)
}

/// The type, if there is one that a structural schema can say.
fn kind(members: &Map<String, Value>, made: &mut Map<String, Value>) -> Option<String> {
    let names: Vec<&str> = match members.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ if members.contains_key("properties") => vec!["object"],
        _ if members.contains_key("items") => vec!["array"],
        _ => Vec::new(),
    };
    if names.contains(&"null") {
        made.insert("nullable".to_owned(), json!(true));
    }
    let mut names: Vec<&str> = names.into_iter().filter(|name| *name != "null").collect();
    names.sort_unstable();
    match names.as_slice() {
        [one] => Some((*one).to_owned()),
        ["integer", "string"] => Some("int-or-string".to_owned()),
        ["integer", "number"] => Some("number".to_owned()),
        _ => None,
    }
}

/// `minimum` and `maximum`; exclusive ones are numbers in newer drafts, and words beside the bound here.
fn bounds(members: &Map<String, Value>, made: &mut Map<String, Value>) {
    for (bound, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        made.extend(members.get(bound).map(|value| (bound.to_owned(), value.clone())));
        match members.get(exclusive) {
            Some(value @ Value::Number(_)) if !members.contains_key(bound) => {
                made.insert(bound.to_owned(), value.clone());
                made.insert(exclusive.to_owned(), json!(true));
            }
            Some(Value::Bool(true)) => drop(made.insert(exclusive.to_owned(), json!(true))),
            _ => {}
        }
    }
}

fn object(members: &Map<String, Value>, made: &mut Map<String, Value>, root: &Value, depth: usize) {
    let additional = members.get("additionalProperties");
    match members.get("properties").and_then(Value::as_object).filter(|properties| !properties.is_empty()) {
        Some(properties) => {
            let converted = properties.iter().map(|(key, value)| (key.clone(), convert(value, root, depth + 1)));
            made.insert("properties".to_owned(), Value::Object(converted.collect()));
            made.extend(members.get("required").map(|required| ("required".to_owned(), required.clone())));
            if additional.is_some_and(|additional| *additional != json!(false)) {
                made.insert("x-kubernetes-preserve-unknown-fields".to_owned(), json!(true));
            }
        }
        None => match additional {
            Some(entry @ Value::Object(_)) => {
                made.insert("additionalProperties".to_owned(), convert(entry, root, depth + 1));
            }
            Some(Value::Bool(false)) => {}
            _ => drop(made.insert("x-kubernetes-preserve-unknown-fields".to_owned(), json!(true))),
        },
    }
}
