//! Where the API server is found, and where its certificates are kept.

use std::{path::PathBuf, sync::Arc};

use kindsmith_schema::form::DefinitionForm;

use crate::{certificates::Lifetimes, metrics::Metrics, pulse::Health, replicas::ReplicaToken};

/// The Secret of the serving certificate, unless configured.
pub const DEFAULT_SERVING_SECRET: &str = "kindsmith-serving-cert";

/// The Secret of the authority, unless configured.
pub const DEFAULT_CA_SECRET: &str = "kindsmith-ca";

/// What the operator has to know.
#[derive(Clone, Debug)]
pub struct OperatorConfig {
    /// The namespace of the Service and the Secrets, for example `kindsmith-system`.
    pub namespace: String,
    /// The name of the API server's Service.
    pub service: String,
    /// The port of the Service.
    pub service_port: u16,
    /// The name of the Secret of the serving certificate.
    pub serving_secret: String,
    /// The name of the Secret of the authority.
    pub ca_secret: String,
    /// How kinds come to be served.
    pub registration: Registration,
    /// The forms in which definitions come.
    pub forms: Vec<DefinitionForm>,
    /// Who keeps the certificates.
    pub certificates: CertificateKeeper,
    /// How long new certificates live.
    pub lifetimes: Lifetimes,
    /// Where figures are told.
    pub metrics: Arc<Metrics>,
    /// Where it is told whether loops go on.
    pub health: Arc<Health>,
    /// What replicas of the API server are asked with what they serve; without it they are not asked.
    pub replica_token: Option<ReplicaToken>,
    /// Whether other operators are to be waited for.
    pub leadership: Leadership,
}

/// Whether other operators are to be waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// This is the only one.
    Alone,
    /// It acts while it holds the Lease.
    Elected {
        /// What no other process is called.
        identity: String,
    },
}

/// How kinds come to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Through kube-apiserver: APIServices and certificates are kept.
    ApiServices,
    /// By the API server alone: only the statuses of definitions are kept.
    StandAlone,
}

/// Who keeps the certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateKeeper {
    /// The operator: an authority of its own and what it signs, in two Secrets.
    Operator,
    /// Somebody else, for example cert-manager, in the serving Secret; its `ca.crt` is the bundle.
    Secret,
    /// Somebody else, in files that the API server reads; this file is the bundle.
    Files {
        /// The bundle, PEM.
        bundle: PathBuf,
    },
}

impl Leadership {
    /// One of several, with an identity that begins with the name of its pod; what ran in the pod before had another.
    #[must_use]
    pub fn elected(pod: &str) -> Self {
        Self::Elected { identity: format!("{pod}_{:032x}", rand::random::<u128>()) }
    }
}

impl OperatorConfig {
    /// For a cluster, with Secrets of the usual names.
    #[must_use]
    pub fn in_cluster(namespace: &str, service: &str, service_port: u16) -> Self {
        Self {
            namespace: namespace.to_owned(),
            service: service.to_owned(),
            service_port,
            serving_secret: DEFAULT_SERVING_SECRET.to_owned(),
            ca_secret: DEFAULT_CA_SECRET.to_owned(),
            registration: Registration::ApiServices,
            forms: vec![DefinitionForm::default()],
            certificates: CertificateKeeper::Operator,
            lifetimes: Lifetimes::default(),
            metrics: Arc::default(),
            health: Arc::default(),
            replica_token: None,
            leadership: Leadership::Alone,
        }
    }

    /// For an API server that serves its clients itself.
    #[must_use]
    pub fn stand_alone() -> Self {
        Self { registration: Registration::StandAlone, ..Self::in_cluster("default", "kindsmith-apiserver", 443) }
    }
}
