//! JSON patches in the dialect of Kubernetes, which is not quite RFC 6902.
//!
//! Follows gopkg.in/evanphx/json-patch.v4 (patch.go): `replace` of a member that is not there adds it, `copy` of one adds
//! null, `test` for null holds where nothing is, indices may count from the end. What is copied is bounded, as in
//! k8s.io/apiserver (JSONPatchMaxCopyBytes), and so is how deep the document nests in between: what goes through it is
//! recursive.

use kindsmith_schema::decode::{JSON_DEPTH_MAX, depth_within};
use serde_json::{Map, Value};

/// How many bytes of JSON all `copy` operations of a patch may copy together.
pub const COPIED_BYTES_MAX: usize = 3 * 1024 * 1024;

/// How many items of lists all operations of a patch may move together: an item that comes or goes moves those behind it.
/// It takes some hundredths of a second.
pub const MOVED_ITEMS_MAX: usize = 16 * 1024 * 1024;

/// How deep a document may nest while it is patched. An object that is stored nests deeper than one that is sent, by who
/// owns its fields.
pub const DEPTH_MAX: usize = 2 * JSON_DEPTH_MAX;

/// What the operations of a patch have taken so far.
#[derive(Default)]
struct Taken {
    copied_bytes: usize,
    moved_items: usize,
    /// How deep the document nests at most.
    depth: usize,
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

    /// Notes that `value` comes to the place of `path`.
    fn put(&mut self, value: &Value, path: &str) -> Result<(), NotApplicable> {
        let room = DEPTH_MAX.checked_sub(steps(path)).ok_or(NotApplicable)?;
        let depth = depth_within(value, room, &mut 0).ok_or(NotApplicable)?;
        self.depth = self.depth.max(steps(path) + depth);
        Ok(())
    }

    /// Notes that `value` goes from one place to another. It is looked into only where it could be too deep there, and that
    /// counts as items that are moved.
    fn put_from(&mut self, value: &Value, from: &str, path: &str) -> Result<(), NotApplicable> {
        let mut depth = self.depth.saturating_sub(steps(from));
        if steps(path) + depth > DEPTH_MAX {
            let mut seen = 0;
            let room = DEPTH_MAX.checked_sub(steps(path)).ok_or(NotApplicable)?;
            depth = depth_within(value, room, &mut seen).ok_or(NotApplicable)?;
            self.move_items(seen)?;
        }
        self.depth = self.depth.max(steps(path) + depth);
        Ok(())
    }
}

/// How many steps a path has.
fn steps(path: &str) -> usize {
    path.matches('/').count()
}

/// Why a patch does not apply. kube-apiserver does not tell its clients, so there are no details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the JSON patch does not apply")]
pub struct NotApplicable;

/// Applies operations one after another. The values that they put go from them into the document.
///
/// # Errors
/// One of them cannot be done. `document` is then somewhere in between.
pub fn apply(document: &mut Value, operations: &mut [Map<String, Value>]) -> Result<(), NotApplicable> {
    let depth = depth_within(document, DEPTH_MAX, &mut 0).ok_or(NotApplicable)?;
    let mut taken = Taken { depth, ..Taken::default() };
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

fn apply_one(document: &mut Value, operation: &mut Map<String, Value>, taken: &mut Taken) -> Result<(), NotApplicable> {
    let put = operation.get_mut("value").map(Value::take);
    let text = |member: &str| operation.get(member).and_then(Value::as_str);
    let path = text("path").ok_or(NotApplicable);
    let from = text("from").ok_or(NotApplicable);
    match text("op").unwrap_or_default() {
        "add" => {
            let value = put.unwrap_or_default();
            taken.put(&value, path?)?;
            add(document, path?, value, taken)
        }
        "remove" => remove(document, path?, taken).map(drop),
        "replace" => {
            let value = put.unwrap_or_default();
            taken.put(&value, path?)?;
            replace(document, path?, value)
        }
        "move" => {
            let moved = remove(document, from?, taken)?;
            taken.put_from(&moved, from?, path?)?;
            add(document, path?, moved, taken)
        }
        "copy" => {
            let copied = get(document, from?)?.cloned().unwrap_or_default();
            taken.copy(copied.to_string().len())?;
            taken.put(&copied, path?)?;
            add(document, path?, copied, taken)
        }
        "test" => test(document, path?, put.as_ref()),
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
        let mut operations: Vec<Map<String, Value>> = serde_json::from_value(operations).unwrap();
        let mut document = document;
        apply(&mut document, &mut operations).ok().map(|()| document)
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
    fn a_document_cannot_nest_without_bound() {
        let nested = |depth: usize| (0..depth).fold(json!(1), |inside, _| json!({"a": inside}));
        let path = |steps: usize| "/a".repeat(steps);
        let put = |steps: usize, depth: usize| json!({"op": "add", "path": path(steps), "value": nested(depth)});
        let fits = [put(1, 100), put(101, DEPTH_MAX - 101)];
        assert!(patched(json!({}), json!(fits)).is_some());
        assert_eq!(patched(json!({}), json!([put(1, 100), put(101, DEPTH_MAX - 100)])), None);
        let replaced = json!({"op": "replace", "path": path(101), "value": nested(DEPTH_MAX - 100)});
        assert_eq!(patched(json!({}), json!([put(1, 101), replaced])), None);
        let beside = json!({"op": "add", "path": "/b", "value": nested(DEPTH_MAX - 101)});
        for (op, deepest) in [("copy", 101), ("move", 101)] {
            let taken = |steps: usize| json!({"op": op, "from": "/b", "path": path(steps)});
            assert!(patched(json!({}), json!([put(1, 101), beside, taken(deepest)])).is_some(), "{op}");
            assert_eq!(patched(json!({}), json!([put(1, 102), beside, taken(deepest + 1)])), None, "{op}");
        }
        // What is moved to and fro nests no deeper.
        let there = json!({"op": "move", "from": "/b", "path": path(2)});
        let back = json!({"op": "move", "from": path(2), "path": "/b"});
        let operations: Vec<Value> = [put(1, 3), json!({"op": "add", "path": "/b", "value": nested(3)})]
            .into_iter()
            .chain((0..1000).flat_map(|_| [there.clone(), back.clone()]))
            .collect();
        assert!(patched(json!({}), Value::Array(operations)).is_some());
    }

    #[test]
    fn copies_cannot_grow_without_bound() {
        let double = json!({"op": "copy", "from": "/a", "path": "/a/-"});
        let operations = Value::Array(vec![double; 60]);
        assert_eq!(patched(json!({"a": ["x".repeat(1000)]}), operations), None);
    }
}
