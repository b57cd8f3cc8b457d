//! What one stored instance would suffer from a new schema.

use std::fmt;

use serde_json::Value;

use crate::{field::FieldError, kind::KindVersion};

/// The first thing that an instance would suffer.
#[derive(Clone, Debug, PartialEq)]
pub enum Harm {
    /// A field that it has is no longer known.
    Lost {
        /// The path of the field.
        path: String,
    },
    /// It would no longer be valid.
    Invalid(Box<FieldError>),
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { path } => write!(f, "{path} is no longer known"),
            Self::Invalid(fault) => fault.fmt(f),
        }
    }
}

/// What an instance, as it is read in the old version, would suffer from the new one. What is wrong with it already is
/// not counted.
#[must_use]
pub fn harm(instance: &Value, old: &KindVersion, new: &KindVersion) -> Option<Harm> {
    let dropped = |version: &KindVersion| {
        let mut shaped = instance.clone();
        let dropped = version.schema.prune(&mut shaped);
        (shaped, dropped)
    };
    let (mut shaped, lost) = dropped(new);
    let (_, unknown) = dropped(old);
    // A status is computed again.
    let of_status = |path: &str| path == "status" || path.starts_with("status.");
    if let Some(path) = lost.into_iter().find(|path| !of_status(path) && !unknown.contains(path)) {
        return Some(Harm::Lost { path });
    }
    new.schema.default(&mut shaped);
    let faults = new.schema.validate(&shaped);
    if faults.is_empty() {
        return None;
    }
    let known = old.schema.validate(instance);
    faults.into_iter().find(|fault| !known.contains(fault)).map(|fault| Harm::Invalid(Box::new(fault)))
}
