//! Patches of releases: a few at a time, each for the state that it was made for, and a pause after a failure.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use futures::future::join_all;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::Value;

use crate::{
    act::{FIELD_MANAGER, within},
    error::ActionError,
    releases,
};

/// How long a release that could not be patched is left alone, at first; after each further failure twice as long, so that
/// those that cannot be patched do not keep the others waiting.
const PAUSE_MIN: Duration = Duration::from_secs(30);

/// The longest pause of a release.
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);

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

/// Releases that could not be patched, by uid.
#[derive(Default)]
struct Failures(HashMap<String, Pause>);

struct Pause {
    length: Duration,
    until: Instant,
}

impl Failures {
    /// The first of those whose turn it is. Of what is not pending any more nothing is remembered.
    fn next(&mut self, pending: Vec<Pending>, at_once_max: usize, now: Instant) -> Vec<Pending> {
        let uids: HashSet<&str> = pending.iter().map(|release| release.uid.as_str()).collect();
        self.0.retain(|uid, _| uids.contains(uid.as_str()));
        let is_due = |release: &Pending| self.0.get(&release.uid).is_none_or(|pause| pause.until <= now);
        pending.into_iter().filter(is_due).take(at_once_max).collect()
    }

    fn failed(&mut self, uid: &str, now: Instant) {
        let length = self.0.get(uid).map_or(PAUSE_MIN, |pause| (pause.length * 2).min(PAUSE_MAX));
        self.0.insert(uid.to_owned(), Pause { length, until: now + length });
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
            if let Err(error) = outcome {
                let Pending { namespace, name, .. } = release;
                tracing::warn!(namespace, release = name, %error, "{} not written yet", self.what);
                self.failures.failed(&release.uid, now);
            }
        }
    }
}

async fn patch(client: &Client, release: &Pending) -> Result<(), ActionError> {
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), &release.namespace, &releases::resource());
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(&release.patch);
    match within(api.patch(&release.name, &params, &patch), ActionError::PatchRelease).await {
        // It changed, or went, since it was seen: it is looked at again.
        Err(ActionError::PatchRelease(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => Ok(()),
        outcome => outcome.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_cannot_be_patched_do_not_keep_the_others_waiting() {
        let named = |number: usize| {
            let name = format!("{number:03}");
            Pending { namespace: String::new(), uid: name.clone(), name, patch: Value::Null }
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
                    failures.failed(&release.uid, now);
                } else {
                    done.insert(release.name);
                }
            }
        }
        assert_eq!(done.len(), 10);
        assert!(failures.next(Vec::new(), 10, now).is_empty() && failures.0.is_empty());
    }
}
