//! From a definition to a kind: pure functions, no I/O.
//!
//! The way of a definition: `compile` reads it with the help of `structural`, `jsonpath` and `column` into a `kind`;
//! `names` says whether it may have its names. The way of an object: `decode`, `structural` (prune, default, validate),
//! `convert`; who owns its fields: `merge`. What is published about a kind: `openapi`, `table`.

/// JSON that remembers duplicate fields.
pub mod decode;

/// YAML as Kubernetes reads and writes it.
pub mod yaml;

/// Field paths and field errors, as Kubernetes prints them.
pub mod field;

/// Structural schemas: compile, prune, default, validate.
pub mod structural;

/// The Common Expression Language.
mod cel;

/// kubectl's JSONPath.
pub mod jsonpath;

/// Deflate and gzip, proven.
pub mod deflate;

/// Numbers as Go writes them.
pub mod numbers;

/// The columns of a kind.
pub mod column;

/// Tables, as `kubectl get` asks for them.
pub mod table;

/// The scale subresource.
pub mod scale;

/// OpenAPI documents.
pub mod openapi;

/// A compiled definition.
pub mod kind;

/// How an instance is used: its notes, and how it is reached.
pub mod usage;

/// Between the version of a kind that is stored and the one that is asked for.
pub mod conversion;

/// The order of versions.
pub mod priority;

/// Groups that belong to somebody else.
pub mod groups;

/// Rights that are missing, as refusals tell.
pub mod missing_right;

/// Which definition holds a name.
pub mod names;

/// Who may hold what definitions ask for.
pub mod holders;

/// What a new definition takes away from those who rely on the old one.
pub mod compatibility;

/// From a definition to a kind.
pub mod compile;

/// What a cluster takes as a HelmRelease.
pub mod release_schema;

/// Cozystack's definitions.
pub mod cozystack;

/// The forms in which definitions come.
pub mod form;

/// Which generation of a definition may follow another.
pub mod succession;

/// Between an instance and the object that does the work.
pub mod convert;

/// A compiled kind as server-side apply sees it.
pub mod ownership;
