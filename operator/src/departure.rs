//! Takes APIServices away when the namespace of the installation is deleted: their server goes with it.
//!
//! Who leads does not matter. The leader may be gone already, and its Lease cannot be taken in a namespace that is being
//! deleted; deleting twice does no harm. kube-controller-manager lets a namespace be for five seconds before it deletes
//! what is in it, our pods and our account with it (`namespaceDeletionGracePeriod` in pkg/controller/namespace).

use std::time::Duration;

use k8s_openapi::{api::core::v1::Namespace, kube_aggregator::pkg::apis::apiregistration::v1::APIService};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Preconditions},
};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    call::{is_status, within},
    error::ActionError,
    installation::Watched,
    ours::{MANAGED_BY_LABEL, MANAGED_BY_VALUE},
    pulse::Pulse,
};

/// The pause before it is looked again whether any is left, or has come.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a process that is told to end asks whether its namespace goes.
const ASK_MAX: Duration = Duration::from_secs(2);

/// How long a process that is told to end takes to unregister.
const FINISH_MAX: Duration = Duration::from_secs(10);

/// Unregisters when the namespace goes.
#[derive(Clone)]
pub(crate) struct Departure {
    client: Client,
    namespace: String,
}

impl Departure {
    /// For the installation in a namespace.
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.to_owned() }
    }

    /// Unregisters whenever the namespace goes.
    pub(crate) async fn run(self, watched: Watched, pulse: Pulse) {
        loop {
            pulse.wait(watched.namespace_goes()).await;
            match self.unregister().await {
                Ok(0) => {}
                Ok(count) => tracing::warn!(count, "the own namespace is being deleted: kinds are not served any more"),
                Err(error) => tracing::warn!(%error, "the own namespace is being deleted, and APIServices are left"),
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Unregisters before the process ends, where its namespace goes. Returns when nothing is left, or it takes too long.
    pub(crate) async fn finish(&self) {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let asked = timeout(ASK_MAX, namespaces.get_opt(&self.namespace)).await;
        let goes = match asked {
            Ok(Ok(found)) => found.is_none_or(|found| found.metadata.deletion_timestamp.is_some()),
            // Who cannot tell lets things be: another operator may run on.
            Ok(Err(_)) | Err(_) => false,
        };
        let until = Instant::now() + FINISH_MAX;
        while goes && Instant::now() < until {
            match timeout(FINISH_MAX, self.unregister()).await {
                Ok(Ok(0)) => return,
                Ok(Ok(_)) | Err(_) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the own namespace is being deleted, and APIServices are left")
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Deletes the APIServices of ours that lead into the namespace. Returns how many there were.
    async fn unregister(&self) -> Result<usize, ActionError> {
        let api = Api::<APIService>::all(self.client.clone());
        let ours = ListParams::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY_VALUE}"));
        let listed = within(api.list(&ours), ActionError::DeleteApiService).await?;
        let leading: Vec<&APIService> = listed.iter().filter(|found| leads_into(found, &self.namespace)).collect();
        for found in &leading {
            let params = DeleteParams {
                preconditions: Some(Preconditions { uid: found.uid(), resource_version: None }),
                ..DeleteParams::default()
            };
            let name = found.name_any();
            match within(api.delete(&name, &params), ActionError::DeleteApiService).await {
                Err(ActionError::DeleteApiService(error)) if is_status(&error, 404) || is_status(&error, 409) => {}
                outcome => {
                    outcome?;
                    tracing::info!(api_service = name, "unregistered");
                }
            }
        }
        Ok(leading.len())
    }
}

/// Whether requests go to a server in a namespace.
fn leads_into(api_service: &APIService, namespace: &str) -> bool {
    let service = api_service.spec.as_ref().and_then(|spec| spec.service.as_ref());
    service.and_then(|service| service.namespace.as_deref()) == Some(namespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decide::testing::api_service, group_version::GroupVersion};

    #[test]
    fn what_leads_elsewhere_is_left() {
        let group_version = GroupVersion { group: "apps.example.com".to_owned(), version: "v1".to_owned() };
        let mut found = api_service(&group_version);
        assert!(leads_into(&found, "kindsmith-system"));
        assert!(!leads_into(&found, "kindsmith-test"));
        if let Some(spec) = &mut found.spec {
            spec.service = None;
        }
        assert!(!leads_into(&found, "kindsmith-system"), "kube-apiserver serves it by itself");
    }
}
