//! From a definition to a kind: pure functions, no I/O.
