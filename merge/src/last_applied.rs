//! From kubectl's client-side apply to server-side apply.
//!
//! Follows managedfields/internal/lastapplied{,manager,updater}.go of apimachinery.

use serde_json::{Map, Value};

use super::set::Set;
use super::typed::Typed;
use kindsmith_text::print;

/// The annotation of client-side apply.
pub(super) const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The only manager whose conflicts with client-side apply are none.
pub(super) const MANAGER: &str = "kubectl";

/// How long the keys and values of all annotations may be, in bytes.
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

/// What was applied last on the client's side, if the object says.
pub(super) fn of(object: &Value) -> Option<&str> {
    let text = object.get("metadata")?.get("annotations")?.get(ANNOTATION)?.as_str()?;
    (!text.is_empty()).then_some(text)
}

/// What was applied last and has not changed since.
pub(super) fn unchanged(last: &Typed<'_>, live: &Typed<'_>) -> Option<Set> {
    let set = last.field_set().ok()?;
    let compared = last.compare(live).ok()?;
    Some(set.difference(&compared.modified).difference(&compared.added).difference(&compared.removed))
}

/// Writes what is applied into the annotation, or drops it if it is too long.
pub(super) fn set(object: &mut Value, applied: &Value) {
    let mut applied = applied.clone();
    if let Some(Value::Object(annotations)) = applied.pointer_mut("/metadata/annotations") {
        annotations.remove(ANNOTATION);
    }
    let text = format!("{}\n", print::json(&applied));
    let annotations = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    let Some(annotations) = annotations else { return };
    annotations.insert(ANNOTATION.to_owned(), Value::String(text));
    if bytes(annotations) > ANNOTATIONS_BYTES_MAX {
        annotations.remove(ANNOTATION);
    }
}

fn bytes(annotations: &Map<String, Value>) -> usize {
    annotations.iter().map(|(name, value)| name.len() + value.as_str().map_or(0, str::len)).sum()
}
