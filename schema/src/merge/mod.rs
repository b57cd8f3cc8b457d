//! Server-side apply and the ownership of fields: pure functions, no I/O, no clock.
//!
//! Follows sigs.k8s.io/structured-merge-diff/v6 and apimachinery/pkg/util/managedfields. The map, from below:
//!
//! - `path`, `set`, `wire`: what a manager owns, and its form in `fieldsV1`; `value` is how Go orders and prints values
//! - `types`, `schemas`, `language`: which lists and maps merge, from a kind's schema or structured-merge-diff's own
//! - `typed` with `validate`, `fields`, `compare`, `combine`, `remove`, `reconcile`: a value of a type, and what is
//!   done with it
//! - `updater`, `prune`: who owns what after an update or an apply
//! - `entries`, `capping`, `conflict`, `last_applied`, `manager`, `scale`: `metadata.managedFields` of an object
//!
//! Recursion follows values, whose depth the decoder bounds, types, whose depth the schema bounds, or sets, whose depth
//! [`SET_DEPTH_MAX`] bounds.

mod capping;
mod combine;
mod compare;
mod conflict;
mod entries;
mod fields;
mod language;
mod last_applied;
mod manager;
mod path;
mod prune;
mod reconcile;
mod remove;
mod scale;
mod schemas;
mod set;
mod typed;
mod types;
mod updater;
mod validate;
mod value;
mod wire;

#[cfg(test)]
mod tests;

pub use compare::Comparison;
pub use conflict::{Conflict, ConflictCause, Conflicts};
pub use entries::{EntriesError, Operation};
pub use language::LanguageError;
pub use manager::{ApplyError, By, FieldManager, Kinds, Updated};
pub use path::{KeyField, PathElement, path_text};
pub use remove::KeyFields;
pub use scale::{ScalePaths, to_parent, to_scale};
pub use set::Set;
pub use typed::{Duplicates, Typed, ValidationError, ValidationErrors};
pub use types::ObjectType;
pub use updater::{ConvertError, Converter, Force, Managers, Noop, UpdateError, Updater, VersionedSet};
pub use wire::{SET_DEPTH_MAX, WireError};
