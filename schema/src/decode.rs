//! Strict decoding of JSON: what a client sent, and which fields it sent twice.
//!
//! Follows sigs.k8s.io/json: the last of duplicate fields wins and the others are reported, integers that do not fit
//! 64 bits become floats, at most [`DUPLICATES_MAX`] fields are reported.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep objects and arrays may nest. What is stored nests deeper, by who owns its fields, as values of a release, in
/// events and lists, and `serde_json` reads 127 levels.
pub const JSON_DEPTH_MAX: usize = 112;

/// How many duplicate fields are reported.
pub const DUPLICATES_MAX: usize = 100;

/// How much text the paths of duplicate fields have in all, in bytes, with repetitions; the last one may exceed it.
const DUPLICATES_TEXT_BYTES_MAX: usize = 1 << 20;

/// Why a document is not JSON that is accepted.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    message: String,
    #[source]
    source: serde_json::Error,
}

impl DecodeError {
    /// Whether the document nests deeper than [`JSON_DEPTH_MAX`].
    #[must_use]
    pub fn nests_too_deep(&self) -> bool {
        self.message.starts_with(TOO_DEEP)
    }
}

/// What is said of a document that nests too deep, as Go says it.
const TOO_DEEP: &str = "exceeded max depth";

/// How deep objects and arrays nest in a value; none when it is deeper than `max`. How many values were looked at is added
/// to `seen`.
#[must_use]
pub fn depth_within(value: &Value, max: usize, seen: &mut usize) -> Option<usize> {
    *seen += 1;
    let mut deepest = |inside: &mut dyn Iterator<Item = &Value>| {
        let max = max.checked_sub(1)?;
        let mut deepest = 0;
        for value in inside {
            deepest = depth_within(value, max, seen)?.max(deepest);
        }
        Some(1 + deepest)
    };
    match value {
        Value::Array(items) => deepest(&mut items.iter()),
        Value::Object(members) => deepest(&mut members.values()),
        _ => Some(0),
    }
}

/// Decodes one JSON document. The second part are the paths of fields that appear more than once, in the order in
/// which they were found, as kube-apiserver reports them in `duplicate field "spec.a"`.
///
/// # Errors
/// When `bytes` is no JSON document, or one that nests deeper than [`JSON_DEPTH_MAX`].
pub fn json_with_duplicates(bytes: &[u8]) -> Result<(Value, Vec<String>), DecodeError> {
    let found = RefCell::new(Duplicates::default());
    let text = mended(bytes);
    let mut deserializer = serde_json::Deserializer::from_slice(&text);
    let node = Node { found: &found, step: Step::Document, depth: 0 };
    let value = node.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    match value {
        Ok(value) => Ok((value, found.into_inner().paths)),
        Err(source) => Err(DecodeError { message: source.to_string(), source }),
    }
}

/// The document with U+FFFD where it holds what is no character: bytes that are no UTF-8, halves of surrogate pairs. Go
/// reads it so, and does not refuse it.
fn mended(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut text = match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(_) => Cow::Borrowed(bytes),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    let mut i = 0;
    while let Some(escape) = text.get(i..).and_then(|rest| rest.iter().position(|b| *b == b'\\')) {
        i += escape;
        match unit(&text[i..]) {
            None => i += 2,
            Some(0xD800..=0xDBFF) if matches!(unit(&text[i + 6..]), Some(0xDC00..=0xDFFF)) => i += 12,
            Some(0xD800..=0xDFFF) => {
                text.to_mut()[i + 2..i + 6].copy_from_slice(b"fffd");
                i += 6;
            }
            Some(_) => i += 6,
        }
    }
    text
}

/// The code of the `\uXXXX` that `bytes` begin with.
fn unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Paths of duplicate fields, each once.
#[derive(Default)]
struct Duplicates {
    paths: Vec<String>,
    seen: HashSet<String>,
    text_bytes: usize,
}

impl Duplicates {
    /// Adds the path, which is only made if it will be reported.
    fn add(&mut self, step: Step<'_>) {
        if self.paths.len() >= DUPLICATES_MAX || self.text_bytes >= DUPLICATES_TEXT_BYTES_MAX {
            return;
        }
        let mut path = String::new();
        step.write(&mut path);
        self.text_bytes += path.len();
        if self.seen.insert(path.clone()) {
            self.paths.push(path);
        }
    }
}

