//! Behaviours of structural schemas, from a schema and an object to errors.
