//! Makes kube-aggregator fetch the discovery of a group-version at once.
//!
//! # Flow
//! The group-version is asked through kube-apiserver until it lists what it should; then the annotation of its
//! APIService is changed, which is what kube-aggregator reacts to. Some time later this is done once more.

use std::time::Duration;

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::APIResourceList, kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    call::{FIELD_MANAGER, within},
    decide::{REGISTRY_DIGEST_ANNOTATION, Refresh},
    error::ActionError,
    group_version::GroupVersion,
};

/// How long the API server may take to list a new kind before kube-aggregator is made to look all the same.
const LISTED_WAIT_MAX: Duration = Duration::from_secs(10);

/// The first pause between two looks; it doubles.
const LOOK_PAUSE_MIN: Duration = Duration::from_millis(25);

/// The longest pause between two looks.
const LOOK_PAUSE_MAX: Duration = Duration::from_millis(500);

/// When kube-aggregator is made to look for the second time.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

pub(super) async fn refresh(
    client: &Client,
    group_version: &GroupVersion,
    uid: &str,
    when: &Refresh,
    digest: &str,
) -> Result<(), ActionError> {
    match when {
        Refresh::Listed(resources) => wait_until_listed(client, group_version, resources).await?,
        Refresh::Again => sleep(AGAIN_AFTER).await,
    }
    let patch = json!({"metadata": {"uid": uid, "annotations": {REGISTRY_DIGEST_ANNOTATION: digest}}});
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let name = group_version.api_service_name();
    let api = Api::<APIService>::all(client.clone());
    within(api.patch(&name, &params, &Patch::Merge(&patch)), ActionError::Annotate).await?;
    tracing::debug!(api_service = name, digest, "kube-aggregator was made to look");
    Ok(())
}

async fn wait_until_listed(
    client: &Client,
    group_version: &GroupVersion,
    wanted: &[String],
) -> Result<(), ActionError> {
    let started = Instant::now();
    let path = group_version.to_string();
    let mut pause = LOOK_PAUSE_MIN;
    loop {
        let answer = within(client.list_api_group_resources(&path), ActionError::Discover).await;
        if answer.as_ref().is_ok_and(|list| lists(list, wanted)) {
            return Ok(());
        }
        if started.elapsed() >= LISTED_WAIT_MAX {
            // It answers, though not with what is expected: what it does serve is worth showing.
            answer?;
            tracing::warn!(%group_version, ?wanted, "the API server does not list exactly what is accepted");
            return Ok(());
        }
        sleep(pause).await;
        pause = (pause * 2).min(LOOK_PAUSE_MAX);
    }
}

/// Whether exactly these resources are listed. Both are sorted here; subresources do not count.
fn lists(list: &APIResourceList, wanted: &[String]) -> bool {
    let mut listed: Vec<&str> =
        list.resources.iter().map(|resource| resource.name.as_str()).filter(|name| !name.contains('/')).collect();
    listed.sort_unstable();
    let mut wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    wanted.sort_unstable();
    listed == wanted
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource;

    use super::*;

    #[test]
    fn exactly_the_accepted_resources_must_be_listed() {
        let resource = |name: &str| APIResource { name: name.to_owned(), ..APIResource::default() };
        let list = APIResourceList {
            resources: ["redises", "redises/status", "buckets"].map(resource).into(),
            ..APIResourceList::default()
        };
        let wanted = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(lists(&list, &wanted(&["buckets", "redises"])));
        assert!(!lists(&list, &wanted(&["redises"])), "a kind that was removed is still there");
        assert!(!lists(&list, &wanted(&["buckets", "caches", "redises"])), "a new kind is not there yet");
    }
}
