//! One of several replicas: it announces where it is reached, and says what it serves when asked.
//!
//! Kube-aggregator is content with one replica that answers and reaches only the Service; whoever has to know about each
//! replica must find it and ask it.

/// The Lease that says where this replica is.
mod announce;

/// What this replica says it serves.
mod report;

pub use announce::{
    ADDRESS_ANNOTATION, Announcement, CERTIFICATE_ANNOTATION, REPLICA_LABEL, REPLICA_LABEL_VALUE, announce, identity,
};
pub use report::{REPORT_PATH, ReplicaReport};
