//! From a definition to a kind: pure functions, no I/O.

pub mod column;
pub mod jsonpath;
pub mod openapi;
pub mod table;
