//! Our decoder of JSON and serde_json's agree, but for depth, for integers that do not fit 64 bits, and for halves of
//! surrogate pairs and bytes that are no UTF-8, which become U+FFFD as in Go.

use kindsmith_schema::decode::{DUPLICATES_MAX, json_with_duplicates};
use serde_json::Value;

/// `data` is a document.
pub(crate) fn run(data: &[u8]) {
    match (json_with_duplicates(data), serde_json::from_slice::<Value>(data)) {
        (Ok((ours, duplicates)), Ok(mut theirs)) => {
            assert!(duplicates.len() <= DUPLICATES_MAX);
            widen(&mut theirs);
            assert_eq!(ours, theirs);
        }
        (Err(error), Ok(_)) => assert!(error.to_string().starts_with("exceeded max depth"), "{error}"),
        (Ok(_), Err(error)) => assert!(has_no_character(data), "only we accept it: {error}"),
        (Err(_), Err(_)) => {}
    }
}

/// Whether a document may hold what stands for no character.
fn has_no_character(data: &[u8]) -> bool {
    let surrogate = |escape: &[u8]| {
        escape.starts_with(b"\\u") && matches!(escape[2..4], [b'd' | b'D', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F'])
    };
    std::str::from_utf8(data).is_err() || data.windows(4).any(surrogate)
}

/// Kubernetes holds integers beyond 64 bits as floats.
fn widen(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_u64().filter(|_| number.as_i64().is_none()) {
                *value = Value::from(float as f64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(widen),
        Value::Object(map) => map.values_mut().for_each(widen),
        _ => {}
    }
}
