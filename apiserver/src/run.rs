//! Puts a server together: in a cluster, or on a store of its own.
