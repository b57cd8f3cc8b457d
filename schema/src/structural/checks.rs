//! What custom resources allow schemas to say, apart from being structural.
//!
//! Follows `ValidateCustomResourceDefinitionOpenAPISchema` in
//! apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go.

use std::collections::HashSet;

use serde_json::Value;

use super::node::{Additional, Node, Type, is_meta_field};
use crate::cel::rules::{self, Costs, Scope, Step};
use crate::field::{FieldError, FieldPath};

/// What holds where a schema stands.
#[derive(Clone, Copy, Default)]
struct Context<'a> {
    root: bool,
    /// Inside of a resource's own fields.
    in_metadata: bool,
    /// Why defaults are forbidden, if they are.
    no_defaults: Option<&'a str>,
    /// What the expressions of rules see; none inside of alternatives, and none in schemas with other faults.
    scope: Option<&'a Scope<'a>>,
    /// The highest schema above whose values of before and after do not correspond.
    uncorrelatable: Option<&'a FieldPath>,
}

/// Whether the expressions of rules are compiled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Expressions {
    /// They are.
    Compiled,
    /// They are not: the schema is faulty already.
    Ignored,
}

/// Everything that a schema of a resource must not say.
pub(super) fn check(schema: &Node, at: &FieldPath, expressions: Expressions) -> Vec<FieldError> {
    let mut faults = Faults::default();
    let scope = Scope::root(schema);
    let scope = (expressions == Expressions::Compiled).then_some(&scope);
    walk(schema, Context { root: true, scope, ..Context::default() }, at, &mut faults);
    let mut errors = faults.errors;
    errors.append(&mut faults.of_rules);
    errors.extend(faults.costs.errors(at));
    errors
}

/// What was found; what is wrong with expressions comes after all else.
#[derive(Default)]
struct Faults {
    errors: Vec<FieldError>,
    of_rules: Vec<FieldError>,
    costs: Costs,
}

fn walk(schema: &Node, context: Context<'_>, at: &FieldPath, faults: &mut Faults) {
    let before = faults.errors.len();
    let errors = &mut faults.errors;
    standard(schema, context, at, errors);
    if schema.annotations.unique_items {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.push(FieldError::forbidden(&at.child("uniqueItems"), detail));
    }
    let inner = Context { root: false, scope: None, ..context };
    if let Some(additional) = &schema.additional {
        let at = at.child("additionalProperties");
        if !schema.properties.is_empty() && *additional != Additional::Any(true) {
            let detail = "additionalProperties and properties are mutual exclusive";
            errors.push(FieldError::forbidden(&at, detail));
        }
        if let Some(entry) = additional.schema() {
            let reason = "inside additionalProperties applying to object metadata";
            let no_defaults = if context.in_metadata { Some(reason) } else { context.no_defaults };
            let scope = context.scope.map(|scope| scope.child(entry, Step::Inside));
            walk(entry, Context { no_defaults, scope: scope.as_ref(), ..inner }, &at, faults);
        }
    }
    for (name, field) in &schema.properties {
        let reason = format!("in top-level {name}");
        let scope = context.scope.map(|scope| scope.child(field, Step::Field(name)));
        let mut inner = Context { scope: scope.as_ref(), ..inner };
        if !schema.is_correlatable_map() {
            inner.uncorrelatable = inner.uncorrelatable.or(Some(at));
        }
        if (context.root || schema.extensions.embedded_resource) && is_meta_field(name) {
            inner.in_metadata = true;
            if context.root {
                inner.no_defaults = Some(&reason);
            }
        }
        walk(field, inner, &at.child("properties").key(name), faults);
    }
    if let Some(not) = &schema.not {
        walk(not, inner, &at.child("not"), faults);
    }
    for (keyword, parts) in [("allOf", &schema.all_of), ("oneOf", &schema.one_of), ("anyOf", &schema.any_of)] {
        for (i, part) in parts.iter().enumerate() {
            walk(part, inner, &at.child(keyword).index(i), faults);
        }
    }
    if let Some(items) = &schema.items {
        let scope = context.scope.map(|scope| scope.child(items, Step::Inside));
        let mut inner = Context { scope: scope.as_ref(), ..inner };
        if schema.list_type() != "map" {
            inner.uncorrelatable = inner.uncorrelatable.or(Some(at));
        }
        walk(items, inner, &at.child("items"), faults);
    }
    let errors = &mut faults.errors;
    extensions(schema, at, errors);
    list_map(schema, at, errors);
    list_items(schema, at, errors);
    errors.extend(rules::faults(schema, at));
    // Expressions are not compiled where the schema itself has faults, here or inside.
    if let Some(scope) = context.scope.filter(|_| faults.errors.len() == before) {
        faults.of_rules.extend(faults.costs.check(scope, at, context.uncorrelatable));
    }
}

