//! The JSON of an object in the cache: as text where the store has that text anyway, and deflated otherwise.
//!
//! Large lists are asked for compressed, again and again, and join what is held. Who wants one object as text waits a few
//! microseconds for it, and the object takes half the room.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::encode::deflated::Part;

/// What is in front of an object in a part.
const COMMA: &[u8] = b",";

#[derive(Debug)]
enum Form {
    /// The text, and the part from the first list on that goes out compressed.
    Text(Bytes, OnceLock<Part>),
    Deflated(Part),
}

/// The JSON of an object.
#[derive(Debug)]
pub struct HeldJson {
    bytes: usize,
    form: Form,
}

impl From<Bytes> for HeldJson {
    fn from(text: Bytes) -> Self {
        Self { bytes: text.len(), form: Form::Text(text, OnceLock::new()) }
    }
}

impl HeldJson {
    /// The same, deflated, unless that would take more room.
    #[must_use]
    pub fn deflated(self) -> Self {
        match self.form {
            Form::Text(text, _) => {
                let part = behind_comma(&text);
                let form = if part.bytes() < text.len() { Form::Deflated(part) } else { Form::Text(text, part.into()) };
                Self { bytes: self.bytes, form }
            }
            Form::Deflated(_) => self,
        }
    }

    /// How long the text is, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many bytes are held, without the part that a list in text form adds.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        match &self.form {
            Form::Text(text, _) => text.len(),
            Form::Deflated(part) => part.bytes(),
        }
    }

    /// The text. None, with a line in the log, when what was deflated here cannot be inflated.
    #[must_use]
    pub fn text(&self) -> Option<Bytes> {
        match &self.form {
            Form::Text(text, _) => Some(text.clone()),
            Form::Deflated(part) => {
                let text = part.text();
                if text.is_none() {
                    tracing::error!("an object that was deflated here cannot be inflated");
                }
                Some(text?.slice(COMMA.len()..))
            }
        }
    }

    /// The object behind a comma, as a part of a list that is a gzip file. It is compressed once for all lists.
    #[must_use]
    pub fn part(&self) -> &Part {
        match &self.form {
            Form::Text(text, part) => part.get_or_init(|| behind_comma(text)),
            Form::Deflated(part) => part,
        }
    }
}

fn behind_comma(text: &[u8]) -> Part {
    Part::of([COMMA, text].concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_text_is_the_same_deflated_or_not(text in "[a-c]{0,400}|.{0,400}") {
            let text = Bytes::from(text);
            for held in [HeldJson::from(text.clone()), HeldJson::from(text.clone()).deflated()] {
                prop_assert_eq!(held.bytes(), text.len());
                prop_assert_eq!(held.text(), Some(text.clone()));
                prop_assert_eq!(held.part().text(), Some(Bytes::from([b",", text.as_ref()].concat())));
                prop_assert_eq!(held.text(), Some(text.clone()));
            }
        }
    }

    #[test]
    fn deflated_text_is_not_held_beside_unless_it_is_the_smaller() {
        let held = |text: &str| HeldJson::from(Bytes::from(text.to_owned())).deflated();
        assert!(matches!(held(&"a".repeat(100)).form, Form::Deflated(_)));
        assert!(matches!(held("{}").form, Form::Text(_, _)));
    }
}
