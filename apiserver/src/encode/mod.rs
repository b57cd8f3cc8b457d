//! What goes back to the client: objects, lists, tables, and errors as Kubernetes Status objects.

/// Errors, and the only place where one becomes a Status.
pub mod status;

/// Responses: bodies, content types, compression.
pub mod response;

/// Gzip, joined from parts.
pub mod deflated;

/// What is answered in protobuf.
pub mod protobuf;
