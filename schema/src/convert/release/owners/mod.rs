//! The `managedFields` of an instance, kept in an annotation of its release.
//!
//! All annotations of an object share 256 KiB, and they are the users'. So the entries stand there as they are while they
//! are short, deflated while that is short, and else told by the object itself ([`packed`]), which takes a hundredth.

use serde_json::Value;

use super::annotation_text::{self, UNPACKED_BYTES_MAX, deflated};

mod packed;
mod places;
mod sketch;

/// The annotation. The `managedFields` of the release itself speak of its own fields and writers.
pub(crate) const ANNOTATION: &str = "kindsmith.dev/managed-fields";

/// How many bytes the text takes at most that needs no object to be read.
const SELF_CONTAINED_BYTES_MAX: usize = 8 << 10;

/// Cells of the sketch that goes along, from as many as are good to as few as say whether anything changed. Each takes 18
/// bytes of the annotation; two tell one field that others added or took away.
const SKETCH_CELLS: [usize; 3] = [480, 60, 3];

/// The value of the annotation for these entries of an instance, in so many bytes if that is possible.
pub(super) fn write(entries: &Value, instance: &Value, room_bytes: usize) -> String {
    let text = entries.to_string();
    // Half of the room is left to others: they may write to the release without us.
    let fits_well = |text: &String| text.len() <= room_bytes / 2;
    let short = |text: &String| text.len() <= SELF_CONTAINED_BYTES_MAX && fits_well(text);
    if short(&text) {
        return text;
    }
    let mut shortest = deflated(&text).unwrap_or(text);
    if short(&shortest) {
        return shortest;
    }
    for cells in SKETCH_CELLS {
        let Some(packed) = packed::write(entries, instance, cells) else { break };
        if fits_well(&packed) {
            return packed;
        }
        if packed.len() < shortest.len() {
            shortest = packed;
        }
    }
    shortest
}

/// The entries in a value of the annotation of an instance; nothing when it is none of ours.
pub(super) fn read(annotation: &str, instance: &Value) -> Option<Value> {
    let entries: Value = if depends_on_object(annotation) {
        packed::read(annotation, instance)?
    } else {
        annotation_text::read(annotation)?
    };
    entries.as_array().is_some_and(|entries| !entries.is_empty()).then_some(entries)
}

/// Whether a value of the annotation is told by the object, and is to be written anew with it.
pub(super) fn depends_on_object(annotation: &str) -> bool {
    annotation.starts_with(packed::TAG)
}

#[cfg(test)]
mod tests;
