//! Merge patches (RFC 7386) in the dialect of Kubernetes: nulls are dropped inside of lists, too.
//!
//! Follows gopkg.in/evanphx/json-patch.v4 (merge.go).

use serde_json::{Map, Value};

/// Merges a patch into an object.
pub fn merge(object: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, wanted) in patch {
        match (object.get_mut(name), wanted) {
            (_, Value::Null) => drop(object.remove(name)),
            (Some(Value::Object(held)), Value::Object(wanted)) => merge(held, wanted),
            (Some(Value::Object(_)), wanted) => drop(object.insert(name.clone(), wanted.clone())),
            (_, wanted) => drop(object.insert(name.clone(), without_nulls(wanted))),
        }
    }
}

/// The value without members that are null; items that are null stay.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!({"a": 1}), json!({"a": null}), json!({}))]
    #[case(json!({"a": {"b": 1}}), json!({"a": {"c": 2}}), json!({"a": {"b": 1, "c": 2}}))]
    #[case(json!({}), json!({"a": {"b": null, "c": 1}}), json!({"a": {"c": 1}}))]
    #[case(json!({"a": null}), json!({"a": {"b": null}}), json!({"a": {}}))]
    #[case(json!({"a": [1]}), json!({"a": [null, {"b": null}]}), json!({"a": [null, {}]}))]
    #[case(json!({"a": {}}), json!({"a": [{"b": null}]}), json!({"a": [{"b": null}]}))]
    fn a_patch_is_merged(#[case] object: Value, #[case] patch: Value, #[case] merged: Value) {
        let (Value::Object(mut object), Value::Object(patch)) = (object, patch) else { panic!("no objects") };
        merge(&mut object, &patch);
        assert_eq!(Value::Object(object), merged);
    }
}
