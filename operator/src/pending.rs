//! Patches of releases: a few at a time, each for the state that it was made for, and a pause after a failure.

use std::{
    collections::HashMap,
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

/// How long a release that could not be patched is left alone.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(30);

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

/// Sends patches.
pub(crate) struct Patcher {
    client: Client,
    what: &'static str,
    at_once_max: usize,
    paused: HashMap<String, Instant>,
}

impl Patcher {
    /// Sends at most so many at once; `what` they bring is named in the log.
    pub(crate) fn new(client: Client, what: &'static str, at_once_max: usize) -> Self {
        Self { client, what, at_once_max, paused: HashMap::new() }
    }

    /// Sends the first patches, and waits for their outcomes. The others are found pending again.
    pub(crate) async fn send(&mut self, pending: Vec<Pending>) {
        let now = Instant::now();
        self.paused.retain(|_, until| *until > now);
        let next: Vec<Pending> =
            pending.into_iter().filter(|it| !self.paused.contains_key(&it.uid)).take(self.at_once_max).collect();
        let outcomes = join_all(next.iter().map(|release| patch(&self.client, release))).await;
        for (release, outcome) in next.iter().zip(outcomes) {
            if let Err(error) = outcome {
                let Pending { namespace, name, .. } = release;
                tracing::warn!(namespace, release = name, %error, "{} not written yet", self.what);
                self.paused.insert(release.uid.clone(), now + PAUSE_AFTER_FAILURE);
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
