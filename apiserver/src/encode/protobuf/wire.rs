//! Protobuf, written field by field from JSON: for messages whose JSON is at hand anyway.
//!
//! Source: protobuf.dev/programming-guides/encoding. prost writes the primitives.

use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::Value;

/// A message that is being written. Go's encoder of Kubernetes writes fields that are no pointers also when they are
/// empty; gnostic's does not.
#[derive(Default)]
pub(super) struct Wire {
    bytes: Vec<u8>,
}

impl Wire {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A text or bytes.
    pub(super) fn bytes(&mut self, tag: u32, bytes: &[u8]) {
        encode_key(tag, WireType::LengthDelimited, &mut self.bytes);
        encode_varint(u64::try_from(bytes.len()).unwrap_or(u64::MAX), &mut self.bytes);
        self.bytes.extend_from_slice(bytes);
    }

    /// A number or a truth value.
    pub(super) fn varint(&mut self, tag: u32, value: i64) {
        encode_key(tag, WireType::Varint, &mut self.bytes);
        encode_varint(value.cast_unsigned(), &mut self.bytes);
    }

    /// A floating-point number.
    pub(super) fn double(&mut self, tag: u32, value: f64) {
        encode_key(tag, WireType::SixtyFourBit, &mut self.bytes);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A message inside.
    pub(super) fn message(&mut self, tag: u32, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(tag, &inner.bytes);
    }

    /// A text that is always written.
    pub(super) fn text(&mut self, tag: u32, value: &Value) {
        self.bytes(tag, value.as_str().unwrap_or_default().as_bytes());
    }

    /// A text that is written unless it is empty.
    pub(super) fn text_if_any(&mut self, tag: u32, value: &Value) {
        if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
            self.bytes(tag, text.as_bytes());
        }
    }

    /// A truth value that is written if it is true.
    pub(super) fn true_if_any(&mut self, tag: u32, value: &Value) {
        if value.as_bool() == Some(true) {
            self.varint(tag, 1);
        }
    }

    /// A number that is written if it is one.
    pub(super) fn integer_if_any(&mut self, tag: u32, value: &Value) {
        if let Some(number) = value.as_i64() {
            self.varint(tag, number);
        }
    }

    /// Each text of a list.
    pub(super) fn texts(&mut self, tag: u32, list: &Value) {
        for text in list.as_array().into_iter().flatten() {
            self.text(tag, text);
        }
    }

    /// Each member of an object of texts, as protobuf writes a map: sorted by key.
    pub(super) fn text_map(&mut self, tag: u32, object: &Value) {
        let mut members: Vec<_> = object.as_object().into_iter().flatten().collect();
        members.sort_by_key(|(key, _)| key.as_str());
        for (key, value) in members {
            self.message(tag, |entry| {
                entry.bytes(1, key.as_bytes());
                entry.text(2, value);
            });
        }
    }
}
