//! Carries actions out. Every call has a deadline; what fails is decided anew.

/// Statuses of definitions.
mod status;

/// APIServices: server-side apply, deletion.
mod api_service;

/// Making kube-aggregator look.
mod refresh;

/// Secrets of certificates.
mod secret;

/// Records of accepted generations.
mod record;

/// Definitions themselves.
mod definition;

/// ClusterRoles of kinds.
mod role;

use std::{collections::BTreeSet, sync::Arc};

use k8s_openapi::{api::core::v1::Secret, kube_aggregator::pkg::apis::apiregistration::v1::APIService};
use kube::{Api, Client};
use kube_runtime::events::Recorder;

use crate::{
    CertificateKeeper,
    call::within,
    certificates::{Lifetimes, bundle},
    decide::Action,
    error::ActionError,
    pulse::Health,
};

/// Carries out actions.
#[derive(Clone)]
pub(crate) struct Actor {
    /// The way to the cluster.
    pub(crate) client: Client,
    /// The way Events go; it counts those that are the same.
    pub(crate) recorder: Recorder,
    /// Where the Secrets are.
    pub(crate) namespace: String,
    /// The Secret of the authority.
    pub(crate) ca_secret: String,
    /// Who keeps the certificates.
    pub(crate) keeper: CertificateKeeper,
    /// The names of the serving certificate.
    pub(crate) sans: Arc<BTreeSet<String>>,
    /// How long new certificates live.
    pub(crate) lifetimes: Lifetimes,
    /// Where it is told which rights are missing.
    pub(crate) health: Arc<Health>,
}

impl Actor {
    /// Carries out one action.
    pub(crate) async fn carry_out(&self, action: &Action) -> Result<(), ActionError> {
        match action {
            Action::WriteStatus { name, patch, transitions, uid, .. } => {
                status::write(&self.client, name, patch).await?;
                status::tell(self, name, uid, transitions).await;
                Ok(())
            }
            Action::ApplyApiService { object, existing } => {
                self.still_in_force(object).await?;
                api_service::apply(&self.client, object, existing.as_ref()).await
            }
            Action::DeleteApiService { name, uid, .. } => api_service::delete(&self.client, name, uid).await,
            Action::Refresh { group_version, uid, when, digest, .. } => {
                refresh::refresh(&self.client, group_version, uid, when, digest).await
            }
            Action::WriteSecret { name, existing, work } => secret::write(self, name, existing.as_deref(), work).await,
            Action::Record { form, name, state, revision, .. } => {
                let accepted = record::Accepted { form: *form, name, state, revision: *revision };
                record::write(&self.client, &self.namespace, &accepted).await
            }
            Action::SetFinalizers { name, basis, finalizers } => {
                definition::set_finalizers(&self.client, name, basis.as_deref(), finalizers).await
            }
            Action::WriteRole { object } => role::write(&self.client, object).await,
            Action::DeleteRole { name, uid } => role::delete(&self.client, name, uid).await,
            Action::ForgetRecords { names, .. } => record::forget(&self.client, &self.namespace, names).await,
            Action::RoundTrip { group_version, .. } => {
                let path = group_version.to_string();
                within(self.client.list_api_group_resources(&path), ActionError::Discover).await.map(drop)
            }
        }
    }
}

impl Actor {
    /// Whether the bundle of an APIService is still that of the authority: who looks at an old one would take trust
    /// away from what is served.
    async fn still_in_force(&self, object: &APIService) -> Result<(), ActionError> {
        if self.keeper != CertificateKeeper::Operator {
            return Ok(());
        }
        let secrets = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        let authority = within(secrets.get_opt(&self.ca_secret), ActionError::ReadSecret).await?;
        let carried = object.spec.as_ref().and_then(|spec| spec.ca_bundle.as_ref());
        match authority.as_ref().and_then(bundle) {
            Some(bundle) if Some(&bundle) == carried => Ok(()),
            _ => Err(ActionError::OutdatedAuthority),
        }
    }
}
