//! Strategic merge patches, for types of Kubernetes itself: lists merge by what the fields of the type say.
//!
//! Source: k8s.io/apimachinery/pkg/util/strategicpatch/patch.go (`StrategicMergeMapPatch`). There is one such type here:
//! Namespace.

use serde_json::{Map, Value};

use crate::encode::status::ApiError;

/// Says what becomes of a whole map or item of a list.
const DIRECTIVE: &str = "$patch";

/// Names the members that stay.
const RETAIN_KEYS: &str = "$retainKeys";

/// Begins the name of a list of what leaves a list of scalars.
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList";

/// Begins the name of a list that says how another is ordered.
const ELEMENT_ORDER: &str = "$setElementOrder";

/// How a list merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strategy {
    /// The patch's takes the place of the other.
    Replace,
    /// As a set of scalars.
    Set,
    /// As maps that this member tells apart.
    Keyed(&'static str),
}

/// A field of a type.
struct Field {
    name: &'static str,
    strategy: Strategy,
    /// What it, or an item of it, holds.
    holds: &'static [Field],
}

const fn plain(name: &'static str) -> Field {
    structure(name, &[])
}

const fn structure(name: &'static str, holds: &'static [Field]) -> Field {
    Field { name, strategy: Strategy::Replace, holds }
}

/// k8s.io/api/core/v1/types.go and k8s.io/apimachinery/pkg/apis/meta/v1/types.go, of which lists and maps alone matter.
static NAMESPACE: [Field; 3] = [
    structure(
        "metadata",
        &[
            plain("labels"),
            plain("annotations"),
            plain("managedFields"),
            Field { name: "ownerReferences", strategy: Strategy::Keyed("uid"), holds: &[] },
            Field { name: "finalizers", strategy: Strategy::Set, holds: &[] },
        ],
    ),
    structure("spec", &[plain("finalizers")]),
    structure("status", &[Field { name: "conditions", strategy: Strategy::Keyed("type"), holds: &[] }]),
];

/// Why a patch cannot be applied.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Fault {
    /// A directive is malformed.
    #[error("{0}")]
    Format(&'static str),
    /// A list is in a list.
    #[error("lists of lists are not supported")]
    ListOfLists,
    /// Anything else, which Kubernetes answers with 500.
    #[error("{0}")]
    Other(String),
}

const BAD_RETAIN_KEYS: Fault = Fault::Format("invalid patch format of retainKeys");
const BAD_ORDER: Fault = Fault::Format("invalid patch format of setElementOrder list");
const BAD_DELETION: Fault = Fault::Format("invalid patch format of primitive list");

/// `interpretStrategicMergePatchError` of k8s.io/apiserver/pkg/endpoints/handlers/patch.go.
impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Format(text) => Self::BadRequest(text.to_owned()),
            Fault::ListOfLists => Self::Rejected,
            Fault::Other(text) => Self::Plain(text),
        }
    }
}

/// Applies a strategic merge patch to a Namespace.
///
/// # Errors
/// 400 when a directive is malformed, 422 for lists in lists, and 500 for what Kubernetes answers so.
pub fn merge_namespace(namespace: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), ApiError> {
    Ok(merge_map(namespace, patch.clone(), &NAMESPACE)?)
}

fn find<'f>(fields: &'f [Field], name: &str) -> Option<&'f Field> {
    fields.iter().find(|field| field.name == name)
}

