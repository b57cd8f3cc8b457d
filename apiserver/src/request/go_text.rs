//! Values spelt in messages as Go spells them: `%q`, JSON, `strconv` errors.

use kindsmith_text::print;
pub use kindsmith_text::print::is_printable;
pub(super) use kindsmith_text::print::quoted as quote;

/// `json.Marshal` of a string, which also escapes what HTML would understand.
pub(super) fn json(text: &str) -> String {
    print::json(&text.into())
}

/// `json.Marshal` of a list of strings.
pub(super) fn json_list(texts: &[&str]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| json(text)).collect();
    format!("[{}]", texts.join(","))
}

/// `%#U`: `U+0009`, with the character where it is printable.
pub(super) fn unicode(character: char) -> String {
    let code = u32::from(character);
    if is_printable(character) { format!("U+{code:04X} '{character}'") } else { format!("U+{code:04X}") }
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
    fn texts_are_spelt_as_go_spells_them() {
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
