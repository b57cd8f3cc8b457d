//! Whether a feed has all that a list of the host has: a proof where the host's revision moves with other resources, too.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use serde::Deserialize;
use tokio::time::Instant;

use super::{
    feed::{Feed, Key},
    host::{Host, HostError, HostList, HostResource, ListAt},
};
use crate::request::Namespace;

/// How long a feed is waited for.
const CATCH_UP_MAX: Duration = Duration::from_secs(3);

/// How often it is looked at.
const STEP: Duration = Duration::from_millis(10);

#[derive(Deserialize)]
struct Head {
    metadata: HeadMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadMetadata {
    resource_version: Option<String>,
}

/// The revision of an object; 0 where it has none.
fn revision_of(json: &Bytes) -> u64 {
    let head: Option<Head> = serde_json::from_slice(json).ok();
    head.and_then(|head| head.metadata.resource_version?.parse().ok()).unwrap_or_default()
}

/// Whether a feed has everything of a namespace, or of all, that the host has now, and nothing that is gone by then.
///
/// Changes come in order: a feed with the newest object has all changes before that; what is gone since, it must have lost.
///
/// # Errors
/// What the host says.
pub(super) async fn in_feed(
    host: &dyn Host,
    resource: &HostResource,
    feed: &Feed,
    namespace: Option<Namespace<'_>>,
) -> Result<bool, HostError> {
    let HostList { items, revision } = host.list(resource, namespace, ListAt::MostRecent).await?;
    let newest = items.iter().map(|(_, json)| revision_of(json)).max().unwrap_or_default();
    let present: HashSet<Key> = items.into_iter().map(|(key, _)| key).collect();
    let deadline = Instant::now() + CATCH_UP_MAX;
    if !until(deadline, || feed.revision().is_some_and(|fed| fed >= newest)).await {
        return Ok(false);
    }
    let is_here = |key: &Key| namespace.is_none_or(|namespace| key.0 == namespace.as_str());
    let absent = feed.with_objects(|objects| -> Vec<Key> {
        objects.keys().filter(|key| is_here(key) && !present.contains(*key)).cloned().collect()
    });
    let mut absent = absent.unwrap_or_default();
    let lost_all = || {
        // What came after the list is no fault.
        absent.retain(|key| feed.json(key).is_some_and(|json| revision_of(&json) <= revision));
        absent.is_empty()
    };
    Ok(until(deadline, lost_all).await)
}

/// Whether something holds, at the deadline at the latest.
async fn until(deadline: Instant, mut holds: impl FnMut() -> bool) -> bool {
    while !holds() {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(STEP).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        request::Name,
        storage::{
            builtin::helm_releases,
            embedded::Embedded,
            host::{DeleteOptions, Deleted, Generation, HostEvent, Persistence, WriteOptions},
            source::Sink as _,
        },
    };

    /// What a feed that lags behind has not heard.
    const LAG: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_feed_is_waited_for_until_it_has_what_is_there_and_has_lost_what_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let store = Embedded::open(directory.path()).unwrap();
        let resource = helm_releases();
        let create = |name: &str| {
            let release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
                "metadata": {"namespace": "a", "name": name}});
            let options = WriteOptions {
                persistence: Persistence::Durable,
                field_manager: "test".to_owned(),
                generation: Generation::Host,
            };
            let (store, resource) = (&store, &resource);
            async move { store.create(resource, release, &options).await.unwrap() }
        };
        let feed = Feed::default();
        feed.fill(store.list(&resource, None, ListAt::MostRecent).await.unwrap());
        let revision = |object: &Value| object["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
        let one = create("one").await;
        let two = create("two").await;
        let applied = |object: &Value| {
            feed.event(HostEvent::Applied { revision: revision(object), object: object.clone() });
        };
        applied(&one);
        {
            let fed = in_feed(store.as_ref(), &resource, &feed, None);
            tokio::pin!(fed);
            assert!(tokio::time::timeout(LAG, &mut fed).await.is_err(), "the newest is not here");
            applied(&two);
            assert!(fed.await.unwrap());
        }

        let options =
            DeleteOptions { uid: None, resource_version: None, propagation: None, persistence: Persistence::Durable };
        let deleted =
            store.delete(&resource, Namespace::parse("a"), Name::parse("one").unwrap(), &options).await.unwrap();
        assert!(matches!(deleted, Deleted::Gone), "{deleted:?}");
        let three = create("three").await;
        applied(&three);
        {
            let fed = in_feed(store.as_ref(), &resource, &feed, None);
            tokio::pin!(fed);
            assert!(tokio::time::timeout(LAG, &mut fed).await.is_err(), "what is gone is here");
            applied(&create("four").await);
            feed.event(HostEvent::Deleted { revision: revision(&three) + 9, object: one });
            assert!(fed.await.unwrap(), "what came after the list is here, and does not matter");
        }
    }
}
