//! Conversion between an instance and the object that does the work, two ways.
//!
//! A conversion is a lens over the host object: `get` reads the instance out of it, `put` writes an instance into it and
//! leaves alone what the instance does not own. `get(put(app, host)) = app` and `put(get(host), host) = host`.

pub mod release;

/// Labels and annotations of an instance on its host object.
mod metadata;
