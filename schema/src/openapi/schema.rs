//! From a structural schema as written to the schema that is published.
//!
//! `buildKubeNative`, `addEmbeddedProperties` and `buildListSchema` of `controller/openapi/builder/builder.go`,
//! `Unfold` and `ToKubeOpenAPI` of `apiserver/schema`, and `ToStructuralOpenAPIV2` of `controller/openapi/v2`.
//! The depth of a schema is that of the definition it came in, which its decoder has bounded.

use serde_json::{Map, Value, json};

use super::names::model_name;
use super::{Dialect, Publishable, meta};

const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should \
    convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer \
    this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const METADATA: &str = "Standard object's metadata. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";
const LIST_METADATA: &str = "Standard list metadata. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const EMBEDDED_API_VERSION: &str = "apiVersion defines the versioned schema of this representation of an object. More \
    info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const EMBEDDED_KIND: &str = "kind is a string value representing the type of this object. In CamelCase. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const EMBEDDED: &str = "x-kubernetes-embedded-resource";
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";

/// What is published as it was written, unless it says nothing (see [`says_something`]).
const KEPT: &[&str] = &[
    "default",
    "description",
    "enum",
    "example",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "externalDocs",
    "format",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "nullable",
    "pattern",
    "required",
    "title",
    "type",
    "uniqueItems",
    EMBEDDED,
    INT_OR_STRING,
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    PRESERVE,
    "x-kubernetes-validations",
];

type Schema = Map<String, Value>;

impl Publishable<'_> {
    /// The published schema of the kind itself.
    pub(super) fn object_schema(&self, dialect: Dialect) -> Value {
        let mut out = match structural(&self.schema, dialect) {
            // kubectl complains about every field that a published root does not name.
            Some(_) if dialect == Dialect::V2 && is_true(&self.schema, PRESERVE) => bare_object(),
            None => bare_object(),
            Some(mut out) => {
                add_embedded(&mut out, dialect);
                set_property(&mut out, "metadata", reference(dialect, meta::OBJECT_META, METADATA));
                set_property(&mut out, "apiVersion", text(API_VERSION));
                set_property(&mut out, "kind", text(KIND));
                out
            }
        };
        self.add_extensions(&mut out, self.kind);
        Value::Object(out)
    }

    /// The published schema of a list of the kind.
    pub(super) fn list_schema(&self, dialect: Dialect) -> Value {
        let mut out = bare_object();
        let item = dialect.reference(&model_name(self.group, self.version, self.kind));
        let items = format!(
            "List of {}. More info: \
             https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md",
            self.plural
        );
        out.insert("description".to_owned(), Value::from(format!("{} is a list of {}", self.list_kind, self.kind)));
        out.insert("required".to_owned(), json!(["items"]));
        set_property(&mut out, "items", json!({"description": items, "type": "array", "items": {"$ref": item}}));
        set_property(&mut out, "metadata", reference(dialect, meta::LIST_META, LIST_METADATA));
        set_property(&mut out, "apiVersion", text(API_VERSION));
        set_property(&mut out, "kind", text(KIND));
        self.add_extensions(&mut out, self.list_kind);
        Value::Object(out)
    }

    fn add_extensions(&self, out: &mut Schema, kind: &str) {
        out.insert("x-kubernetes-group-version-kind".to_owned(), json!([self.gvk(kind)]));
        if !self.selectable_fields.is_empty() {
            let path = |field: &&str| json!({"fieldPath": field.strip_prefix('.').unwrap_or(field)});
            let fields = self.selectable_fields.iter().map(path).collect();
            out.insert("x-kubernetes-selectable-fields".to_owned(), fields);
        }
    }
}

fn bare_object() -> Schema {
    Schema::from_iter([("type".to_owned(), Value::from("object"))])
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

/// A reference with a description beside it, which OpenAPI v3 allows only when it is wrapped.
fn reference(dialect: Dialect, model: &str, description: &str) -> Value {
    let target = dialect.reference(model);
    match dialect {
        Dialect::V2 => json!({"$ref": target, "description": description}),
        Dialect::V3 => json!({"allOf": [{"$ref": target}], "description": description}),
    }
}

fn set_property(schema: &mut Schema, name: &str, property: Value) {
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        properties.insert(name.to_owned(), property);
    }
}

fn is_true(schema: &Value, field: &str) -> bool {
    schema.get(field) == Some(&Value::Bool(true))
}

/// False for zero values, which Go leaves out: a number of 0 is behind a pointer and says something.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::Object(_) => true,
    }
}

/// The fields of a schema that every dialect keeps. A default or an example may be any value but null.
fn kept(source: &Schema) -> Schema {
    let mut out = Schema::new();
    for key in KEPT {
        let Some(value) = source.get(*key) else { continue };
        let any_value = matches!(*key, "default" | "example") && !value.is_null();
        if any_value || says_something(value) {
            out.insert((*key).to_owned(), value.clone());
        }
    }
    out
}