/// The way to a value.
#[derive(Clone, Copy)]
enum Step<'a> {
    Document,
    Field(&'a Step<'a>, &'a str),
    Item(&'a Step<'a>, usize),
}

impl Step<'_> {
    fn write(self, path: &mut String) {
        match self {
            Self::Document => {}
            Self::Field(parent, name) => {
                parent.write(path);
                if !matches!(parent, Self::Document) {
                    path.push('.');
                }
                path.push_str(name);
            }
            Self::Item(parent, index) => {
                parent.write(path);
                path.push_str(&format!("[{index}]"));
            }
        }
    }
}

/// Decodes one value.
#[derive(Clone, Copy)]
struct Node<'a> {
    found: &'a RefCell<Duplicates>,
    step: Step<'a>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Node<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<usize, E> {
        if self.depth < JSON_DEPTH_MAX { Ok(self.depth + 1) } else { Err(E::custom(TOO_DEEP)) }
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        match i64::try_from(value) {
            Ok(value) => Ok(Value::from(value)),
            // Kubernetes holds such integers as floats.
            Err(_) => self.visit_f64(value as f64),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut list = Vec::new();
        loop {
            let step = Step::Item(&self.step, list.len());
            match items.next_element_seed(Node { found: self.found, step, depth })? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut map = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let step = Step::Field(&self.step, &name);
            if map.contains_key(&name) {
                self.found.borrow_mut().add(step);
            }
            let value = fields.next_value_seed(Node { found: self.found, step, depth })?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_of_duplicate_fields_wins_and_they_are_reported_once() {
        let text = br#"{"spec": {"a": 1, "a": 2, "a": 3, "l": [{"b": 1, "b": 2}]}, "kind": "A", "kind": "B"}"#;
        let (value, duplicates) = json_with_duplicates(text).unwrap();
        assert_eq!(value, json!({"spec": {"a": 3, "l": [{"b": 2}]}, "kind": "B"}));
        assert_eq!(duplicates, ["spec.a", "spec.l[0].b", "kind"]);
    }

    #[test]
    fn integers_that_do_not_fit_become_floats() {
        let (value, _) = json_with_duplicates(b"[9223372036854775807, 9223372036854775808, 1e400]").unwrap_or_default();
        assert_eq!(value, Value::Null);
        let (value, _) =
            json_with_duplicates(b"[9223372036854775807, 9223372036854775808, -9223372036854775809, 1.0]").unwrap();
        assert_eq!(value, json!([i64::MAX, 9_223_372_036_854_775_808_f64, -9_223_372_036_854_775_808_f64, 1.0]));
    }

    #[test]
    fn documents_that_nest_too_deep_are_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(json_with_duplicates(nested(JSON_DEPTH_MAX).as_bytes()).is_ok());
        assert!(json_with_duplicates(nested(JSON_DEPTH_MAX + 1).as_bytes()).unwrap_err().nests_too_deep());
        assert!(json_with_duplicates(nested(100_000).as_bytes()).is_err());
    }

    #[test]
    fn depth_counts_objects_and_lists() {
        let depth = |text: &str, max: usize| {
            let (value, _) = json_with_duplicates(text.as_bytes()).unwrap();
            let mut seen = 0;
            (depth_within(&value, max, &mut seen), seen)
        };
        assert_eq!(depth("1", 0), (Some(0), 1));
        assert_eq!(depth("[]", 0).0, None);
        assert_eq!(depth(r#"{"a": [1, {"b": []}], "c": 1}"#, 4), (Some(4), 6));
        assert_eq!(depth(r#"{"a": [1, {"b": []}], "c": 1}"#, 3).0, None);
    }

    #[test]
    fn what_is_no_character_is_replaced() {
        for (text, value) in [
            (br#""\ud800""#.as_slice(), "\u{fffd}"),
            (br#""\uDC00x""#, "\u{fffd}x"),
            (br#""\ud83d\udc4d""#, "\u{1F44D}"),
            (br#""\ud83d\ud83d\udc4d""#, "\u{fffd}\u{1F44D}"),
            (br#""\\ud800""#, r"\ud800"),
            (b"\"a\xffb\"", "a\u{fffd}b"),
        ] {
            assert_eq!(json_with_duplicates(text).unwrap().0, value);
        }
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for text in ["", "{", "{} {}", "{'a': 1}", "nul", "\"\u{1}\"", "{\"a\":1,}"] {
            assert!(json_with_duplicates(text.as_bytes()).is_err(), "{text}");
        }
    }
}
