//! Deflate and gzip, proven: whatever is compressed here was inflated and compared before it is handed out.
//!
//! Sources: RFC 1951 (deflate), RFC 1952 (gzip). A text is compressed in one call with room for the worst case. Where the
//! outcome is not the text, blocks that are not compressed take its place.

use std::{
    cell::RefCell,
    io::{self, Read as _},
};

use flate2::{
    Compress, Compression, Crc, Decompress, FlushCompress, FlushDecompress, Status,
    read::{DeflateDecoder, GzDecoder},
};

/// Deflate, no flags, no time, no hint, unknown system.
pub const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// An empty block that is the last one.
pub const END: [u8; 2] = [0x03, 0x00];

/// More than what a stream and a flush add to any text.
const FRAME_BYTES: usize = 64;

/// A block that is not compressed holds no more than this.
const STORED_BLOCK_BYTES_MAX: usize = 65_535;

/// What is in front of the text of a block that is not compressed.
const STORED_HEADER_BYTES: usize = 5;

/// How much room each thread keeps for the next text.
const ROOM_KEPT_BYTES: usize = 64 * 1024;

/// What to spend on a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// For what is sent or held for a while. Level 2: what level 1 of zlib-rs saves in time it loses twice in size.
    Fast,
    /// For what is stored and rarely written.
    Small,
}

impl Effort {
    fn compression(self) -> Compression {
        match self {
            Self::Fast => Compression::new(2),
            Self::Small => Compression::default(),
        }
    }
}

/// How the blocks of a text end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// On a byte, and others may follow: none of the blocks is marked as the last one.
    Open,
    /// With the last block of a stream.
    Last,
}

thread_local! {
    /// What compressing needs is large, and texts are small and many.
    static FAST: RefCell<Option<Coder>> = const { RefCell::new(None) };
}

struct Coder {
    deflate: Compress,
    inflate: Decompress,
    blocks: Vec<u8>,
    proof: Vec<u8>,
}

impl Coder {
    fn new(effort: Effort) -> Self {
        Self {
            deflate: Compress::new(effort.compression(), false),
            inflate: Decompress::new(false),
            blocks: Vec::new(),
            proof: Vec::new(),
        }
    }

    fn blocks_of(&mut self, text: &[u8], ending: Ending) -> Box<[u8]> {
        let flush = match ending {
            Ending::Open => FlushCompress::Sync,
            Ending::Last => FlushCompress::Finish,
        };
        self.deflate.reset();
        self.blocks.clear();
        self.blocks.reserve(bytes_max(text.len()));
        let compressed = self.deflate.compress_vec(text, &mut self.blocks, flush);
        let proven = compressed.is_ok() && self.is_proven(text, ending);
        let blocks = if proven { Box::from(self.blocks.as_slice()) } else { stored(text, ending) };
        self.blocks.clear();
        self.blocks.shrink_to(ROOM_KEPT_BYTES);
        self.proof.clear();
        self.proof.shrink_to(ROOM_KEPT_BYTES);
        blocks
    }

    /// Whether the blocks are those of the text, and end as they should.
    fn is_proven(&mut self, text: &[u8], ending: Ending) -> bool {
        self.proof.clear();
        // One byte more, so that a text that is too long is seen.
        self.proof.reserve(text.len() + 1);
        self.inflate.reset(false);
        let (blocks, proof) = (self.blocks.as_slice(), &mut self.proof);
        let status = match ending {
            Ending::Open => self.inflate.decompress_vec(blocks, proof, FlushDecompress::Sync),
            Ending::Last => self.inflate.decompress_vec(blocks, proof, FlushDecompress::Finish),
        };
        let ended = match ending {
            // A flush ends with an empty block that is not compressed: it ends on a byte.
            Ending::Open => {
                matches!(status, Ok(Status::Ok | Status::BufError)) && blocks.ends_with(&[0x00, 0x00, 0xff, 0xff])
            }
            Ending::Last => matches!(status, Ok(Status::StreamEnd)),
        };
        let read = usize::try_from(self.inflate.total_in()).unwrap_or(usize::MAX);
        ended && read == blocks.len() && proof == text
    }
}