/// One node of the structural schema and all below; `None` for what is no schema.
fn structural(schema: &Value, dialect: Dialect) -> Option<Schema> {
    let source = schema.as_object()?;
    let mut out = kept(source);
    if let Some(properties) = source.get("properties").and_then(Value::as_object).filter(|p| !p.is_empty()) {
        let published = properties
            .iter()
            .filter_map(|(name, property)| Some((name.clone(), Value::Object(structural(property, dialect)?))));
        out.insert("properties".to_owned(), Value::Object(published.collect()));
    }
    if let Some(items) = source.get("items").and_then(|items| structural(items, dialect)) {
        out.insert("items".to_owned(), Value::Object(items));
    }
    match source.get("additionalProperties") {
        Some(Value::Bool(true)) => {
            out.insert(PRESERVE.to_owned(), Value::Bool(true));
        }
        Some(values) => {
            if let Some(values) = structural(values, dialect) {
                out.insert("additionalProperties".to_owned(), Value::Object(values));
            }
        }
        None => {}
    }
    match dialect {
        Dialect::V3 => finish_v3(source, &mut out),
        Dialect::V2 => finish_v2(source, &mut out),
    }
    Some(out)
}

/// The junctors, and what an int-or-string and an array without items stand for.
fn finish_v3(source: &Schema, out: &mut Schema) {
    junctors(source, out);
    if out.contains_key(INT_OR_STRING) {
        unfold(out);
    }
    if out.get("type").is_some_and(|kind| kind == "array") && !out.contains_key("items") {
        out.insert("items".to_owned(), json!({PRESERVE: true}));
    }
}

/// What Swagger 2.0 cannot say is dropped, and what kubectl cannot read in it.
fn finish_v2(source: &Schema, out: &mut Schema) {
    out.remove("default");
    let preserves = out.contains_key(PRESERVE);
    let nullable = out.remove("nullable").is_some();
    if nullable {
        out.remove("type");
    }
    if nullable || preserves {
        out.remove("items");
        out.remove("properties");
    }
    match out.get("type").and_then(Value::as_str) {
        Some("array") if !out.contains_key("items") => {
            out.remove("type");
        }
        Some("object") if preserves => {
            out.remove("type");
        }
        _ => {}
    }
    if source.get("additionalProperties").is_some_and(|values| is_true(values, "nullable")) {
        out.remove("required");
    }
    if !out.contains_key("properties") {
        return;
    }
    let nullable_property = |name: &Value| {
        let property = name.as_str().and_then(|name| source.get("properties")?.get(name));
        property.is_some_and(|property| is_true(property, "nullable"))
    };
    if let Some(required) = out.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| !nullable_property(name));
        if required.is_empty() {
            out.remove("required");
        }
    }
}

/// `allOf`, `anyOf`, `oneOf` and `not`, whose schemas only judge values.
fn junctors(source: &Schema, out: &mut Schema) {
    for junctor in ["allOf", "anyOf", "oneOf"] {
        let Some(members) = source.get(junctor).and_then(Value::as_array).filter(|m| !m.is_empty()) else { continue };
        out.insert(junctor.to_owned(), members.iter().filter_map(nested).collect());
    }
    if let Some(not) = source.get("not").and_then(nested) {
        out.insert("not".to_owned(), not);
    }
}

/// A schema inside a junctor. Its `additionalProperties` are not published, as upstream.
fn nested(schema: &Value) -> Option<Value> {
    let source = schema.as_object()?;
    let mut out = kept(source);
    if let Some(properties) = source.get("properties").and_then(Value::as_object) {
        let published = properties.iter().filter_map(|(name, property)| Some((name.clone(), nested(property)?)));
        out.insert("properties".to_owned(), Value::Object(published.collect()));
    }
    if let Some(items) = source.get("items").and_then(nested) {
        out.insert("items".to_owned(), items);
    }
    junctors(source, &mut out);
    Some(Value::Object(out))
}

/// Says with `anyOf` what `x-kubernetes-int-or-string` means, for clients that do not know it.
fn unfold(out: &mut Schema) {
    let pattern = json!([{"type": "integer"}, {"type": "string"}]);
    let first_of_all = out.get("allOf").and_then(|all| all.get(0)).and_then(|first| first.get("anyOf"));
    if out.get("anyOf") == Some(&pattern) || first_of_all == Some(&pattern) {
        return;
    }
    if !out.contains_key("anyOf") {
        out.insert("anyOf".to_owned(), pattern);
    } else if let Some(all) = out.entry("allOf").or_insert_with(|| json!([])).as_array_mut() {
        all.insert(0, json!({"anyOf": pattern}));
    }
}

/// Gives embedded resources, at any depth, the fields every object has.
fn add_embedded(schema: &mut Schema, dialect: Dialect) {
    let below = |value: Option<&mut Value>| {
        if let Some(below) = value.and_then(Value::as_object_mut) {
            add_embedded(below, dialect);
        }
    };
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(|property| below(Some(property)));
    }
    below(schema.get_mut("items"));
    below(schema.get_mut("additionalProperties"));

    // Under Swagger 2.0 kubectl would refuse every other field.
    if !schema.contains_key(EMBEDDED) || (dialect == Dialect::V2 && schema.contains_key(PRESERVE)) {
        return;
    }
    set_property(schema, "apiVersion", text(EMBEDDED_API_VERSION));
    set_property(schema, "kind", text(EMBEDDED_KIND));
    set_property(schema, "metadata", reference(dialect, meta::OBJECT_META, METADATA));
    if let Some(required) = schema.entry("required").or_insert_with(|| json!([])).as_array_mut() {
        for name in ["kind", "apiVersion"] {
            if !required.iter().any(|field| field == name) {
                required.push(Value::from(name));
            }
        }
    }
}
