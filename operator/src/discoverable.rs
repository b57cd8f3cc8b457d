//! What clients find through kube-apiserver: the resources of aggregated discovery, and group-versions of OpenAPI v3.
//!
//! Flow: the controller says what should be found; while something is missing kube-apiserver is asked again and again,
//! with longer and longer pauses; what is found wakes the controller. Nobody is asked while nothing is missing.
//!
//! Source: k8s.io/kube-aggregator/pkg/apiserver/handler_discovery.go and pkg/controllers/openapiv3/controller.go, which
//! fetch both from us and serve them from memory.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::Client;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;

use crate::{call::within, error::ActionError, group_version::GroupVersion};

/// The pause while something is missing, at first.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What is asked for: one document with all groups.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// A resource in a group-version.
pub(crate) type Address = (GroupVersion, String);

/// What clients find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Visible {
    /// In aggregated discovery.
    pub resources: HashSet<Address>,
    /// In the index of OpenAPI v3.
    pub documents: HashSet<GroupVersion>,
    /// Why they could not be read when they were looked at last.
    pub fault: Option<Arc<str>>,
}

impl Visible {
    /// What of it is wanted.
    fn of(&self, wanted: &BTreeSet<Address>) -> Self {
        let group_versions: HashSet<&GroupVersion> = wanted.iter().map(|(group_version, _)| group_version).collect();
        Self {
            resources: self.resources.iter().filter(|it| wanted.contains(*it)).cloned().collect(),
            documents: self.documents.iter().filter(|it| group_versions.contains(it)).cloned().collect(),
            fault: self.fault.clone(),
        }
    }

    /// Whether clients find it.
    pub(crate) fn has(&self, wanted: &Address) -> bool {
        self.resources.contains(wanted) && self.documents.contains(&wanted.0)
    }
}

#[derive(Default)]
struct State {
    wanted: BTreeSet<Address>,
    visible: Arc<Visible>,
}

/// What should be found, and what is.
pub(crate) struct Discoverable {
    client: Client,
    bell: Arc<Notify>,
    changed: Notify,
    state: Mutex<State>,
}

impl Discoverable {
    /// Asks through that client; `bell` rings when an answer is another than before.
    pub(crate) fn new(client: Client, bell: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self { client, bell, changed: Notify::new(), state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what should be found.
    pub(crate) fn want(&self, wanted: BTreeSet<Address>) {
        let mut state = self.state();
        if state.wanted != wanted {
            // What goes and comes back is looked for again.
            let visible = state.visible.of(&wanted);
            state.visible = Arc::new(visible);
            state.wanted = wanted;
            drop(state);
            self.changed.notify_one();
        }
    }

    /// What is found.
    pub(crate) fn visible(&self) -> Arc<Visible> {
        Arc::clone(&self.state().visible)
    }

    /// Asks until the task is ended.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut pause = PAUSE_MIN;
        loop {
            let is_missing = {
                let state = self.state();
                !state.wanted.iter().all(|wanted| state.visible.has(wanted))
            };
            if !is_missing {
                self.changed.notified().await;
                pause = PAUSE_MIN;
                continue;
            }
            if self.found(self.look().await) {
                pause = PAUSE_MIN;
            }
            // What is wanted anew is looked for soon.
            if tokio::time::timeout(pause, self.changed.notified()).await.is_ok() {
                pause = PAUSE_MIN;
                tokio::time::sleep(pause).await;
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Notes what was found, and wakes the controller if that is another than before. Whether there is more of it.
    fn found(&self, looked: Result<Visible, ActionError>) -> bool {
        let mut state = self.state();
        let visible = match looked {
            Ok(visible) => visible.of(&state.wanted),
            // What was found is still there, as far as anybody knows.
            Err(error) => Visible { fault: Some(error.to_string().into()), ..(*state.visible).clone() },
        };
        if *state.visible == visible {
            return false;
        }
        if let Some(error) = &visible.fault {
            tracing::warn!(%error, "what clients find cannot be read; trying again");
        }
        let is_read = visible.fault.is_none();
        state.visible = Arc::new(visible);
        self.bell.notify_one();
        is_read
    }

    async fn look(&self) -> Result<Visible, ActionError> {
        let ask = |path: &str, accept: &str| http::Request::get(path).header("Accept", accept).body(Vec::new());
        let groups = ask("/apis", AGGREGATED).map_err(|error| ActionError::Ask(error.to_string()))?;
        let groups: Groups = within(self.client.request(groups), ActionError::Discover).await?;
        let index = ask("/openapi/v3", "application/json").map_err(|error| ActionError::Ask(error.to_string()))?;
        let index: Value = within(self.client.request(index), ActionError::Discover).await?;
        Ok(Visible { resources: resources(groups), documents: documents(&index), fault: None })
    }
}

/// What matters here of an APIGroupDiscoveryList.
#[derive(Deserialize)]
struct Groups {
    items: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    metadata: Named,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    resource: String,
}

fn resources(groups: Groups) -> HashSet<Address> {
    let mut found = HashSet::new();
    for group in groups.items {
        for version in group.versions {
            let group_version = GroupVersion::new(&group.metadata.name, &version.version);
            found.extend(version.resources.into_iter().map(|it| (group_version.clone(), it.resource)));
        }
    }
    found
}

fn documents(index: &Value) -> HashSet<GroupVersion> {
    let paths = index.get("paths").and_then(Value::as_object);
    let named = paths.into_iter().flatten().filter_map(|(path, _)| path.strip_prefix("apis/")?.split_once('/'));
    named.map(|(group, version)| GroupVersion::new(group, version)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_documents_are_read() {
        let groups = json!({"kind": "APIGroupDiscoveryList", "items": [{
            "metadata": {"name": "apps.example.com", "creationTimestamp": null},
            "versions": [
                {"version": "v1", "freshness": "Current",
                    "resources": [{"resource": "redises", "scope": "Namespaced"}]},
                {"version": "v2", "freshness": "Stale"}]}]});
        let index = json!({"paths": {
            "api/v1": {"serverRelativeURL": "/"}, "apis/apps.example.com": {}, "apis/apps.example.com/v1": {}}});
        let visible = Visible {
            resources: resources(serde_json::from_value(groups).unwrap()),
            documents: documents(&index),
            fault: None,
        };
        let v1 = GroupVersion::new("apps.example.com", "v1");
        assert_eq!(visible.resources, HashSet::from([(v1.clone(), "redises".to_owned())]));
        assert_eq!(visible.documents, HashSet::from([v1.clone()]));
        assert!(visible.has(&(v1.clone(), "redises".to_owned())) && !visible.has(&(v1, "buckets".to_owned())));
    }
}
