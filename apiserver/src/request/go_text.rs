//! Values spelt in messages as Go spells them: `%q`, JSON, `strconv` errors.

use std::fmt::Write as _;

/// Whether Go's `unicode.IsPrint` holds: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub fn is_print(character: char) -> bool {
    match character {
        ' '..='~' => true,
        '\0'..='\u{7f}' => false,
        // A string's debug form escapes exactly what is not printable; a mark is escaped only where it comes first.
        other => !format!("a{other}").escape_debug().any(|escaped| escaped == '\\'),
    }
}

/// `strconv.Quote`.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{07}' => quoted.push_str("\\a"),
            '\u{08}' => quoted.push_str("\\b"),
            '\u{0c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{0b}' => quoted.push_str("\\v"),
            printable if is_print(printable) => quoted.push(printable),
            other => push_escaped(&mut quoted, other),
        }
    }
    quoted.push('"');
    quoted
}

fn push_escaped(text: &mut String, character: char) {
    let code = u32::from(character);
    // Writing to a String cannot fail.
    let _ = match code {
        0..=0x7f => write!(text, "\\x{code:02x}"),
        0x80..=0xffff => write!(text, "\\u{code:04x}"),
        _ => write!(text, "\\U{code:08x}"),
    };
}

/// `json.Marshal` of a string, which also escapes what HTML would understand.
pub(super) fn json(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// `json.Marshal` of a list of strings.
pub(super) fn json_list(texts: &[&str]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| json(text)).collect();
    format!("[{}]", texts.join(","))
}

/// `%#U`: `U+0009`, with the character where it is printable.
pub(super) fn unicode(character: char) -> String {
    let code = u32::from(character);
    if is_print(character) { format!("U+{code:04X} '{character}'") } else { format!("U+{code:04X}") }
}

/// `strconv.ParseInt(text, 10, 64)` with its error's text.
pub(super) fn parse_int(text: &str) -> Result<i64, String> {
    text.parse::<i64>().map_err(|_| number_error("ParseInt", text, text.strip_prefix(['+', '-']).unwrap_or(text)))
}

/// `strconv.ParseUint(text, 10, 64)` with its error's text.
pub(super) fn parse_uint(text: &str) -> Result<u64, String> {
    // Rust takes a sign here, Go does not.
    let signed = text.starts_with('+');
    text.parse::<u64>().ok().filter(|_| !signed).ok_or_else(|| number_error("ParseUint", text, text))
}

fn number_error(function: &str, text: &str, digits: &str) -> String {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let problem = if all_digits { "value out of range" } else { "invalid syntax" };
    format!("strconv.{function}: parsing {}: {problem}", quote(text))
}

/// Whether a query parameter's value means true: all but `0` and `false` do, even the empty one (apimachinery
/// pkg/runtime/conversion.go, Convert_Slice_string_To_bool).
pub(super) fn is_true(value: &str) -> bool {
    value != "0" && !value.eq_ignore_ascii_case("false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_go_quotes_them() {
        assert_eq!(quote("a\"b\\c\n\u{1}\u{200b}é\u{301}"), "\"a\\\"b\\\\c\\n\\x01\\u200bé\u{301}\"");
        assert_eq!(quote("\u{e0001}"), "\"\\U000e0001\"");
        assert_eq!(json("<&>"), "\"\\u003c\\u0026\\u003e\"");
        assert_eq!(json_list(&["a", ""]), "[\"a\",\"\"]");
        assert_eq!(unicode('\t'), "U+0009");
    }

    #[test]
    fn numbers_fail_with_the_text_of_strconv() {
        assert_eq!(parse_int("x").unwrap_err(), "strconv.ParseInt: parsing \"x\": invalid syntax");
        assert_eq!(parse_int("").unwrap_err(), "strconv.ParseInt: parsing \"\": invalid syntax");
        assert_eq!(
            parse_int("-99999999999999999999").unwrap_err(),
            "strconv.ParseInt: parsing \"-99999999999999999999\": value out of range"
        );
        assert_eq!(parse_uint("+1").unwrap_err(), "strconv.ParseUint: parsing \"+1\": invalid syntax");
        assert_eq!(parse_uint("-1").unwrap_err(), "strconv.ParseUint: parsing \"-1\": invalid syntax");
        assert_eq!(parse_uint("17"), Ok(17));
    }
}
