//! The HelmReleases of the cluster, without their values and statuses.
//!
//! Nothing else waits for them, as Flux may not be there. What is decided from them waits until all were seen: a
//! release that was not seen yet is not a release that is gone.

use std::sync::Arc;

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use kube::{
    Client, ResourceExt as _,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::Value;

use crate::{
    call::within,
    error::ActionError,
    listed::{List, Listed},
};

/// The group and the version of releases.
const GROUP_VERSION: (&str, &str) = ("helm.toolkit.fluxcd.io", "v2");

/// The resource of releases.
pub(crate) fn resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP_VERSION.0, GROUP_VERSION.1, "HelmRelease"))
}

/// What is kept of a release: values, status and what kubectl remembers are large, and not looked at.
pub(crate) fn strip(release: &mut DynamicObject) {
    release.managed_fields_mut().clear();
    if let Some(data) = release.data.as_object_mut() {
        data.remove("status");
        if let Some(spec) = data.get_mut("spec").and_then(Value::as_object_mut) {
            spec.remove("values");
        }
    }
}

/// All releases, as far as they were seen.
#[derive(Clone)]
pub(crate) struct Releases {
    listed: Arc<Listed<DynamicObject>>,
    /// One for all who wait: `Store::wait_until_ready` wakes only the last who asked.
    seen: Shared<BoxFuture<'static, ()>>,
}

impl Releases {
    /// The releases that a watch brings.
    pub(crate) fn new(listed: Listed<DynamicObject>) -> Self {
        let listed = Arc::new(listed);
        let waiting = Arc::clone(&listed);
        let seen = async move { waiting.ready().await };
        Self { listed, seen: seen.boxed().shared() }
    }

    /// Those that were seen.
    pub(crate) fn state(&self) -> List<DynamicObject> {
        self.listed.all()
    }

    /// Waits until all were seen once: for ever where there is no Flux.
    pub(crate) async fn seen(&self) {
        self.seen.clone().await;
    }

    /// All of them: those that were seen once all were, none where the cluster does not know releases.
    ///
    /// # Errors
    /// The cluster cannot be asked whether it knows them.
    pub(crate) async fn all(&self, client: &Client) -> Result<List<DynamicObject>, ActionError> {
        if self.seen.clone().now_or_never().is_none() {
            let path = format!("{}/{}", GROUP_VERSION.0, GROUP_VERSION.1);
            match within(client.list_api_group_resources(&path), ActionError::ListInstances).await {
                Err(ActionError::ListInstances(kube::Error::Api(status))) if status.is_not_found() => {
                    return Ok(List::default());
                }
                Err(error) => return Err(error),
                Ok(_) => self.seen().await,
            }
        }
        Ok(self.state())
    }
}

#[cfg(test)]
mod tests {
    use kube_runtime::{reflector::store::Writer, watcher::Event};

    use super::*;
    use crate::listed::Changes;

    #[tokio::test]
    async fn all_who_wait_for_the_releases_are_woken() {
        let mut writer = Writer::new(resource());
        let releases = Releases::new(Listed::new(writer.as_reader(), Changes::default()));
        let waiting: Vec<_> = (0..3).map(|_| releases.clone()).collect();
        let mut waiting: Vec<_> =
            waiting.into_iter().map(|each| tokio::spawn(async move { each.seen().await })).collect();
        tokio::task::yield_now().await;
        assert!(waiting.iter().all(|task| !task.is_finished()), "nothing was seen yet");
        writer.apply_watcher_event(&Event::Init);
        writer.apply_watcher_event(&Event::InitDone);
        for task in &mut waiting {
            tokio::time::timeout(std::time::Duration::from_secs(5), task).await.expect("woken").unwrap();
        }
    }
}
