//! JSON patches in the dialect of Kubernetes, which is not quite RFC 6902.
//!
//! Follows gopkg.in/evanphx/json-patch.v4 (patch.go): `replace` of a member that is not there adds it, `copy` of one adds
//! null, `test` for null holds where nothing is, indices may count from the end. What is copied is bounded, as in
//! k8s.io/apiserver (JSONPatchMaxCopyBytes).

use serde_json::{Map, Value};

/// How many bytes of JSON all `copy` operations of a patch may copy together.
pub const COPIED_BYTES_MAX: usize = 3 * 1024 * 1024;

/// How many items of lists all operations of a patch may move together: an item that comes or goes moves those behind it.
/// It takes some hundredths of a second.
pub const MOVED_ITEMS_MAX: usize = 16 * 1024 * 1024;

/// What the operations of a patch have taken so far.
#[derive(Default)]
struct Taken {
    copied_bytes: usize,
    moved_items: usize,
}

impl Taken {
    fn copy(&mut self, bytes: usize) -> Result<(), NotApplicable> {
        self.copied_bytes = self.copied_bytes.saturating_add(bytes);
        if self.copied_bytes > COPIED_BYTES_MAX { Err(NotApplicable) } else { Ok(()) }
    }

    fn move_items(&mut self, items: usize) -> Result<(), NotApplicable> {
        self.moved_items = self.moved_items.saturating_add(items);
        if self.moved_items > MOVED_ITEMS_MAX { Err(NotApplicable) } else { Ok(()) }
    }
}

/// Why a patch does not apply. kube-apiserver does not tell its clients, so there are no details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the JSON patch does not apply")]
pub struct NotApplicable;

/// Applies operations one after another.
///
/// # Errors
/// One of them cannot be done. `document` is then somewhere in between.
pub fn apply(document: &mut Value, operations: &[Map<String, Value>]) -> Result<(), NotApplicable> {
    let mut taken = Taken::default();
    for operation in operations {
        apply_one(document, operation, &mut taken)?;
    }
    Ok(())
}

/// Where the value of an operation is in the patched document, as errors write it, if no later operation went into it, put
/// something over it, or moved it.
///
/// The value of an item counts where no later operation goes into its list, whose items may have other numbers by then.
#[must_use]
pub fn untouched_place(operations: &[Map<String, Value>], number: usize, document: &Value) -> Option<String> {
    let operation = operations.get(number)?;
    let text = |operation: &Map<String, Value>, member: &str| operation.get(member)?.as_str().map(str::to_owned);
    if !matches!(text(operation, "op")?.as_str(), "add" | "replace") {
        return None;
    }
    let path = text(operation, "path")?;
    let list = path.rsplit_once('/').map_or("", |(list, _)| list);
    let of_item = pointed(document, list).is_some_and(Value::is_array);
    let touches = |later: &str| leads_to(later, &path) || leads_to(&path, later) || (of_item && leads_to(list, later));
    let later = operations.get(number + 1..)?.iter();
    if later.flat_map(|later| [text(later, "path"), text(later, "from")]).flatten().any(|later| touches(&later)) {
        return None;
    }
    let mut place = String::new();
    let mut at = document;
    for step in path.split('/').skip(1).map(unescaped) {
        match at {
            Value::Array(items) => {
                let index = if step == "-" { items.len().checked_sub(1)? } else { index(&step, items.len()).ok()? };
                place.push_str(&format!("[{index}]"));
                at = items.get(index)?;
            }
            held => {
                if !place.is_empty() {
                    place.push('.');
                }
                place.push_str(&step);
                at = held.get(&step)?;
            }
        }
    }
    Some(place)
}

/// Whether a path is another one, or leads to it.
fn leads_to(path: &str, other: &str) -> bool {
    other.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What a path leads to.
fn pointed<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('/').skip(1).map(unescaped).try_fold(document, |at, step| match at {
        Value::Array(items) => items.get(index(&step, items.len()).ok()?),
        held => held.get(&step),
    })
}

/// A step of a path.
fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

