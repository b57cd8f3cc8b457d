//! Patches of releases: a few at a time, each for the state that it was made for, and a pause after a failure.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::Value;

use crate::{
    call::{FIELD_MANAGER, within},
    error::ActionError,
    releases,
};

/// How long a release that could not be patched is left alone, at first; after each further failure twice as long, so
/// that those that cannot be patched do not keep the others waiting.
const PAUSE_MIN: Duration = Duration::from_secs(30);

/// The longest pause of a release.
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);

/// The most bytes of why a release could not be patched that are told.
const WHY_BYTES_MAX: usize = 256;

/// A release that has to change.
pub(crate) struct Pending {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// A merge patch, with the revision that it is for.
    pub patch: Value,
}

impl Pending {
    /// What the patch writes, whatever revision it is for, as a hash.
    fn wanted(&self) -> u64 {
        let mut patch = self.patch.clone();
        if let Some(metadata) = patch.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("resourceVersion");
        }
        let mut hasher = DefaultHasher::new();
        patch.to_string().hash(&mut hasher);
        hasher.finish()
    }
}

/// Releases that could not be patched when that was tried last, by uid.
#[derive(Default)]
pub(crate) struct Failures(HashMap<String, Failure>);

struct Failure {
    /// What was to be written: settings that were mended since need not wait.
    wanted: u64,
    why: Arc<str>,
    pause: Duration,
    until: Instant,
}

impl Failures {
    /// Why a release could not be patched, if it was tried and could not be.
    pub(crate) fn why(&self, uid: &str) -> Option<&Arc<str>> {
        self.0.get(uid).map(|failure| &failure.why)
    }

    /// The first of those whose turn it is. Of what is not pending any more nothing is remembered.
    fn next(&mut self, pending: Vec<Pending>, at_once_max: usize, now: Instant) -> Vec<Pending> {
        let uids: HashSet<&str> = pending.iter().map(|release| release.uid.as_str()).collect();
        self.0.retain(|uid, _| uids.contains(uid.as_str()));
        let is_due = |release: &Pending| {
            let failure = self.0.get(&release.uid);
            failure.is_none_or(|failure| failure.until <= now || failure.wanted != release.wanted())
        };
        pending.into_iter().filter(is_due).take(at_once_max).collect()
    }

    /// Notes that a release could not be patched.
    pub(crate) fn failed(&mut self, release: &Pending, why: &str, now: Instant) {
        let wanted = release.wanted();
        let before = self.0.get(&release.uid).filter(|failure| failure.wanted == wanted);
        let pause = before.map_or(PAUSE_MIN, |failure| (failure.pause * 2).min(PAUSE_MAX));
        let why = Arc::from(&why[..why.floor_char_boundary(WHY_BYTES_MAX)]);
        self.0.insert(release.uid.clone(), Failure { wanted, why, pause, until: now + pause });
    }

    /// Notes that a release was patched.
    fn succeeded(&mut self, uid: &str) {
        self.0.remove(uid);
    }
}

/// Sends patches.
pub(crate) struct Patcher {
    client: Client,
    what: &'static str,
    at_once_max: usize,
    failures: Failures,
}

impl Patcher {
    /// Sends at most so many at once; `what` they bring is named in the log.
    pub(crate) fn new(client: Client, what: &'static str, at_once_max: usize) -> Self {
        Self { client, what, at_once_max, failures: Failures::default() }
    }

    /// Sends the first patches, and waits for their outcomes. The others are found pending again.
    pub(crate) async fn send(&mut self, pending: Vec<Pending>) {
        let next = self.failures.next(pending, self.at_once_max, Instant::now());
        let outcomes = join_all(next.iter().map(|release| patch(&self.client, release))).await;
        let now = Instant::now();
        for (release, outcome) in next.iter().zip(outcomes) {
            match outcome {
                Ok(Outcome::Written) => self.failures.succeeded(&release.uid),
                Ok(Outcome::Outdated) => {}
                Err(error) => {
                    let Pending { namespace, name, .. } = release;
                    tracing::warn!(namespace, release = name, %error, "{} not written yet", self.what);
                    self.failures.failed(release, &why(&error), now);
                }
            }
        }
    }

