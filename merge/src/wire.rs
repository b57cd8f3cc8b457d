//! Sets of paths as `fieldsV1` has them.
//!
//! Follows fieldpath/serialize{,-pe}.go of structured-merge-diff, byte for byte: fields `f:`, items by key `k:`, by value
//! `v:`, by place `i:`, and `.` for a path that is itself a member while others lead through it.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::path::{KeyField, PathElement};
use super::set::Set;

/// How long the paths of a set may be that is read. Objects nest less.
pub const SET_DEPTH_MAX: usize = 124;

/// Why a text or a value is no set of paths.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WireError(String);

impl PathElement {
    /// Reads one element, as `f:spec`. Nothing for kinds of elements that are not known: a later version may have them.
    ///
    /// # Errors
    /// The text is no element.
    pub fn from_wire(text: &str) -> Result<Option<Self>, WireError> {
        let bytes = text.as_bytes();
        if bytes.len() < 2 {
            return Err(WireError("key must be 2 characters long:".to_owned()));
        }
        if bytes[1] != b':' {
            return Err(WireError(format!("missing colon: {text}")));
        }
        let rest = &text[2..];
        let json = |error: serde_json::Error| WireError(error.to_string());
        match bytes[0] {
            b'f' => Ok(Some(Self::field(rest))),
            b'v' => Ok(Some(Self::Value(Arc::new(as_floats(serde_json::from_str(rest).map_err(json)?))))),
            b'k' => {
                let mut reader = serde_json::Deserializer::from_str(rest);
                let fields = KeyReader.deserialize(&mut reader).map_err(json)?;
                reader.end().map_err(json)?;
                Ok(Some(Self::key(fields)))
            }
            b'i' => match rest.parse() {
                Ok(index) => Ok(Some(Self::Index(index))),
                Err(_) => Err(WireError(format!(
                    "strconv.Atoi: parsing {}: invalid syntax",
                    kindsmith_text::print::quoted(rest)
                ))),
            },
            _ => Ok(None),
        }
    }

    /// The element as [`PathElement::from_wire`] reads it.
    pub fn to_wire(&self) -> String {
        let mut out = String::new();
        match self {
            Self::Field(name) => {
                out.reserve(name.len() + 2);
                out.push_str("f:");
                out.push_str(name);
            }
            Self::Key(fields) => {
                out.push_str("k:{");
                for (at, field) in fields.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_name(&mut out, &field.name);
                    out.push(':');
                    write_value(&mut out, &field.value);
                }
                out.push('}');
            }
            Self::Value(value) => {
                out.push_str("v:");
                write_value(&mut out, value);
            }
            Self::Index(index) => put(&mut out, format_args!("i:{index}")),
        }
        out
    }
}

impl Set {
    /// Reads a set from the bytes of `fieldsV1`.
    ///
    /// # Errors
    /// They are no JSON, have elements that are none, or nest deeper than [`SET_DEPTH_MAX`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, WireError> {
        let json = |error: serde_json::Error| WireError(error.to_string());
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let level = Level { depth: 0 }.deserialize(&mut reader).map_err(json)?;
        reader.end().map_err(json)?;
        Ok(level.below.unwrap_or_default())
    }

    /// Reads a set from a decoded `fieldsV1`.
    ///
    /// # Errors
    /// As [`Set::from_json`].
    pub fn from_value(value: &Value) -> Result<Self, WireError> {
        let level = Level { depth: 0 }.deserialize(value).map_err(|error| WireError(error.to_string()))?;
        Ok(level.below.unwrap_or_default())
    }

    /// The set as bytes of `fieldsV1`, in the order of paths.
    pub fn to_json(&self) -> String {
        let mut out = String::from("{");
        self.emit(&mut |element| {
            if !matches!(element, Emit::Close) && !out.ends_with('{') {
                out.push(',');
            }
            match element {
                Emit::Open(name) => {
                    write_name(&mut out, &name);
                    out.push_str(":{");
                }
                Emit::Leaf(name) => {
                    write_name(&mut out, &name);
                    out.push_str(":{}");
                }
                Emit::Close => out.push('}'),
            }
        });
        out.push('}');
        out
    }

    fn emit(&self, write: &mut dyn FnMut(Emit)) {
        let (mut members, mut children) = (self.members.iter().peekable(), self.children.iter().peekable());
        loop {
            let child_first = match (members.peek(), children.peek()) {
                (None, None) => return,
                (Some(member), Some((element, _))) => element <= *member,
                (member, _) => member.is_none(),
            };
            if !child_first {
                if let Some(member) = members.next() {
                    write(Emit::Leaf(member.to_wire()));
                }
            } else if let Some((element, set)) = children.next() {
                write(Emit::Open(element.to_wire()));
                let is_member = members.next_if(|member| *member == element).is_some();
                if is_member && !(set.members.is_empty() && set.children.is_empty()) {
                    write(Emit::Leaf(".".to_owned()));
                }
                set.emit(write);
                write(Emit::Close);
            }
        }
    }

    /// The set as a JSON value, to be part of an object.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        for (element, set) in &self.children {
            let mut below = set.to_value();
            if let Value::Object(fields) = &mut below
                && !fields.is_empty()
                && self.has_member(element)
            {
                fields.insert(".".to_owned(), Value::Object(Map::new()));
            }
            map.insert(element.to_wire(), below);
        }
        for member in &self.members {
            if self.below(member).is_none() {
                map.insert(member.to_wire(), Value::Object(Map::new()));
            }
        }
        Value::Object(map)
    }
}

