//! Lists and maps that have far more than they may: what is found before anything else is made of an object.
//!
//! To tell who owns which field of a hundred thousand items, only to refuse them for their number, would cost many times
//! their size.

use serde_json::Value;

use super::node::{Additional, Node};
use crate::field::{FieldError, FieldPath};

/// How many more than allowed are looked at in full, so that everything that is wrong with them is told.
const EXCESS_MAX: usize = 1024;

/// The first list or map of which there is far too much.
pub(super) fn find(schema: &Node, value: &Value, at: &FieldPath) -> Option<FieldError> {
    match value {
        Value::Array(items) => {
            let of_items = || {
                let item = schema.items.as_deref()?;
                items.iter().enumerate().find_map(|(index, value)| find(item, value, &at.index(index)))
            };
            excess(at, items.len(), schema.sizes.max_items).or_else(of_items)
        }
        Value::Object(members) => {
            let of_members = || {
                members.iter().find_map(|(name, value)| match schema.properties.get(name) {
                    Some(property) => find(property, value, &at.child(name)),
                    None => match &schema.additional {
                        Some(Additional::Schema(additional)) => find(additional, value, &at.key(name)),
                        Some(Additional::Any(_)) | None => None,
                    },
                })
            };
            excess(at, members.len(), schema.sizes.max_properties).or_else(of_members)
        }
        _ => None,
    }
}

fn excess(at: &FieldPath, size: usize, max: Option<i64>) -> Option<FieldError> {
    let max = max?;
    let bound = usize::try_from(max).unwrap_or_default().saturating_add(EXCESS_MAX);
    (size > bound).then(|| FieldError::too_many(at, i64::try_from(size).unwrap_or(i64::MAX), max))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{field::FieldPath, structural::Schema};

    #[test]
    fn what_is_far_too_much_is_found_at_any_depth() {
        let list = json!({"type": "array", "maxItems": 3, "items": {"type": "string"}});
        let map = json!({"type": "object", "maxProperties": 3, "additionalProperties": {"type": "string"}});
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "list": list, "map": map,
            "deep": {"type": "object", "additionalProperties": {"type": "array", "items": {
                "type": "object", "properties": {"list": list}}}}}}}});
        let schema = Schema::compile(&schema, &FieldPath::root()).unwrap();
        let items = |count: usize| vec!["x"; count];
        let members =
            |count: usize| (0..count).map(|at| (at.to_string(), json!("x"))).collect::<serde_json::Map<_, _>>();
        for (spec, found) in [
            (json!({"list": items(3 + 1024), "map": members(4), "deep": {"a": [{"list": []}]}}), None),
            (json!({"list": items(3 + 1025)}), Some("spec.list: Too many: 1028: must have at most 3 items")),
            (json!({"map": members(2000)}), Some("spec.map: Too many: 2000: must have at most 3 items")),
            (
                json!({"deep": {"a": [{}, {"list": items(5000)}]}}),
                Some("spec.deep[a][1].list: Too many: 5000: must have at most 3 items"),
            ),
            (json!({"unknown": items(5000)}), None),
        ] {
            let fault = schema.oversize(&json!({"spec": spec})).map(|fault| fault.to_string());
            assert_eq!(fault.as_deref(), found);
        }
    }
}
