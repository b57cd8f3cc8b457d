//! From a definition to a kind: pure functions, no I/O.

pub mod decode;

pub mod field;

pub mod structural;