fn merge_map(held: &mut Map<String, Value>, mut patch: Map<String, Value>, fields: &[Field]) -> Result<(), Fault> {
    match patch.get(DIRECTIVE) {
        None => {}
        Some(directive) if directive == "replace" => {
            patch.remove(DIRECTIVE);
            *held = patch;
            return Ok(());
        }
        Some(directive) if directive == "delete" => {
            held.clear();
            return Ok(());
        }
        Some(directive) => return Err(unknown_directive(directive, &patch)),
    }
    retain_keys(held, &mut patch)?;
    merge_ordered(held, &mut patch, fields)?;
    for (key, value) in patch {
        let (key, deletes) = match key.starts_with(DELETE_FROM_LIST) {
            true => (list_of(&key, DELETE_FROM_LIST).ok_or(BAD_DELETION)?.to_owned(), true),
            false => (key, false),
        };
        if value.is_null() {
            held.remove(&key);
            continue;
        }
        let field = find(fields, &key);
        let strategy = field.map_or(Strategy::Replace, |field| field.strategy);
        let holds = field.map_or(&[][..], |field| field.holds);
        match (held.get_mut(&key), value) {
            (Some(Value::Object(held)), Value::Object(patch)) => merge_map(held, patch, holds)?,
            (Some(Value::Array(list)), Value::Array(patch)) if deletes => {
                if !list.is_empty() || !patch.is_empty() {
                    if element_type([&*list, &patch])? == "map[string]interface {}" {
                        return Err(Fault::Other("cannot merge lists without merge key for string".to_owned()));
                    }
                    list.retain(|item| !patch.contains(item));
                }
            }
            (Some(Value::Array(list)), Value::Array(patch)) => {
                *list = merge_list(std::mem::take(list), patch, strategy, holds)?;
            }
            (_, _) if deletes => {}
            (_, mut value) => {
                discard_nulls(&mut value);
                match without_directives(value) {
                    Some(value) => drop(held.insert(key, value)),
                    None => drop(held.remove(&key)),
                }
            }
        }
    }
    Ok(())
}

/// What follows the slash of a directive that is about a list.
fn list_of<'k>(key: &'k str, directive: &str) -> Option<&'k str> {
    key.split_once('/').filter(|(before, _)| *before == directive).map(|(_, list)| list)
}

/// Drops the members that a list of those that stay does not name (`applyRetainKeysDirective`).
fn retain_keys(held: &mut Map<String, Value>, patch: &mut Map<String, Value>) -> Result<(), Fault> {
    let Some(retained) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let Value::Array(retained) = retained else { return Err(BAD_RETAIN_KEYS) };
    let stays = |key: &str| retained.iter().any(|held| held == key);
    let is_directive = |key: &str| key.starts_with(DELETE_FROM_LIST) || key.starts_with(ELEMENT_ORDER);
    if patch.iter().any(|(key, value)| !value.is_null() && !is_directive(key) && !stays(key)) {
        return Err(BAD_RETAIN_KEYS);
    }
    held.retain(|key, _| stays(key));
    Ok(())
}

/// Merges the lists whose order the patch says, and takes them out of the patch (`mergePatchIntoOriginal`).
fn merge_ordered(held: &mut Map<String, Value>, patch: &mut Map<String, Value>, fields: &[Field]) -> Result<(), Fault> {
    let directives: Vec<String> = patch.keys().filter(|key| key.starts_with(ELEMENT_ORDER)).cloned().collect();
    for directive in directives {
        let order = patch.remove(&directive).unwrap_or_default();
        let Value::Array(order) = order else { return Err(unexpected_type("[]interface {}", &order)) };
        let name = list_of(&directive, ELEMENT_ORDER).ok_or(BAD_ORDER)?;
        let list = |value: Option<&Value>| match value {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list.clone())),
            Some(other) => Err(unexpected_type("[]interface {}", other)),
        };
        let (original, patched) = (list(held.get(name))?, list(patch.get(name))?);
        let Some(field) = find(fields, name) else {
            return Err(Fault::Other(format!("unable to find api field in struct for the json field {name:?}")));
        };
        let key = match field.strategy {
            Strategy::Keyed(key) => Some(key),
            Strategy::Replace | Strategy::Set => None,
        };
        check_order(patched.as_deref().unwrap_or_default(), &order, key)?;
        let live = original.clone().unwrap_or_default();
        let sent = patched.clone().unwrap_or_default();
        let merged = match (original, patched) {
            (None, None) => continue,
            (Some(original), None) => original,
            (None, Some(patched)) => patched.into_iter().filter_map(without_directives).collect(),
            (Some(original), Some(patched)) => merge_list(original, patched, field.strategy, field.holds)?,
        };
        if !live.is_empty() || !sent.is_empty() {
            element_type([&live, &sent])?;
        }
        held.insert(name.to_owned(), Value::Array(ordered(merged, &order, &live, key)?));
        patch.remove(name);
    }
    Ok(())
}

