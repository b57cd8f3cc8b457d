//! The difference of two objects as a merge patch (RFC 7386).

use serde_json::{Map, Value};

/// The patch that makes `to` out of `from`. Members of `to` that are null are removed, as merge patches cannot set null.
pub(super) fn merge_patch(from: &Value, to: &Value) -> Value {
    let (Some(from), Some(to)) = (from.as_object(), to.as_object()) else { return to.clone() };
    let mut patch = Map::new();
    for (key, wanted) in to {
        match from.get(key) {
            Some(held) if held == wanted => {}
            Some(held) if held.is_object() && wanted.is_object() => {
                patch.insert(key.clone(), merge_patch(held, wanted));
            }
            _ => drop(patch.insert(key.clone(), wanted.clone())),
        }
    }
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    Value::Object(patch)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            (0..5).prop_map(Value::from),
            "[a-c]".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("[a-d]", inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_patch_leads_from_one_to_the_other(
            from in proptest::collection::btree_map("[a-d]", value(), 0..4),
            to in proptest::collection::btree_map("[a-d]", value(), 0..4),
        ) {
            let (mut from, to) = (json!(from), json!(to));
            let patch = merge_patch(&from, &to);
            json_patch::merge(&mut from, &patch);
            prop_assert_eq!(from, to);
        }
    }

    #[test]
    fn equal_objects_have_no_difference() {
        let object = json!({"a": {"b": [1, 2]}});
        assert_eq!(merge_patch(&object, &object), json!({}));
    }
}
