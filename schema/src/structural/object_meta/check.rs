//! What is wrong with metadata that could be read.
//!
//! Follows `ValidateObjectMetaDeclaratively` in apimachinery/pkg/api/validation/objectmeta.go, for a name that is a
//! segment of a path.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use crate::field::{FieldError, FieldPath};

static LABEL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$").ok());
static NAME_PART: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$").ok());

const LABEL_TEXT: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
     start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_TEXT: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
     '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const NAME_PART_TEXT: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
     alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE_TEXT: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
     '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used \
     for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// How long a label and its parts may be, in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// How long the prefix of a key may be, in bytes.
const PREFIX_BYTES_MAX: usize = 253;

/// How large all annotations may be together, in bytes.
pub(crate) const ANNOTATIONS_BYTES_MAX: usize = 256 << 10;

/// What is wrong with metadata as it was read. Missing values come last.
pub(in crate::structural) fn check(metadata: &Map<String, Value>, at: &FieldPath) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut missing = Vec::new();
    let text = |name: &str| metadata.get(name).and_then(Value::as_str).unwrap_or_default();
    segment(text("generateName"), &at.child("generateName"), &mut errors);
    let name = text("name");
    if name == "." || name == ".." {
        errors.push(FieldError::invalid_text(&at.child("name"), name, &format!("may not be '{name}'")));
    } else {
        segment(name, &at.child("name"), &mut errors);
    }
    namespace(text("namespace"), &at.child("namespace"), &mut errors);
    if let Some(generation) = metadata.get("generation").filter(|value| value.as_i64().is_some_and(|int| int < 0)) {
        missing.push(FieldError::invalid(&at.child("generation"), generation, "must be greater than or equal to 0"));
    }
    let texts = |name: &str| metadata.get(name).and_then(Value::as_object).into_iter().flatten();
    for (key, value) in texts("labels") {
        errors.extend(label_faults(key, value.as_str().unwrap_or_default(), &at.child("labels")));
    }
    let mut bytes = 0usize;
    for (key, value) in texts("annotations") {
        let at = at.child("annotations");
        let lower = key.to_lowercase();
        errors.extend(key_mistakes(&lower).iter().map(|mistake| FieldError::invalid_text(&at, key, mistake)));
        bytes += key.len() + value.as_str().map_or(0, str::len);
    }
    if bytes > ANNOTATIONS_BYTES_MAX {
        errors.push(FieldError::too_long(&at.child("annotations"), ANNOTATIONS_BYTES_MAX as i64));
    }
    let items = |name: &str| metadata.get(name).and_then(Value::as_array).into_iter().flatten();
    owners(items("ownerReferences"), &at.child("ownerReferences"), &mut errors, &mut missing);
    for finalizer in items("finalizers").filter_map(Value::as_str) {
        let at = at.child("finalizers");
        errors.extend(key_mistakes(finalizer).iter().map(|text| FieldError::invalid_text(&at, finalizer, text)));
    }
    errors.extend(missing);
    errors
}

/// What is wrong with a label; `at` is where labels are.
pub(crate) fn label_faults(key: &str, value: &str, at: &FieldPath) -> Vec<FieldError> {
    let mistakes = key_mistakes(key);
    let mut errors: Vec<_> = mistakes.iter().map(|mistake| FieldError::invalid_text(at, key, mistake)).collect();
    if value.len() > LABEL_BYTES_MAX {
        errors.push(FieldError::invalid_text(at, value, &format!("must be no more than {LABEL_BYTES_MAX} bytes")));
    }
    if !value.is_empty() && !is(&NAME_PART, value) {
        errors.push(FieldError::invalid_text(at, value, LABEL_VALUE_TEXT));
    }
    errors
}

fn is(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

/// `IsPathSegmentPrefix`.
fn segment(name: &str, at: &FieldPath, errors: &mut Vec<FieldError>) {
    for illegal in ["/", "%"].into_iter().filter(|illegal| name.contains(illegal)) {
        errors.push(FieldError::invalid_text(at, name, &format!("may not contain '{illegal}'")));
    }
}

fn namespace(name: &str, at: &FieldPath, errors: &mut Vec<FieldError>) {
    if name.len() > LABEL_BYTES_MAX {
        errors.push(FieldError::invalid_text(at, name, &format!("must be no more than {LABEL_BYTES_MAX} bytes")));
    }
    if !name.is_empty() && !is(&LABEL, name) {
        let text = if name.split('.').all(|label| is(&LABEL, label)) { "must not contain dots" } else { LABEL_TEXT };
        errors.push(FieldError::invalid_text(at, name, text));
    }
}

/// `IsQualifiedName`.
fn key_mistakes(key: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    let name = match key.split_once('/') {
        None => key,
        Some((_, name)) if name.contains('/') => {
            let rule = format!("a qualified name {NAME_PART_TEXT}");
            return vec![format!("{rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")];
        }
        Some(("", name)) => {
            mistakes.push("prefix part must be non-empty".to_owned());
            name
        }
        Some((prefix, name)) => {
            if prefix.len() > PREFIX_BYTES_MAX {
                mistakes.push(format!("prefix part must be no more than {PREFIX_BYTES_MAX} bytes"));
            }
            if !prefix.split('.').all(|label| is(&LABEL, label)) {
                mistakes.push(format!("prefix part {SUBDOMAIN_TEXT}"));
            }
            name
        }
    };
    if name.is_empty() {
        mistakes.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_BYTES_MAX {
        mistakes.push(format!("name part must be no more than {LABEL_BYTES_MAX} bytes"));
    }
    if !is(&NAME_PART, name) {
        mistakes.push(format!("name part {NAME_PART_TEXT}"));
    }
    mistakes
}

fn owners<'a>(
    owners: impl Iterator<Item = &'a Value>,
    at: &FieldPath,
    errors: &mut Vec<FieldError>,
    missing: &mut Vec<FieldError>,
) {
    for (i, owner) in owners.enumerate() {
        let at = at.index(i);
        let text = |name: &str| owner.get(name).and_then(Value::as_str).unwrap_or_default();
        let version = text("apiVersion");
        if version.matches('/').count() > 1 || version.ends_with('/') {
            let detail = "must be <group>/<version> or <version>";
            errors.push(FieldError::invalid_text(&at.child("apiVersion"), version, detail));
        }
        for name in ["apiVersion", "kind", "name", "uid"].into_iter().filter(|name| text(name).is_empty()) {
            missing.push(FieldError::required(&at.child(name), "must not be empty"));
        }
    }
}
