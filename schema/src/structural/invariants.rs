//! What makes a schema structural.
//!
//! Follows apiextensions-apiserver/pkg/apiserver/schema/{validation,complete}.go.

use serde_json::Value;

use super::node::{Additional, Node, TypeName};
use crate::field::{FieldError, FieldPath};

/// Where a schema stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

/// Which `anyOf` may say `type`, because it spells int-or-string out.
#[derive(Clone, Copy, Default)]
struct Exempt {
    any_of: bool,
    first_all_of: bool,
}

/// Whether the schema uses no keyword that a structural schema cannot even express.
pub(super) fn is_expressible(schema: &Node) -> bool {
    schema.annotations.unsupported.is_empty()
        && !schema.annotations.item_tuple
        && schema.extensions.preserve_unknown_fields != Some(false)
        && children(schema).all(is_expressible)
}

/// All schemas directly inside of one.
pub(super) fn children(schema: &Node) -> impl Iterator<Item = &Node> {
    let additional = schema.additional.as_ref().and_then(Additional::schema);
    schema
        .properties
        .values()
        .chain(schema.items.as_deref())
        .chain(additional)
        .chain(schema.all_of.iter())
        .chain(schema.any_of.iter())
        .chain(schema.one_of.iter())
        .chain(schema.not.as_deref())
}

/// What keeps the schema from being structural, sorted by text.
pub(super) fn check(schema: &Node, at: &FieldPath) -> Vec<FieldError> {
    let mut errors = Vec::new();
    invariants(schema, Level::Root, at, &mut errors);
    completeness(schema, Some(schema), at, at, &mut errors);
    errors.sort_by_cached_key(ToString::to_string);
    errors
}

fn invariants(schema: &Node, level: Level, at: &FieldPath, errors: &mut Vec<FieldError>) {
    if schema.type_name == "array" && schema.items.is_none() {
        errors.push(FieldError::required(&at.child("items"), "must be specified"));
    }
    if let Some(items) = &schema.items {
        invariants(items, Level::Item, &at.child("items"), errors);
    }
    for (name, field) in &schema.properties {
        invariants(field, Level::Field, &at.child("properties").key(name), errors);
    }
    if let Some(additional) = &schema.additional {
        let at = at.child("additionalProperties");
        if level == Level::Root {
            errors.push(FieldError::forbidden(&at, "must not be used at the root"));
        }
        if let Some(entry) = additional.schema() {
            invariants(entry, Level::Field, &at, errors);
        }
    }
    extensions(schema, at, errors);
    let exempt = Exempt {
        any_of: is_int_or_string(&schema.any_of),
        first_all_of: schema.all_of.first().is_some_and(|part| is_int_or_string(&part.any_of)),
    };
    alternatives(schema, exempt, level, at, errors);
    types(schema, level, at, errors);
    metadata(schema, level, at, errors);
    let embedded = schema.extensions.embedded_resource;
    if embedded && !schema.preserves_unknown_fields() && schema.properties.is_empty() {
        let detail = "must not be empty if x-kubernetes-embedded-resource is true without \
                      x-kubernetes-preserve-unknown-fields";
        errors.push(FieldError::required(&at.child("properties"), detail));
    }
}

fn extensions(schema: &Node, at: &FieldPath, errors: &mut Vec<FieldError>) {
    let detail = "must be false if x-kubernetes-int-or-string is true";
    if schema.extensions.int_or_string && schema.preserves_unknown_fields() {
        let at = at.child("x-kubernetes-preserve-unknown-fields");
        errors.push(FieldError::invalid(&at, &Value::Bool(true), detail));
    }
    if schema.extensions.int_or_string && schema.extensions.embedded_resource {
        errors.push(FieldError::invalid(&at.child("x-kubernetes-embedded-resource"), &Value::Bool(true), detail));
    }
}

fn types(schema: &Node, level: Level, at: &FieldPath, errors: &mut Vec<FieldError>) {
    let type_at = at.child("type");
    let name = schema.type_name.as_str();
    if schema.extensions.embedded_resource && name != "object" {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(match name {
            "" => FieldError::required(&type_at, detail),
            name => FieldError::invalid_text(&type_at, name, detail),
        });
    } else if name.is_empty() && !schema.extensions.int_or_string && !schema.preserves_unknown_fields() {
        let detail = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        errors.push(FieldError::required(&type_at, detail));
    }
    if schema.extensions.embedded_resource && schema.additional.is_some() {
        let detail = "must not be used if x-kubernetes-embedded-resource is set";
        errors.push(FieldError::forbidden(&at.child("additionalProperties"), detail));
    }
    if level == Level::Root && !name.is_empty() && name != "object" {
        errors.push(FieldError::invalid_text(&type_at, name, "must be object at the root"));
    }
}

fn metadata(schema: &Node, level: Level, at: &FieldPath, errors: &mut Vec<FieldError>) {
    let resource = level == Level::Root || schema.extensions.embedded_resource;
    for name in ["kind", "apiVersion"] {
        if let Some(field) = schema.properties.get(name).filter(|field| resource && field.type_name != "string") {
            let at = at.child("properties").key(name).child("type");
            errors.push(FieldError::invalid_text(&at, &field.type_name, "must be string"));
        }
    }
    let Some(metadata) = schema.properties.get("metadata") else { return };
    let at = at.child("properties").key("metadata");
    if resource && metadata.type_name != "object" {
        errors.push(FieldError::invalid_text(&at.child("type"), &metadata.type_name, "must be object"));
    }
    if level == Level::Root {
        let mut rest = metadata.clone();
        if rest.properties.keys().all(|name| name == "name" || name == "generateName") {
            rest.properties.clear();
        }
        rest.type_name = TypeName::default();
        rest.types = &[];
        rest.default = None;
        if rest != Node::default() {
            let detail = "must not specify anything other than name and generateName, but metadata is implicitly \
                          specified";
            errors.push(FieldError::forbidden(&at, detail));
        }
    }
}

