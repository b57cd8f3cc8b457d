//! Where objects are kept: the host that holds them, and the caches that reads and watches are served from.

pub mod host;
