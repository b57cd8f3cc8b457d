//! A text that an annotation of a release holds: as it is while it is short, and else deflated. All annotations of an object
//! share 256 KiB, and they are the users'.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::deflate::{self, Effort};

/// What is inflated at most, in bytes; anybody who may write releases can write the annotation. A custom resource has less,
/// as etcd takes 2 MiB of it.
pub(super) const UNPACKED_BYTES_MAX: usize = 8 << 20;

/// What a deflated text begins with; JSON does not.
pub(super) const DEFLATED: &str = "gzip:";

/// The deflated text. None where it is too long to be read again.
pub(super) fn deflated(text: &str) -> Option<String> {
    let packed = || STANDARD.encode(deflate::gzip(text.as_bytes(), Effort::Small));
    (text.len() <= UNPACKED_BYTES_MAX).then(|| format!("{DEFLATED}{}", packed()))
}

/// The JSON in a text, deflated or not; nothing when it is none of ours.
pub(super) fn read(text: &str) -> Option<serde_json::Value> {
    match text.strip_prefix(DEFLATED) {
        Some(packed) => {
            let json = deflate::gunzip(&STANDARD.decode(packed).ok()?, UNPACKED_BYTES_MAX).ok()?;
            serde_json::from_slice(&json).ok()
        }
        None => serde_json::from_str(text).ok(),
    }
}