/// Whether what is in the list of a patch comes in the order that the patch says (`validatePatchWithSetOrderList`).
fn check_order(patched: &[Value], order: &[Value], key: Option<&'static str>) -> Result<(), Fault> {
    if patched.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut wanted = order.iter();
    for item in patched.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        let identity = identity(item, key)?;
        loop {
            match wanted.next() {
                Some(next) if self::identity(next, key)? == identity => break,
                Some(_) => {}
                None => {
                    return Err(Fault::Other(format!(
                        "The order in patch list:\n{}\n doesn't match {ELEMENT_ORDER} list:\n{}\n",
                        go_text(&Value::from(patched)),
                        go_text(&Value::from(order))
                    )));
                }
            }
        }
    }
    Ok(())
}

/// What tells an item from others.
fn identity<'v>(item: &'v Value, key: Option<&'static str>) -> Result<&'v Value, Fault> {
    let Some(key) = key else { return Ok(item) };
    let Value::Object(map) = item else { return Err(unexpected_type("map[string]interface {}", item)) };
    map.get(key).ok_or_else(|| no_merge_key(item, key))
}

fn merge_list(
    original: Vec<Value>,
    patch: Vec<Value>,
    strategy: Strategy,
    holds: &[Field],
) -> Result<Vec<Value>, Fault> {
    let key = match strategy {
        Strategy::Replace => return Ok(patch),
        Strategy::Set => None,
        Strategy::Keyed(key) => Some(key),
    };
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    let is_map = element_type([&original, &patch])? == "map[string]interface {}";
    let (Some(key), true) = (key, is_map) else {
        if is_map {
            return Err(Fault::Other("cannot merge lists without merge key for string".to_owned()));
        }
        let mut merged: Vec<Value> = Vec::with_capacity(original.len() + patch.len());
        for item in original.iter().chain(&patch) {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        return ordered(merged, &patch, &original, None);
    };
    let (mut merged, patch) = special_items(original, patch, key)?;
    let live = merged.clone();
    for item in &patch {
        let wanted = identity(item, Some(key))?;
        let held = merged.iter_mut().find(|held| held.get(key) == Some(wanted));
        match (held, item) {
            (Some(Value::Object(held)), Value::Object(item)) => merge_map(held, item.clone(), holds)?,
            _ => merged.push(item.clone()),
        }
    }
    ordered(merged, &patch, &live, Some(key))
}

/// Does what items with a directive say; returns what is held after that, and the other items
/// (`mergeSliceWithSpecialElements`).
fn special_items(
    mut held: Vec<Value>,
    patch: Vec<Value>,
    key: &'static str,
) -> Result<(Vec<Value>, Vec<Value>), Fault> {
    let mut replaces = false;
    let mut rest = Vec::with_capacity(patch.len());
    for item in patch {
        match item.get(DIRECTIVE) {
            None => rest.push(item),
            Some(directive) if directive == "delete" => {
                let gone = identity(&item, Some(key))?;
                held.retain(|held| held.get(key) != Some(gone));
            }
            Some(directive) if directive == "replace" => replaces = true,
            Some(directive) if directive == "merge" => {
                return Err(Fault::Other("merging lists cannot yet be specified in the patch".to_owned()));
            }
            Some(directive) => {
                let empty = Map::new();
                return Err(unknown_directive(directive, item.as_object().unwrap_or(&empty)));
            }
        }
    }
    Ok(if replaces { (rest, Vec::new()) } else { (held, rest) })
}

/// A merged list in order: what the patch names as it says, the rest as it was, among these where it can be told
/// (`normalizeElementOrder`).
fn ordered(
    merged: Vec<Value>,
    order: &[Value],
    live: &[Value],
    key: Option<&'static str>,
) -> Result<Vec<Value>, Fault> {
    for item in merged.iter().chain(order).chain(live) {
        identity(item, key)?;
    }
    let at = |list: &[Value], item: &Value| {
        let identity = |item| self::identity(item, key).ok();
        list.iter().position(|held| identity(held) == identity(item))
    };
    let (mut patched, mut rest): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| at(order, item).is_some());
    patched.sort_by_key(|item| at(order, item));
    rest.sort_by_key(|item| at(live, item));
    let mut all = Vec::with_capacity(patched.len() + rest.len());
    let (mut patched, mut rest) = (patched.into_iter().peekable(), rest.into_iter().peekable());
    while let (Some(left), Some(right)) = (rest.peek(), patched.peek()) {
        let is_before = match (at(live, left), at(live, right)) {
            (Some(left), Some(right)) => left < right,
            _ => false,
        };
        all.extend(if is_before { rest.next() } else { patched.next() });
    }
    all.extend(patched);
    all.extend(rest);
    Ok(all)
}