/// `specStandardValidatorV3`.
fn standard(schema: &Node, context: Context<'_>, at: &FieldPath, errors: &mut Vec<FieldError>) {
    let name = schema.type_name.as_str();
    if !name.is_empty() && Type::named(name).is_none() {
        let names = Type::ALL.map(Type::name);
        errors.push(FieldError::not_supported(&at.child("type"), &Value::from(name), &names));
    }
    if let Some(reason) = context.no_defaults.filter(|_| schema.default.is_some()) {
        errors.push(FieldError::forbidden(&at.child("default"), &format!("must not be set {reason}")));
    }
    for word in &schema.annotations.unsupported {
        if *word != "schema" {
            errors.push(FieldError::forbidden(&at.child(word), &format!("{word} is not supported")));
        }
    }
    if name == "null" {
        let detail = "type cannot be set to null, use nullable as an alternative";
        errors.push(FieldError::forbidden(&at.child("type"), detail));
    }
    if schema.annotations.item_tuple {
        let detail = "items must be a schema object and not an array";
        errors.push(FieldError::forbidden(&at.child("items"), detail));
    }
    if context.in_metadata && schema.extensions.embedded_resource {
        let at = at.child("x-kubernetes-embedded-resource");
        errors.push(FieldError::forbidden(&at, "must not be used inside of resource meta"));
    }
}

fn extensions(schema: &Node, at: &FieldPath, errors: &mut Vec<FieldError>) {
    let extensions = &schema.extensions;
    if extensions.preserve_unknown_fields == Some(false) {
        let at = at.child("x-kubernetes-preserve-unknown-fields");
        errors.push(FieldError::invalid(&at, &Value::Bool(false), "must be true or undefined"));
    }
    if let Some(map_type) = &extensions.map_type {
        must_be_type(schema, "object", "x-kubernetes-map-type", at, errors);
        if !matches!(map_type.as_str(), "atomic" | "granular") {
            let at = at.child("x-kubernetes-map-type");
            errors.push(FieldError::not_supported(&at, &Value::from(map_type.as_str()), &["atomic", "granular"]));
        }
    }
    let Some(list_type) = &extensions.list_type else {
        if !extensions.list_map_keys.is_empty() {
            let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
            errors.push(FieldError::required(&at.child("x-kubernetes-list-type"), detail));
        }
        return;
    };
    if schema.type_name != "array" {
        must_be_type(schema, "array", "x-kubernetes-list-type", at, errors);
    } else if list_type == "set"
        && let Some(items) = &schema.items
    {
        atomic_items(items, &at.child("items"), errors);
    }
    let list_type_at = at.child("x-kubernetes-list-type");
    if !matches!(list_type.as_str(), "atomic" | "set" | "map") {
        let value = Value::from(list_type.as_str());
        errors.push(FieldError::not_supported(&list_type_at, &value, &["atomic", "set", "map"]));
    }
    if !extensions.list_map_keys.is_empty() && list_type != "map" {
        let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
        errors.push(FieldError::invalid_text(&list_type_at, list_type, detail));
    }
}

