//! The HelmReleases of the cluster, without their values, and of their statuses what Flux made.
//!
//! Nothing else waits for them, as Flux may not be there. What is decided from them waits until all were seen: a
//! release that was not seen yet is not a release that is gone.

use std::{fmt, sync::Arc};

use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use kindsmith_schema::convert::release::ResourceKind;
use kube::{
    Client,
    api::{ApiResource, GroupVersionKind, Object},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Map, Value};

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

/// What is kept of a release: values, most of the status and what kubectl remembers are large, and not looked at.
pub(crate) type WatchedRelease = Object<ReleaseSettings, ReleaseStatus>;

/// What is kept of the status of a release.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct ReleaseStatus {
    /// What Flux made of the kinds that instances may refer to; none where it does not say (helm-controller before 1.5).
    #[serde(rename(deserialize = "inventory"), default, deserialize_with = "made", skip_serializing)]
    pub made: Option<Vec<Made>>,
}

/// An object that Flux made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// Its kind.
    pub kind: ResourceKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Reads an inventory. One that cannot be read is none: it must not hide the releases.
fn made<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Made>>, D::Error> {
    let inventory = Value::deserialize(deserializer)?;
    let entries = inventory.get("entries").and_then(Value::as_array);
    Ok(entries.map(|entries| entries.iter().filter_map(|entry| Made::read(entry.get("id")?.as_str()?)).collect()))
}

impl Made {
    /// Reads the id of an entry: namespace, name, group and kind (github.com/fluxcd/cli-utils, pkg/object/objmetadata.go).
    /// Underscores are in no name of these kinds.
    fn read(id: &str) -> Option<Self> {
        let parts: Vec<&str> = id.split('_').collect();
        let [namespace, name, group, kind] = parts.as_slice() else { return None };
        let is_meant = |it: &ResourceKind| {
            let of_kind = it.api_version().split_once('/').map_or("", |(group, _)| group);
            it.name() == *kind && of_kind == *group
        };
        let kind = ResourceKind::ALL.into_iter().find(is_meant)?;
        Some(Self { kind, namespace: (*namespace).to_owned(), name: (*name).to_owned() })
    }
}

/// The spec of a release without its values, which are skipped while it is read: every change of every release of the
/// cluster is read here, and most of each is values and status.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct ReleaseSettings(Map<String, Value>);

impl<'de> Deserialize<'de> for ReleaseSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // An option, for one without a spec must not hide all the others.
        deserializer.deserialize_option(Settings)
    }
}

struct Settings;

impl<'de> Visitor<'de> for Settings {
    type Value = ReleaseSettings;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the spec of a release")
    }

    fn visit_none<E>(self) -> Result<ReleaseSettings, E> {
        Ok(ReleaseSettings::default())
    }

    fn visit_unit<E>(self) -> Result<ReleaseSettings, E> {
        Ok(ReleaseSettings::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<ReleaseSettings, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ReleaseSettings, A::Error> {
        let mut settings = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "values" {
                map.next_value::<IgnoredAny>()?;
            } else {
                settings.insert(key, map.next_value()?);
            }
        }
        Ok(ReleaseSettings(settings))
    }
}

/// Takes away what nobody here reads of what was read.
pub(crate) fn strip(release: &mut WatchedRelease) {
    release.metadata.managed_fields = None;
}

/// All releases, as far as they were seen.
#[derive(Clone)]
pub(crate) struct Releases {
    listed: Arc<Listed<WatchedRelease>>,
    /// One for all who wait: `Store::wait_until_ready` wakes only the last who asked.
    seen: Shared<BoxFuture<'static, ()>>,
}

impl Releases {
    /// The releases that a watch brings.
    pub(crate) fn new(listed: Listed<WatchedRelease>) -> Self {
        let listed = Arc::new(listed);
        let waiting = Arc::clone(&listed);
        let seen = async move { waiting.ready().await };
        Self { listed, seen: seen.boxed().shared() }
    }

    /// Those that were seen.
    pub(crate) fn state(&self) -> List<WatchedRelease> {
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
    pub(crate) async fn all(&self, client: &Client) -> Result<List<WatchedRelease>, ActionError> {
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
    use serde_json::json;

    use super::*;
    use crate::listed::Changes;

    #[test]
    fn of_a_release_all_is_kept_but_values_status_and_managers() {
        let whole = json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": "x", "namespace": "t", "labels": {"a": "b"}, "managedFields": [{"manager": "m"}]},
            "spec": {"interval": "5m", "values": {"a": [1, {"values": 2}]}, "valuesFrom": [{"kind": "Secret", "name": "y"}]},
            "status": {"conditions": [{"type": "Ready"}], "history": [{"version": 1}]},
        });
        let mut read: WatchedRelease = serde_json::from_value(whole.clone()).unwrap();
        strip(&mut read);
        let mut kept = whole;
        // What Flux made is kept in another form, and written nowhere.
        kept["status"] = json!({});
        kept["metadata"].as_object_mut().unwrap().remove("managedFields");
        kept["spec"].as_object_mut().unwrap().remove("values");
        assert_eq!(serde_json::to_value(&read).unwrap(), kept);
    }

    #[test]
    fn a_release_without_a_spec_is_one() {
        for without in [json!({"metadata": {"name": "x"}}), json!({"metadata": {"name": "x"}, "spec": null})] {
            let read: WatchedRelease = serde_json::from_value(without).unwrap();
            assert_eq!(read.spec, ReleaseSettings::default());
        }
    }

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