fn apply_one(document: &mut Value, operation: &Map<String, Value>, taken: &mut Taken) -> Result<(), NotApplicable> {
    let text = |member: &str| operation.get(member).and_then(Value::as_str);
    let path = text("path").ok_or(NotApplicable);
    let from = text("from").ok_or(NotApplicable);
    let value = || operation.get("value").cloned().unwrap_or_default();
    match text("op").unwrap_or_default() {
        "add" => add(document, path?, value(), taken),
        "remove" => remove(document, path?, taken).map(drop),
        "replace" => replace(document, path?, value()),
        "move" => {
            let moved = remove(document, from?, taken)?;
            add(document, path?, moved, taken)
        }
        "copy" => {
            let copied = get(document, from?)?.cloned().unwrap_or_default();
            taken.copy(copied.to_string().len())?;
            add(document, path?, copied, taken)
        }
        "test" => test(document, path?, operation.get("value")),
        _ => Err(NotApplicable),
    }
}

/// The last step of a path, and the map or list that it leads into.
fn find<'a>(document: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), NotApplicable> {
    let mut steps: Vec<String> = path.split('/').skip(1).map(unescaped).collect();
    let last = steps.pop().ok_or(NotApplicable)?;
    let mut place = document;
    for step in steps {
        place = match place {
            Value::Object(members) => members.get_mut(&step),
            Value::Array(items) => {
                let index = index(&step, items.len())?;
                items.get_mut(index)
            }
            _ => None,
        }
        .ok_or(NotApplicable)?;
    }
    if place.is_object() || place.is_array() { Ok((place, last)) } else { Err(NotApplicable) }
}

/// An index below `len`; negative ones count from the end.
fn index(step: &str, len: usize) -> Result<usize, NotApplicable> {
    let index: i64 = step.parse().map_err(|_| NotApplicable)?;
    let len = i64::try_from(len).map_err(|_| NotApplicable)?;
    let index = if index < 0 { index + len } else { index };
    if index < len { usize::try_from(index).map_err(|_| NotApplicable) } else { Err(NotApplicable) }
}

fn get<'a>(document: &'a mut Value, path: &str) -> Result<Option<&'a Value>, NotApplicable> {
    let (place, last) = find(document, path)?;
    match place {
        Value::Array(items) => Ok(items.get(index(&last, items.len())?)),
        place => Ok(place.get(&last)),
    }
}

