//! The JSON of an object in the cache: as text, until a list goes out compressed; from then on deflated.
//!
//! Large lists are asked for compressed, again and again, and join what is held. Who wants one object as text then waits a
//! few microseconds for it, and the object takes half the room.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::encode::deflated::Part;

/// What is in front of an object in a part.
const COMMA: &[u8] = b",";

#[derive(Clone, Debug)]
enum Form {
    /// Nobody else holds this text.
    Text(Bytes),
    /// The text is held by the store too: to drop it would save nothing.
    Shared(Bytes, Option<Arc<Part>>),
    Deflated(Arc<Part>),
}

/// The JSON of an object.
#[derive(Debug)]
pub struct HeldJson {
    bytes: usize,
    form: Mutex<Form>,
}

impl Clone for HeldJson {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes, form: Mutex::new(self.form().clone()) }
    }
}

impl From<Bytes> for HeldJson {
    fn from(text: Bytes) -> Self {
        Self { bytes: text.len(), form: Mutex::new(Form::Text(text)) }
    }
}

impl HeldJson {
    /// Text that the store holds in any case.
    #[must_use]
    pub fn shared(text: Bytes) -> Self {
        Self { bytes: text.len(), form: Mutex::new(Form::Shared(text, None)) }
    }

    fn form(&self) -> MutexGuard<'_, Form> {
        self.form.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the text is, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The text. None, with a line in the log, when what was deflated here cannot be inflated.
    #[must_use]
    pub fn text(&self) -> Option<Bytes> {
        let part = match &*self.form() {
            Form::Text(text) | Form::Shared(text, _) => return Some(text.clone()),
            Form::Deflated(part) => Arc::clone(part),
        };
        let text = part.text();
        if text.is_none() {
            tracing::error!("an object that was deflated here cannot be inflated");
        }
        Some(text?.slice(COMMA.len()..))
    }

    /// The object behind a comma, as a part of a list that is a gzip file. It is compressed once for all lists.
    #[must_use]
    pub fn part(&self) -> Arc<Part> {
        let mut form = self.form();
        match &mut *form {
            Form::Deflated(part) | Form::Shared(_, Some(part)) => Arc::clone(part),
            Form::Shared(text, none) => Arc::clone(none.insert(behind_comma(text))),
            Form::Text(text) => {
                let part = behind_comma(text);
                *form = Form::Deflated(Arc::clone(&part));
                part
            }
        }
    }
}

fn behind_comma(text: &[u8]) -> Arc<Part> {
    Arc::new(Part::of([COMMA, text].concat()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_text_is_the_same_before_and_after_it_was_deflated(text in ".{0,400}") {
            for held in [HeldJson::from(Bytes::from(text.clone())), HeldJson::shared(Bytes::from(text.clone()))] {
                for _ in 0..2 {
                    prop_assert_eq!(held.bytes(), text.len());
                    prop_assert_eq!(held.text(), Some(Bytes::from(text.clone())));
                    prop_assert_eq!(held.part().text(), Some(Bytes::from(format!(",{text}"))));
                }
            }
        }
    }

    #[test]
    fn text_that_nobody_shares_is_dropped_once_it_is_deflated() {
        let text = Bytes::from("a".repeat(100));
        let (alone, shared) = (HeldJson::from(text.clone()), HeldJson::shared(text));
        let _ = (alone.part(), shared.part());
        assert!(matches!(&*alone.form(), Form::Deflated(_)));
        assert!(matches!(&*shared.form(), Form::Shared(_, Some(_))));
    }
}
