//! The extension API server. The modules stand in the order in which a request passes them.
//!
//! ```text
//! server ─▶ request ─▶ authn ─▶ authz ─▶ registry ─▶ endpoints ─▶ object ─▶ storage ─▶ encode
//! ```
//!
//! `chain` is the way itself; `run` puts a server together.

/// Connections: accept, TLS, HTTP/1.1 and HTTP/2, limits, shutdown.
pub mod server;

/// How much is in flight, of all users and of each.
mod lane;

/// The way of a request, step by step.
pub mod chain;

/// What is asked: path, query, media types and options as typed values, parsed before anyone asks which kind it is.
pub mod request;

/// What the cluster answered to reviews.
mod review_cache;

/// Who asks: front proxy, client certificate, bearer token.
pub mod authn;

/// May they: SubjectAccessReview.
pub mod authz;

/// Which kind: a snapshot, resolved once per request.
pub mod registry;

/// What is done: verbs and documents.
pub mod endpoints;

/// Objects on their way in.
pub mod object;

/// Where objects are kept: the host and the caches.
pub mod storage;

/// What is counted, and told at `/metrics`.
pub mod metrics;

/// What goes back: responses, and errors as Status.
pub mod encode;

/// Where the serving certificate comes from.
pub mod certificate_source;

/// One of several replicas.
pub mod replica;

/// The conditions under which a server is ready.
mod readiness;

/// Rights that this process misses.
pub mod rights;

/// Puts a server together: in a cluster, or on a store of its own.
pub mod run;
