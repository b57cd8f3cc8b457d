//! Objects on their way in: decoding, system metadata, and what the schema makes of them. No I/O.

/// From a request's body to an object.
pub mod decode;

/// Namespaces in protobuf, as kubectl sends them.
pub mod protobuf;

/// Metadata that clients cannot choose, and the rules for what they can.
pub mod metadata;

/// Pruning, defaulting and validating with the schema of the kind.
pub mod admit;

/// The proof that the checks of a write were passed.
pub mod admitted;

/// Who owns which field.
pub mod ownership;

/// A Namespace as the Go type that it is in kube-apiserver.
pub mod namespace;

/// A Scale that a client sent.
pub mod scale;

/// Patches, as requests have them.
pub mod patch;

/// JSON patches.
pub mod json_patch;

/// Merge patches.
pub mod merge_patch;

/// Strategic merge patches.
pub mod strategic_merge;
