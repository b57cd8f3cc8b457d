//! Numbers as Go writes them: whole floats without a fraction.
//!
//! Follows encoding/json of Go (`floatEncoder`): without an exponent up to 21 digits.

use serde_json::{Value, json};

/// Where Go begins to write exponents.
const EXPONENT_BEGIN: f64 = 1e21;

/// Makes integers of numbers such as `2.0`. kube-apiserver writes such a number without its fraction, wherever it writes
/// it, and reads an integer from then on.
pub fn write_whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let is_whole = |float: &f64| number.is_f64() && float.fract() == 0.0 && float.abs() < EXPONENT_BEGIN;
            let float = number.as_f64().filter(is_whole);
            if let Some(integer) = float.and_then(|float| format!("{float:.0}").parse::<i64>().ok()) {
                *value = json!(integer);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(write_whole),
        Value::Object(members) => members.values_mut().for_each(write_whole),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_floats_lose_their_fraction_and_others_stay() {
        let mut value = json!({"a": 2.0, "b": [1.5, -3.0, 1e300], "c": "2.0", "d": 7, "e": -0.0});
        write_whole(&mut value);
        assert_eq!(value.to_string(), r#"{"a":2,"b":[1.5,-3,1e+300],"c":"2.0","d":7,"e":0}"#);
    }
}
