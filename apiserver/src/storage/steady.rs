//! Since which revision each release is as it is, apart from its status.
//!
//! A client that read an object before its controller wrote the status has not missed anything: its write is no
//! conflict. One revision a release is remembered, so the answer is exact for everything since then, and a conflict
//! before.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use kindsmith_schema::convert::release::RESOURCES_ANNOTATION;
use serde_json::Value;
use tokio::sync::watch;

use super::feed::{Key, Objects, View, key_of};

/// How long to wait for the watch to bring the revision that was just read.
const CATCH_UP_MAX: Duration = Duration::from_millis(500);

/// What is remembered of a release.
#[derive(Clone, Copy, Debug)]
struct Held {
    digest: u64,
    since: u64,
}

/// Follows releases.
pub struct Steady {
    hasher: RandomState,
    /// By the address of the release. Where two share one, one of them is taken for another object, and writes to it may
    /// be refused as conflicts.
    held: Mutex<HashMap<u64, Held>>,
    revision: watch::Sender<u64>,
}

impl Default for Steady {
    fn default() -> Self {
        Self { hasher: RandomState::new(), held: Mutex::default(), revision: watch::Sender::new(0) }
    }
}

fn revision_of(object: &Value) -> u64 {
    let text = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

impl Steady {
    /// Whether a release has not changed since a revision but for its status. `current` is how it is now.
    pub async fn only_status_moved(&self, current: &Value, since: u64) -> bool {
        let now = revision_of(current);
        if since == 0 || since > now {
            return false;
        }
        let mut revision = self.revision.subscribe();
        let caught_up = tokio::time::timeout(CATCH_UP_MAX, revision.wait_for(|&revision| revision >= now)).await;
        let held = self.held().get(&self.address(&key_of(current))).copied();
        caught_up.is_ok() && held.is_some_and(|held| held.digest == self.digest(current) && held.since <= since)
    }

    fn address(&self, key: &Key) -> u64 {
        self.hasher.hash_one(key)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<u64, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of all that a client can see or change but the status: the generation stands for the spec.
    fn digest(&self, object: &Value) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        let metadata = object.get("metadata");
        for member in ["uid", "generation", "labels", "finalizers", "ownerReferences", "deletionTimestamp"] {
            let held = metadata.and_then(|metadata| metadata.get(member));
            hasher.write(held.map(ToString::to_string).unwrap_or_default().as_bytes());
            hasher.write_u8(0);
        }
        // References are shown in the status, and are no more than that.
        let annotations = metadata.and_then(|metadata| metadata.get("annotations")).and_then(Value::as_object);
        for (key, value) in annotations.into_iter().flatten().filter(|(key, _)| *key != RESOURCES_ANNOTATION) {
            hasher.write(key.as_bytes());
            hasher.write_u8(0);
            hasher.write(value.to_string().as_bytes());
            hasher.write_u8(0);
        }
        hasher.finish()
    }

    fn moved_to(&self, revision: u64) {
        self.revision.send_if_modified(|held| {
            let newer = revision > *held;
            *held = revision.max(*held);
            newer
        });
    }
}

impl View for Steady {
    fn fill(&self, objects: &Objects, revision: u64) {
        // What was between two lists is not known: each object is known to be so since its own revision.
        let fresh = |object: &Value| Held { digest: self.digest(object), since: revision_of(object) };
        *self.held() =
            objects.iter().filter_map(|(key, object)| Some((self.address(key), fresh(&object.tree()?)))).collect();
        self.moved_to(revision);
    }

    fn applied(&self, object: &Value, _: &Bytes, revision: u64) {
        let digest = self.digest(object);
        let mut all = self.held();
        let held = all.entry(self.address(&key_of(object))).or_insert(Held { digest, since: revision });
        if held.digest != digest {
            *held = Held { digest, since: revision };
        }
        drop(all);
        self.moved_to(revision);
    }

    fn deleted(&self, last: &Value, revision: u64) {
        self.held().remove(&self.address(&key_of(last)));
        self.moved_to(revision);
    }

    fn progress(&self, revision: u64) {
        self.moved_to(revision);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn release(revision: u64, generation: u64, ready: &str, label: &str) -> Value {
        json!({"metadata": {"namespace": "a", "name": "x", "uid": "u", "resourceVersion": revision.to_string(),
            "generation": generation, "labels": {"l": label}}, "status": {"ready": ready}})
    }

    #[tokio::test]
    async fn a_status_is_told_apart_from_any_other_change() {
        let steady = Steady::default();
        for (object, revision) in [
            (release(5, 1, "", "a"), 5),
            (release(7, 1, "no", "a"), 7),
            (release(9, 1, "no", "b"), 9),
            (release(11, 1, "yes", "b"), 11),
        ] {
            steady.applied(&object, &Bytes::new(), revision);
        }
        let now = release(11, 1, "yes", "b");
        assert!(steady.only_status_moved(&now, 9).await);
        assert!(steady.only_status_moved(&now, 10).await, "nothing of it changed in between");
        assert!(!steady.only_status_moved(&now, 7).await, "the label changed since");
        assert!(!steady.only_status_moved(&now, 12).await, "from the future");
        assert!(!steady.only_status_moved(&release(11, 2, "yes", "b"), 9).await, "another generation");
        steady.deleted(&now, 13);
        assert!(!steady.only_status_moved(&release(13, 1, "yes", "b"), 11).await);
    }

    #[tokio::test]
    async fn what_the_watch_has_not_brought_is_a_conflict() {
        let steady = Steady::default();
        steady.applied(&release(5, 1, "", "a"), &Bytes::new(), 5);
        assert!(!steady.only_status_moved(&release(6, 1, "yes", "a"), 5).await);
        steady.applied(&release(6, 1, "yes", "a"), &Bytes::new(), 6);
        assert!(steady.only_status_moved(&release(6, 1, "yes", "a"), 5).await);
    }
}
