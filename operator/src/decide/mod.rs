//! What is to be done: a pure function of what was seen, in the order of the reconcilers.
//!
//! # Flow
//! `holders` says who else holds a group-version, `api_services` what should be registered, `status` what each
//! definition is told. Each gives actions; none knows how they are carried out. `decider` leaves out the definitions
//! about which it had nothing to do in a world that was the same to them.
//!
//! # Guarantees
//! The same world gives the same actions, and a world in which they were carried out gives none. A definition's fault
//! is its own: no decision about another definition depends on it, save who holds a name.

/// Who else holds a group-version.
mod holders;

/// Which APIServices there should be, and how they are brought there.
mod api_services;

/// What every replica serves.
mod replicas;

/// Which generations are to be recorded as accepted.
mod records;

/// Which definitions wait for us when they are deleted.
mod finalizers;

/// Who may do what with each kind.
mod roles;

/// Conditions: kept times, sound transitions.
mod conditions;

/// The status of each definition.
mod status;

/// What is said with Events.
mod transitions;

/// What is decided again after a change.
mod decider;

/// A world to test with.
#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests;

pub(crate) use api_services::{MANAGED_BY_LABEL, MANAGED_BY_VALUE, REGISTRY_DIGEST_ANNOTATION, carries, is_ours};
pub(crate) use decider::Decider;
pub(crate) use holders::CrdClaim;
pub(crate) use replicas::Replica;
pub(crate) use roles::ROLES_LABEL;
pub(crate) use transitions::{Severity, Transition};

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::{core::v1::Secret, rbac::v1::ClusterRole},
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use serde_json::Value;

use kindsmith_schema::form::DefinitionForm;

use crate::{
    certificates::CertificateWork, discoverable::Visible, group_version::GroupVersion, judge::Definition, listed::List,
    records::Records,
};

/// Where kube-apiserver finds the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceTarget {
    /// The namespace of the Service.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its port.
    pub port: u16,
}

/// What was seen of the cluster around the definitions.
#[derive(Clone)]
pub(crate) struct Cluster {
    /// All APIServices, ordered by name.
    pub api_services: Vec<Arc<APIService>>,
    /// CustomResourceDefinitions in groups of definitions.
    pub crds: Vec<CrdClaim>,
    /// The bundle that APIServices carry; none until a serving certificate is there.
    pub bundle: Option<ByteString>,
    /// Where APIServices point.
    pub service: ServiceTarget,
    /// The replicas of the API server that live; none when they are not asked.
    pub replicas: Option<Vec<Replica>>,
    /// The generations that were accepted.
    pub records: Arc<Records>,
    /// What clients find; none when nobody looks.
    pub visible: Option<Arc<Visible>>,
    /// The ClusterRoles of ours.
    pub roles: List<ClusterRole>,
}

/// How kinds come to be served.
#[derive(Clone)]
pub(crate) enum Surroundings {
    /// Through kube-apiserver.
    Registered(Cluster),
    /// By the API server alone.
    StandAlone,
}

/// All that is looked at.
#[derive(Clone)]
pub(crate) struct World {
    /// The time.
    pub now: Timestamp,
    /// The definitions, the oldest first. The same `Arc` as in the world before is the same definition.
    pub definitions: List<Definition>,
    /// What is around them.
    pub surroundings: Surroundings,
}

impl World {
    /// What is around the definitions, if it is a cluster.
    fn cluster(&self) -> Option<&Cluster> {
        match &self.surroundings {
            Surroundings::Registered(cluster) => Some(cluster),
            Surroundings::StandAlone => None,
        }
    }
}

/// One thing to be done. `basis` is the resource version of the object that it was decided on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Write the status of a definition.
    WriteStatus {
        /// The definition.
        name: String,
        /// The state it was decided on.
        basis: Option<String>,
        /// A merge patch.
        patch: Value,
        /// What is said besides.
        transitions: Vec<Transition>,
        /// The uid of the definition.
        uid: String,
    },
    /// Create an APIService, or bring ours into shape.
    ApplyApiService {
        /// The APIService: for a server-side apply.
        object: Box<APIService>,
        /// The uid and the state of the one there is.
        existing: Option<(String, Option<String>)>,
    },
    /// Delete an APIService of ours.
    DeleteApiService {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
        /// The state it was decided on.
        basis: Option<String>,
    },
    /// Make kube-aggregator fetch the discovery of a group-version, once the API server has what it should show.
    Refresh {
        /// The group-version.
        group_version: GroupVersion,
        /// The uid of its APIService.
        uid: String,
        /// The state it was decided on.
        basis: Option<String>,
        /// When.
        when: Refresh,
        /// The value of the annotation.
        digest: String,
    },
    /// Write the Secret of a certificate.
    WriteSecret {
        /// Its name.
        name: String,
        /// The one there is.
        existing: Option<Arc<Secret>>,
        /// What it is to hold.
        work: CertificateWork,
    },
    /// Record the present generation of a definition as the one that was accepted.
    Record {
        /// The form of the definition.
        form: DefinitionForm,
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
        /// What was accepted; another is not recorded.
        state: String,
        /// The revision of the record.
        revision: i64,
    },
    /// Delete records that were superseded.
    ForgetRecords {
        /// The uid of the definition.
        uid: String,
        /// Their names.
        names: Vec<String>,
    },
    /// Write the finalizers of a definition.
    SetFinalizers {
        /// The definition.
        name: String,
        /// The state it was decided on.
        basis: Option<String>,
        /// All of them.
        finalizers: Vec<String>,
    },
    /// Create a ClusterRole, or bring ours into shape.
    WriteRole {
        /// The ClusterRole, with the resource version of the one there is.
        object: Box<ClusterRole>,
    },
    /// Delete a ClusterRole of ours.
    DeleteRole {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
    },
    /// See that a request comes through kube-aggregator.
    RoundTrip {
        /// What it is to prove.
        key: String,
        /// Where it goes.
        group_version: GroupVersion,
    },
}

