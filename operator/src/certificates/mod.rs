//! Certificates: one authority of our own, and the serving certificate of the API server, each in a Secret.
//!
//! # Flow
//! Secrets are read from their bytes, a pure plan says what is missing, issuing is the only step with randomness, and
//! writing is left to [`crate::act`].
//!
//! # Guarantees
//! What is judged is the certificate itself and never a note about it: a missing, broken, expired or foreign Secret is
//! repaired. While an authority is replaced, the old one stays in the bundle for as long as it is valid, and the
//! serving certificate follows only when every APIService of ours has the new bundle.

/// PEM bytes → what a certificate says.
mod parsed;

/// What is missing: pure.
mod plan;

/// New keys and certificates.
mod issue;

/// Secrets ↔ certificates, and what to write.
mod secrets;

pub use issue::{CA_LIFETIME, CertificateError, Issued, LEAF_LIFETIME, issue_ca, issue_leaf};
pub use parsed::{ParseError, Parsed};
pub use plan::{Plan, Reason, plan};
pub(crate) use secrets::{CertificateWork, SECRET_TYPE, Spread, assess, bundle, secret};

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
