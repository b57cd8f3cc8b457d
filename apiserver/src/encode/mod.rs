//! What goes back to the client: objects, lists, tables, and errors as Kubernetes Status objects.

/// Errors, and the only place where one becomes a Status.
pub mod status;

/// Responses: bodies, content types, compression.
pub mod response;

/// A Status in protobuf.
pub mod protobuf;
