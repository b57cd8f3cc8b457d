//! Certificates: one authority of our own, and the serving certificate of the API server, each in a Secret.
//!
//! # Flow
//! Secrets are read from their bytes, a pure function says what is to be written next, issuing is the only step with
//! randomness, and writing is left to [`crate::act`].
//!
//! # Guarantees
//! What is judged is the certificate itself and never a note about it: a missing, broken, expired or foreign Secret is
//! repaired. `rotation` has the order in which a new authority comes into use.

/// PEM bytes → what a certificate says.
mod parsed;

/// How long certificates live, and when they are renewed.
mod lifetimes;

/// New keys and certificates.
mod issue;

/// Secrets → authorities, bundle, serving certificate.
mod holdings;

/// How far a rotation has come.
mod stage;

/// The order of a rotation: pure.
mod rotation;

/// What is to be written.
mod work;

/// What there is to say about them.
mod summary;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod simulation;

pub use holdings::ROTATE_ANNOTATION;
pub use issue::{CertificateError, Issued, Signer, issue_ca, issue_leaf, issue_next_ca};
pub use lifetimes::{CA_LIFETIME, LEAF_LIFETIME, LifetimeError, Lifetimes, renew_at};
pub use parsed::{ParseError, Parsed};
pub use stage::Stage;
pub use summary::{Described, Summary, summarize};

pub(crate) use holdings::{Data, ROTATED_ANNOTATION, SECRET_TYPE, bundle};
pub(crate) use rotation::{CertificateState, Observed, Served, Spread, assess, external};
pub(crate) use work::CertificateWork;

use std::collections::BTreeSet;

/// The names that a serving certificate must carry for a Service: kube-aggregator asks for `<service>.<namespace>.svc`
/// (k8s.io/kube-aggregator/pkg/apiserver/handler_proxy.go); the others are for clients inside the cluster and for
/// `kubectl port-forward`.
#[must_use]
pub fn wanted_sans(service: &str, namespace: &str) -> BTreeSet<String> {
    [
        service.to_owned(),
        format!("{service}.{namespace}"),
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}.svc.cluster.local"),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
    ]
    .into()
}
