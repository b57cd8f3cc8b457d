//! OpenAPI v2 in protobuf, from the document's JSON: what kubectl and client-go ask for, without an alternative.
//!
//! Source: github.com/google/gnostic-models/openapiv2/OpenAPIv2.proto. A document may be written in pieces that follow each
//! other: to protobuf, a message that comes twice is one message with the fields of both.

use serde_json::Value;

use super::wire::Wire;

/// The media type of the answer.
pub const MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The name of the media type that older clients ask with. It is none by its syntax, so answers never have it.
pub const MEDIA_TYPE_ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// A piece of a document: any of `swagger`, `info`, `paths`, `definitions` and `parameters`.
#[must_use]
pub fn piece(document: &Value) -> Vec<u8> {
    let mut wire = Wire::default();
    wire.text_if_any(1, &document["swagger"]);
    if document["info"].is_object() {
        wire.message(2, |wire| {
            wire.text_if_any(1, &document["info"]["title"]);
            wire.text_if_any(2, &document["info"]["version"]);
        });
    }
    if document["paths"].is_object() {
        wire.message(8, |wire| named(wire, 2, &document["paths"], path_item));
    }
    if document["definitions"].is_object() {
        wire.message(9, |wire| named(wire, 1, &document["definitions"], schema));
    }
    if document["parameters"].is_object() {
        wire.message(10, |wire| named(wire, 1, &document["parameters"], parameter));
    }
    wire.into_bytes()
}

/// The members of an object, each as a message of a name and a value.
fn named(wire: &mut Wire, tag: u32, object: &Value, write: impl Fn(&mut Wire, &Value)) {
    for (name, value) in object.as_object().into_iter().flatten() {
        wire.message(tag, |wire| {
            wire.bytes(1, name.as_bytes());
            wire.message(2, |wire| write(wire, value));
        });
    }
}

/// `Any`: YAML, which JSON is.
fn any(wire: &mut Wire, value: &Value) {
    wire.bytes(2, value.to_string().as_bytes());
}

/// What begins with `x-`.
fn extensions(wire: &mut Wire, tag: u32, object: &Value) {
    for (name, value) in object.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with("x-")) {
        wire.message(tag, |wire| {
            wire.bytes(1, name.as_bytes());
            wire.message(2, |wire| any(wire, value));
        });
    }
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn path_item(wire: &mut Wire, item: &Value) {
    for (tag, method) in (2..).zip(["get", "put", "post", "delete", "options", "head", "patch"]) {
        if item[method].is_object() {
            wire.message(tag, |wire| operation(wire, &item[method]));
        }
    }
    parameters(wire, 9, &item["parameters"]);
    extensions(wire, 10, item);
}

fn operation(wire: &mut Wire, operation: &Value) {
    wire.texts(1, &operation["tags"]);
    wire.text_if_any(2, &operation["summary"]);
    wire.text_if_any(3, &operation["description"]);
    wire.text_if_any(5, &operation["operationId"]);
    wire.texts(6, &operation["produces"]);
    wire.texts(7, &operation["consumes"]);
    parameters(wire, 8, &operation["parameters"]);
    wire.message(9, |wire| named(wire, 1, &operation["responses"], response));
    wire.texts(10, &operation["schemes"]);
    wire.true_if_any(11, &operation["deprecated"]);
    extensions(wire, 13, operation);
}

fn response(wire: &mut Wire, response: &Value) {
    wire.message(1, |wire| {
        wire.text_if_any(1, &response["description"]);
        if response["schema"].is_object() {
            wire.message(2, |wire| wire.message(1, |wire| schema(wire, &response["schema"])));
        }
        extensions(wire, 5, response);
    });
}

fn parameters(wire: &mut Wire, tag: u32, list: &Value) {
    for one in each(list) {
        wire.message(tag, |wire| match &one["$ref"] {
            Value::Null => wire.message(1, |wire| parameter(wire, one)),
            reference => wire.message(2, |wire| wire.text_if_any(1, reference)),
        });
    }
}

fn parameter(wire: &mut Wire, parameter: &Value) {
    if parameter["in"] == "body" {
        return wire.message(1, |wire| {
            wire.text_if_any(1, &parameter["description"]);
            wire.text_if_any(2, &parameter["name"]);
            wire.text_if_any(3, &parameter["in"]);
            wire.true_if_any(4, &parameter["required"]);
            wire.message(5, |wire| schema(wire, &parameter["schema"]));
            extensions(wire, 6, parameter);
        });
    }
    // Those in the query may be empty, which moves what follows by one.
    let (sort, moved, last) = match parameter["in"].as_str() {
        Some("header") => (1, 0, 22),
        Some("path") => (4, 0, 22),
        _ => (3, 1, 23),
    };
    wire.message(2, |wire| {
        wire.message(sort, |wire| {
            wire.true_if_any(1, &parameter["required"]);
            wire.text_if_any(2, &parameter["in"]);
            wire.text_if_any(3, &parameter["description"]);
            wire.text_if_any(4, &parameter["name"]);
            wire.text_if_any(5 + moved, &parameter["type"]);
            wire.text_if_any(6 + moved, &parameter["format"]);
            wire.true_if_any(18 + moved, &parameter["uniqueItems"]);
            extensions(wire, last, parameter);
        });
    });
}

fn schema(wire: &mut Wire, it: &Value) {
    for (tag, name) in (1..).zip(["$ref", "format", "title", "description"]) {
        wire.text_if_any(tag, &it[name]);
    }
    if let Some(default) = it.get("default") {
        wire.message(5, |wire| any(wire, default));
    }
    for (tag, name) in [(6, "multipleOf"), (7, "maximum"), (9, "minimum")] {
        if let Some(number) = it[name].as_f64() {
            wire.double(tag, number);
        }
    }
    wire.true_if_any(8, &it["exclusiveMaximum"]);
    wire.true_if_any(10, &it["exclusiveMinimum"]);
    wire.integer_if_any(11, &it["maxLength"]);
    wire.integer_if_any(12, &it["minLength"]);
    wire.text_if_any(13, &it["pattern"]);
    wire.integer_if_any(14, &it["maxItems"]);
    wire.integer_if_any(15, &it["minItems"]);
    wire.true_if_any(16, &it["uniqueItems"]);
    wire.integer_if_any(17, &it["maxProperties"]);
    wire.integer_if_any(18, &it["minProperties"]);
    wire.texts(19, &it["required"]);
    for value in each(&it["enum"]) {
        wire.message(20, |wire| any(wire, value));
    }
    match &it["additionalProperties"] {
        Value::Bool(open) => wire.message(21, |wire| wire.varint(2, i64::from(*open))),
        values @ Value::Object(_) => wire.message(21, |wire| wire.message(1, |wire| schema(wire, values))),
        _ => {}
    }
    match &it["type"] {
        one @ Value::String(_) => wire.message(22, |wire| wire.text(1, one)),
        many @ Value::Array(_) => wire.message(22, |wire| wire.texts(1, many)),
        _ => {}
    }
    if it["items"].is_object() {
        wire.message(23, |wire| wire.message(1, |wire| schema(wire, &it["items"])));
    }
    for one in each(&it["allOf"]) {
        wire.message(24, |wire| schema(wire, one));
    }
    if it["properties"].is_object() {
        wire.message(25, |wire| named(wire, 1, &it["properties"], schema));
    }
    wire.true_if_any(27, &it["readOnly"]);
    if let Some(example) = it.get("example") {
        wire.message(30, |wire| any(wire, example));
    }
    extensions(wire, 31, it);
}
