//! What clients find through kube-apiserver: the resources of aggregated discovery, and documents of OpenAPI v3 that can
//! be read from the first byte to the last.
//!
//! Flow: the controller says what should be found; while something is missing kube-apiserver is asked again and again,
//! with longer and longer pauses; what is found wakes the controller. Nobody is asked while nothing is missing. The
//! hash of a document in the index is of no account: kube-apiserver renews it once a minute, and passes requests for the document
//! on at once.
//!
//! OpenAPI v2 is not asked for: kube-apiserver would merge all groups of the cluster into one document for us alone. It is
//! made of the same parts, each of which is proven where it is made.
//!
//! Source: k8s.io/kube-aggregator/pkg/apiserver/handler_discovery.go and pkg/controllers/openapiv3/controller.go, which
//! fetch discovery and the index from us, serve them from memory, and pass requests for a document on.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use kube::Client;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;

use crate::{call::within, document, error::ActionError, group_version::GroupVersion, pulse::Pulse};

/// The pause while something is missing, at first.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// How many times as long as a look took the pause after it is at least: large documents cost kube-apiserver something too.
const PAUSE_PER_LOOK: u32 = 4;

/// What is asked for: one document with all groups.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// A resource in a group-version.
pub(crate) type Address = (GroupVersion, String);

/// What clients find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Visible {
    /// In aggregated discovery.
    pub resources: HashSet<Address>,
    /// In documents of OpenAPI v3 that were read whole.
    pub documents: HashSet<Address>,
    /// Why documents could not be read when they were looked at last.
    pub unreadable: BTreeMap<GroupVersion, Arc<str>>,
    /// Why discovery or the index of documents could not be read when they were looked at last.
    pub fault: Option<Arc<str>>,
}

impl Visible {
    /// What of it is wanted.
    fn of(&self, wanted: &BTreeSet<Address>) -> Self {
        let group_versions: HashSet<&GroupVersion> = wanted.iter().map(|(group_version, _)| group_version).collect();
        let of_wanted = |found: &HashSet<Address>| found.iter().filter(|it| wanted.contains(*it)).cloned().collect();
        let unreadable = self.unreadable.iter().filter(|(group_version, _)| group_versions.contains(group_version));
        Self {
            resources: of_wanted(&self.resources),
            documents: of_wanted(&self.documents),
            unreadable: unreadable.map(|(group_version, why)| (group_version.clone(), Arc::clone(why))).collect(),
            fault: self.fault.clone(),
        }
    }

    /// Whether clients find it.
    pub(crate) fn has(&self, wanted: &Address) -> bool {
        self.resources.contains(wanted) && self.documents.contains(wanted)
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
    pub(crate) async fn run(self: Arc<Self>, pulse: Pulse) {
        let mut pause = PAUSE_MIN;
        loop {
            let is_missing = {
                let state = self.state();
                !state.wanted.iter().all(|wanted| state.visible.has(wanted))
            };
            if !is_missing {
                pulse.wait(self.changed.notified()).await;
                pause = PAUSE_MIN;
                continue;
            }
            let began = Instant::now();
            if self.found(self.look(&pulse).await) {
                pause = PAUSE_MIN;
            }
            let took = began.elapsed();
            if took * PAUSE_PER_LOOK > pause {
                pulse.wait(tokio::time::sleep(took * PAUSE_PER_LOOK - pause)).await;
            }
            pulse.beat();
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

    /// Reads discovery, the index, and the documents of what is missing.
    async fn look(&self, pulse: &Pulse) -> Result<Visible, ActionError> {
        let ask = |path: &str, accept: &str| http::Request::get(path).header("Accept", accept).body(Vec::new());
        let groups = ask("/apis", AGGREGATED).map_err(|error| ActionError::Ask(error.to_string()))?;
        let groups: Groups = within(self.client.request(groups), ActionError::Discover).await?;
        let index = ask("/openapi/v3", "application/json").map_err(|error| ActionError::Ask(error.to_string()))?;
        let index: Value = within(self.client.request(index), ActionError::Discover).await?;
        let (wanted, known) = {
            let state = self.state();
            (state.wanted.clone(), Arc::clone(&state.visible))
        };
        let missing: BTreeSet<&GroupVersion> =
            wanted.iter().filter(|it| !known.documents.contains(*it)).map(|(group_version, _)| group_version).collect();
        let mut visible = Visible { resources: resources(groups), ..(*known).clone() };
        visible.fault = None;
        visible.unreadable.clear();
        for (group_version, url) in documents(&index) {
            if !missing.contains(&group_version) {
                continue;
            }
            pulse.beat();
            match document::resources(&self.client, &group_version, &url).await {
                Ok(found) => {
                    visible.documents.retain(|(other, _)| *other != group_version);
                    visible.documents.extend(found.into_iter().map(|plural| (group_version.clone(), plural)));
                }
                Err(error) => {
                    tracing::warn!(%group_version, %error, "a document of OpenAPI v3 cannot be read; trying again");
                    visible.unreadable.insert(group_version, error.to_string().into());
                }
            }
        }
        Ok(visible)
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

/// The URL of the document of each group-version.
fn documents(index: &Value) -> impl Iterator<Item = (GroupVersion, String)> {
    let paths = index.get("paths").and_then(Value::as_object);
    paths.into_iter().flatten().filter_map(|(path, document)| {
        let (group, version) = path.strip_prefix("apis/")?.split_once('/')?;
        let url = document.get("serverRelativeURL")?.as_str()?;
        Some((GroupVersion::new(group, version), url.to_owned()))
    })
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
        let url = "/openapi/v3/apis/apps.example.com/v1?hash=A";
        let index = json!({"paths": {
            "api/v1": {"serverRelativeURL": "/"}, "apis/apps.example.com": {},
            "apis/apps.example.com/v1": {"serverRelativeURL": url}}});
        let v1 = GroupVersion::new("apps.example.com", "v1");
        assert_eq!(documents(&index).collect::<Vec<_>>(), [(v1.clone(), url.to_owned())]);
        let resources = resources(serde_json::from_value(groups).unwrap());
        let redises = (v1.clone(), "redises".to_owned());
        assert_eq!(resources, HashSet::from([redises.clone()]));
        let listed = Visible { resources, ..Visible::default() };
        assert!(!listed.has(&redises), "no document has it");
        let found = Visible { documents: HashSet::from([redises.clone()]), ..listed };
        assert!(found.has(&redises) && !found.has(&(v1, "buckets".to_owned())));
    }
}
