//! Where objects are kept: the host that holds them, and the caches that reads and watches are served from.
//!
//! ```text
//! verbs ─▶ kind_store ─▶ host (trait) ─▶ cluster/ or embedded/
//!                          │ watch
//!                          ▼
//!          source ─▶ feed ─▶ kind_view ─▶ cache ─▶ lists and watches
//! ```

/// The trait that hosts implement.
pub mod host;

/// Host resources that Kindsmith itself knows.
pub mod builtin;

/// A Kubernetes cluster as the host.
pub mod cluster;

/// A file on this machine as the host.
pub mod embedded;

/// Folders and files that only their owner can read.
pub mod private;

/// The watch of a host resource, kept going.
pub mod source;

/// Objects as they are held.
pub mod packed;

/// Status objects, for what a host finds itself.
mod status;

/// Texts by name.
pub mod texts;

/// One watch shared by all kinds of a host resource.
pub mod feed;

/// Whether a feed has all that a list of the host has.
mod present;

/// The views of a feed, by the names that concern them.
mod views;

/// From host objects to instances.
pub mod projection;

/// Whether the values of releases fit the schema.
mod verdicts;

/// Since when releases are as they are, apart from their status.
pub mod steady;

/// The instances of one version of a kind.
pub mod kind_view;

/// Whether a cache has all that was written before a read began.
pub mod freshness;

/// Lists that are taken page by page.
pub mod held_lists;

/// Equal questions that get one answer.
pub mod coalesced;

/// Reads and writes of a kind.
pub mod kind_store;

/// What lists and watches are served from.
pub mod cache;