/// Drops nulls at any depth, of maps alone.
fn discard_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(discard_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(discard_nulls),
        _ => {}
    }
}

/// A value without what has a directive in it; none if that is all of it.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(map) if map.contains_key(DIRECTIVE) => None,
        Value::Object(map) => {
            Some(map.into_iter().filter_map(|(key, value)| Some((key, without_directives(value)?))).collect())
        }
        Value::Array(items) => Some(items.into_iter().filter_map(without_directives).collect()),
        other => Some(other),
    }
}

/// Go's type of all items of two lists that are not both empty (`sliceElementType`).
fn element_type(lists: [&[Value]; 2]) -> Result<&'static str, Fault> {
    let mut found = None;
    for item in lists.into_iter().flatten() {
        let of = go_type(item);
        match found {
            None if item.is_array() => return Err(Fault::ListOfLists),
            None => found = Some(of),
            Some(before) if before == of => {}
            Some(_) => {
                let lists = Value::from(lists.map(Value::from).to_vec());
                return Err(Fault::Other(format!("list element types are not identical: {}", go_text(&lists))));
            }
        }
    }
    found.ok_or_else(|| Fault::Other("no elements in any given slices".to_owned()))
}

fn unknown_directive(directive: &Value, map: &Map<String, Value>) -> Fault {
    let map = Value::Object(map.clone());
    Fault::Other(format!("unknown patch type: {} in map: {}", go_text(directive), go_text(&map)))
}

fn no_merge_key(item: &Value, key: &str) -> Fault {
    Fault::Other(format!("map: {} does not contain declared merge key: {key}", go_text(item)))
}

