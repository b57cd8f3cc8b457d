//! Pruning, defaulting and validating with the schema of the kind, in the order of k8s.io/apiextensions-apiserver.

use kindsmith_schema::{
    conversion::keep_held,
    field::FieldError,
    kind::{Kind, KindBackend, KindVersion, StatusRole},
    structural::{Against, OtherFaults, Verdict},
};
use kindsmith_text::print::quoted;
use serde_json::{Value, json};

use super::decode::{self, Expected};
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
/// What `shown` has, the object before the write, is kept where it is unchanged, if the kind keeps what others put there:
/// see [`kindsmith_schema::conversion`].
///
/// # Errors
/// An embedded resource that cannot be read.
pub fn shape(
    object: &mut Value,
    shown: Option<&Value>,
    kind: &Kind,
    version: &KindVersion,
) -> Result<Vec<String>, Box<FieldError>> {
    let mut dropped = prune(object, shown, kind, version);
    dropped.extend(version.schema.coerce(object)?);
    version.schema.default(object);
    Ok(dropped)
}

/// Shapes an object as [`shape`] does where it is of the kind and the version that are expected. What is not is refused later:
/// of an object in another version what is unknown is told, and of another kind nothing.
///
/// # Errors
/// An embedded resource that cannot be read.
pub fn shape_as_sent(
    object: &mut Value,
    shown: Option<&Value>,
    kind: &Kind,
    version: &KindVersion,
    expected: Expected<'_>,
) -> Result<Vec<String>, Box<FieldError>> {
    if decode::check_api_version(object, expected).is_err() {
        unknown_by_own_version(object, kind, expected)
    } else if decode::is_kind(object, expected) {
        shape(object, shown, kind, version)
    } else {
        Ok(Vec::new())
    }
}

/// What is unknown in an object of our kind that is in another version than the request's path, and is refused for that:
/// the version that it names says so, and of one that there is not every field is unknown. Sorted as by [`shape`].
///
/// Source: k8s.io/apiextensions-apiserver/pkg/apiserver/customresource_handler.go (`unstructuredSchemaCoercer`).
///
/// # Errors
/// An embedded resource that cannot be read.
pub fn unknown_by_own_version(
    object: &Value,
    kind: &Kind,
    expected: Expected<'_>,
) -> Result<Vec<String>, Box<FieldError>> {
    let named = object.get("apiVersion").and_then(Value::as_str).and_then(|text| text.split_once('/'));
    let Some((group, name)) = named.filter(|_| decode::is_kind(object, expected)) else { return Ok(Vec::new()) };
    if group != kind.group {
        return Ok(Vec::new());
    }
    match kind.versions.iter().find(|version| version.name == name) {
        Some(version) => shape(&mut object.clone(), None, kind, version),
        None => {
            let fields = object.as_object().into_iter().flatten().map(|(name, _)| name.clone());
            Ok(fields.filter(|name| !matches!(name.as_str(), "apiVersion" | "kind" | "metadata")).collect())
        }
    }
}

/// Drops unknown fields as [`shape`] does.
pub(super) fn prune(object: &mut Value, shown: Option<&Value>, kind: &Kind, version: &KindVersion) -> Vec<String> {
    let held = shown.filter(|_| kind.keeps_foreign_fields()).map(|shown| (object.clone(), shown));
    let mut dropped = version.schema.prune(object);
    if let (false, Some((before, shown))) = (dropped.is_empty(), held) {
        keep_held(object, &before, shown);
        let kept = version.schema.prune(&mut object.clone());
        dropped.retain(|path| !kept.contains(path));
    }
    dropped
}

/// Whether two objects are the same but for their metadata.
pub(super) fn is_same_but_metadata(left: &Value, right: &Value) -> bool {
    let members = |object: &Value| object.as_object().map_or(0, |members| members.len());
    let has_metadata = |object: &Value| usize::from(object.get("metadata").is_some());
    members(left) - has_metadata(left) == members(right) - has_metadata(right)
        && left
            .as_object()
            .into_iter()
            .flatten()
            .all(|(name, value)| name == "metadata" || right.get(name) == Some(value))
}

/// Takes the part that a write may not change from the stored object.
///
/// Of the status of a release, what Flux reports is no client's to change, as if Flux had written it anew.
pub fn keep_untargeted(
    object: &mut Value,
    stored: Option<&Value>,
    kind: &Kind,
    version: &KindVersion,
    target: WriteTarget,
) {
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
            if let (KindBackend::Release(template), Some(members)) = (&kind.backend, object.as_object_mut()) {
                let status = members.entry("status").or_insert_with(|| json!({}));
                template.keep_reported_status(status, stored.and_then(|stored| stored.get("status")));
            }
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

/// All faults by the schema, behind those that its metadata has: rules do not run where one of these keeps them from it.
/// On an update those of unchanged values are let be, and of a status only its own are told.
/// Those of the fields that the scale subresource shows are among them; they are told although nothing changed.
///
/// Source: k8s.io/apiextensions-apiserver/pkg/registry/customresource/validator.go.
#[must_use]
pub fn validate(
    object: &Value,
    stored: Option<&Value>,
    metadata: Vec<FieldError>,
    version: &KindVersion,
    target: WriteTarget,
) -> Verdict {
    let against = match (stored, target) {
        (None, _) => Against::Nothing,
        (Some(stored), WriteTarget::Main) => Against::Object(stored),
        (Some(stored), WriteTarget::Status) => Against::Status(stored),
    };
    let mut others = OtherFaults { metadata, scale: Vec::new() };
    if let Some(scale) = &version.scale {
        if target == WriteTarget::Main {
            others.scale.extend(scale.validate_spec(object));
        }
        others.scale.extend(scale.validate_status(object));
    }
    version.schema.judge(object, against, others)
}

#[cfg(test)]
mod tests {
    use kindsmith_schema::{compile::OwnStorage, form::DefinitionForm};

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
                "backend": {"helmRelease": {
                    "chartRef": {"kind": "OCIRepository", "name": "cup", "namespace": "charts"}, "prefix": "cup-"}}}});
        DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Available).unwrap()
    }

    fn shaped(wanted: &Value, stored: &Value) -> (Value, Vec<String>) {
        let kind = kind();
        let mut object = json!({"spec": wanted});
        let dropped = shape(&mut object, Some(&json!({"spec": stored})), &kind, &kind.versions[0]).unwrap();
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
