//! What a scalar is: a word, a number, a boolean, nothing.
//!
//! Follows go.yaml.in/yaml/v2, resolve.go. What its regular expressions and Go's number parsers take is written out here.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::civil::{Date, Time};
use regex::Regex;

use super::YamlError;

/// The tags that are looked at.
pub(super) const STR: &str = "tag:yaml.org,2002:str";
const BOOL: &str = "tag:yaml.org,2002:bool";
const INT: &str = "tag:yaml.org,2002:int";
const FLOAT: &str = "tag:yaml.org,2002:float";
const NULL: &str = "tag:yaml.org,2002:null";
const TIMESTAMP: &str = "tag:yaml.org,2002:timestamp";
const BINARY: &str = "tag:yaml.org,2002:binary";
pub(super) const MERGE: &str = "tag:yaml.org,2002:merge";

/// A scalar as Go holds it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// Beyond what [`Scalar::Int`] holds.
    Uint(u64),
    Float(f64),
    /// Text that looks like a point in time. It stays text.
    Timestamp,
    Str(String),
}

static FLOAT_SHAPE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$").ok());

static TIMESTAMP_SHAPE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    // The four layouts: T and t with a zone, a space without, and a date alone.
    Regex::new(concat!(
        r"^([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})",
        r"(?:(?:[Tt]|( ))([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,][0-9]+)?(Z|[-+]([0-9]{2}):([0-9]{2}))?)?$"
    ))
    .ok()
});

/// What a scalar with a tag is; an untagged plain one has the empty tag.
///
/// # Errors
/// When the text is not what the tag says.
pub(super) fn resolve(tag: &str, text: &str) -> Result<Scalar, YamlError> {
    match tag {
        STR => Ok(Scalar::Str(text.to_owned())),
        BINARY => binary(text).map(Scalar::Str),
        "" => Ok(untagged(text, Times::Known)),
        BOOL | INT | FLOAT | NULL | TIMESTAMP => {
            let times = if tag == TIMESTAMP { Times::Known } else { Times::Unknown };
            let found = untagged(text, times);
            match (tag, &found) {
                (BOOL, Scalar::Bool(_))
                | (INT, Scalar::Int(_) | Scalar::Uint(_))
                | (FLOAT, Scalar::Float(_))
                | (NULL, Scalar::Null)
                | (TIMESTAMP, Scalar::Timestamp) => Ok(found),
                (FLOAT, Scalar::Int(whole)) => Ok(Scalar::Float(*whole as f64)),
                _ => Err(YamlError::Undecodable(format!(
                    "cannot decode {} `{text}` as a {}",
                    short(tag_of(&found)),
                    short(tag)
                ))),
            }
        }
        // Tags that the decoder does not know leave a scalar as it is.
        _ => Ok(Scalar::Str(text.to_owned())),
    }
}

fn tag_of(scalar: &Scalar) -> &'static str {
    match scalar {
        Scalar::Null => NULL,
        Scalar::Bool(_) => BOOL,
        Scalar::Int(_) | Scalar::Uint(_) => INT,
        Scalar::Float(_) => FLOAT,
        Scalar::Timestamp => TIMESTAMP,
        Scalar::Str(_) => STR,
    }
}

fn short(tag: &str) -> String {
    tag.strip_prefix("tag:yaml.org,2002:").map_or_else(|| tag.to_owned(), |name| format!("!!{name}"))
}

/// Whether points in time are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Times {
    Known,
    Unknown,
}

fn untagged(text: &str, times: Times) -> Scalar {
    let word = match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(Scalar::Bool(true)),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(Scalar::Bool(false))
        }
        "" | "~" | "null" | "Null" | "NULL" => Some(Scalar::Null),
        ".nan" | ".NaN" | ".NAN" => Some(Scalar::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(Scalar::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => Some(Scalar::Float(f64::NEG_INFINITY)),
        // The table has `<<`, and no first byte that leads to it: it is a word there, and a merge as a key.
        _ => None,
    };
    if let Some(word) = word {
        return word;
    }
    let number = match text.bytes().next() {
        Some(b'.') => fraction(text),
        Some(b'0'..=b'9' | b'+' | b'-') if times == Times::Known && is_timestamp(text) => Some(Scalar::Timestamp),
        Some(b'0'..=b'9' | b'+' | b'-') => number(&text.replace('_', "")),
        _ => None,
    };
    number.unwrap_or_else(|| Scalar::Str(text.to_owned()))
}