/// `anyOf: [{type: integer}, {type: string}]`.
fn is_int_or_string(any_of: &[Node]) -> bool {
    let [first, second] = any_of else { return false };
    [(first, "integer"), (second, "string")].into_iter().all(|(node, name)| {
        node.type_name == name && Node { type_name: TypeName::default(), types: &[], ..node.clone() } == Node::default()
    })
}

/// `validateValueValidation`.
fn alternatives(schema: &Node, exempt: Exempt, level: Level, at: &FieldPath, errors: &mut Vec<FieldError>) {
    if !exempt.any_of {
        for (i, part) in schema.any_of.iter().enumerate() {
            nested(part, Exempt::default(), level, &at.child("anyOf").index(i), errors);
        }
    }
    for (i, part) in schema.all_of.iter().enumerate() {
        let exempt = Exempt { any_of: exempt.first_all_of && i == 0, first_all_of: false };
        nested(part, exempt, level, &at.child("allOf").index(i), errors);
    }
    for (i, part) in schema.one_of.iter().enumerate() {
        nested(part, Exempt::default(), level, &at.child("oneOf").index(i), errors);
    }
    if let Some(part) = &schema.not {
        nested(part, Exempt::default(), level, &at.child("not"), errors);
    }
    if let Some(pattern) = &schema.pattern
        && let Some(error) = pattern.error()
    {
        let detail = format!("must be a valid regular expression, but isn't: {error}");
        errors.push(FieldError::invalid_text(&at.child("pattern"), pattern.text(), &detail));
    }
}

/// `validateNestedValueValidation`: inside of alternatives values are only validated, nothing is specified.
fn nested(schema: &Node, exempt: Exempt, level: Level, at: &FieldPath, errors: &mut Vec<FieldError>) {
    alternatives(schema, exempt, level, at, errors);
    if let Some(items) = &schema.items {
        nested(items, Exempt::default(), level, &at.child("items"), errors);
    }
    for (name, field) in &schema.properties {
        nested(field, Exempt::default(), Level::Field, &at.child("properties").key(name), errors);
    }
    let additional = matches!(schema.additional, Some(Additional::Schema(_) | Additional::Any(true)));
    let extensions = &schema.extensions;
    let forbidden = [
        (!schema.type_name.is_empty(), "type", "must be empty"),
        (additional, "additionalProperties", "must be undefined"),
        (schema.default.is_some(), "default", "must be undefined"),
        (schema.annotations.title, "title", "must be empty"),
        (schema.annotations.description, "description", "must be empty"),
        (schema.nullable, "nullable", "must be false"),
        (schema.preserves_unknown_fields(), "x-kubernetes-preserve-unknown-fields", "must be false"),
        (extensions.embedded_resource, "x-kubernetes-embedded-resource", "must be false"),
        (extensions.int_or_string, "x-kubernetes-int-or-string", "must be false"),
        (!extensions.list_map_keys.is_empty(), "x-kubernetes-list-map-keys", "must be empty"),
        (extensions.list_type.is_some(), "x-kubernetes-list-type", "must be undefined"),
        (extensions.map_type.is_some(), "x-kubernetes-map-type", "must be undefined"),
        (!extensions.rules.is_empty(), "x-kubernetes-validations", "must be empty"),
    ];
    for (_, keyword, must) in forbidden.into_iter().filter(|(used, ..)| *used) {
        errors.push(FieldError::forbidden(&at.child(keyword), &format!("{must} to be structural")));
    }
    if schema.properties.contains_key("metadata") {
        let at = at.child("properties").key("metadata");
        errors.push(FieldError::forbidden(&at, "must not be specified in a nested context"));
    }
}

/// `validateNestedValueValidationCompleteness`: what alternatives speak of must be specified outside of them.
/// kube-apiserver starts at the root and does not descend outside of alternatives, so neither does this.
fn completeness(rule: &Node, schema: Option<&Node>, at: &FieldPath, rule_at: &FieldPath, errors: &mut Vec<FieldError>) {
    let parts = [("allOf", &rule.all_of), ("anyOf", &rule.any_of), ("oneOf", &rule.one_of)];
    if let Some(not) = &rule.not {
        nested_completeness(not, schema, at, &rule_at.child("not"), errors);
    }
    for (keyword, parts) in parts {
        for (i, part) in parts.iter().enumerate() {
            nested_completeness(part, schema, at, &rule_at.child(keyword).index(i), errors);
        }
    }
}

fn nested_completeness(
    rule: &Node,
    schema: Option<&Node>,
    at: &FieldPath,
    rule_at: &FieldPath,
    errors: &mut Vec<FieldError>,
) {
    let Some(schema) = schema else {
        errors.push(FieldError::required(at, &format!("because it is defined in {rule_at}")));
        return;
    };
    completeness(rule, Some(schema), at, rule_at, errors);
    if let Some(items) = &rule.items {
        nested_completeness(items, schema.items.as_deref(), &at.child("items"), &rule_at.child("items"), errors);
    }
    for (name, field) in &rule.properties {
        let at = at.child("properties").key(name);
        let rule_at = rule_at.child("properties").key(name);
        nested_completeness(field, schema.properties.get(name), &at, &rule_at, errors);
    }
}
