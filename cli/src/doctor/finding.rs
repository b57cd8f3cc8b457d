//! What a check found: a line, how bad it is, and what to do about it.

use crate::cluster::Unanswered;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// As it should be.
    Well,
    /// Nobody may look.
    Unchecked,
    /// It works, and should be looked at.
    Warning,
    /// It does not work.
    Broken,
}

impl Level {
    /// The mark before a line, as `flux check` prints it, whether a terminal is there or not.
    pub(super) fn mark(self) -> char {
        match self {
            Self::Well => '✔',
            Self::Unchecked => '○',
            Self::Warning => '▲',
            Self::Broken => '✗',
        }
    }

    /// The word for programs.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Unchecked => "unchecked",
            Self::Warning => "warning",
            Self::Broken => "error",
        }
    }
}

/// What a check is about. The words are part of the output for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// The version of Kubernetes.
    Kubernetes,
    /// What kube-apiserver needs to have extension API servers.
    AggregationLayer,
    /// Flux.
    Flux,
    /// What somebody may do.
    Rights,
    /// The CustomResourceDefinition of definitions.
    Crd,
    /// The operator.
    Operator,
    /// The API server and its replicas.
    Apiserver,
    /// Versions of images and of this program.
    Versions,
    /// Certificates.
    Certificates,
    /// APIServices.
    ApiServices,
    /// Definitions.
    Definitions,
    /// What clients find.
    Discovery,
    /// Namespaces that are being deleted.
    Namespaces,
}

impl Topic {
    /// The word for people and programs.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::AggregationLayer => "aggregation-layer",
            Self::Flux => "flux",
            Self::Rights => "rights",
            Self::Crd => "crd",
            Self::Operator => "operator",
            Self::Apiserver => "apiserver",
            Self::Versions => "versions",
            Self::Certificates => "certificates",
            Self::ApiServices => "apiservices",
            Self::Definitions => "definitions",
            Self::Discovery => "discovery",
            Self::Namespaces => "namespaces",
        }
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// What it is about.
    pub topic: Topic,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What to do about it: where possible a command. None where it is well.
    pub remedy: Option<String>,
}

impl Finding {
    /// It is as it should be.
    pub(super) fn well(topic: Topic, found: impl Into<String>) -> Self {
        Self { topic, level: Level::Well, found: found.into(), remedy: None }
    }

    /// It works, and should be looked at.
    pub(super) fn warning(topic: Topic, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { topic, level: Level::Warning, found: found.into(), remedy: Some(remedy.into()) }
    }

    /// It does not work.
    pub(super) fn broken(topic: Topic, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { topic, level: Level::Broken, found: found.into(), remedy: Some(remedy.into()) }
    }

    /// A question about `what` has no answer. Who asks needs a right for it, which `needs` says.
    pub(super) fn unanswered(topic: Topic, what: &str, needs: &str, why: &Unanswered) -> Self {
        match why {
            Unanswered::Forbidden(_) => Self {
                topic,
                level: Level::Unchecked,
                found: format!("{what}: not checked: needs {needs}"),
                remedy: None,
            },
            why => Self::warning(topic, format!("{what}: not checked: {why}"), "run this again"),
        }
    }
}