    /// What could not be patched when it was tried last.
    pub(crate) fn failures(&self) -> &Failures {
        &self.failures
    }
}

/// What became of a patch.
enum Outcome {
    /// It is written.
    Written,
    /// The release changed, or went, since it was seen: it is looked at again.
    Outdated,
}

async fn patch(client: &Client, release: &Pending) -> Result<Outcome, ActionError> {
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), &release.namespace, &releases::resource());
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(&release.patch);
    match within(api.patch(&release.name, &params, &patch), ActionError::PatchRelease).await {
        Ok(_) => Ok(Outcome::Written),
        Err(ActionError::PatchRelease(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => {
            Ok(Outcome::Outdated)
        }
        Err(error) => Err(error),
    }
}

/// Why a release could not be patched, for a status: what the cluster said, without what repeats it.
fn why(error: &ActionError) -> String {
    match error {
        ActionError::PatchRelease(kube::Error::Api(status)) if !status.message.is_empty() => status.message.clone(),
        ActionError::PatchRelease(error) => error.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pending(uid: &str) -> Pending {
        Pending { namespace: String::new(), name: String::new(), uid: uid.to_owned(), patch: Value::Null }
    }

    #[test]
    fn those_that_cannot_be_patched_do_not_keep_the_others_waiting() {
        let named = |number: usize| {
            let name = format!("{number:03}");
            Pending { name: name.clone(), ..pending(&name) }
        };
        let mut now = Instant::now();
        let mut failures = Failures::default();
        let mut done: HashSet<String> = HashSet::new();
        // The first 400 are refused for ever.
        for _ in 0..600 {
            let pending = (0..410).map(named).filter(|release| !done.contains(&release.name)).collect();
            let next = failures.next(pending, 10, now);
            now += Duration::from_secs(1);
            for release in next {
                if release.name.as_str() < "400" {
                    failures.failed(&release, "no", now);
                } else {
                    done.insert(release.name);
                }
            }
        }
        assert_eq!(done.len(), 10);
        assert!(failures.next(Vec::new(), 10, now).is_empty() && failures.0.is_empty());
    }

    #[test]
    fn what_was_mended_need_not_wait() {
        let with = |timeout: &str, revision: &str| Pending {
            patch: json!({"metadata": {"resourceVersion": revision}, "spec": {"timeout": timeout}}),
            ..pending("a")
        };
        let (mut failures, now) = (Failures::default(), Instant::now());
        failures.failed(&with("soon", "1"), "no duration", now);
        assert!(failures.next(vec![with("soon", "2")], 10, now).is_empty(), "it is the same, of another revision");
        assert_eq!(failures.next(vec![with("5m", "2")], 10, now).len(), 1);
    }

    #[test]
    fn why_it_failed_is_known_until_it_succeeds_or_is_pending_no_more() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        failures.failed(&pending("a"), &"ü".repeat(WHY_BYTES_MAX), now);
        failures.failed(&pending("b"), "denied", now);
        assert_eq!(failures.why("a").unwrap().len(), WHY_BYTES_MAX);
        assert!(failures.next(vec![pending("a"), pending("b")], 10, now).is_empty(), "it is not their turn");
        assert_eq!(failures.why("b").unwrap().as_ref(), "denied");
        failures.succeeded("a");
        assert_eq!(failures.why("a"), None);
        failures.next(Vec::new(), 10, now);
        assert_eq!(failures.why("b"), None);
    }

    #[test]
    fn why_it_failed_is_what_the_cluster_said() {
        let mut status = kube::core::Status::failure("admission webhook \"x\" denied the request: no", "Forbidden");
        let of = |status: &kube::core::Status| ActionError::PatchRelease(kube::Error::Api(Box::new(status.clone())));
        assert_eq!(why(&of(&status)), "admission webhook \"x\" denied the request: no");
        status.message.clear();
        assert!(why(&of(&status)).contains("Forbidden"));
        assert_eq!(why(&ActionError::Deadline(Duration::from_secs(15))), "no answer within 15s");
    }
}
