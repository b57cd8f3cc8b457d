//! Gzip, joined from parts that were compressed one by one: a document of a thousand kinds costs a copy.
//!
//! Source: RFC 1951 and RFC 1952. Each part is a series of blocks that ends on a byte and refers to nothing before itself,
//! so that parts may follow each other in any order; the sum of the whole is combined from theirs.

use std::io::Write as _;

use flate2::{Compression, Crc, write::DeflateEncoder};

/// Deflate, no flags, no time, no hint, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// An empty block that is the last.
const END: [u8; 2] = [0x03, 0x00];

/// A text that was compressed.
#[derive(Debug)]
pub struct Part {
    blocks: Box<[u8]>,
    sum: Crc,
}

impl Part {
    /// Compresses a text.
    #[must_use]
    pub fn of(text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        let mut sum = Crc::new();
        sum.update(text);
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        // Writing into memory does not fail. A flush ends the block on a byte, and does not make it the last.
        let _ = encoder.write_all(text).and_then(|()| encoder.flush());
        Self { blocks: std::mem::take(encoder.get_mut()).into_boxed_slice(), sum }
    }
}

/// A gzip file of parts.
#[must_use]
pub fn gzip<'p>(parts: impl IntoIterator<Item = &'p Part>) -> Vec<u8> {
    let parts: Vec<&Part> = parts.into_iter().collect();
    let bytes = parts.iter().map(|part| part.blocks.len()).sum::<usize>();
    let mut file = Vec::with_capacity(HEADER.len() + bytes + END.len() + 8);
    let mut sum = Crc::new();
    file.extend_from_slice(&HEADER);
    for part in parts {
        file.extend_from_slice(&part.blocks);
        sum.combine(&part.sum);
    }
    file.extend_from_slice(&END);
    file.extend_from_slice(&sum.sum().to_le_bytes());
    file.extend_from_slice(&sum.amount().to_le_bytes());
    file
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use proptest::prelude::*;

    use super::*;

    fn unzipped(file: &[u8]) -> String {
        let mut text = String::new();
        // It reads one member only, and looks at its sum and length.
        let mut decoder = GzDecoder::new(file);
        decoder.read_to_string(&mut text).unwrap();
        assert!(decoder.into_inner().is_empty(), "there is something behind it");
        text
    }

    proptest! {
        #[test]
        fn parts_are_one_file_in_any_order(texts in prop::collection::vec("[a-c]{0,40}|.{0,300}", 0..8)) {
            let parts: Vec<Part> = texts.iter().map(Part::of).collect();
            prop_assert_eq!(unzipped(&gzip(&parts)), texts.concat());
            let reversed: String = texts.iter().rev().map(String::as_str).collect();
            prop_assert_eq!(unzipped(&gzip(parts.iter().rev())), reversed);
        }
    }

    #[test]
    fn a_part_longer_than_any_window_is_whole() {
        let text: String = (0..60_000).map(|at| format!("{:x},", at * 7919 % 65_537)).collect();
        let parts = [Part::of(&text), Part::of("|"), Part::of(&text)];
        assert_eq!(unzipped(&gzip(&parts)), format!("{text}|{text}"));
    }
}
