//! The difference of two objects as a patch: a merge patch (RFC 7386), or, where something becomes null, which a merge
//! patch cannot say, a JSON patch (RFC 6902).

use serde_json::{Map, Value, json};

/// A patch, in one of its two languages.
#[derive(Debug, PartialEq)]
pub(super) enum Patch {
    /// RFC 7386.
    Merge(Value),
    /// RFC 6902.
    Json(Value),
}

impl Patch {
    /// The patch that makes `to` out of `from` and names the revision of `from`: it holds for no other.
    pub(super) fn new(from: &Value, to: &Value) -> Self {
        let revision = &from["metadata"]["resourceVersion"];
        if sets_null(from, to) {
            return Self::Json(json_patch(from, to, revision));
        }
        let mut patch = merge_patch(from, to);
        patch["metadata"]["resourceVersion"] = revision.clone();
        Self::Merge(patch)
    }

    /// Its media type and its text.
    pub(super) fn body(self) -> (&'static str, Value) {
        match self {
            Self::Merge(patch) => ("application/merge-patch+json", patch),
            Self::Json(patch) => ("application/json-patch+json", patch),
        }
    }
}

/// Whether a part of `to` that differs from `from` has a null.
fn sets_null(from: &Value, to: &Value) -> bool {
    fn has_null(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Object(members) => members.values().any(has_null),
            // A list is one value to a merge patch.
            _ => false,
        }
    }
    match (from, to) {
        (Value::Object(from), Value::Object(to)) => to.iter().any(|(key, wanted)| match from.get(key) {
            Some(held) => sets_null(held, wanted),
            None => has_null(wanted),
        }),
        (from, to) => from != to && has_null(to),
    }
}

/// The members of the object and of its members that differ, as a whole: their parents are always there.
fn json_patch(from: &Value, to: &Value, revision: &Value) -> Value {
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    let mut steps = vec![json!({"op": "add", "path": "/metadata/resourceVersion", "value": revision})];
    let mut compare = |at: String, from: Option<&Value>, to: Option<&Value>| match (from, to) {
        (from, to) if from == to => {}
        (_, Some(wanted)) => steps.push(json!({"op": "add", "path": at, "value": wanted})),
        (_, None) => steps.push(json!({"op": "remove", "path": at})),
    };
    for (key, from, to) in members(from, to) {
        match (from, to) {
            (Some(from @ Value::Object(_)), Some(to @ Value::Object(_))) => {
                for (inner, from, to) in members(from, to) {
                    compare(format!("/{}/{}", escaped(key), escaped(inner)), from, to);
                }
            }
            (from, to) => compare(format!("/{}", escaped(key)), from, to),
        }
    }
    Value::Array(steps)
}

/// The members of two objects, side by side.
fn members<'a>(
    from: &'a Value,
    to: &'a Value,
) -> impl Iterator<Item = (&'a str, Option<&'a Value>, Option<&'a Value>)> {
    let keys = |value: &'a Value| value.as_object().into_iter().flat_map(Map::keys).map(String::as_str);
    let keys: std::collections::BTreeSet<&str> = keys(from).chain(keys(to)).collect();
    keys.into_iter().map(|key| (key, from.get(key), to.get(key)))
}

/// The patch that makes `to` out of `from`. Members of `to` that are null are removed, as merge patches cannot set
/// null.
fn merge_patch(from: &Value, to: &Value) -> Value {
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

    /// A value with nulls.
    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), "[a-c]".prop_map(Value::from)];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("[a-d/~]", inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_is_lost_on_the_way_whatever_is_null(
            from in proptest::collection::btree_map("[a-d/~]", any_value(), 0..4),
            to in proptest::collection::btree_map("[a-d/~]", any_value(), 0..4),
        ) {
            let with_revision = |spec: &Value| json!({"metadata": {"resourceVersion": "7"}, "spec": spec});
            // As a cluster has it: nothing is null unless somebody set it so in values.
            let (mut from, to) = (with_revision(&json!({"values": from})), with_revision(&json!({"values": to})));
            match Patch::new(&from, &to) {
                Patch::Merge(patch) => json_patch::merge(&mut from, &patch),
                Patch::Json(steps) => {
                    let steps: json_patch::Patch = serde_json::from_value(steps).unwrap();
                    json_patch::patch(&mut from, &steps).unwrap();
                }
            }
            prop_assert_eq!(from, to);
        }
    }

    #[test]
    fn equal_objects_have_no_difference() {
        let object = json!({"a": {"b": [1, 2]}});
        assert_eq!(merge_patch(&object, &object), json!({}));
    }
}
