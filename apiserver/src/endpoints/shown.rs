//! A list in any other form than compact JSON, piece by piece: indented, YAML, a Table, metadata alone.
//!
//! What surrounds the objects is written once, with a mark in their place; each object is written by itself, as deep as it
//! stands there. The list is never in memory whole.

use std::{sync::Arc, vec};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    pieces::{Coding, PIECE_BYTES},
    represent::{Item, ListMeta, encode, item_tree, list_tree},
};
use crate::{
    encode::{
        deflated::{Joined, Part},
        status::ApiError,
    },
    request::{Format, Pretty, Representation},
    storage::projection::Projection,
};

/// What surrounds the objects of a list, and how each of them stands in it.
struct Frame {
    /// Up to the first object.
    begin: String,
    /// Between two objects.
    between: &'static str,
    /// What each line of an object but the first begins with.
    indent: &'static str,
    /// After the last object.
    end: String,
}

impl Frame {
    /// The frame of a list.
    fn new(representation: &Representation, projection: &Projection, meta: &ListMeta) -> Result<Self, ApiError> {
        // Nobody can have put it into a description.
        let mark = format!("mark-{}", uuid::Uuid::new_v4());
        let text = encode(representation, &list_tree(representation, projection, vec![mark.clone().into()], meta))?;
        let text = String::from_utf8_lossy(&text);
        let (mark, between, indent) = match representation.format {
            Format::Json { pretty: Pretty::No } => (format!("\"{mark}\""), ",", ""),
            Format::Json { pretty: Pretty::Yes } => (format!("\"{mark}\""), ",\n    ", "    "),
            Format::Yaml | Format::Protobuf => (format!("{mark}\n"), "- ", "  "),
        };
        let (begin, end) =
            text.split_once(&mark).ok_or_else(|| ApiError::Internal("a list cannot be framed".to_owned()))?;
        Ok(Self { begin: begin.to_owned(), between, indent, end: end.to_owned() })
    }

    /// Writes an object as it stands in the list.
    fn write(&self, object: &str, text: &mut String) {
        let mut lines = object.split_inclusive('\n');
        text.extend(lines.next());
        for line in lines {
            // A line without letters has none in front of it either.
            if line != "\n" {
                text.push_str(self.indent);
            }
            text.push_str(line);
        }
    }
}

/// The pieces of a list, in order. After an error there are none.
pub(super) struct Shown {
    representation: Representation,
    projection: Arc<Projection>,
    now: Timestamp,
    items: vec::IntoIter<Item>,
    frame: Frame,
    /// Where it is.
    at: At,
    /// The gzip file, if it is one.
    file: Option<Joined>,
    /// What is in front of the next piece.
    header: Vec<u8>,
}

/// How far a list is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Begin,
    Objects,
    Ended,
}

impl Shown {
    /// A list of at least one object, of which nothing was sent.
    ///
    /// # Errors
    /// When it cannot be encoded, which is a fault of ours.
    pub(super) fn new(
        representation: Representation,
        projection: &Arc<Projection>,
        items: Vec<Item>,
        meta: &ListMeta,
        coding: Coding,
    ) -> Result<Self, ApiError> {
        let frame = Frame::new(&representation, projection, meta)?;
        let mut header = Vec::new();
        let file = match coding {
            Coding::Identity => None,
            Coding::Gzip => Some(Joined::begin(&mut header)),
        };
        let (projection, items, now) = (Arc::clone(projection), items.into_iter(), Timestamp::now());
        Ok(Self { representation, projection, now, items, frame, at: At::Begin, file, header })
    }

    fn object(&self, item: Item) -> Result<String, ApiError> {
        let tree: Value = item_tree(&self.representation, &self.projection, item, self.now)?;
        let text = encode(&self.representation, &tree)?;
        let text = String::from_utf8_lossy(&text);
        // As an answer of its own it would end with a new line.
        let within = matches!(self.representation.format, Format::Json { .. });
        Ok(if within { text.trim_end_matches('\n').to_owned() } else { text.into_owned() })
    }

    fn fill(&mut self) -> Result<String, ApiError> {
        let mut text = String::new();
        while text.len() < PIECE_BYTES {
            let Some(item) = self.items.next() else {
                self.at = At::Ended;
                text.push_str(&self.frame.end);
                break;
            };
            if self.at == At::Begin {
                self.at = At::Objects;
                text.push_str(&self.frame.begin);
            } else {
                text.push_str(self.frame.between);
            }
            let object = self.object(item)?;
            self.frame.write(&object, &mut text);
        }
        Ok(text)
    }

    fn coded(&mut self, text: String) -> Bytes {
        let Some(file) = &mut self.file else { return Bytes::from(text) };
        let mut piece = std::mem::take(&mut self.header);
        file.add(&Part::of(&text), &mut piece);
        if self.at == At::Ended {
            file.end(&mut piece);
        }
        Bytes::from(piece)
    }
}

impl Iterator for Shown {
    type Item = Result<Bytes, ApiError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == At::Ended {
            return None;
        }
        let filled = self.fill();
        if filled.is_err() {
            self.at = At::Ended;
        }
        Some(filled.map(|text| self.coded(text)))
    }
}

#[cfg(test)]
mod tests;
