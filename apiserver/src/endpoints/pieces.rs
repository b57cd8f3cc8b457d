//! A list of objects as compact JSON, piece by piece, compressed or not.
//!
//! A large list is made as fast as the client reads it, from what the cache holds in any case: it is never in memory whole.

use std::vec;

use bytes::Bytes;
use serde_json::json;

use super::represent::{Item, ListMeta, held_text};
use crate::{
    encode::{
        deflated::{Joined, Part},
        status::ApiError,
    },
    storage::projection::Projection,
};

/// When a piece is large enough.
pub(super) const PIECE_BYTES: usize = 64 * 1024;

/// How a list is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Identity,
    /// As a gzip file.
    Gzip,
}

/// The pieces of a list, in order. After an error there are none.
pub struct Pieces {
    items: vec::IntoIter<Item>,
    /// What is in front of the objects, until it was sent.
    begin: Option<String>,
    /// What follows the objects, until it was sent.
    end: Option<String>,
    /// The gzip file, if it is one.
    file: Option<Joined>,
    piece: Vec<u8>,
}

impl Pieces {
    /// A list, of which nothing was sent.
    #[must_use]
    pub fn new(projection: &Projection, items: Vec<Item>, meta: &ListMeta, coding: Coding) -> Self {
        let (kind, version) = (projection.kind(), &projection.version().name);
        let begin = format!("{{\"apiVersion\":{},\"items\":[", json!(kind.api_version(version)));
        let end = format!("],\"kind\":{},\"metadata\":{}}}\n", json!(kind.names.list_kind), meta.of_resources(kind));
        let mut piece = Vec::new();
        let file = match coding {
            Coding::Identity => None,
            Coding::Gzip => Some(Joined::begin(&mut piece)),
        };
        Self { items: items.into_iter(), begin: Some(begin), end: Some(end), file, piece }
    }

    /// The whole list at once.
    ///
    /// # Errors
    /// When an object cannot be read, which is a fault of ours.
    pub fn whole(self) -> Result<Bytes, ApiError> {
        let pieces = self.collect::<Result<Vec<Bytes>, ApiError>>()?;
        Ok(match <[Bytes; 1]>::try_from(pieces) {
            Ok([piece]) => piece,
            Err(pieces) => Bytes::from(pieces.concat()),
        })
    }

    fn add(&mut self, text: &str) {
        match &mut self.file {
            None => self.piece.extend_from_slice(text.as_bytes()),
            Some(file) => file.add(&Part::of(text), &mut self.piece),
        }
    }

    /// Adds an object, with a comma if it is not the first.
    fn add_object(&mut self, item: &Item) -> Result<(), ApiError> {
        let begin = self.begin.take();
        match (item, &mut self.file, &begin) {
            // Compressed before, behind a comma.
            (Item::Held(entry), Some(file), None) => file.add(entry.json.part(), &mut self.piece),
            (Item::Held(entry), None, _) => {
                self.piece.extend_from_slice(begin.as_deref().unwrap_or(",").as_bytes());
                self.piece.extend_from_slice(&held_text(entry)?);
            }
            (Item::Held(entry), Some(file), Some(begin)) => {
                file.add(&Part::of([begin.as_bytes(), &held_text(entry)?].concat()), &mut self.piece);
            }
            (Item::Tree(object), _, _) => {
                let before = begin.as_deref().unwrap_or(",");
                self.add(&format!("{before}{object}"));
            }
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<(), ApiError> {
        while self.piece.len() < PIECE_BYTES {
            let Some(item) = self.items.next() else {
                let (begin, end) = (self.begin.take(), self.end.take());
                self.add(&[begin, end].map(Option::unwrap_or_default).concat());
                if let Some(file) = self.file.take() {
                    file.end(&mut self.piece);
                }
                return Ok(());
            };
            self.add_object(&item)?;
        }
        Ok(())
    }
}

impl Iterator for Pieces {
    type Item = Result<Bytes, ApiError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.end.as_ref()?;
        let filled = self.fill();
        if filled.is_err() {
            self.end = None;
        }
        // The next piece is about as large.
        let next = if self.end.is_some() { Vec::with_capacity(self.piece.capacity()) } else { Vec::new() };
        let piece = std::mem::replace(&mut self.piece, next);
        Some(filled.map(|()| Bytes::from(piece)))
    }
}
