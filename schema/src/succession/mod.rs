//! Which generation of a definition may follow another: the operator and each apiserver judge by the same rules.
//!
//! - `record`: the generation that was accepted last, as it is kept in the cluster
//! - `harm`: what one instance would suffer from a new generation
//!
//! # Flow
//! A generation that takes nothing from stored instances follows at once. One that does waits until the operator has
//! looked at the instances and recorded it as accepted; what served before goes on meanwhile.

mod harm;
mod record;

#[cfg(test)]
mod tests;

pub use harm::{Harm, harm};
pub use record::{AcceptedGeneration, RECORD_LABEL, RecordError};

use crate::{
    compatibility::{Break, compare_kinds},
    kind::Kind,
};

/// Consents to what a generation breaks: `"true"`, or the one generation that is meant.
pub const FORCE_ANNOTATION: &str = "kindsmith.dev/force-schema-change";

/// What a new generation takes from instances that are stored already; nothing when it may follow at once.
#[must_use]
pub fn threats(last: &Kind, next: &Kind) -> Vec<Break> {
    compare_kinds(last, next).into_iter().filter(|one| one.hurts.stored()).collect()
}

/// Whether the value of [`FORCE_ANNOTATION`] consents to a generation.
#[must_use]
pub fn forces(annotation: &str, generation: i64) -> bool {
    annotation == "true" || annotation.parse() == Ok(generation)
}
