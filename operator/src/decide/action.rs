//! What can be done, and what it is done to.

use std::sync::Arc;

use k8s_openapi::{
    api::{core::v1::Secret, rbac::v1::ClusterRole},
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kindsmith_schema::form::DefinitionForm;
use serde_json::Value;

use super::Transition;
use crate::{certificates::CertificateWork, group_version::GroupVersion};

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
        /// The one there is.
        existing: Option<ExistingApiService>,
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

/// The APIService of ours that there is, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExistingApiService {
    /// Its uid.
    pub uid: String,
    /// The state it was decided on.
    pub basis: Option<String>,
}

/// When kube-aggregator is made to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refresh {
    /// As soon as exactly these resources are listed.
    Listed(Vec<String>),
    /// Once more, a little later: for replicas that were slower, and for changes that a list does not show.
    Again,
}

/// What an action works on; one action per subject runs at a time.
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
            Self::ApplyApiService { existing, .. } => existing.as_ref().and_then(|existing| existing.basis.as_deref()),
            Self::WriteSecret { existing, .. } => {
                existing.as_ref().and_then(|secret| secret.metadata.resource_version.as_deref())
            }
            Self::RoundTrip { key, .. } => Some(key),
            Self::Record { state, .. } => Some(state),
            Self::ForgetRecords { names, .. } => names.first().map(String::as_str),
        }
    }
}
