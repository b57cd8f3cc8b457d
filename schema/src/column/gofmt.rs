//! Values as Go prints them, for cells of type string (`PrintResults` of `client-go/util/jsonpath`).

use std::fmt::Write as _;

use serde_json::{Number, Value};

/// A scalar as `fmt.Fprint` prints it, an object or an array as `json.Marshal` encodes it.
pub(crate) fn print(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::Bool(bool) => bool.to_string(),
        Value::Number(number) => print_number(number),
        Value::String(text) => text.clone(),
        Value::Array(_) | Value::Object(_) => {
            let mut out = String::new();
            encode(value, &mut out);
            out
        }
    }
}

/// `%v`: a fraction is printed with an exponent from a million on, and below a ten-thousandth.
fn print_number(number: &Number) -> String {
    match (number.as_i64(), number.as_f64()) {
        (Some(int), _) => int.to_string(),
        (None, Some(float)) => {
            let (mantissa, exponent) = scientific(float);
            if (-4..6).contains(&exponent) {
                float.to_string()
            } else {
                let sign = if exponent < 0 { '-' } else { '+' };
                format!("{mantissa}e{sign}{:02}", exponent.abs())
            }
        }
        (None, None) => number.to_string(),
    }
}

/// `json.Marshal`, with its HTML-safe escapes.
fn encode(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) => out.push_str(&value.to_string()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (None, Some(float)) => encode_float(float, out),
            _ => out.push_str(&number.to_string()),
        },
        Value::String(text) => encode_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                encode(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (at, (name, field)) in fields.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                encode_text(name, out);
                out.push(':');
                encode(field, out);
            }
            out.push('}');
        }
    }
}

fn encode_float(float: f64, out: &mut String) {
    let (mantissa, exponent) = scientific(float);
    let size = float.abs();
    // Writing to a String cannot fail.
    let _ = if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{mantissa}e{sign}{}", exponent.abs())
    } else {
        write!(out, "{float}")
    };
}

fn encode_text(text: &str, out: &mut String) {
    for c in Value::from(text).to_string().chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

/// The shortest digits that make the number, and its power of ten.
fn scientific(float: f64) -> (String, i32) {
    let text = format!("{float:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa.to_owned(), exponent.parse().unwrap_or(0)),
        None => (text, 0),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!("a<b"), "a<b")]
    #[case(json!(true), "true")]
    #[case(json!(null), "<no value>")]
    #[case(json!(3), "3")]
    #[case(json!(-7), "-7")]
    #[case(json!(1.0), "1")]
    #[case(json!(0.25), "0.25")]
    #[case(json!(999999.5), "999999.5")]
    #[case(json!(1000000.0), "1e+06")]
    #[case(json!(12345678.5), "1.23456785e+07")]
    #[case(json!(0.0001), "0.0001")]
    #[case(json!(0.00001), "1e-05")]
    #[case(json!({"b": [1, 2.0, null], "a": "<&>"}), r#"{"a":"\u003c\u0026\u003e","b":[1,2,null]}"#)]
    #[case(json!([1e21, 1e20, 1e-7, 1e-5, 0.0]), "[1e+21,100000000000000000000,1e-7,0.00001,0]")]
    fn prints_like_go(#[case] value: Value, #[case] expected: &str) {
        assert_eq!(print(&value), expected);
    }
}
