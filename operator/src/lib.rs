//! The controller that turns definitions into registered API types.
//!
//! # The way of a change
//!
//! ```text
//! watch ──▶ controller ──▶ judge ─────────▶ what each definition asks for, or why it is refused
//!               │          certificates ──▶ which Secret is to be written
//!               │          decide ────────▶ what is to be done: APIServices, refreshes, statuses   (all three pure)
//!               │          pace ──────────▶ and what of it may start now
//!               └────────▶ act ───────────▶ the calls
//! ```
//!
//! # Guarantees
//! - Decisions are made on the whole world at once and are level-triggered: nothing depends on having seen an event.
//! - A faulty definition is told so and changes nothing for the others; a change that is refused leaves the last good
//!   generation registered.
//! - What is not labelled as ours is never touched.
//! - Nothing is written that is already so.
//!
//! # Caveats
//! Several replicas may run: one leads, by a Lease, and the others wait for it to end.

/// Configuration: where things are.
mod config;

/// Watches: stores, and a bell.
mod watch;

/// Short digests.
mod digest;

/// Lists that are the same while nothing changes.
mod listed;

/// Releases made by hand that are instances.
mod adoption;

/// A definition as its store keeps it.
mod watched;

/// The generations that were accepted last, kept in the cluster.
mod records;

/// Each definition alone: compiled once a generation.
mod judge;

/// Instances, before a change that may hurt them.
mod inspection;

/// The authority and the serving certificate.
pub mod certificates;

/// The world: what is to be done.
mod decide;

/// When it may be done.
mod pace;

/// Doing it.
mod act;

/// What each replica of the API server serves.
mod replicas;

/// A document of OpenAPI, read to its end.
mod document;

/// What clients find through kube-apiserver.
mod discoverable;

/// What is told to Prometheus.
pub mod metrics;

/// HelmReleases, as they are seen.
mod releases;

/// What the cluster takes as a HelmRelease.
mod release_schema;

/// Patches of releases, a few at a time.
mod pending;

/// Settings that changed, brought to releases there are.
mod rollout;

/// How far they have come.
mod progress;

/// References to what belongs to instances, kept on their releases.
mod references;

/// Whether loops go on.
pub mod pulse;

/// Events about releases, repeated about instances.
mod events;

/// What clients hear of that learn of kinds from CustomResourceDefinitions.
mod announcement;

/// Whether this installation stays in the cluster.
mod installation;

/// What is done when its namespace goes.
mod departure;

/// Which of several replicas acts.
mod election;

/// The loop that ties them together.
mod controller;

/// A group-version and its APIService's name.
mod group_version;

/// Which objects are ours.
mod ours;

/// What was found about one thing.
mod finding;

/// Calls, and their deadline.
mod call;

/// What can fail.
mod error;

pub use config::{
    CertificateKeeper, DEFAULT_CA_SECRET, DEFAULT_SERVING_SECRET, Leadership, OperatorConfig, Registration,
};
pub use controller::run;
pub use decide::status_after_uninstall;
pub use election::LEADER_LEASE;
pub use error::OperatorError;
pub use installation::ANCHOR;
pub use replicas::{OPERATOR_ACCOUNT, REPLICA_AUDIENCE, ReplicaToken};