/// The most bytes that the blocks of a text take: zlib's bound for any window and level, and a flush.
const fn bytes_max(text: usize) -> usize {
    text + (text >> 3) + (text >> 8) + (text >> 9) + FRAME_BYTES
}

/// The deflated blocks of a text. They refer to nothing before themselves.
#[must_use]
pub fn blocks(text: &[u8], effort: Effort, ending: Ending) -> Box<[u8]> {
    match effort {
        Effort::Fast => {
            FAST.with_borrow_mut(|coder| coder.get_or_insert_with(|| Coder::new(Effort::Fast)).blocks_of(text, ending))
        }
        Effort::Small => Coder::new(Effort::Small).blocks_of(text, ending),
    }
}

/// The blocks of a text, not compressed.
fn stored(text: &[u8], ending: Ending) -> Box<[u8]> {
    let count = text.len().div_ceil(STORED_BLOCK_BYTES_MAX).max(1);
    let mut blocks = Vec::with_capacity(text.len() + count * STORED_HEADER_BYTES);
    for at in 0..count {
        let begin = at * STORED_BLOCK_BYTES_MAX;
        let part = &text[begin..text.len().min(begin + STORED_BLOCK_BYTES_MAX)];
        blocks.push(u8::from(ending == Ending::Last && at + 1 == count));
        // Never longer than the largest block.
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        blocks.extend_from_slice(&length.to_le_bytes());
        blocks.extend_from_slice(&(!length).to_le_bytes());
        blocks.extend_from_slice(part);
    }
    blocks.into_boxed_slice()
}

/// A text as a gzip file.
#[must_use]
pub fn gzip(text: &[u8], effort: Effort) -> Vec<u8> {
    let blocks = blocks(text, effort, Ending::Last);
    let mut sum = Crc::new();
    sum.update(text);
    let mut file = Vec::with_capacity(GZIP_HEADER.len() + blocks.len() + 8);
    file.extend_from_slice(&GZIP_HEADER);
    file.extend_from_slice(&blocks);
    file.extend_from_slice(&sum.sum().to_le_bytes());
    file.extend_from_slice(&sum.amount().to_le_bytes());
    file
}

/// Why a gzip file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It is none, or broken.
    #[error("it is no whole gzip file: {0}")]
    Broken(#[from] io::Error),
    /// Its text is longer than it may be.
    #[error("it unpacks to more than {bytes_max} bytes")]
    TooLong {
        /// How many bytes it may unpack to.
        bytes_max: usize,
    },
}

/// The text of a gzip file, of at most this many bytes.
///
/// # Errors
/// It is no gzip file, it is not whole, or its text is longer.
pub fn gunzip(file: &[u8], bytes_max: usize) -> Result<Vec<u8>, UnpackError> {
    let mut text = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    GzDecoder::new(file).take(limit).read_to_end(&mut text)?;
    if text.len() > bytes_max { Err(UnpackError::TooLong { bytes_max }) } else { Ok(text) }
}

/// Reads the text of blocks that end with the last one.
pub fn reader(blocks: &[u8]) -> impl io::Read + '_ {
    DeflateDecoder::new(blocks)
}

