//! From a checked schema to the one that kube-apiserver works with.
//!
//! Follows apiextensions-apiserver/pkg/apiserver/schema/defaulting/prune.go.

use serde_json::Value;

use super::compact::Rare;
use super::node::{Additional, Node};
use super::prune::{self, Level};

/// Where 64-bit integers end, 2^63.
const INTEGER_END: f64 = 9_223_372_036_854_775_808.0;

/// Makes of checked defaults and choices what kube-apiserver works with: read back from its store, and without what the
/// schema does not know. Defaults inside of `additionalProperties` are not checked, so only this keeps them from filling
/// in unknown fields.
pub(super) fn settle(schema: &mut Node) {
    if let Some(mut default) = schema.default.take() {
        let level = if schema.extensions.embedded_resource { Level::Resource } else { Level::Value };
        prune::prune(&mut default, schema, level);
        schema.default = Some(Box::new(stored(&default)));
    }
    if !schema.choices.is_empty() {
        schema.choices = Rare::from(schema.choices.iter().map(stored).collect::<Vec<_>>());
    }
    if let Some(Additional::Schema(entry)) = &mut schema.additional {
        settle(entry);
    }
    schema.items.iter_mut().chain(&mut schema.not).for_each(|inner| settle(inner));
    // Writing to what is not used would make room for it.
    for parts in [&mut schema.all_of, &mut schema.any_of, &mut schema.one_of].into_iter().filter(|p| !p.is_empty()) {
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
