//! The generations that were accepted last, as they are in the cluster: watched, and held by the uid of the definition.

use kindsmith_backoff::patience;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::StreamExt as _;
use kindsmith_schema::succession::{AcceptedGeneration, RECORD_LABEL};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};
use kube_runtime::{WatchStreamExt as _, watcher};
use tokio::sync::{Notify, watch};

use crate::{listed::Journal, pulse::Pulse};

/// The resource of records.
pub(crate) fn resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", "ControllerRevision"))
}

/// Records of one definition, by revision.
type Revisions = BTreeMap<i64, Arc<AcceptedGeneration>>;

/// Records by the uid of their definition, and of which definitions they changed.
#[derive(Default)]
struct Held {
    revisions: HashMap<String, Revisions>,
    journal: Journal,
}

/// All records there are.
pub(crate) struct Records {
    held: Mutex<Held>,
    ready: watch::Sender<bool>,
    bell: Arc<Notify>,
}

impl Records {
    /// No records; `bell` rings when they change.
    pub(crate) fn new(bell: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self { held: Mutex::default(), ready: watch::channel(false).0, bell })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all were seen once.
    pub(crate) async fn ready(&self) {
        // The sender is our own, so this ends when they were.
        let _ = self.ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// Changes the records of one definition; none when there was nothing to change.
    fn change(&self, change: impl FnOnce(&mut HashMap<String, Revisions>) -> Option<String>) {
        let mut held = self.held();
        if let Some(uid) = change(&mut held.revisions) {
            held.journal.note(Some(&uid));
        }
    }

    /// Changes all records.
    fn replace(&self, change: impl FnOnce(&mut HashMap<String, Revisions>)) {
        let mut held = self.held();
        change(&mut held.revisions);
        held.journal.note(None);
    }

    /// How often they changed. Read before the records, it is never newer than these.
    pub(crate) fn changes(&self) -> u64 {
        self.held().journal.noted()
    }

    /// Definitions, by uid, whose records changed after change number `changes`; none if that is too old to tell.
    pub(crate) fn changed_since(&self, changes: u64) -> Option<BTreeSet<String>> {
        Some(self.held().journal.since(changes)?.map(str::to_owned).collect())
    }

    /// The record of a definition that is in force.
    pub(crate) fn last(&self, uid: &str) -> Option<Arc<AcceptedGeneration>> {
        self.held().revisions.get(uid)?.last_key_value().map(|(_, record)| Arc::clone(record))
    }

    /// The names of records that were superseded.
    pub(crate) fn superseded(&self, uid: &str) -> Vec<String> {
        let held = self.held();
        let Some(revisions) = held.revisions.get(uid) else { return Vec::new() };
        revisions.values().rev().skip(1).map(|record| record.object_name()).collect()
    }

    /// Follows the cluster until the task is ended.
    pub(crate) async fn follow(self: Arc<Self>, client: Client, namespace: String, pulse: Pulse) {
        let api = Api::<DynamicObject>::namespaced_with(client, &namespace, &resource());
        let mut events = watcher(api, watcher::Config::default().labels(RECORD_LABEL)).backoff(patience()).boxed();
        let mut listed: HashMap<String, Revisions> = HashMap::new();
        while let Some(event) = pulse.wait(events.next()).await {
            match event {
                Ok(watcher::Event::Init) => listed.clear(),
                Ok(watcher::Event::InitApply(object)) => {
                    insert(&mut listed, &object);
                }
                Ok(watcher::Event::InitDone) => {
                    pulse.went_well();
                    self.replace(|held| *held = std::mem::take(&mut listed));
                    self.ready.send_replace(true);
                    self.bell.notify_one();
                }
                Ok(watcher::Event::Apply(object)) => {
                    self.change(|held| insert(held, &object));
                    self.bell.notify_one();
                }
                Ok(watcher::Event::Delete(object)) => {
                    self.change(|held| remove(held, &object));
                    self.bell.notify_one();
                }
                Err(error) => pulse.failed(&error),
            }
        }
    }
}

/// The record in an object; one under another name than its own was put there by somebody else.
fn read(object: &DynamicObject) -> Option<AcceptedGeneration> {
    let record = AcceptedGeneration::read(&object.data);
    record.filter(|record| object.metadata.name.as_deref() == Some(record.object_name().as_str()))
}

/// Takes up a record, and says whose it is.
fn insert(held: &mut HashMap<String, Revisions>, object: &DynamicObject) -> Option<String> {
    let Some(record) = read(object) else {
        tracing::warn!(object.metadata.name, "a ControllerRevision with our label is no record of ours");
        return None;
    };
    let uid = record.uid.clone();
    held.entry(uid.clone()).or_default().insert(record.revision, Arc::new(record));
    Some(uid)
}

/// Lets a record go, and says whose it was.
fn remove(held: &mut HashMap<String, Revisions>, object: &DynamicObject) -> Option<String> {
    let record = read(object)?;
    let revisions = held.get_mut(&record.uid)?;
    revisions.remove(&record.revision);
    if revisions.is_empty() {
        held.remove(&record.uid);
    }
    Some(record.uid)
}

#[cfg(test)]
pub(crate) mod testing {
    //! Records without a cluster.

    use super::*;

    impl Records {
        /// Puts a record where the watch would.
        pub(crate) fn put(&self, record: AcceptedGeneration) {
            self.change(|held| {
                let uid = record.uid.clone();
                held.entry(uid.clone()).or_default().insert(record.revision, Arc::new(record));
                Some(uid)
            });
        }

        /// Takes one away.
        pub(crate) fn take(&self, name: &str) {
            self.change(|held| {
                let is_named = |record: &Arc<AcceptedGeneration>| record.object_name() == name;
                let (uid, revisions) = held.iter_mut().find(|(_, revisions)| revisions.values().any(is_named))?;
                revisions.retain(|_, record| !is_named(record));
                Some(uid.clone())
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use kindsmith_schema::form::DefinitionForm;

    use super::*;
    use crate::decide::testing::definition;

    fn object(revision: i64) -> DynamicObject {
        let record = AcceptedGeneration::pack(DefinitionForm::Kindsmith, &definition("redises", "Redis"), revision);
        serde_json::from_value(record.unwrap().object("system")).unwrap()
    }

    #[test]
    fn the_newest_record_is_in_force_and_the_others_are_superseded() {
        let records = Records::new(Arc::default());
        for revision in [2, 10, 9] {
            insert(&mut records.held().revisions, &object(revision));
        }
        let uid = "uid-of-redises";
        assert_eq!(records.last(uid).unwrap().revision, 10);
        assert_eq!(records.superseded(uid), ["definition-uid-of-redises-9", "definition-uid-of-redises-2"]);
        remove(&mut records.held().revisions, &object(10));
        assert_eq!(records.last(uid).unwrap().revision, 9);
    }

    #[test]
    fn what_somebody_else_labelled_is_no_record() {
        let records = Records::new(Arc::default());
        let mut foreign = object(3);
        foreign.metadata.name = Some("other".to_owned());
        insert(&mut records.held().revisions, &foreign);
        assert_eq!(records.last("uid-of-redises"), None);
    }
}
