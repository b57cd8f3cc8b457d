//! Where the API server is found, and where its certificates are kept.

use kindsmith_schema::form::DefinitionForm;

use crate::certificates::Lifetimes;

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
    /// How long new certificates live.
    pub lifetimes: Lifetimes,
    /// As whom replicas of the API server are asked what they serve; without it they are not asked.
    pub replica_access: Option<kube::Config>,
}

/// How kinds come to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Through kube-apiserver: APIServices and certificates are kept.
    ApiServices,
    /// By the API server alone: only the statuses of definitions are kept.
    StandAlone,
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
            lifetimes: Lifetimes::default(),
            replica_access: None,
        }
    }

    /// For an API server that serves its clients itself.
    #[must_use]
    pub fn stand_alone() -> Self {
        Self { registration: Registration::StandAlone, ..Self::in_cluster("default", "kindsmith-apiserver", 443) }
    }
}
