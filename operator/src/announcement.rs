//! Announces other kinds to clients that learn of kinds from CustomResourceDefinitions, Argo CD above all: any event of any
//! CustomResourceDefinition makes them read discovery and OpenAPI anew (github.com/argoproj/gitops-engine, pkg/cache/cluster.go).
//!
//! Flow: the controller says what is to be announced; once that has not changed for a while, it becomes an annotation of Kindsmith's
//! own CustomResourceDefinition. What was announced before is written again without any effect, so a restart announces nothing.
//! Where only definitions of another form are used, there may be no such object, and nobody to tell.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kindsmith_crds::ApplicationDefinition;
use kube::{
    Api, Client, CustomResourceExt as _,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use serde_json::json;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    call::{FIELD_MANAGER, is_status, within},
    decide::{Announcement, Picture},
    error::ActionError,
    pulse::Pulse,
};

/// The annotation of the CustomResourceDefinition.
const KINDS_DIGEST_ANNOTATION: &str = "kindsmith.dev/kinds-digest";

/// How long nothing may change before all that there is is announced.
const QUIET_COMPLETE: Duration = Duration::from_secs(1);

/// How long nothing may change before it is announced although something is on its way.
const QUIET_PARTIAL: Duration = Duration::from_secs(15);

/// How long an announcement waits at most while changes go on.
const HELD_MAX: Duration = Duration::from_secs(15);

/// The pause between two announcements: for a client each is the reading of all discovery and of OpenAPI v2.
const PAUSE: Duration = Duration::from_secs(5);

/// The longest pause after an announcement that failed.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Announces what clients can find.
pub(crate) struct Announcer {
    client: Client,
    changed: Notify,
    wanted: Mutex<Option<Announcement>>,
}

impl Announcer {
    /// Announces through that client.
    pub(crate) fn new(client: Client) -> Arc<Self> {
        Arc::new(Self { client, changed: Notify::new(), wanted: Mutex::default() })
    }

    /// Says what is to be announced.
    pub(crate) fn want(&self, wanted: Option<Announcement>) {
        let mut held = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if *held != wanted {
            *held = wanted;
            self.changed.notify_one();
        }
    }

    fn wanted(&self) -> Option<Announcement> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Announces until the task is ended.
    pub(crate) async fn run(self: Arc<Self>, pulse: Pulse) {
        let mut said = None;
        let mut pause = PAUSE;
        loop {
            let Some(digest) = pulse.wait(self.settled(said.as_deref())).await else {
                pulse.wait(self.changed.notified()).await;
                continue;
            };
            match self.say(&digest).await {
                Ok(()) => (said, pause) = (Some(digest), PAUSE),
                Err(error) => {
                    tracing::warn!(%error, ?pause, "other kinds cannot be announced; trying again");
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
            pulse.wait(sleep(pause)).await;
        }
    }

    /// Waits until what is to be announced stays the same, or was held for long; none where it was said, or nothing is.
    async fn settled(&self, said: Option<&str>) -> Option<String> {
        let held_until = Instant::now() + HELD_MAX;
        loop {
            let wanted = self.wanted().filter(|wanted| said != Some(wanted.digest.as_str()))?;
            let quiet = match wanted.picture {
                Picture::Complete => QUIET_COMPLETE,
                Picture::Partial => QUIET_PARTIAL,
            };
            let until = held_until.min(Instant::now() + quiet);
            if timeout_at(until, self.changed.notified()).await.is_err() {
                return Some(wanted.digest);
            }
        }
    }

    async fn say(&self, digest: &str) -> Result<(), ActionError> {
        let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &ApiResource::from_gvk(&kind));
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({"metadata": {"annotations": {KINDS_DIGEST_ANNOTATION: digest}}}));
        match within(api.patch_metadata(ApplicationDefinition::crd_name(), &params, &patch), ActionError::Announce)
            .await
        {
            Err(ActionError::Announce(error)) if is_status(&error, 404) => Ok(()),
            outcome => {
                outcome?;
                tracing::debug!(digest, "kinds are announced");
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::client::Body;
    use tower::service_fn;

    use super::*;

    /// What was said, each with the second.
    type Said = Arc<Mutex<Vec<(u64, String)>>>;

    /// An announcer, and what it says.
    fn announcer() -> (Arc<Announcer>, Said) {
        let said = Said::default();
        let (heard, began) = (Arc::clone(&said), Instant::now());
        let answering = service_fn(move |request: Request<Body>| {
            let heard = Arc::clone(&heard);
            async move {
                assert_eq!(
                    request.uri().path(),
                    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/applicationdefinitions.kindsmith.dev"
                );
                let body = request.into_body().collect_bytes().await?;
                let body: serde_json::Value = serde_json::from_slice(&body)?;
                let digest = body["metadata"]["annotations"][KINDS_DIGEST_ANNOTATION].as_str().unwrap().to_owned();
                heard.lock().unwrap().push((began.elapsed().as_secs(), digest));
                let object = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {}});
                Ok::<_, tower::BoxError>(Response::new(Body::from(object.to_string().into_bytes())))
            }
        });
        (Announcer::new(Client::new(answering, "default")), said)
    }

    fn wanted(digest: &str, picture: Picture) -> Option<Announcement> {
        Some(Announcement { digest: digest.to_owned(), picture })
    }

    #[tokio::test(start_paused = true)]
    async fn what_settled_is_announced_soon_and_a_storm_of_changes_seldom() {
        let (announcer, said) = announcer();
        let pulse = Arc::new(crate::pulse::Health::default()).follow("announcements");
        let running = tokio::spawn(Arc::clone(&announcer).run(pulse));
        announcer.want(wanted("a", Picture::Complete));
        sleep(Duration::from_secs(20)).await;
        assert_eq!(*said.lock().unwrap(), [(1, "a".to_owned())]);

        // A change each half second, for a minute.
        for number in 0..120 {
            announcer.want(wanted(&number.to_string(), Picture::Complete));
            sleep(Duration::from_millis(500)).await;
        }
        sleep(Duration::from_secs(20)).await;
        let heard = said.lock().unwrap().clone();
        assert!((4..=6).contains(&heard.len()), "{heard:?}");
        assert_eq!(heard.last().unwrap().1, "119");

        // What is out of reach is not announced, what is partly there later.
        said.lock().unwrap().clear();
        announcer.want(wanted("b", Picture::Partial));
        sleep(Duration::from_secs(5)).await;
        announcer.want(None);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(*said.lock().unwrap(), []);
        announcer.want(wanted("b", Picture::Partial));
        sleep(QUIET_PARTIAL + Duration::from_secs(1)).await;
        assert_eq!(said.lock().unwrap().len(), 1);
        running.abort();
    }
}