/// The text of blocks that were made here, with either ending, if it has this many bytes.
#[must_use]
pub fn inflate(blocks: &[u8], bytes: usize) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(bytes);
    let mut inflate = Decompress::new(false);
    inflate.decompress_vec(blocks, &mut text, FlushDecompress::Sync).ok()?;
    (text.len() == bytes).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const KIB: usize = 1024;

    /// JSON as it is in schemas, values and lists: words again and again, numbers, and text that says nothing.
    fn text(bytes: usize, seed: u64) -> Vec<u8> {
        let words = ["replicas", "the", "storage", "size", "volume", "0.5", "true", "x-kubernetes", "limits", "ä→"];
        let mut state = seed | 1;
        let mut next = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let noise = next(3) * 20;
        let mut text = Vec::with_capacity(bytes + 100);
        while text.len() < bytes {
            let word = words[usize::try_from(next(10)).unwrap()];
            let entry: Value = match next(100) {
                roll if roll < noise => json!({ word: format!("{:016x}{:016x}", next(u64::MAX), next(u64::MAX)) }),
                roll if roll < 80 => json!({ word: format!("{word} {}", next(99)), "size": next(1000) }),
                _ => json!([word, null, next(7)]),
            };
            text.extend_from_slice(entry.to_string().as_bytes());
        }
        text.truncate(bytes);
        text
    }

    fn assert_whole(text: &[u8]) {
        for effort in [Effort::Fast, Effort::Small] {
            for ending in [Ending::Open, Ending::Last] {
                let blocks = blocks(text, effort, ending);
                assert!(inflate(&blocks, text.len()).as_deref() == Some(text), "{} {effort:?} {ending:?}", text.len());
                assert!(text.len() < 2 * KIB || blocks.len() < text.len(), "{} is not compressed", text.len());
            }
            assert!(gunzip(&gzip(text, effort), text.len()).unwrap() == text, "{} {effort:?}", text.len());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn texts_come_back_whole(bytes in 1..300 * KIB, seed in any::<u64>()) {
            assert_whole(&text(bytes, seed));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4))]
        #[test]
        fn large_texts_come_back_whole(bytes in 300 * KIB..=4096 * KIB, seed in any::<u64>()) {
            assert_whole(&text(bytes, seed));
        }
    }

    proptest! {
        #[test]
        fn what_cannot_be_compressed_fits_and_comes_back(text in prop::collection::vec(any::<u8>(), 0..2000)) {
            for ending in [Ending::Open, Ending::Last] {
                let blocks = blocks(&text, Effort::Fast, ending);
                prop_assert_eq!(inflate(&blocks, text.len()), Some(text.clone()));
            }
        }
    }

    #[test]
    fn what_does_not_prove_is_stored_as_it_is() {
        for bytes in [0, 1, STORED_BLOCK_BYTES_MAX, STORED_BLOCK_BYTES_MAX + 1, 300 * KIB] {
            let text = text(bytes, 7);
            for ending in [Ending::Open, Ending::Last] {
                let blocks = stored(&text, ending);
                assert_eq!(inflate(&blocks, bytes), Some(text.clone()), "{bytes} {ending:?}");
                let again = [blocks.as_ref(), &END].concat();
                let mut read = Vec::new();
                reader(&again).read_to_end(&mut read).unwrap();
                assert_eq!(read, text);
            }
        }
    }

    #[test]
    fn a_coder_sees_blocks_of_another_text_and_blocks_that_do_not_end() {
        let mut coder = Coder::new(Effort::Fast);
        for ending in [Ending::Open, Ending::Last] {
            let good = blocks(b"a text, a text, a text", Effort::Fast, ending);
            for at in 0..good.len() {
                coder.blocks = good.to_vec();
                coder.blocks[at] ^= 0x10;
                let changed = coder.blocks.clone();
                if coder.is_proven(b"a text, a text, a text", ending) {
                    assert_eq!(inflate(&changed, 22).as_deref(), Some(b"a text, a text, a text".as_slice()));
                }
                coder.blocks = good[..at].to_vec();
                assert!(!coder.is_proven(b"a text, a text, a text", ending), "cut at {at} {ending:?}");
            }
            coder.blocks = good.to_vec();
            assert!(coder.is_proven(b"a text, a text, a text", ending));
            assert!(!coder.is_proven(b"a text, a text, a tex", ending));
            assert!(!coder.is_proven(b"a text, a text, a text,", ending));
        }
    }

    #[test]
    fn a_file_that_is_cut_or_too_long_is_an_error() {
        let file = gzip(b"a text", Effort::Small);
        assert!(matches!(gunzip(&file, 5), Err(UnpackError::TooLong { .. })));
        assert!(matches!(gunzip(&file[..file.len() - 1], 100), Err(UnpackError::Broken(_))));
    }
}