/// When kube-aggregator is made to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refresh {
    /// As soon as exactly these resources are listed.
    Listed(Vec<String>),
    /// Once more, a little later: for replicas that were slower, and for changes that a list does not show.
    Again,
}

/// The name of what an action works on: one at a time works on each.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// The status of a definition.
    Status(String),
    /// An APIService.
    ApiService(String),
    /// A Secret.
    Secret(String),
    /// The records of a definition, by its uid.
    Records(String),
    /// A ClusterRole.
    Role(String),
    /// The way through kube-aggregator.
    RoundTrip,
}

impl Action {
    /// What it works on.
    pub(crate) fn subject(&self) -> Subject {
        match self {
            // Both write the definition: one after the other.
            Self::WriteStatus { name, .. } | Self::SetFinalizers { name, .. } => Subject::Status(name.clone()),
            Self::WriteRole { object } => Subject::Role(object.metadata.name.clone().unwrap_or_default()),
            Self::DeleteRole { name, .. } => Subject::Role(name.clone()),
            Self::ApplyApiService { object, .. } => {
                Subject::ApiService(object.metadata.name.clone().unwrap_or_default())
            }
            Self::DeleteApiService { name, .. } => Subject::ApiService(name.clone()),
            Self::Refresh { group_version, .. } => Subject::ApiService(group_version.api_service_name()),
            Self::WriteSecret { name, .. } => Subject::Secret(name.clone()),
            Self::Record { uid, .. } | Self::ForgetRecords { uid, .. } => Subject::Records(uid.clone()),
            Self::RoundTrip { .. } => Subject::RoundTrip,
        }
    }

    /// Whether an action that is under way must make room for this one: a refresh waits, and what it waits for may no
    /// longer be wanted.
    pub(crate) fn supersedes(&self, running: &Self) -> bool {
        match (self, running) {
            (Self::Refresh { when, digest, .. }, Self::Refresh { when: other, digest: noted, .. }) => {
                (when, digest) != (other, noted)
            }
            (_, Self::Refresh { .. }) => true,
            _ => false,
        }
    }

    /// The resource version that it was decided on; none when the object was missing.
    pub(crate) fn basis(&self) -> Option<&str> {
        match self {
            Self::WriteStatus { basis, .. }
            | Self::SetFinalizers { basis, .. }
            | Self::DeleteApiService { basis, .. }
            | Self::Refresh { basis, .. } => basis.as_deref(),
            Self::WriteRole { object } => object.metadata.resource_version.as_deref(),
            Self::DeleteRole { uid, .. } => Some(uid),
            Self::ApplyApiService { existing, .. } => existing.as_ref().and_then(|(_, basis)| basis.as_deref()),
            Self::WriteSecret { existing, .. } => {
                existing.as_ref().and_then(|secret| secret.metadata.resource_version.as_deref())
            }
            Self::RoundTrip { key, .. } => Some(key),
            Self::Record { state, .. } => Some(state),
            Self::ForgetRecords { names, .. } => names.first().map(String::as_str),
        }
    }
}

/// A definition that is looked at: its index in the world, and what was found about its names.
#[derive(Clone, Copy)]
struct Considered<'w> {
    index: usize,
    definition: &'w Definition,
    names: &'w Finding,
}

/// What was found about one thing: a condition without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Whether it holds.
    pub truth: Truth,
    /// The reason, CamelCase.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    /// `True`
    True,
    /// `False`
    False,
    /// `Unknown`
    Unknown,
}

impl Truth {
    /// As conditions write it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl Finding {
    fn new(truth: Truth, reason: &str, message: impl Into<String>) -> Self {
        Self { truth, reason: reason.to_owned(), message: message.into() }
    }

    fn holds(&self) -> bool {
        self.truth == Truth::True
    }
}
