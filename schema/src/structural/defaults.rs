//! Whether the defaults of a schema are values of the schema.
//!
//! Follows apiextensions-apiserver/pkg/apiserver/schema/defaulting/{validation,prune}.go, without CEL.

use serde_json::{Value, json};

use super::node::{Additional, Node, is_meta_field};
use super::prune::{self, Level};
use super::{embedded, validate};
use crate::field::{FieldError, FieldPath};

/// Where 64-bit integers end, 2^63.
const INTEGER_END: f64 = 9_223_372_036_854_775_808.0;

/// What is wrong with the defaults in the schema of a resource.
pub(super) fn check(schema: &Node, at: &FieldPath) -> Vec<FieldError> {
    let mut walk = Walk { errors: Vec::new() };
    walk.node(schema, Place { resource: schema, inside: None, level: Level::Resource }, at);
    walk.errors
}

/// Makes of checked defaults and choices what kube-apiserver works with: read back from its store, and without what the
/// schema does not know. Defaults inside of `additionalProperties` are not checked, so only this keeps them from filling
/// in unknown fields.
pub(super) fn settle(schema: &mut Node) {
    if let Some(mut default) = schema.default.take() {
        let level = if schema.extensions.embedded_resource { Level::Resource } else { Level::Value };
        prune::prune(&mut default, schema, level);
        schema.default = Some(stored(&default));
    }
    for choice in &mut schema.choices {
        *choice = stored(choice);
    }
    if let Some(Additional::Schema(entry)) = &mut schema.additional {
        settle(entry);
    }
    schema.items.iter_mut().chain(&mut schema.not).for_each(|inner| settle(inner));
    for parts in [&mut schema.all_of, &mut schema.any_of, &mut schema.one_of] {
        parts.iter_mut().for_each(settle);
    }
    schema.properties.values_mut().for_each(settle);
}

/// A value as it is after kube-apiserver has written the definition to its store and read it: whole floats are written
/// without a point, and read as integers if they fit.
fn stored(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < INTEGER_END => {
                Value::from(float as i64)
            }
            _ => value.clone(),
        },
        Value::Array(items) => items.iter().map(stored).collect(),
        Value::Object(map) => map.iter().map(|(name, value)| (name.clone(), stored(value))).collect(),
        _ => value.clone(),
    }
}

/// Where a default stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The schema of the resource that it is a part of.
    resource: &'a Node,
    /// The way from the resource, if it leads through the fields that every resource has.
    inside: Option<Way<'a>>,
    /// Whether the value is a resource.
    level: Level,
}

/// The way from a resource to a part of it, backwards.
#[derive(Clone, Copy)]
struct Way<'a> {
    before: Option<&'a Way<'a>>,
    /// The field, or nothing for the items of a list.
    field: Option<&'a str>,
}

impl Way<'_> {
    /// The smallest value that has this at the end of the way.
    fn wrapped(self, value: &Value) -> Value {
        let outer = match self.field {
            Some(field) => json!({field: value}),
            None => json!([value]),
        };
        self.before.map_or(outer.clone(), |before| before.wrapped(&outer))
    }
}

struct Walk {
    errors: Vec<FieldError>,
}

impl Walk {
    fn node(&mut self, schema: &Node, place: Place<'_>, at: &FieldPath) {
        if let Some(default) = &schema.default {
            match place.inside {
                Some(way) => self.of_metadata(schema, default, way, place.resource, &at.child("default")),
                None => self.of_value(schema, default, place.level, &at.child("default")),
            }
        }
        // Inside of additionalProperties defaults are not followed, as in kube-apiserver.
        let within = |field| place.inside.as_ref().map(|way| Way { before: Some(way), field });
        if let Some(items) = &schema.items {
            self.node(items, Place::of(items, place.resource, within(None)), &at.child("items"));
        }
        for (name, field) in &schema.properties {
            let is_first = place.level == Level::Resource && is_meta_field(name);
            let inside = if is_first { Some(Way { before: None, field: Some(name) }) } else { within(Some(name)) };
            self.node(field, Place::of(field, place.resource, inside), &at.child("properties").key(name));
        }
    }

    /// Of a part of the fields that every resource has: the resource must be one with it.
    fn of_metadata(&mut self, schema: &Node, default: &Value, way: Way<'_>, resource: &Node, at: &FieldPath) {
        let mut whole = json!({"apiVersion": "validation/v1", "kind": "Validation"});
        if let (Some(whole), Value::Object(part)) = (whole.as_object_mut(), way.wrapped(default)) {
            whole.extend(part);
        }
        let found = embedded::check(&whole, resource, Level::Resource, &FieldPath::root());
        if found.is_empty() {
            self.errors.extend(validate::validate_default(schema, default, at));
            return;
        }
        let texts: Vec<_> = found.iter().map(ToString::to_string).collect();
        let text = if let [one] = texts.as_slice() { one.clone() } else { format!("[{}]", texts.join(", ")) };
        self.errors.push(FieldError::invalid(at, default, &format!("must result in valid metadata: {text}")));
    }

    fn of_value(&mut self, schema: &Node, default: &Value, level: Level, at: &FieldPath) {
        let mut pruned = default.clone();
        prune::prune(&mut pruned, schema, level);
        if pruned != *default {
            self.errors.push(FieldError::invalid(at, default, "must not have unknown fields"));
        }
        let inside = embedded::check(default, schema, level, at);
        if inside.is_empty() {
            self.errors.extend(validate::validate_default(schema, default, at));
        }
        // kube-apiserver stops at the first type or kind that is no string, before it looks at the rest.
        match inside.iter().find(|error| error.detail.ends_with("must be a string")) {
            Some(first) => self.errors.push(first.clone()),
            None => self.errors.extend(inside),
        }
    }
}

impl<'a> Place<'a> {
    /// An embedded resource begins anew; else the place is a part of `resource`.
    fn of(schema: &'a Node, resource: &'a Node, inside: Option<Way<'a>>) -> Self {
        if schema.extensions.embedded_resource {
            Self { resource: schema, inside: None, level: Level::Resource }
        } else {
            Self { resource, inside, level: Level::Value }
        }
    }
}
