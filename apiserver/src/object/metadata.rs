//! Metadata that clients cannot choose, and the rules for what they can.
//!
//! Sources: k8s.io/apiserver/pkg/registry/rest/{create,update,meta}.go, k8s.io/apimachinery/pkg/api/validation/objectmeta.go.

use std::sync::LazyLock;

use kindsmith_schema::{
    convert::release::RELEASE_NAME_BYTES_MAX,
    field::{FieldError, FieldPath},
    kind::{Kind, KindBackend},
};
use rand::Rng as _;
use regex::Regex;
use serde_json::{Map, Value, json};

use crate::encode::status::{ApiError, Named};

/// The longest `generateName` that is used; five random characters follow.
const GENERATED_BASE_BYTES_MAX: usize = 58;

/// Characters of generated names: no vowels and no digits that look like them, so that no words come out.
const GENERATED_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The most bytes of all annotations together.
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

const SUBDOMAIN_TEXT: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
    and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_TEXT: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
    start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED_TEXT: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
    an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE_TEXT: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
    and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
    validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

static SUBDOMAIN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$").ok());
static LABEL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$").ok());
static NAME_PART: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$").ok());

fn is(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

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

/// Sets the namespace to that of the request's path.
///
/// # Errors
/// 400 when the object names another.
pub fn settle_namespace(object: &mut Value, namespace: Option<&str>) -> Result<(), ApiError> {
    let Some(metadata) = metadata_mut(object) else { return Ok(()) };
    let held = text(metadata, "namespace");
    let wanted = namespace.unwrap_or_default();
    if !held.is_empty() && held != wanted {
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

/// Prepares the metadata of a new object: the host chooses what clients cannot. A name is made from `generateName`.
///
/// # Errors
/// 500 when a resourceVersion is set, with the text that Kubernetes has for it.
pub fn prepare_create(object: &mut Value) -> Result<(), ApiError> {
    let Some(metadata) = metadata_mut(object) else { return Ok(()) };
    let version = text(metadata, "resourceVersion");
    if !version.is_empty() && version != "0" {
        return Err(ApiError::Internal("resourceVersion should not be set on objects to be created".to_owned()));
    }
    for member in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "selfLink",
        "managedFields",
    ] {
        metadata.remove(member);
    }
    let base: String = text(metadata, "generateName").chars().take(GENERATED_BASE_BYTES_MAX).collect();
    if text(metadata, "name").is_empty() && !base.is_empty() {
        let mut rng = rand::rng();
        let suffix: String =
            (0..5).map(|_| char::from(GENERATED_ALPHABET[rng.random_range(0..GENERATED_ALPHABET.len())])).collect();
        metadata.insert("name".to_owned(), json!(format!("{base}{suffix}")));
    }
    Ok(())
}

/// Prepares the metadata of a changed object: what clients cannot change is as it was.
///
/// # Errors
/// 400 when the name differs from the path's, 409 when the uid or the resourceVersion is not the object's own.
pub fn prepare_update(object: &mut Value, current: &Value, name: &str, named: &Named) -> Result<(), ApiError> {
    let empty = Map::new();
    let held = current.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    let Some(metadata) = metadata_mut(object) else { return Ok(()) };
    let wanted = text(metadata, "name");
    if wanted.is_empty() {
        metadata.insert("name".to_owned(), json!(name));
    } else if wanted != name {
        return Err(ApiError::BadRequest(format!(
            "the name of the object ({wanted}) does not match the name on the URL ({name})"
        )));
    }
    let uid = text(metadata, "uid");
    if !uid.is_empty() && uid != text(held, "uid") {
        return Err(ApiError::Conflict {
            named: named.clone(),
            reason: format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                text(held, "uid")
            ),
        });
    }
    let version = text(metadata, "resourceVersion");
    if !version.is_empty() && version != "0" && version != text(held, "resourceVersion") {
        return Err(ApiError::Conflict {
            named: named.clone(),
            reason: "the object has been modified; please apply your changes to the latest version and try again"
                .to_owned(),
        });
    }
    for member in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "selfLink",
        "managedFields",
    ] {
        match held.get(member) {
            Some(value) => metadata.insert(member.to_owned(), value.clone()),
            None => metadata.remove(member),
        };
    }
    Ok(())
}

/// All faults of an object's metadata.
#[must_use]
pub fn validate(object: &Value, kind: &Kind) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let at = FieldPath::root().child("metadata");
    let name = member(object, "name");
    if name.is_empty() {
        errors.push(FieldError::required(&at.child("name"), "name or generateName is required"));
    } else {
        check_name(name, kind, &at.child("name"), &mut errors);
    }
    let metadata = object.get("metadata").and_then(Value::as_object);
    let map = |member: &str| metadata.and_then(|metadata| metadata.get(member)).and_then(Value::as_object);
    for (key, value) in map("labels").into_iter().flatten() {
        check_key(key, &at.child("labels"), &mut errors);
        match value.as_str() {
            Some(value) if value.len() > 63 => {
                errors.push(FieldError::invalid(&at.child("labels"), &json!(value), "must be no more than 63 bytes"))
            }
            Some(value) if value.is_empty() || is(&NAME_PART, value) => {}
            _ => errors.push(FieldError::invalid(&at.child("labels"), value, LABEL_VALUE_TEXT)),
        }
    }
    let mut bytes = 0;
    for (key, value) in map("annotations").into_iter().flatten() {
        check_key(&key.to_lowercase(), &at.child("annotations"), &mut errors);
        match value.as_str() {
            Some(value) => bytes += key.len() + value.len(),
            None => errors.push(FieldError::invalid(&at.child("annotations").key(key), value, "must be a string")),
        }
    }
    if bytes > ANNOTATIONS_BYTES_MAX {
        errors.push(FieldError::too_long(&at.child("annotations"), 256 * 1024));
    }
    errors
}

fn check_name(name: &str, kind: &Kind, at: &FieldPath, errors: &mut Vec<FieldError>) {
    match &kind.backend {
        KindBackend::Release(template) => {
            if !is(&LABEL, name) {
                errors.push(FieldError::invalid(at, &json!(name), LABEL_TEXT));
            }
            let room = RELEASE_NAME_BYTES_MAX.saturating_sub(template.settings.prefix.len());
            if name.len() > room {
                errors.push(FieldError::invalid(at, &json!(name), &format!("must be no more than {room} bytes")));
            }
        }
        KindBackend::Stored => {
            if name.len() > 253 {
                errors.push(FieldError::invalid(at, &json!(name), "must be no more than 253 bytes"));
            }
            if !is(&SUBDOMAIN, name) {
                errors.push(FieldError::invalid(at, &json!(name), SUBDOMAIN_TEXT));
            }
        }
    }
}

fn check_key(key: &str, at: &FieldPath, errors: &mut Vec<FieldError>) {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if let Some(prefix) = prefix
        && (prefix.is_empty() || prefix.len() > 253 || !is(&SUBDOMAIN, prefix))
    {
        errors.push(FieldError::invalid(at, &json!(key), &format!("prefix part {SUBDOMAIN_TEXT}")));
    }
    if name.is_empty() {
        errors.push(FieldError::invalid(at, &json!(key), "name part must be non-empty"));
    } else if name.len() > 63 {
        errors.push(FieldError::invalid(at, &json!(key), "name part must be no more than 63 bytes"));
    }
    if !is(&NAME_PART, name) {
        errors.push(FieldError::invalid(at, &json!(key), QUALIFIED_TEXT));
    }
}