fn unexpected_type(wanted: &str, found: &Value) -> Fault {
    Fault::Other(format!("expected a {wanted}, but received a {}", go_type(found)))
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "%!s(<nil>)",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// A value as Go's `%v` prints it.
fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_text).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let members = map.iter().map(|(key, value)| format!("{key}:{}", go_text(value)));
            format!("map[{}]", members.collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn merged(held: &Value, patch: &Value) -> Result<Value, Fault> {
        let (mut held, patch) = (held.as_object().unwrap().clone(), patch.as_object().unwrap().clone());
        merge_map(&mut held, patch, &NAMESPACE).map(|()| Value::Object(held))
    }

    fn finalizers(held: &Value, patch: &Value) -> Value {
        merged(&json!({"metadata": {"finalizers": held}}), &json!({"metadata": patch})).unwrap()["metadata"]
            ["finalizers"]
            .clone()
    }

    #[rstest]
    #[case::labels_merge(
        json!({"labels": {"a": "1", "b": "2"}, "name": "x"}),
        json!({"labels": {"a": null, "c": "3"}}),
        json!({"labels": {"b": "2", "c": "3"}, "name": "x"})
    )]
    #[case::nulls_of_new_maps_go(json!({}), json!({"labels": {"a": null, "b": "1"}}), json!({"labels": {"b": "1"}}))]
    #[case::a_map_is_replaced(
        json!({"labels": {"a": "1"}}),
        json!({"labels": {"$patch": "replace", "b": "2"}}),
        json!({"labels": {"b": "2"}})
    )]
    #[case::a_map_is_emptied(json!({"labels": {"a": "1"}}), json!({"labels": {"$patch": "delete"}}), json!({"labels": {}}))]
    #[case::keys_are_retained(
        json!({"labels": {"a": "1", "b": "2"}}),
        json!({"labels": {"$retainKeys": ["b", "c"], "c": "3"}}),
        json!({"labels": {"b": "2", "c": "3"}})
    )]
    #[case::owners_merge_by_uid(
        json!({"ownerReferences": [{"uid": "1", "name": "a"}, {"uid": "2", "name": "b"}]}),
        json!({"ownerReferences": [{"uid": "2", "name": "c"}, {"uid": "3", "name": "d"}, {"uid": "1", "$patch": "delete"}]}),
        json!({"ownerReferences": [{"uid": "2", "name": "c"}, {"uid": "3", "name": "d"}]})
    )]
    #[case::a_keyed_list_is_replaced(
        json!({"ownerReferences": [{"uid": "1", "name": "a"}]}),
        json!({"ownerReferences": [{"uid": "3", "name": "d"}, {"$patch": "replace"}]}),
        json!({"ownerReferences": [{"uid": "3", "name": "d"}]})
    )]
    fn metadata_merges(#[case] held: Value, #[case] patch: Value, #[case] expected: Value) {
        let wanted = json!({"metadata": expected});
        assert_eq!(merged(&json!({"metadata": held}), &json!({"metadata": patch})), Ok(wanted));
    }

    #[test]
    fn finalizers_are_a_set_that_can_be_ordered() {
        let held = json!(["a/1", "b/2", "c/3"]);
        assert_eq!(finalizers(&held, &json!({"finalizers": ["d/4", "a/1"]})), json!(["d/4", "a/1", "b/2", "c/3"]));
        let gone = json!({"$deleteFromPrimitiveList/finalizers": ["b/2", "x/9"]});
        assert_eq!(finalizers(&held, &gone), json!(["a/1", "c/3"]));
        let order = json!({"$setElementOrder/finalizers": ["c/3", "a/1"]});
        assert_eq!(finalizers(&held, &order), json!(["b/2", "c/3", "a/1"]));
        let both = json!({"$setElementOrder/finalizers": ["d/4", "a/1"], "finalizers": ["d/4"],
            "$deleteFromPrimitiveList/finalizers": ["b/2", "c/3"]});
        assert_eq!(finalizers(&held, &both), json!(["d/4", "a/1"]));
    }

    #[test]
    fn the_list_of_the_spec_is_atomic() {
        let held = json!({"spec": {"finalizers": ["kubernetes"]}});
        assert_eq!(
            merged(&held, &json!({"spec": {"finalizers": ["a/b"]}})),
            Ok(json!({"spec": {"finalizers": ["a/b"]}}))
        );
    }

    #[rstest]
    #[case(json!({"$patch": "mend"}), Fault::Other("unknown patch type: mend in map: map[$patch:mend]".to_owned()))]
    #[case(json!({"$retainKeys": "a"}), BAD_RETAIN_KEYS)]
    #[case(json!({"$retainKeys": ["a"], "b": 1}), BAD_RETAIN_KEYS)]
    #[case(json!({"$deleteFromPrimitiveListfinalizers": []}), BAD_DELETION)]
    #[case(json!({"finalizers": [[1]]}), Fault::ListOfLists)]
    #[case(
        json!({"ownerReferences": [{"name": "a"}]}),
        Fault::Other("map: map[name:a] does not contain declared merge key: uid".to_owned())
    )]
    #[case(
        json!({"$setElementOrder/finalizers": ["a"], "finalizers": ["b"]}),
        Fault::Other("The order in patch list:\n[b]\n doesn't match $setElementOrder list:\n[a]\n".to_owned())
    )]
    fn faults_are_told(#[case] patch: Value, #[case] expected: Fault) {
        let held = json!({"metadata": {"finalizers": [], "ownerReferences": []}});
        assert_eq!(merged(&held, &json!({"metadata": patch})), Err(expected));
    }
}