fn add(document: &mut Value, path: &str, value: Value, taken: &mut Taken) -> Result<(), NotApplicable> {
    match find(document, path)? {
        (Value::Array(items), last) if last == "-" => items.push(value),
        (Value::Array(items), last) => {
            let index = index(&last, items.len() + 1)?;
            taken.move_items(items.len() - index)?;
            items.insert(index, value);
        }
        (Value::Object(members), last) => drop(members.insert(last, value)),
        _ => return Err(NotApplicable),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str, taken: &mut Taken) -> Result<Value, NotApplicable> {
    match find(document, path)? {
        (Value::Array(items), last) => {
            let index = index(&last, items.len())?;
            taken.move_items(items.len() - index)?;
            Ok(items.remove(index))
        }
        (Value::Object(members), last) => members.remove(&last).ok_or(NotApplicable),
        _ => Err(NotApplicable),
    }
}

fn replace(document: &mut Value, path: &str, value: Value) -> Result<(), NotApplicable> {
    if path.is_empty() {
        if !value.is_object() && !value.is_array() {
            return Err(NotApplicable);
        }
        *document = value;
        return Ok(());
    }
    match find(document, path)? {
        (Value::Array(items), last) => {
            let index = index(&last, items.len())?;
            items[index] = value;
        }
        (Value::Object(members), last) => drop(members.insert(last, value)),
        _ => return Err(NotApplicable),
    }
    Ok(())
}

fn test(document: &mut Value, path: &str, wanted: Option<&Value>) -> Result<(), NotApplicable> {
    let held = if path.is_empty() { Some(&*document) } else { get(document, path)? };
    let holds = match (held, wanted) {
        (None | Some(Value::Null), None | Some(Value::Null)) => true,
        (held, wanted) => held == wanted,
    };
    if holds { Ok(()) } else { Err(NotApplicable) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn patched(document: Value, operations: Value) -> Option<Value> {
        let operations: Vec<Map<String, Value>> = serde_json::from_value(operations).unwrap();
        let mut document = document;
        apply(&mut document, &operations).ok().map(|()| document)
    }

    #[rstest]
    #[case::add_member(json!({"op": "add", "path": "/b", "value": 2}), Some(json!({"a": [1, 2], "b": 2})))]
    #[case::append(json!({"op": "add", "path": "/a/-", "value": 3}), Some(json!({"a": [1, 2, 3]})))]
    #[case::insert(json!({"op": "add", "path": "/a/1", "value": 3}), Some(json!({"a": [1, 3, 2]})))]
    #[case::insert_from_the_end(json!({"op": "add", "path": "/a/-1", "value": 3}), Some(json!({"a": [1, 2, 3]})))]
    #[case::insert_too_far(json!({"op": "add", "path": "/a/3", "value": 3}), None)]
    #[case::add_below_nothing(json!({"op": "add", "path": "/b/c", "value": 3}), None)]
    #[case::remove(json!({"op": "remove", "path": "/a/-2"}), Some(json!({"a": [2]})))]
    #[case::remove_nothing(json!({"op": "remove", "path": "/b"}), None)]
    #[case::replace_nothing(json!({"op": "replace", "path": "/b", "value": 1}), Some(json!({"a": [1, 2], "b": 1})))]
    #[case::replace_all(json!({"op": "replace", "path": "", "value": {}}), Some(json!({})))]
    #[case::replace_all_by_a_number(json!({"op": "replace", "path": "", "value": 1}), None)]
    #[case::copy_nothing(json!({"op": "copy", "from": "/b", "path": "/c"}), Some(json!({"a": [1, 2], "c": null})))]
    #[case::move_item(json!({"op": "move", "from": "/a/0", "path": "/b"}), Some(json!({"a": [2], "b": 1})))]
    #[case::test(json!({"op": "test", "path": "/a", "value": [1, 2]}), Some(json!({"a": [1, 2]})))]
    #[case::test_nothing(json!({"op": "test", "path": "/b", "value": null}), Some(json!({"a": [1, 2]})))]
    #[case::test_failed(json!({"op": "test", "path": "/a/0", "value": 2}), None)]
    #[case::escaped(json!({"op": "add", "path": "/x~1y~0z", "value": 2}), Some(json!({"a": [1, 2], "x/y~z": 2})))]
    #[case::unknown(json!({"op": "dance", "path": "/a"}), None)]
    #[case::no_path(json!({"op": "add", "value": 1}), None)]
    fn one_operation(#[case] operation: Value, #[case] expected: Option<Value>) {
        assert_eq!(patched(json!({"a": [1, 2]}), json!([operation])), expected);
    }

    #[test]
    fn items_cannot_be_moved_without_bound() {
        let put = json!({"op": "add", "path": "/zz", "value": vec![0; 100_000]});
        let insert = json!({"op": "add", "path": "/zz/0", "value": 1});
        let take = json!({"op": "remove", "path": "/zz/0"});
        let shift = json!({"op": "move", "from": "/zz/0", "path": "/zz/-"});
        for moving in [insert, take, shift] {
            let mut operations = vec![put.clone()];
            operations.extend(vec![moving.clone(); 150]);
            assert!(patched(json!({}), Value::Array(operations.clone())).is_some(), "{moving}");
            operations.extend(vec![moving.clone(); 150]);
            assert_eq!(patched(json!({}), Value::Array(operations)), None, "{moving}");
        }
    }

    #[test]
    fn copies_cannot_grow_without_bound() {
        let double = json!({"op": "copy", "from": "/a", "path": "/a/-"});
        let operations = Value::Array(vec![double; 60]);
        assert_eq!(patched(json!({"a": ["x".repeat(1000)]}), operations), None);
    }
}
