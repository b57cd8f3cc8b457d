//! Gzip, joined from parts that were compressed one by one: a document of a thousand kinds costs a copy.
//!
//! Source: RFC 1951 and RFC 1952. Each part is a series of blocks that ends on a byte and refers to nothing before itself,
//! so that parts may follow each other in any order; the sum of the whole is combined from theirs.

use bytes::Bytes;
use flate2::Crc;
use kindsmith_schema::deflate::{self, END, Effort, Ending, GZIP_HEADER};

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
        Self { blocks: deflate::blocks(text, Effort::Fast, Ending::Open), sum }
    }

    /// How many bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.blocks.len()
    }

    /// The text; none if the blocks are not those of a text with this sum.
    #[must_use]
    pub fn text(&self) -> Option<Bytes> {
        let text = deflate::inflate(&self.blocks, usize::try_from(self.sum.amount()).ok()?)?;
        let mut sum = Crc::new();
        sum.update(&text);
        ((sum.sum(), sum.amount()) == (self.sum.sum(), self.sum.amount())).then(|| Bytes::from(text))
    }
}

/// A gzip file that is written part by part.
#[derive(Debug)]
pub struct Joined {
    sum: Crc,
}

impl Joined {
    /// Begins a file.
    pub fn begin(file: &mut Vec<u8>) -> Self {
        file.extend_from_slice(&GZIP_HEADER);
        Self { sum: Crc::new() }
    }

    /// Goes on with a part.
    pub fn add(&mut self, part: &Part, file: &mut Vec<u8>) {
        file.extend_from_slice(&part.blocks);
        self.sum.combine(&part.sum);
    }

    /// Ends the file.
    pub fn end(&self, file: &mut Vec<u8>) {
        file.extend_from_slice(&END);
        file.extend_from_slice(&self.sum.sum().to_le_bytes());
        file.extend_from_slice(&self.sum.amount().to_le_bytes());
    }
}

/// A gzip file of parts.
#[must_use]
pub fn gzip<'p>(parts: impl IntoIterator<Item = &'p Part>) -> Vec<u8> {
    let parts: Vec<&Part> = parts.into_iter().collect();
    let bytes = parts.iter().map(|part| part.blocks.len()).sum::<usize>();
    let mut file = Vec::with_capacity(GZIP_HEADER.len() + bytes + END.len() + 8);
    let mut joined = Joined::begin(&mut file);
    for part in parts {
        joined.add(part, &mut file);
    }
    joined.end(&mut file);
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