enum Emit {
    Open(String),
    Leaf(String),
    Close,
}

/// What an object of `fieldsV1` holds: the paths below, and whether the path to it is a member.
struct Read {
    below: Option<Set>,
    member: bool,
}

#[derive(Clone, Copy)]
struct Level {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Read;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Read, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of fields")
    }

    fn visit_unit<E>(self) -> Result<Read, E> {
        Ok(Read { below: None, member: true })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Read, A::Error> {
        if self.depth > SET_DEPTH_MAX {
            return Err(A::Error::custom("exceeded max depth"));
        }
        let mut below: Option<Set> = None;
        let mut member = false;
        while let Some(name) = entries.next_key::<String>()? {
            if name == "." {
                member = true;
                entries.next_value::<IgnoredAny>()?;
                continue;
            }
            let Some(element) = PathElement::from_wire(&name).map_err(A::Error::custom)? else {
                entries.next_value::<IgnoredAny>()?;
                continue;
            };
            let read = entries.next_value_seed(Level { depth: self.depth + 1 })?;
            let set = below.get_or_insert_default();
            if read.member {
                set.insert_member(element.clone());
            }
            if let Some(inner) = read.below {
                set.replace_below(element, inner);
            }
        }
        let member = member || below.is_none();
        Ok(Read { below, member })
    }
}

/// Reads the fields of a key, also those that are there twice.
struct KeyReader;

impl<'de> DeserializeSeed<'de> for KeyReader {
    type Value = Vec<KeyField>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for KeyReader {
    type Value = Vec<KeyField>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of key fields")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some((name, value)) = entries.next_entry::<String, Value>()? {
            fields.push(KeyField { name: name.into(), value: as_floats(value) });
        }
        Ok(fields)
    }
}

/// Go reads every number here as a float.
fn as_floats(value: Value) -> Value {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().and_then(Number::from_f64);
            Value::Number(float.unwrap_or(number))
        }
        Value::Array(items) => items.into_iter().map(as_floats).collect(),
        Value::Object(map) => map.into_iter().map(|(name, value)| (name, as_floats(value))).collect(),
        other => other,
    }
}

/// A name as jsoniter writes it: without HTML escapes.
fn write_name(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        write_char(out, c);
    }
    out.push('"');
}

fn write_char(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if c < ' ' => put(out, format_args!("\\u{:04x}", u32::from(c))),
        c => out.push(c),
    }
}

/// A value as jsoniter writes it: strings with HTML escapes, numbers without needless digits.
fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_escaped(out, text),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_value(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut fields: Vec<_> = map.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (at, (name, item)) in fields.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_escaped(out, name);
                out.push(':');
                write_value(out, item);
            }
            out.push('}');
        }
    }
}

fn write_escaped(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => put(out, format_args!("\\u{:04x}", u32::from(c))),
            c => write_char(out, c),
        }
    }
    out.push('"');
}

fn write_number(out: &mut String, number: &Number) {
    let (int, float) = (number.as_i64(), number.as_f64());
    match (int, float) {
        (Some(int), _) => put(out, format_args!("{int}")),
        (None, Some(float)) if float != 0.0 && !(1e-6..1e21).contains(&float.abs()) => {
            let text = format!("{float:e}");
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let exponent: i32 = exponent.parse().unwrap_or_default();
            let sign = if exponent < 0 { '-' } else { '+' };
            put(out, format_args!("{mantissa}e{sign}{:02}", exponent.abs()));
        }
        (None, Some(float)) => put(out, format_args!("{float}")),
        (None, None) => put(out, format_args!("{number}")),
    }
}

fn put(out: &mut String, arguments: fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(arguments);
}
