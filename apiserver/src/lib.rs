//! The extension API server. The modules stand in the order in which a request passes them.

/// What is asked: path, query, media types and options as typed values, parsed before anyone asks which kind it is.
pub mod request;

/// Where objects are kept: the host and the caches.
pub mod storage;
