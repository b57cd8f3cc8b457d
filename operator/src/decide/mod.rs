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

/// What can be done.
mod action;

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

/// What conditions may say.
mod reasons;

/// What is said of definitions that Kindsmith leaves behind.
mod uninstalled;

/// The status of each definition.
mod status;

/// What is said with Events.
mod transitions;

/// What clients are told that learn of kinds from CustomResourceDefinitions.
mod announcement;

/// What is decided again after a change.
mod decider;

/// A world to test with.
#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests;

pub(crate) use action::{Action, ExistingApiService, Refresh, Subject};
pub(crate) use announcement::{Announcement, Picture};
pub(crate) use api_services::REGISTRY_DIGEST_ANNOTATION;
pub(crate) use decider::Decider;
pub(crate) use holders::CrdClaim;
pub(crate) use replicas::Replica;
pub(crate) use roles::ROLES_LABEL;
pub(crate) use transitions::{Severity, Transition};
pub use uninstalled::status_after_uninstall;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{
    ByteString, api::rbac::v1::ClusterRole, kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};

use crate::{
    discoverable::Visible, finding::Finding, installation::Installation, judge::Definition, listed::List,
    records::Records, references::Sights, release_schema::Backend,
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
    /// Whether releases are served.
    pub releases: Backend,
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
    /// Which objects can be seen that instances are to refer to.
    pub sights: Arc<Sights>,
    /// Whether we stay, and who owns what is registered.
    pub installation: Installation,
}

/// How kinds come to be served.
#[derive(Clone)]
pub(crate) enum Surroundings {
    /// Through kube-apiserver.
    Registered(Box<Cluster>),
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

/// A definition that is looked at: its index in the world, and what was found about its names.
#[derive(Clone, Copy)]
struct Considered<'w> {
    index: usize,
    definition: &'w Definition,
    names: &'w Finding,
}
