//! Objects as they are held: as JSON where what is served is the same bytes, and deflated where nobody reads them but to
//! show them in another way. A release takes a third of its JSON so, and a few microseconds when it is needed.

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
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

    /// The object.
    #[must_use]
    pub fn tree(&self) -> Option<Value> {
        tree(&self.json()?)
    }
}

fn inflated(packed: &[u8]) -> Option<Bytes> {
    let (length, deflated) = packed.split_first_chunk::<LENGTH_BYTES>()?;
    let mut json = Vec::with_capacity(usize::try_from(u32::from_le_bytes(*length)).ok()?);
    let ended = Decompress::new(false).decompress_vec(deflated, &mut json, FlushDecompress::Finish);
    if !matches!(ended, Ok(Status::StreamEnd)) {
        tracing::error!(?ended, "an object that was packed here cannot be unpacked");
        return None;
    }
    Some(Bytes::from(json))
}

/// Packs objects.
#[derive(Debug, Default)]
pub struct Packer {
    packing: Packing,
    /// What deflating needs is large: it is made once, where it is needed.
    deflate: Option<Compress>,
    buffer: Vec<u8>,
}

impl Packer {
    /// Packs objects in this way.
    #[must_use]
    pub fn new(packing: Packing) -> Self {
        Self { packing, ..Self::default() }
    }

    /// The object, packed.
    pub fn pack(&mut self, json: Bytes) -> Packed {
        let deflated = match self.packing {
            Packing::Plain => None,
            Packing::Deflated => self.deflated(&json),
        };
        Packed(deflated.map_or(Form::Plain(json), Form::Deflated))
    }

    /// None where it would take more than the JSON.
    fn deflated(&mut self, json: &[u8]) -> Option<Bytes> {
        let length = u32::try_from(json.len()).ok()?;
        let deflate = self.deflate.get_or_insert_with(|| Compress::new(Compression::fast(), false));
        deflate.reset();
        self.buffer.clear();
        self.buffer.reserve_exact(LENGTH_BYTES + json.len());
        self.buffer.extend_from_slice(&length.to_le_bytes());
        match deflate.compress_vec(json, &mut self.buffer, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => Some(Bytes::copy_from_slice(&self.buffer)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked_as_it_was(texts in prop::collection::vec(any::<Vec<u8>>(), 0..4), repeated in 0..200usize) {
            let mut packer = Packer::new(Packing::Deflated);
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
