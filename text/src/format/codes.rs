//! Identifiers and codes that a regular expression and a checksum decide (kube-openapi's govalidator and strfmt).

use std::sync::LazyLock;

use regex::Regex;

/// A fixed pattern; it compiles, the tests of the formats run each of them.
macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($text).ok());
    };
}

pattern!(UUID, r"(?i-u)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$");
pattern!(UUID3, r"(?i-u)^[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$");
pattern!(UUID4, r"(?i-u)^[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$");
pattern!(UUID5, r"(?i-u)^[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$");
pattern!(ISBN10, r"^(?:[0-9]{9}X|[0-9]{10})$");
pattern!(ISBN13, r"^[0-9]{13}$");
pattern!(
    CREDIT_CARD,
    concat!(
        r"^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}",
        r"|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35[0-9]{3})[0-9]{11})$"
    )
);
pattern!(SSN, r"^[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}$");
pattern!(HEX_COLOR, r"^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$");
pattern!(
    RGB_COLOR,
    concat!(
        r"^rgb\([\t\n\x0C\r ]*(0|[1-9][0-9]?|1[0-9][0-9]?|2[0-4][0-9]|25[0-5])[\t\n\x0C\r ]*",
        r",[\t\n\x0C\r ]*(0|[1-9][0-9]?|1[0-9][0-9]?|2[0-4][0-9]|25[0-5])[\t\n\x0C\r ]*",
        r",[\t\n\x0C\r ]*(0|[1-9][0-9]?|1[0-9][0-9]?|2[0-4][0-9]|25[0-5])[\t\n\x0C\r ]*\)$"
    )
);
pattern!(BASE64, r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$");

fn matches(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

/// 24 hexadecimal digits.
pub(super) fn is_object_id(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Any UUID, in either case, with or without dashes.
pub(super) fn is_uuid(text: &str) -> bool {
    matches(&UUID, text)
}

/// A UUID of version 3.
pub(super) fn is_uuid3(text: &str) -> bool {
    matches(&UUID3, text)
}

/// A UUID of version 4.
pub(super) fn is_uuid4(text: &str) -> bool {
    matches(&UUID4, text)
}

/// A UUID of version 5.
pub(super) fn is_uuid5(text: &str) -> bool {
    matches(&UUID5, text)
}

/// An ISBN of ten or of thirteen digits.
pub(super) fn is_isbn(text: &str) -> bool {
    is_isbn10(text) || is_isbn13(text)
}

/// An ISBN of ten digits, with its checksum.
pub(super) fn is_isbn10(text: &str) -> bool {
    let digits = without_space(text);
    let weigh = |(i, b): (usize, u8)| (i + 1) * if b == b'X' { 10 } else { usize::from(b - b'0') };
    matches(&ISBN10, &digits) && digits.bytes().enumerate().map(weigh).sum::<usize>().is_multiple_of(11)
}

/// An ISBN of thirteen digits, with its checksum.
pub(super) fn is_isbn13(text: &str) -> bool {
    let digits = without_space(text);
    let weigh = |(i, b): (usize, u8)| (if i % 2 == 0 { 1 } else { 3 }) * usize::from(b - b'0');
    matches(&ISBN13, &digits) && digits.bytes().enumerate().map(weigh).sum::<usize>().is_multiple_of(10)
}

/// The number of a credit card, with its checksum; whatever is no digit is ignored.
pub(super) fn is_credit_card(text: &str) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let weigh = |(i, b): (usize, u8)| {
        let digit = usize::from(b - b'0') * if i % 2 == 1 { 2 } else { 1 };
        digit % 10 + digit / 10
    };
    matches(&CREDIT_CARD, &digits) && digits.bytes().rev().enumerate().map(weigh).sum::<usize>().is_multiple_of(10)
}

/// A social security number with its separators.
pub(super) fn is_ssn(text: &str) -> bool {
    text.len() == 11 && matches(&SSN, text)
}

/// `#fff` or `#ffffff`.
pub(super) fn is_hex_color(text: &str) -> bool {
    matches(&HEX_COLOR, text)
}

/// `rgb(0, 31, 255)`.
pub(super) fn is_rgb_color(text: &str) -> bool {
    matches(&RGB_COLOR, text)
}

/// Base64 with padding; the empty string is none.
pub(super) fn is_base64(text: &str) -> bool {
    matches(&BASE64, text)
}

fn without_space(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, '\t' | '\n' | '\x0c' | '\r' | ' ' | '-')).collect()
}
