//! Pruning, defaulting and validating with the schema of the kind, in the order of k8s.io/apiextensions-apiserver.

use std::collections::HashSet;

use kindsmith_schema::{
    field::{FieldError, print::quoted},
    kind::{Kind, KindBackend, KindVersion, StatusRole},
    structural::{Against, Verdict},
};
use serde_json::Value;

use crate::{encode::status::ApiError, storage::host::WriteTarget};

/// Refuses values that are the platform's own, before they could be dropped as unknown.
///
/// # Errors
/// 400 with the first of them.
pub fn check_reserved(object: &Value, kind: &Kind) -> Result<(), ApiError> {
    let KindBackend::Release(template) = &kind.backend else { return Ok(()) };
    let (Some(prefix), Some(key)) = (&template.reserved_key_prefix, template.reserved_key(object)) else {
        return Ok(());
    };
    Err(ApiError::BadRequest(format!(
        "values key {} is reserved (keys starting with '{prefix}' are not allowed)",
        quoted(key)
    )))
}

/// Drops unknown fields and fills in defaults. Returns the paths of what was dropped, sorted, those inside of the
/// metadata of embedded resources last.
///
/// What the stored object already has, unchanged, is kept even if the schema does not know it: it was put there by a hand
/// other than the client's, and losing it silently would be worse than carrying it on.
///
/// # Errors
/// An embedded resource that cannot be read.
pub fn shape(
    object: &mut Value,
    stored: Option<&Value>,
    version: &KindVersion,
) -> Result<Vec<String>, Box<FieldError>> {
    let before = stored.map(|_| object.clone());
    let mut dropped = version.schema.prune(object);
    if let (false, Some(before), Some(stored)) = (dropped.is_empty(), before, stored) {
        restore(object, &before, stored);
        let kept = version.schema.prune(&mut object.clone());
        dropped.retain(|path| !kept.contains(path));
    }
    dropped.extend(version.schema.coerce(object)?);
    version.schema.default(object);
    Ok(dropped)
}

/// Puts back what pruning took although it is as it was stored: members, and items of lists wherever they are now.
fn restore(pruned: &mut Value, before: &Value, stored: &Value) {
    if pruned == before {
        return;
    }
    if before == stored {
        pruned.clone_from(stored);
        return;
    }
    match (pruned, before, stored) {
        (Value::Object(pruned), Value::Object(before), Value::Object(stored)) => {
            for (key, held) in stored {
                let Some(wanted) = before.get(key) else { continue };
                match pruned.get_mut(key) {
                    Some(kept) => restore(kept, wanted, held),
                    None if wanted == held => drop(pruned.insert(key.clone(), held.clone())),
                    None => {}
                }
            }
        }
        (Value::Array(pruned), Value::Array(before), Value::Array(stored)) => {
            let held: HashSet<String> = stored.iter().map(Value::to_string).collect();
            for (index, (kept, wanted)) in pruned.iter_mut().zip(before).enumerate() {
                if held.contains(&wanted.to_string()) {
                    kept.clone_from(wanted);
                } else if let Some(held) = stored.get(index) {
                    restore(kept, wanted, held);
                }
            }
        }
        _ => {}
    }
}

/// Takes the part that a write may not change from the stored object.
pub fn keep_untargeted(object: &mut Value, stored: Option<&Value>, version: &KindVersion, target: WriteTarget) {
    let copy = |object: &mut Value, member: &str| {
        let held = stored.and_then(|stored| stored.get(member)).cloned();
        if let Some(object) = object.as_object_mut() {
            match held {
                Some(held) => object.insert(member.to_owned(), held),
                None => object.remove(member),
            };
        }
    };
    match (target, version.status) {
        (WriteTarget::Main, StatusRole::Subresource | StatusRole::Computed) => copy(object, "status"),
        (WriteTarget::Main, StatusRole::Field) => {}
        (WriteTarget::Status, _) => {
            let members: Vec<String> = object
                .as_object()
                .into_iter()
                .chain(stored.and_then(Value::as_object))
                .flat_map(|members| members.keys().cloned())
                .filter(|member| member != "status")
                .collect();
            // Who owns the status has changed with it.
            let owners = object.pointer("/metadata/managedFields").cloned();
            for member in members {
                copy(object, &member);
            }
            if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                match owners {
                    Some(owners) => metadata.insert("managedFields".to_owned(), owners),
                    None => metadata.remove("managedFields"),
                };
            }
        }
    }
}

