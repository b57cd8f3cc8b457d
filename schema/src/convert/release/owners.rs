//! The `managedFields` of an instance, kept in an annotation of its release: as they are, or compressed when they are
//! long, since all annotations of an object share 256 KiB.

use std::io::{Read as _, Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::Value;

/// The annotation. The `managedFields` of the release itself speak of its own fields and writers.
pub(super) const ANNOTATION: &str = "kindsmith.dev/managed-fields";

/// Longer texts are compressed.
const PLAIN_BYTES_MAX: usize = 8 << 10;

/// What is unpacked at most; anybody who may write releases can write the annotation.
const UNPACKED_BYTES_MAX: u64 = 4 << 20;

/// What a compressed text begins with; JSON does not.
const PACKED: &str = "gzip:";

/// The value of the annotation.
pub(super) fn write(fields: &Value) -> String {
    let text = fields.to_string();
    if text.len() <= PLAIN_BYTES_MAX {
        return text;
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    match packed.write_all(text.as_bytes()).and_then(|()| packed.finish()) {
        Ok(packed) => format!("{PACKED}{}", STANDARD.encode(packed)),
        Err(_) => text,
    }
}

/// The entries in a value of the annotation; nothing when it is none of ours.
pub(super) fn read(annotation: &str) -> Option<Value> {
    let fields: Value = match annotation.strip_prefix(PACKED) {
        None => serde_json::from_str(annotation).ok()?,
        Some(packed) => {
            let packed = STANDARD.decode(packed).ok()?;
            let mut text = Vec::new();
            GzDecoder::new(packed.as_slice()).take(UNPACKED_BYTES_MAX + 1).read_to_end(&mut text).ok()?;
            let fits = u64::try_from(text.len()).is_ok_and(|length| length <= UNPACKED_BYTES_MAX);
            serde_json::from_slice(fits.then_some(&text)?).ok()?
        }
    };
    fields.as_array().is_some_and(|entries| !entries.is_empty()).then_some(fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entries(count: usize) -> Value {
        (0..count).map(|at| json!({"manager": format!("manager-{at}"), "fieldsV1": {"f:spec": {}}})).collect()
    }

    #[test]
    fn what_is_written_is_read_again() {
        for count in [1, 10, 2000] {
            assert_eq!(read(&write(&entries(count))), Some(entries(count)), "{count}");
        }
    }

    #[test]
    fn long_texts_are_compressed() {
        assert!(write(&entries(2)).starts_with('['));
        let many = write(&entries(2000));
        assert!(many.starts_with(PACKED) && many.len() * 4 < entries(2000).to_string().len());
    }

    #[test]
    fn what_is_none_of_ours_or_unpacks_without_end_is_nothing() {
        let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
        bomb.write_all(b"[").unwrap();
        for _ in 0..8 {
            bomb.write_all(&vec![b' '; 1 << 20]).unwrap();
        }
        bomb.write_all(b"1]").unwrap();
        let bomb = format!("{PACKED}{}", STANDARD.encode(bomb.finish().unwrap()));
        for text in ["", "[]", "{}", "gzip:", "gzip:AAAA", "[1", bomb.as_str()] {
            assert_eq!(read(text), None, "{text:.20}");
        }
    }
}
