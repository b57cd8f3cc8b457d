//! What each replica of the API server serves: found by their Leases, asked one by one.
//!
//! # Flow
//! ```text
//! Leases ─▶ roster (pure: who lives, who is asked when) ─▶ follow (the loop) ─▶ ask (one handshake, one request)
//! ```
//!
//! # Guarantees
//! - A replica is asked over a TLS connection of its own, verified against the bundle that kube-aggregator is given:
//!   the fingerprint is that of a real handshake, and the token goes to nobody else. It is good for this question alone,
//!   since whoever writes a Lease decides where it goes.
//! - A Lease that was not renewed for its duration counts no longer. That is judged by when we saw it change, so clocks
//!   need not agree.
//! - The bell rings when an answer changes, and not otherwise.

/// Leases, and what was answered: pure.
mod roster;

/// One question to one replica.
mod ask;

/// The token to ask with.
mod credential;

/// The loop around them.
mod follow;

pub use credential::{OPERATOR_ACCOUNT, REPLICA_AUDIENCE, ReplicaToken};
pub(crate) use follow::{Basis, Leases, Replicas};

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use jiff::Timestamp;

use crate::certificates::Parsed;

/// The label of the Leases of replicas, and its value.
pub(crate) const REPLICA_SELECTOR: &str = "kindsmith.dev/replica=apiserver";

/// The annotation with address and port.
const ADDRESS_ANNOTATION: &str = "kindsmith.dev/address";

/// A replica that lives, and what it said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReplicaState {
    /// The name of its process.
    pub identity: String,
    /// Where it is reached.
    pub address: SocketAddr,
    /// What it answered last, or why it did not; none before it was asked.
    pub answer: Option<Result<Answer, Fault>>,
    /// When it was asked last.
    pub asked_at: Option<Timestamp>,
}

/// What a replica says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Whether it has read the definitions once.
    pub synced: bool,
    /// A hash of what it serves.
    pub digest: String,
    /// The uid of each definition it serves, with the generation.
    pub definitions: Arc<BTreeMap<String, i64>>,
    /// The certificate that the handshake showed.
    pub certificate: Arc<Parsed>,
}

/// Why a replica gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// There is no bundle yet to verify it with.
    #[error("there is no CA bundle yet to verify it with")]
    NoBundle,
    /// Nobody accepts a connection there.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// Its certificate is not believed.
    #[error("its certificate, SHA-256 {fingerprint}, is not believed: {reason}")]
    Untrusted {
        /// SHA-256 of the certificate, in hexadecimal.
        fingerprint: String,
        /// Why.
        reason: String,
    },
    /// The handshake failed for another reason: it has no certificate, for example.
    #[error("the TLS handshake failed: {0}")]
    Handshake(String),
    /// Another process answers there.
    #[error("another process answers there: {0:?}")]
    Other(String),
    /// It refuses to say.
    #[error("it answered with status {0}")]
    Status(u16),
    /// The answer makes no sense.
    #[error("its answer cannot be read: {0}")]
    Malformed(String),
    /// It did not answer in time.
    #[error("no answer in time")]
    Deadline,
    /// There is no token to ask with.
    #[error("there is no token to ask it with: {0}")]
    Credentials(String),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Settings(String),
}