fn must_be_type(schema: &Node, wanted: &str, keyword: &str, at: &FieldPath, errors: &mut Vec<FieldError>) {
    let at = at.child("type");
    let detail = format!("must be {wanted} if {keyword} is specified");
    match schema.type_name.as_str() {
        "" => errors.push(FieldError::required(&at, &detail)),
        name if name != wanted => errors.push(FieldError::invalid_text(&at, name, &detail)),
        _ => {}
    }
}

/// Items of sets are compared as wholes.
fn atomic_items(items: &Node, at: &FieldPath, errors: &mut Vec<FieldError>) {
    let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
    let list_type = items.extensions.list_type.as_deref();
    match items.type_name.as_str() {
        "array" if list_type.is_some_and(|list_type| list_type != "atomic") => {
            let at = at.child("x-kubernetes-list-type");
            errors.push(FieldError::invalid(&at, &Value::from(list_type), detail));
        }
        "object" if items.extensions.map_type.as_deref() != Some("atomic") => {
            // The value that kube-apiserver shows here is the list type's.
            let at = at.child("x-kubernetes-map-type");
            errors.push(FieldError::invalid(&at, &Value::from(list_type), detail));
        }
        _ => {}
    }
}

fn list_map(schema: &Node, at: &FieldPath, errors: &mut Vec<FieldError>) {
    if schema.extensions.list_type.as_deref() != Some("map") {
        return;
    }
    let keys = &schema.extensions.list_map_keys;
    let keys_at = at.child("x-kubernetes-list-map-keys");
    if keys.is_empty() {
        let detail = "must not be empty if x-kubernetes-list-type is map";
        errors.push(FieldError::required(&keys_at, detail));
    }
    let Some(items) = &schema.items else {
        if !schema.annotations.item_tuple {
            let detail = "must have a schema if x-kubernetes-list-type is map";
            errors.push(FieldError::required(&at.child("items"), detail));
        }
        return;
    };
    if items.type_name != "object" {
        let detail = "must be object if parent array's x-kubernetes-list-type is map";
        errors.push(FieldError::invalid_text(&at.child("items").child("type"), &items.type_name, detail));
        return;
    }
    let mut seen = HashSet::new();
    for key in keys {
        match items.properties.get(key).map(|field| field.type_name.as_str()) {
            Some("array" | "object") => {
                let at = at.child("items").child("properties").key(key).child("type");
                let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
                // The value that kube-apiserver shows here is the item's type.
                errors.push(FieldError::invalid_text(&at, &items.type_name, detail));
            }
            Some(_) => {}
            None => {
                let detail = "entries must all be names of item properties";
                errors.push(FieldError::invalid(&keys_at, &Value::from(keys.clone()), detail));
            }
        }
        if !seen.insert(key) {
            let detail = "must not contain duplicate entries";
            errors.push(FieldError::invalid(&keys_at, &Value::from(keys.clone()), detail));
        }
    }
}

/// `validateMapListKeysMapSet`.
fn list_items(schema: &Node, at: &FieldPath, errors: &mut Vec<FieldError>) {
    let (Some(items), Some(list_type @ ("set" | "map"))) = (&schema.items, schema.extensions.list_type.as_deref())
    else {
        return;
    };
    let at = at.child("items");
    if items.nullable {
        let detail = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        errors.push(FieldError::forbidden(&at.child("nullable"), &detail));
    }
    if list_type == "set" {
        return;
    }
    for key in &schema.extensions.list_map_keys {
        let Some(field) = items.properties.get(key) else { continue };
        let at = at.child("properties").key(key);
        if !items.required.contains(key) && field.default.is_none() {
            let detail =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            errors.push(FieldError::required(&at.child("default"), detail));
        }
        if field.nullable {
            let detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            errors.push(FieldError::forbidden(&at.child("nullable"), detail));
        }
    }
}
