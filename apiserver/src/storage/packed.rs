//! Objects as they are held: as JSON where what is served is the same bytes, and deflated where nobody reads them but to
//! show them in another way. A release takes a third of its JSON so, and a few microseconds when it is needed.

use bytes::Bytes;
use kindsmith_schema::deflate::{self, Effort, Ending};
use serde_json::Value;

use super::host::tree;

/// How many bytes the length of the JSON takes in front of what was deflated.
const LENGTH_BYTES: usize = 4;

/// How objects of a feed are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packing {
    /// As JSON.
    #[default]
    Plain,
    /// Deflated.
    Deflated,
}

/// An object that is held.
#[derive(Clone, Debug)]
pub struct Packed(Form);

#[derive(Clone, Debug)]
enum Form {
    Plain(Bytes),
    /// The length of the JSON, little endian, and the JSON deflated.
    Deflated(Bytes),
}

impl Packed {
    /// The JSON, if it is held as such.
    #[must_use]
    pub fn shared(&self) -> Option<&Bytes> {
        match &self.0 {
            Form::Plain(json) => Some(json),
            Form::Deflated(_) => None,
        }
    }

    /// The JSON.
    #[must_use]
    pub fn json(&self) -> Option<Bytes> {
        match &self.0 {
            Form::Plain(json) => Some(json.clone()),
            Form::Deflated(packed) => inflated(packed),
        }
    }

    /// How long the JSON is, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Form::Plain(json) => json.len(),
            Form::Deflated(packed) => packed
                .split_first_chunk::<LENGTH_BYTES>()
                .map_or(0, |(length, _)| usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX)),
        }
    }

    /// The object.
    #[must_use]
    pub fn tree(&self) -> Option<Value> {
        tree(&self.json()?)
    }
}

fn inflated(packed: &[u8]) -> Option<Bytes> {
    let (length, deflated) = packed.split_first_chunk::<LENGTH_BYTES>()?;
    let json = deflate::inflate(deflated, usize::try_from(u32::from_le_bytes(*length)).ok()?);
    if json.is_none() {
        tracing::error!("an object that was packed here cannot be unpacked");
    }
    json.map(Bytes::from)
}

/// Packs objects.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packer {
    packing: Packing,
}

impl Packer {
    /// Packs objects in this way.
    #[must_use]
    pub fn new(packing: Packing) -> Self {
        Self { packing }
    }

    /// The object, packed.
    #[must_use]
    pub fn pack(&self, json: Bytes) -> Packed {
        let deflated = match self.packing {
            Packing::Plain => None,
            Packing::Deflated => deflated(&json),
        };
        Packed(deflated.map_or(Form::Plain(json), Form::Deflated))
    }
}

/// None where it would take more than the JSON.
fn deflated(json: &[u8]) -> Option<Bytes> {
    let length = u32::try_from(json.len()).ok()?;
    let blocks = deflate::blocks(json, Effort::Fast, Ending::Last);
    let packed = || Bytes::from([length.to_le_bytes().as_slice(), &blocks].concat());
    (LENGTH_BYTES + blocks.len() < json.len()).then(packed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked_as_it_was(texts in prop::collection::vec(any::<Vec<u8>>(), 0..4), repeated in 0..200usize) {
            let packer = Packer::new(Packing::Deflated);
            for text in texts {
                let json = Bytes::from(text.repeat(repeated));
                prop_assert_eq!(packer.pack(json.clone()).json(), Some(json));
            }
        }
    }

    #[test]
    fn a_release_takes_less_than_half_of_its_json() {
        let values: Vec<Value> =
            (0..30).map(|at| serde_json::json!({"name": format!("user-{at}"), "quota": at * 7})).collect();
        let json = Bytes::from(serde_json::json!({"spec": {"values": {"users": values}}}).to_string());
        let packed = Packer::new(Packing::Deflated).pack(json.clone());
        let Form::Deflated(bytes) = &packed.0 else { panic!("it is not deflated") };
        assert!(bytes.len() * 2 < json.len(), "{} of {}", bytes.len(), json.len());
        assert!(packed.shared().is_none() && packed.tree().is_some());
    }
}
