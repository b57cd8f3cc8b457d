//! The extension API server.
