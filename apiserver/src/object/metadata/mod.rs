//! Metadata: what clients cannot choose is set here; `typed` reads it, `rules` judges what they can choose.
//!
//! Source: k8s.io/apiserver/pkg/registry/rest/{create,update,meta}.go.

/// Metadata as the type that it is.
pub mod typed;

/// What clients may choose.
pub mod rules;

/// Each owner once.
pub mod owners;

use kindsmith_schema::kind::{Kind, KindBackend};
use kindsmith_text::print::quoted;
use rand::Rng as _;
use serde_json::{Map, Value, json};

use crate::encode::status::{ApiError, Named};

/// The longest name that is generated.
const GENERATED_BYTES_MAX: usize = 63;

/// How many random characters a generated name ends with.
const GENERATED_SUFFIX_BYTES: usize = 5;

/// Characters of generated names: no vowels and no digits that look like them, so that no words come out.
const GENERATED_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The metadata of an object, made an object if it is none.
fn metadata_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let metadata = object.as_object_mut()?.entry("metadata").or_insert_with(|| json!({}));
    if !metadata.is_object() {
        *metadata = json!({});
    }
    metadata.as_object_mut()
}

fn text<'a>(metadata: &'a Map<String, Value>, member: &str) -> &'a str {
    metadata.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// A text member of an object's metadata; empty when there is none.
#[must_use]
pub fn member<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get("metadata").and_then(|metadata| metadata.get(name)).and_then(Value::as_str).unwrap_or_default()
}

/// Sets the namespace to that of the request's path. Where the path has none, as for a cluster-scoped kind, the object's is
/// dropped.
///
/// Source: k8s.io/apiserver/pkg/registry/rest/meta.go (EnsureObjectNamespaceMatchesRequestNamespace).
///
/// # Errors
/// 400 when the object names another.
pub fn settle_namespace(object: &mut Value, namespace: Option<&str>) -> Result<(), ApiError> {
    let Some(metadata) = metadata_mut(object) else { return Ok(()) };
    let held = text(metadata, "namespace");
    let wanted = namespace.unwrap_or_default();
    if !held.is_empty() && !wanted.is_empty() && held != wanted {
        return Err(ApiError::BadRequest(
            "the namespace of the provided object does not match the namespace sent on the request".to_owned(),
        ));
    }
    if wanted.is_empty() {
        metadata.remove("namespace");
    } else {
        metadata.insert("namespace".to_owned(), json!(wanted));
    }
    Ok(())
}

/// Drops what a client cannot choose for a new object (`WipeObjectMetaSystemFields`).
pub fn wipe_system_fields(object: &mut Value) {
    let Some(metadata) = metadata_mut(object) else { return };
    for member in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        metadata.remove(member);
    }
}

/// Drops the revision.
pub fn forget_revision(object: &mut Value) {
    if let Some(metadata) = metadata_mut(object) {
        metadata.remove("resourceVersion");
    }
}

/// Prepares the metadata of a new object: the host chooses what clients cannot. A name is made from `generateName`, of
/// which as much is used as there is room for in the names of the kind.
pub fn prepare_create(object: &mut Value, kind: &Kind) {
    let Some(metadata) = metadata_mut(object) else { return };
    for member in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "selfLink",
    ] {
        metadata.remove(member);
    }
    let base = generated_base(text(metadata, "generateName"), kind);
    if text(metadata, "name").is_empty() && !base.is_empty() {
        let mut rng = rand::rng();
        let suffix: String = (0..GENERATED_SUFFIX_BYTES)
            .map(|_| char::from(GENERATED_ALPHABET[rng.random_range(0..GENERATED_ALPHABET.len())]))
            .collect();
        metadata.insert("name".to_owned(), json!(format!("{base}{suffix}")));
    }
}

/// As much of a `generateName` as there is room for.
fn generated_base(generate_name: &str, kind: &Kind) -> String {
    let name_max = match &kind.backend {
        KindBackend::Release(template) => template.name_bytes_max().min(GENERATED_BYTES_MAX),
        KindBackend::Stored => GENERATED_BYTES_MAX,
    };
    generate_name.chars().take(name_max.saturating_sub(GENERATED_SUFFIX_BYTES)).collect()
}

/// Checks that an object has the name of the request's path.
///
/// # Errors
/// 400 when it has another, or none.
pub fn check_name(object: &Value, name: &str) -> Result<(), ApiError> {
    let wanted = member(object, "name");
    if wanted.is_empty() {
        return Err(ApiError::BadRequest(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )));
    }
    if wanted != name {
        return Err(ApiError::BadRequest(format!(
            "the name of the object ({wanted}) does not match the name on the URL ({name})"
        )));
    }
    Ok(())
}

/// Checks that a changed object means the stored one.
///
/// # Errors
/// 409 when it has another uid.
pub fn check_uid(object: &Value, stored: &Value, named: &Named) -> Result<(), ApiError> {
    let (wanted, held) = (member(object, "uid"), member(stored, "uid"));
    if wanted.is_empty() || wanted == held {
        return Ok(());
    }
    Err(ApiError::Conflict {
        named: named.clone(),
        reason: format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {held}"),
    })
}

/// The revision that an object names; 0 when it names none.
///
/// Source: k8s.io/apiserver/pkg/storage/api_object_versioner.go (ObjectResourceVersion).
///
/// # Errors
/// 500 in the words of Go when it is no number.
pub fn revision(object: &Value) -> Result<u64, ApiError> {
    let text = member(object, "resourceVersion");
    if text.is_empty() {
        return Ok(0);
    }
    let wrong = |why: &str| ApiError::Plain(format!("strconv.ParseUint: parsing {}: {why}", quoted(text)));
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("invalid syntax"));
    }
    text.parse().map_err(|_| wrong("value out of range"))
}

/// Checks that a changed object was made from the stored revision, if it says from which.
///
/// # Errors
/// 409 when it was made from another.
pub fn check_revision(object: &Value, stored: &Value, named: &Named) -> Result<(), ApiError> {
    let wanted = member(object, "resourceVersion");
    if matches!(wanted, "" | "0") || wanted == member(stored, "resourceVersion") {
        return Ok(());
    }
    Err(ApiError::Conflict {
        named: named.clone(),
        reason: "the object has been modified; please apply your changes to the latest version and try again"
            .to_owned(),
    })
}

/// Prepares the metadata of a changed object: what clients cannot change is as it was. Of some of it they may say what
/// it is not, which the rules then refuse.
///
/// Source: k8s.io/apiserver/pkg/registry/rest/update.go (BeforeUpdate).
pub fn prepare_update(object: &mut Value, current: &Value) {
    let empty = Map::new();
    let held = current.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    let Some(metadata) = metadata_mut(object) else { return };
    for member in ["generation", "resourceVersion", "selfLink", "creationTimestamp"] {
        match held.get(member) {
            Some(value) => metadata.insert(member.to_owned(), value.clone()),
            None => metadata.remove(member),
        };
    }
    if text(metadata, "uid").is_empty() {
        metadata.insert("uid".to_owned(), held.get("uid").cloned().unwrap_or_default());
    }
    if let Some(time) = held.get("deletionTimestamp") {
        metadata.insert("deletionTimestamp".to_owned(), time.clone());
    }
    if let Some(seconds) = held.get("deletionGracePeriodSeconds") {
        metadata.entry("deletionGracePeriodSeconds").or_insert_with(|| seconds.clone());
    }
}
