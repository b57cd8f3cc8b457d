//! What is done with a request once it is known who asks and that they may: one file a verb, one a family of documents.

/// Verbs on resources.
pub mod verb;

/// Discovery, OpenAPI, health, version: paths that are no resources.
pub mod documents;

/// Whether we live, are ready, are healthy.
pub mod probes;

/// What every verb works with.
pub mod context;

/// Large work, on threads of its own.
pub mod offload;

/// Objects and lists as the client asked for them.
pub mod represent;

/// Lists of objects as JSON, piece by piece.
pub mod pieces;

/// Lists in any other form, piece by piece.
mod shown;
