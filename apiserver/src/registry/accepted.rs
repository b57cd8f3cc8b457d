//! The generations that the operator has accepted, as it records them: what may be served after a restart, and what waits.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kindsmith_schema::succession::{AcceptedGeneration, RECORD_LABEL};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};
use kube_runtime::watcher;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::following::{follow, is_forbidden};
use crate::rights;

/// Records of one definition, by revision.
type Revisions = BTreeMap<i64, Arc<AcceptedGeneration>>;

#[derive(Default)]
struct Held {
    records: HashMap<String, Revisions>,
    known: Known,
}

/// Whether the records were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Known {
    /// Not yet: what is served may be what was refused.
    #[default]
    Pending,
    /// Once at least.
    Read,
    /// We may not read them, so there are none for us: to serve nothing would be worse.
    Forbidden,
}

/// The records there are.
#[derive(Default)]
pub struct AcceptedGenerations {
    held: Mutex<Held>,
    changed: Notify,
}

impl AcceptedGenerations {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether they were read, or never will be.
    #[must_use]
    pub fn are_known(&self) -> bool {
        self.held().known != Known::Pending
    }

    /// The record of a definition that is in force.
    #[must_use]
    pub fn last(&self, uid: &str) -> Option<Arc<AcceptedGeneration>> {
        self.held().records.get(uid)?.last_key_value().map(|(_, record)| Arc::clone(record))
    }

    /// Waits for the next change.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Follows the cluster until the end.
    pub async fn follow(self: Arc<Self>, client: Client, namespace: String, shutdown: CancellationToken) {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", "ControllerRevision"));
        let api = Api::<DynamicObject>::namespaced_with(client, &namespace, &resource);
        let mut listed = HashMap::new();
        let tell = |event| match event {
            Ok(event) => self.take(event, &mut listed),
            Err(error) => self.failed(&error),
        };
        follow(api, watcher::Config::default().labels(RECORD_LABEL), shutdown, tell).await;
    }

    pub(super) fn take(&self, event: watcher::Event<DynamicObject>, listed: &mut HashMap<String, Revisions>) {
        let mut held = self.held();
        match event {
            watcher::Event::Init => return listed.clear(),
            watcher::Event::InitApply(object) => return insert(listed, &object),
            watcher::Event::InitDone => {
                tracing::info!(definitions = listed.len(), "records of accepted generations read");
                *held = Held { records: std::mem::take(listed), known: Known::Read };
            }
            watcher::Event::Apply(object) => insert(&mut held.records, &object),
            watcher::Event::Delete(object) => {
                // Nothing is served differently without it.
                let Some(record) = read(&object) else { return };
                let Some(revisions) = held.records.get_mut(&record.uid) else { return };
                revisions.remove(&record.revision);
                if revisions.is_empty() {
                    held.records.remove(&record.uid);
                }
                return;
            }
        }
        drop(held);
        self.changed.notify_one();
    }

    fn failed(&self, error: &watcher::Error) {
        let mut held = self.held();
        if is_forbidden(error) && held.known == Known::Pending {
            let error = rights::told(error);
            tracing::error!(error, "the records of accepted generations cannot be read; changes are served at once");
            held.known = Known::Forbidden;
            drop(held);
            self.changed.notify_one();
        } else if is_forbidden(error) {
            tracing::debug!(%error, "it is still not allowed; trying again");
        } else {
            tracing::warn!(%error, "cannot watch the records of accepted generations; trying again");
        }
    }
}

/// The record in an object; one under another name than its own was put there by somebody else.
fn read(object: &DynamicObject) -> Option<AcceptedGeneration> {
    let record = AcceptedGeneration::read(&object.data);
    record.filter(|record| object.metadata.name.as_deref() == Some(record.object_name().as_str()))
}

fn insert(records: &mut HashMap<String, Revisions>, object: &DynamicObject) {
    if let Some(record) = read(object) {
        records.entry(record.uid.clone()).or_default().insert(record.revision, Arc::new(record));
    }
}

#[cfg(test)]
mod tests {
    use kindsmith_schema::form::DefinitionForm;
    use serde_json::json;

    use super::*;

    fn object(revision: i64) -> DynamicObject {
        let metadata = json!({"name": "redises.apps.example.com", "uid": "u", "generation": revision});
        let definition = json!({"metadata": metadata, "spec": {}});
        let record = AcceptedGeneration::pack(DefinitionForm::Kindsmith, &definition, revision).unwrap();
        serde_json::from_value(record.object("system")).unwrap()
    }

    #[test]
    fn the_newest_record_is_in_force_as_soon_as_all_were_read() {
        let (accepted, mut listed) = (AcceptedGenerations::default(), HashMap::new());
        accepted.take(watcher::Event::Init, &mut listed);
        accepted.take(watcher::Event::InitApply(object(9)), &mut listed);
        accepted.take(watcher::Event::InitApply(object(10)), &mut listed);
        assert!(!accepted.are_known() && accepted.last("u").is_none());
        accepted.take(watcher::Event::InitDone, &mut listed);
        assert!(accepted.are_known());
        assert_eq!(accepted.last("u").unwrap().state, "10");
        accepted.take(watcher::Event::Delete(object(9)), &mut listed);
        assert_eq!(accepted.last("u").unwrap().state, "10");
        accepted.take(watcher::Event::Apply(object(11)), &mut listed);
        assert_eq!(accepted.last("u").unwrap().state, "11");
    }

    #[test]
    fn who_may_not_read_records_has_none() {
        let accepted = AcceptedGenerations::default();
        let failed = |code: u16| {
            let status = kube::core::Status { code, ..kube::core::Status::default() };
            watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status)))
        };
        accepted.failed(&failed(500));
        assert!(!accepted.are_known(), "it may come");
        accepted.failed(&failed(403));
        assert!(accepted.are_known());
    }
}