/// All faults by the schema; on an update those of unchanged values are let be, and of a status only its own are told.
/// Those of the fields that the scale subresource shows are among them; they are told although nothing changed.
///
/// Source: k8s.io/apiextensions-apiserver/pkg/registry/customresource/validator.go.
#[must_use]
pub fn validate(object: &Value, stored: Option<&Value>, version: &KindVersion, target: WriteTarget) -> Verdict {
    let against = match (stored, target) {
        (None, _) => Against::Nothing,
        (Some(stored), WriteTarget::Main) => Against::Object(stored),
        (Some(stored), WriteTarget::Status) => Against::Status(stored),
    };
    let mut of_scale = Vec::new();
    if let Some(scale) = &version.scale {
        if target == WriteTarget::Main {
            of_scale.extend(scale.validate_spec(object));
        }
        of_scale.extend(scale.validate_status(object));
    }
    version.schema.judge(object, against, of_scale)
}

#[cfg(test)]
mod tests {
    use kindsmith_schema::{compile::OwnStorage, form::DefinitionForm};
    use serde_json::json;

    use super::*;

    fn kind() -> Kind {
        let definition = json!({
            "metadata": {"name": "cups.example.com"},
            "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Cup", "plural": "cups"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                    "type": "object", "properties": {"spec": {"type": "object", "properties": {
                        "replicas": {"type": "integer"},
                        "users": {"type": "array", "items": {"type": "object", "properties": {
                            "name": {"type": "string"}}}}}}}}}}],
                "backend": {"store": {}}}});
        DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Available).unwrap()
    }

    fn shaped(wanted: &Value, stored: &Value) -> (Value, Vec<String>) {
        let kind = kind();
        let mut object = json!({"spec": wanted});
        let dropped = shape(&mut object, Some(&json!({"spec": stored})), &kind.versions[0]).unwrap();
        (object["spec"].clone(), dropped)
    }

    #[test]
    fn what_others_put_into_an_object_stays_also_in_lists() {
        let (ann, bob) = (json!({"name": "ann", "theirs": 1}), json!({"name": "bob", "theirs": 2}));
        let stored = json!({"replicas": 1, "top": {"a": 1}, "users": [ann, bob]});
        let (kept, dropped) = shaped(&json!({"replicas": 2, "top": {"a": 1}, "users": [ann, bob]}), &stored);
        assert_eq!(kept, json!({"replicas": 2, "top": {"a": 1}, "users": [ann, bob]}));
        assert_eq!(dropped, Vec::<String>::new());
        let (kept, dropped) = shaped(&json!({"users": [bob, {"name": "eve", "own": 1}]}), &stored);
        assert_eq!(kept, json!({"users": [bob, {"name": "eve"}]}));
        assert_eq!(dropped, ["spec.users[1].own"]);
        let (kept, _) = shaped(&json!({"users": [{"name": "anna", "theirs": 1}, bob]}), &stored);
        assert_eq!(kept, json!({"users": [{"name": "anna", "theirs": 1}, bob]}));
        let (kept, dropped) = shaped(&json!({"top": {"a": 2}, "users": [{"name": "ann", "theirs": 9}]}), &stored);
        assert_eq!(kept, json!({"users": [{"name": "ann"}]}));
        assert_eq!(dropped, ["spec.top", "spec.users[0].theirs"]);
    }
}
