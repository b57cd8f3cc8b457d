//! What can fail, by the operation that failed.

use std::time::Duration;

use crate::certificates::CertificateError;

/// Why the controller ended.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// A task that it cannot do without ended by itself.
    #[error("the watch of {0} ended")]
    WatchEnded(&'static str),
    /// A task panicked.
    #[error("a task of the operator panicked: {0}")]
    Panicked(#[source] tokio::task::JoinError),
}

/// Why one action failed. It is tried again later, and others go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActionError {
    /// The status of a definition could not be written.
    #[error("cannot write the status: {0}")]
    WriteStatus(#[source] kube::Error),
    /// An APIService could not be applied.
    #[error("cannot apply the APIService: {0}")]
    ApplyApiService(#[source] kube::Error),
    /// An APIService could not be deleted.
    #[error("cannot delete the APIService: {0}")]
    DeleteApiService(#[source] kube::Error),
    /// The annotation of an APIService could not be written.
    #[error("cannot annotate the APIService: {0}")]
    Annotate(#[source] kube::Error),
    /// The group-version does not answer through kube-apiserver.
    #[error("the group-version does not answer yet: {0}")]
    Discover(#[source] kube::Error),
    /// A request could not be put together.
    #[error("cannot ask: {0}")]
    Ask(String),
    /// A certificate could not be issued.
    #[error("cannot issue: {0}")]
    Issue(#[from] CertificateError),
    /// A Secret could not be read.
    #[error("cannot read the Secret: {0}")]
    ReadSecret(#[source] kube::Error),
    /// A Secret could not be written.
    #[error("cannot write the Secret: {0}")]
    WriteSecret(#[source] kube::Error),
    /// The Secret of the authority is another than the one that was looked at.
    #[error("the Secret of the authority has changed meanwhile")]
    OutdatedAuthority,
    /// An Event could not be written.
    #[error("cannot write the Event: {0}")]
    Tell(#[source] kube::Error),
    /// Events could not be listed.
    #[error("cannot list Events: {0}")]
    ListEvents(#[source] kube::Error),
    /// The CustomResourceDefinition of definitions could not be annotated.
    #[error("cannot annotate the CustomResourceDefinition: {0}")]
    Announce(#[source] kube::Error),
    /// The Lease of a dead replica could not be removed.
    #[error("cannot remove the Lease: {0}")]
    RemoveLease(#[source] kube::Error),
    /// A release could not be patched.
    #[error("cannot patch the release: {0}")]
    PatchRelease(#[source] kube::Error),
    /// The finalizers of a definition could not be written.
    #[error("cannot write the finalizers: {0}")]
    SetFinalizers(#[source] kube::Error),
    /// A ClusterRole could not be written.
    #[error("cannot write the ClusterRole: {0}")]
    WriteRole(#[source] kube::Error),
    /// Instances could not be listed.
    #[error("{0}")]
    ListInstances(#[source] kube::Error),
    /// The generation that was accepted could not be recorded.
    #[error("cannot record the accepted generation: {0}")]
    Record(#[source] kube::Error),
    /// A definition cannot be packed into a record.
    #[error("cannot record the accepted generation: {0}")]
    Pack(String),
    /// The cluster did not answer in time.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
}

impl ActionError {
    /// Whether the object of a status that was to be written had changed since it was seen.
    pub(crate) fn is_outdated(&self) -> bool {
        matches!(self, Self::WriteStatus(kube::Error::Api(status)) if status.is_conflict())
    }
}
