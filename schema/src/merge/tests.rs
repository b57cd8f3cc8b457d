//! Behaviours of server-side apply.