/// A number that begins with a point, by Go's `ParseFloat`: underscores stand between digits.
fn fraction(text: &str) -> Option<Scalar> {
    let digit = |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_digit);
    let separates =
        |(at, _): (usize, &str)| digit(at.checked_sub(1)) && digit(text[at..].find(|c| c != '_').map(|n| at + n));
    let has_good_separators = text.match_indices('_').all(|found| {
        // Go takes one underscore between two digits, and no more.
        separates(found) && !text[found.0 + 1..].starts_with('_')
    });
    if !has_good_separators {
        return None;
    }
    decimal(&text.replace('_', ""))
}

/// A finite decimal number.
fn decimal(text: &str) -> Option<Scalar> {
    if !FLOAT_SHAPE.as_ref()?.is_match(text) {
        return None;
    }
    // What is out of range is an error for Go, and infinite here.
    text.parse().ok().filter(|float: &f64| float.is_finite()).map(Scalar::Float)
}

fn number(plain: &str) -> Option<Scalar> {
    integer(plain).or_else(|| decimal(plain)).or_else(|| signed_binary(plain))
}

/// An integer with the base that its prefix says (`strconv.ParseInt` with base 0).
fn integer(plain: &str) -> Option<Scalar> {
    let (sign, digits) = match plain.as_bytes().first()? {
        b'-' => ("-", &plain[1..]),
        b'+' => ("+", &plain[1..]),
        _ => ("", plain),
    };
    let based = |prefix: [&str; 2]| {
        prefix.iter().find_map(|prefix| digits.strip_prefix(prefix)).filter(|rest| !rest.is_empty())
    };
    let (digits, base) = if let Some(rest) = based(["0b", "0B"]) {
        (rest, 2)
    } else if let Some(rest) = based(["0o", "0O"]) {
        (rest, 8)
    } else if let Some(rest) = based(["0x", "0X"]) {
        (rest, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (&digits[1..], 8)
    } else {
        (digits, 10)
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(base)) {
        return None;
    }
    match i64::from_str_radix(&format!("{sign}{digits}"), base) {
        Ok(whole) => Some(Scalar::Int(whole)),
        Err(_) if sign.is_empty() => u64::from_str_radix(digits, base).ok().map(Scalar::Uint),
        Err(_) => None,
    }
}

/// What only the decoder's own reading of `0b` takes: a sign behind the prefix.
fn signed_binary(plain: &str) -> Option<Scalar> {
    let digits = plain.strip_prefix("0b")?;
    let unsigned = digits.strip_prefix(['-', '+'])?;
    if unsigned.is_empty() || !unsigned.bytes().all(|digit| matches!(digit, b'0' | b'1')) {
        return None;
    }
    i64::from_str_radix(digits, 2).ok().map(Scalar::Int)
}

fn is_timestamp(text: &str) -> bool {
    let Some(parts) = TIMESTAMP_SHAPE.as_ref().and_then(|shape| shape.captures(text)) else { return false };
    let part = |index: usize| parts.get(index).and_then(|part| part.as_str().parse::<i16>().ok());
    let small = |index: usize| part(index).and_then(|part| i8::try_from(part).ok());
    let is_date = part(1).zip(small(2)).zip(small(3)).is_some_and(|((y, m), d)| Date::new(y, m, d).is_ok());
    let Some(hour) = small(5) else { return is_date };
    let is_time = small(6).zip(small(7)).is_some_and(|(m, s)| Time::new(hour, m, s, 0).is_ok());
    let has_zone = parts.get(8).is_some();
    let is_zone = part(9).is_none_or(|hours| hours <= 24) && part(10).is_none_or(|minutes| minutes <= 60);
    // With a space there is no zone, with a T there is one.
    is_date && is_time && is_zone && parts.get(4).is_some() != has_zone
}

/// The text of `!!binary`, as `encoding/json` writes what is no UTF-8.
fn binary(text: &str) -> Result<String, YamlError> {
    let lines: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let bytes = STANDARD
        .decode(lines)
        .map_err(|_| YamlError::Undecodable("!!binary value contains invalid base64 data".to_owned()))?;
    let mut decoded = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        decoded.push_str(chunk.valid());
        decoded.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Ok(decoded)
}

static SEXAGESIMAL_SHAPE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$").ok());

/// Reports whether a text is read as this text when it stands there plain, by this reader and by those that know numbers
/// with the base 60.
pub(super) fn is_text(text: &str) -> bool {
    text != "<<"
        && matches!(untagged(text, Times::Known), Scalar::Str(_))
        && !SEXAGESIMAL_SHAPE.as_ref().is_some_and(|shape| shape.is_match(text))
}
