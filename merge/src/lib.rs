//! Server-side apply and the ownership of fields: pure functions, no I/O, no clock.
//!
//! Follows sigs.k8s.io/structured-merge-diff/v6 and apimachinery/pkg/util/managedfields. The map, from below:
//!
//! - `path`, `set`, `wire`: what a manager owns, and its form in `fieldsV1`; `value` is how Go orders and prints values
//! - `types`, `schemas`, `language`: which lists and maps merge, from a kind's schema or structured-merge-diff's own
//! - `typed` with `validate`, `fields`, `compare`, `combine`, `remove`, `reconcile`: a value of a type, and what is
//!   done with it
//! - `updater`, `prune`: who owns what after an update or an apply
//! - `entries`, `capping`, `conflict`, `last_applied`, `field_manager`, `scale`: `metadata.managedFields` of an object
//! - `outside`: owners that the host object of an object knows
//!
//! # From an endpoint
//!
//! An endpoint has one [`FieldManager`]: the versions of its kind ([`Kinds`], types made once by
//! [`ObjectType::of_schema`]), its API version, its subresource, and in `reset` what its strategy resets
//! (`GetResetFields`). As in apiserver/pkg/endpoints/handlers, it is called before admission and validation, with the
//! stored object in the version of the endpoint:
//!
//! - create: [`FieldManager::create`] with the new object
//! - update, JSON patch, merge patch, also of `status`: [`FieldManager::update`] with the stored and the new object.
//!   Neither this nor create fails: with a `problem` the owners stay as they were, which is worth a line in the log.
//! - apply: [`FieldManager::apply`] with the stored object, or null where there is none, and the configuration as it was
//!   sent. What it returns is defaulted; the caller prunes, admits and validates it, and writes only if it differs from
//!   what is stored.
//! - reading `scale`: [`to_scale`]. Writing it: the endpoint's functions on the Scale, then [`to_parent`], whose errors
//!   are 500.
//!
//! The name in [`By`] is the option `fieldManager`, else, except for apply which demands it, the user agent up to its
//! first `/`. The caller checks the option.
//!
//! [`ApplyError::BadRequest`] is 400, [`ApplyError::Internal`] 500. [`ApplyError::Conflict`] is 409 of reason `Conflict`:
//! [`Conflicts::message`] is its message, and each of [`Conflicts::causes`] a cause of type `FieldManagerConflict`.
//!
//! # Bounds
//!
//! The size of a request bounds the number and size of entries, as upstream; those of updates become at most ten
//! (`capping`), those of apply do not. Entries of an update's object that cannot be read count as none; those of a stored
//! object fail an apply, or count as none when it cannot be read as entries at all.
//!
//! Recursion follows values, whose depth the decoder bounds, types, whose depth the schema bounds, or sets, whose depth
//! [`SET_DEPTH_MAX`] bounds.

mod capping;
mod combine;
mod compare;
mod conflict;
mod entries;
mod field_manager;
mod fields;
mod language;
mod last_applied;
mod outside;
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
pub use field_manager::{ApplyError, By, FieldManager, Kinds, Updated};
pub use language::LanguageError;
pub use outside::{HostPart, own_from_outside};
pub use path::{KeyField, PathElement, path_text};
pub use remove::KeyFields;
pub use scale::{ScalePaths, to_parent, to_scale};
pub use set::Set;
pub use typed::{Duplicates, Typed, ValidationError, ValidationErrors};
pub use types::ObjectType;
pub use updater::{ConvertError, Converter, Force, Managers, Noop, UpdateError, Updater, VersionedSet};
pub use wire::{SET_DEPTH_MAX, WireError};
