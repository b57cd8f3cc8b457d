//! The extension API server. The modules stand in the order in which a request passes them.

/// Where objects are kept: the host and the caches.
pub mod storage;
