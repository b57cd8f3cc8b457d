//! The ApplicationDefinition API: the Rust types of the objects that platform teams write.
