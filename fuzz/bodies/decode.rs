//! Our decoder of JSON and serde_json's agree, but for depth and for integers that do not fit 64 bits.

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
        (Ok(_), Err(error)) => panic!("only we accept it: {error}"),
        (Err(_), Err(_)) => {}
    }
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
