//! From a checked schema to the one that kube-apiserver works with.
//!
//! Follows apiextensions-apiserver/pkg/apiserver/schema/defaulting/prune.go.

use serde_json::{Value, json};

use super::compact::Rare;
use super::embedded;
use super::node::{Additional, Node};
use super::prune::{self, Level};

/// Where 64-bit integers end, 2^63.
const INTEGER_END: f64 = 9_223_372_036_854_775_808.0;

/// Makes of checked defaults and choices what kube-apiserver works with: read back from its store, and read as a part of a
/// request is: without what the schema does not know, and what metadata of resources does not have. Of a default nothing
/// may be left. So nothing that is filled in is unknown when the object is read again.
///
/// Defaults inside of `additionalProperties` are not checked, so only this keeps them from filling in unknown fields.
pub(super) fn settle(root: &mut Node) {
    let mut defaults = Vec::new();
    read_defaults(root, root, &mut Vec::new(), &mut defaults);
    settle_below(root, &mut defaults.into_iter());
}

/// A step from the resource to a part of it.
#[derive(Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Item,
}

/// The field that stands for the entries of a map.
const ENTRY: &str = "*";

/// Reads the defaults of `schema`, to which `way` leads from `root`, and of what is below it, in the order of
/// [`settle_below`].
fn read_defaults<'a>(schema: &'a Node, root: &Node, way: &mut Vec<Step<'a>>, read: &mut Vec<Option<Value>>) {
    read.extend(schema.default.as_deref().map(|default| as_read(default, root, way)));
    let mut below = |step: Step<'a>, schema: &'a Node| {
        way.push(step);
        read_defaults(schema, root, way, read);
        way.pop();
    };
    if let Some(Additional::Schema(entry)) = &schema.additional {
        below(Step::Field(ENTRY), entry);
    }
    if let Some(items) = &schema.items {
        below(Step::Item, items);
    }
    for (name, field) in &schema.properties {
        below(Step::Field(name), field);
    }
}

/// What is left of a default when the smallest object that has it is read.
fn as_read(default: &Value, root: &Node, way: &[Step<'_>]) -> Option<Value> {
    let mut whole = way.iter().rev().fold(default.clone(), |value, step| match step {
        Step::Field(name) => json!({*name: value}),
        Step::Item => json!([value]),
    });
    embedded::repair(&mut whole, root, Level::Resource);
    prune::prune(&mut whole, root, Level::Resource);
    let left = way.iter().try_fold(&mut whole, |value, step| match step {
        Step::Field(name) => value.get_mut(*name),
        Step::Item => value.get_mut(0),
    });
    left.map(|left| stored(left))
}

fn settle_below(schema: &mut Node, defaults: &mut impl Iterator<Item = Option<Value>>) {
    if schema.default.is_some() {
        schema.default = defaults.next().flatten().map(Box::new);
    }
    if !schema.choices.is_empty() {
        schema.choices = Rare::from(schema.choices.iter().map(stored).collect::<Vec<_>>());
    }
    if let Some(Additional::Schema(entry)) = &mut schema.additional {
        settle_below(entry, defaults);
    }
    if let Some(items) = &mut schema.items {
        settle_below(items, defaults);
    }
    for field in schema.properties.values_mut() {
        settle_below(field, defaults);
    }
    // There are no defaults in these. Writing to what is not used would make room for it.
    if let Some(not) = &mut schema.not {
        settle_below(not, defaults);
    }
    for parts in [&mut schema.all_of, &mut schema.any_of, &mut schema.one_of].into_iter().filter(|p| !p.is_empty()) {
        parts.iter_mut().for_each(|part| settle_below(part, defaults));
    }
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
