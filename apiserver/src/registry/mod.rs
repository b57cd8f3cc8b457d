//! Which kinds are served: definitions in, immutable snapshots out.
//!
//! ```text
//! definitions' feed ─▶ watch.rs ─▶ build.rs (with compiled.rs: compile what changed, keep what did not) ─▶ snapshot.rs ─▶ swap.rs
//! ```
//!
//! A generation that takes something from stored instances waits until `accepted` says that the operator looked at them.
//!
//! A request resolves its kind once, in the snapshot that is current when it comes, and works on that to its end.

/// Wakes the builder when a definition changes.
pub mod watch;

/// Definitions as they were compiled.
mod compiled;

/// Builds the next snapshot out of the definitions and the current one.
pub mod build;

/// Watches that last.
mod following;

/// The generations that the operator has accepted.
pub mod accepted;

/// Resources that are others'.
pub mod foreign;

/// Kinds and documents at one moment.
pub mod snapshot;

/// What documents say of one kind.
mod published;

/// Discovery documents.
pub mod discovery;

/// OpenAPI documents.
pub mod openapi;

/// Kinds that are served without a definition when there is no cluster.
pub mod builtin;

/// The one place where the current snapshot is.
pub mod swap;

pub use snapshot::{Resource, Snapshot};
pub use swap::Registry;
