//! The types and query parameters that all kinds share, with the descriptions that Kubernetes gives them.
//!
//! `meta.json` and `parameters.json` hold them in the dialect of OpenAPI v3. They were made from the types of
//! `k8s.io/apimachinery` and `k8s.io/api/autoscaling/v1`.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::Dialect;

/// How references begin in `meta.json`, and in OpenAPI v3.
pub(super) const REFERENCE_PREFIX: &str = "#/components/schemas/";

pub(super) const OBJECT_META: &str = "dev.kindsmith.meta.v1.ObjectMeta";
pub(super) const LIST_META: &str = "dev.kindsmith.meta.v1.ListMeta";
pub(super) const STATUS: &str = "dev.kindsmith.meta.v1.Status";
pub(super) const PATCH: &str = "dev.kindsmith.meta.v1.Patch";
pub(super) const DELETE_OPTIONS: &str = "dev.kindsmith.meta.v1.DeleteOptions";
pub(super) const SCALE: &str = "dev.kindsmith.autoscaling.v1.Scale";

/// What only kinds with a scale subresource need.
const SCALE_PREFIX: &str = "dev.kindsmith.autoscaling.";

/// Both files parse, which a test holds; an empty map would publish kinds without their metadata.
static MODELS: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("meta.json")).unwrap_or_default());
static PARAMETERS: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("parameters.json")).unwrap_or_default());

/// Whether the models of the scale subresource are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scales {
    /// Some kind has it.
    Used,
    /// No kind has it.
    Unused,
}

/// The shared models in a dialect.
pub(super) fn models(dialect: Dialect, scales: Scales) -> impl Iterator<Item = (String, Value)> {
    MODELS.iter().filter(move |(name, _)| scales == Scales::Used || !name.starts_with(SCALE_PREFIX)).map(
        move |(name, model)| match dialect {
            Dialect::V3 => (name.clone(), model.clone()),
            Dialect::V2 => (name.clone(), to_v2(model)),
        },
    )
}

/// The description of a query parameter and its JSON type.
pub(super) fn parameter(key: &str) -> (&'static str, &'static str) {
    let text = |field: &str| PARAMETERS.get(key).and_then(|p| p.get(field)).and_then(Value::as_str);
    (text("description").unwrap_or_default(), text("type").unwrap_or("string"))
}

/// A reference beside other keys is wrapped in v3 and bare in v2.
fn to_v2(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut out = Map::new();
            for (key, value) in fields {
                match (key.as_str(), value) {
                    ("allOf", Value::Array(wrapped)) => out.extend(wrapped.iter().flat_map(|one| match to_v2(one) {
                        Value::Object(fields) => fields,
                        _ => Map::new(),
                    })),
                    ("$ref", Value::String(reference)) => {
                        let model = reference.strip_prefix(REFERENCE_PREFIX).unwrap_or(reference);
                        out.insert(key.clone(), Dialect::V2.reference(model));
                    }
                    _ => {
                        out.insert(key.clone(), to_v2(value));
                    }
                }
            }
            Value::Object(out)
        }
        Value::Array(items) => items.iter().map(to_v2).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_files_parse_and_hold_what_is_referred_to() {
        for name in [OBJECT_META, LIST_META, STATUS, PATCH, DELETE_OPTIONS, SCALE] {
            assert!(MODELS.contains_key(name), "{name}");
        }
        assert!(MODELS.values().all(|model| model.get("description").is_some()));
        assert!(PARAMETERS.values().all(|p| p.get("description").is_some() && p.get("type").is_some()));
    }

    #[test]
    fn the_scale_types_are_left_out_when_unused() {
        assert!(models(Dialect::V3, Scales::Unused).all(|(name, _)| name != SCALE));
        assert!(models(Dialect::V3, Scales::Used).any(|(name, _)| name == SCALE));
    }
}
