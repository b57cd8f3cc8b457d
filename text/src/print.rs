//! How Go prints the values that error texts quote: `%q`, `%v` of numbers, and `encoding/json`.

use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Number, Value};

/// What `unicode.IsPrint` accepts: letters, marks, numbers, punctuation, symbols and the ASCII space.
static PRINTABLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$").ok());

/// `strconv.Quote`.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            ' '..='~' => out.push(c),
            c if c.is_ascii() => put(&mut out, format_args!("\\x{:02x}", u32::from(c))),
            c if is_printable(c) => out.push(c),
            c if u32::from(c) < 0x1_0000 => put(&mut out, format_args!("\\u{:04x}", u32::from(c))),
            c => put(&mut out, format_args!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// Returns the escape of a character that can begin a line or move the cursor of a terminal; none for one that stays as it is.
/// Quotes and backslashes stay: most texts that have them are quoted already.
#[must_use]
pub fn control_escape(character: char) -> Option<std::char::EscapeDebug> {
    let escape = character.escape_debug();
    let stays = matches!(character, '"' | '\'' | '\\') || escape.clone().next() == Some(character);
    (!stays).then_some(escape)
}

/// `%v` of an `int64` or a `float64`.
pub fn number(value: &Number) -> String {
    match (value.as_i64(), value.as_f64()) {
        (Some(int), _) => int.to_string(),
        (None, Some(float)) => self::float(float),
        (None, None) => value.to_string(),
    }
}

/// From this decimal exponent on `%v` of a `float64` has one.
const FLOAT_EXPONENT_MIN: i32 = 6;

/// `%v` of a `float64`: the shortest digits, an exponent from 1e6 on and below 1e-4.
pub fn float(value: f64) -> String {
    let (mantissa, exponent) = scientific(value);
    if value != 0.0 && !(-4..FLOAT_EXPONENT_MIN).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    plain_float(value)
}

/// Mantissa and exponent of the shortest decimal form.
fn scientific(value: f64) -> (String, i32) {
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa.to_owned(), exponent.parse().unwrap_or_default()),
        None => (text, 0),
    }
}

/// `strconv.FormatFloat(value, 'f', -1, 64)`.
pub fn plain_float(value: f64) -> String {
    format!("{value}")
}

/// `encoding/json` with sorted keys and HTML escapes.
#[must_use]
pub fn json(value: &Value) -> String {
    let mut out = String::new();
    write_json(&mut out, value);
    out
}

fn write_json(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => out.push_str(&json_number(n)),
        Value::String(s) => write_json_string(out, s),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_json(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (i, (key, item)) in keys.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_json_string(out, key);
                out.push(':');
                write_json(out, item);
            }
            out.push('}');
        }
    }
}

fn json_number(value: &Number) -> String {
    if let Some(int) = value.as_i64() {
        return int.to_string();
    }
    let Some(float) = value.as_f64() else { return value.to_string() };
    let magnitude = float.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let (mantissa, exponent) = scientific(float);
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{}", exponent.abs());
    }
    plain_float(float)
}

/// Writes a text as a JSON string, as encoding/json does.
pub fn write_json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => put(out, format_args!("\\u{:04x}", u32::from(c))),
            c if u32::from(c) < 0x20 => put(out, format_args!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// `unicode.IsPrint`.
#[must_use]
pub fn is_printable(c: char) -> bool {
    let mut buffer = [0u8; 4];
    PRINTABLE.as_ref().is_some_and(|class| class.is_match(c.encode_utf8(&mut buffer)))
}

/// Formatting into a `String` cannot fail.
fn put(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn floats_print_as_go_prints_them() {
        let cases = [
            (100_000.0, "100000"),
            (999_999.0, "999999"),
            (1_000_000.0, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (2_500_000.5, "2.5000005e+06"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (1e21, "1e+21"),
            (0.0001, "0.0001"),
            (0.000_012, "1.2e-05"),
            (1e-7, "1e-07"),
            (0.0, "0"),
            (1.5, "1.5"),
        ];
        for (value, text) in cases {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn json_is_as_go_encodes_it() {
        let value = json!({"b": [1, 1.0, 1e20, 1e21, 1e-6, 1e-7, true, null], "a": "a\u{0}\u{7f}<>&\u{2028}é\n\u{8}"});
        assert_eq!(
            json(&value),
            "{\"a\":\"a\\u0000\u{7f}\\u003c\\u003e\\u0026\\u2028é\\n\\b\",\
             \"b\":[1,1,100000000000000000000,1e+21,0.000001,1e-7,true,null]}"
        );
    }

    #[test]
    fn strings_are_quoted_as_go_quotes_them() {
        assert_eq!(
            quoted("a\u{0}\u{7f}\u{200b}\u{a0}é\u{1F600}\n\u{7}<>&\u{2028}"),
            "\"a\\x00\\x7f\\u200b\\u00a0é\u{1F600}\\n\\a<>&\\u2028\""
        );
    }
}
