//! A watch that is kept until the server ends, and what is said when it may not be.

use kindsmith_backoff::patience;
use std::fmt::Debug;

use futures::StreamExt as _;
use kube::{Api, Resource};
use kube_runtime::{WatchStreamExt as _, watcher};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

/// Tells of every event and every failure until `shutdown`.
pub(super) async fn follow<K>(
    api: Api<K>,
    settings: watcher::Config,
    shutdown: CancellationToken,
    mut tell: impl FnMut(Result<watcher::Event<K>, watcher::Error>),
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut events = watcher(api, settings).backoff(patience()).boxed();
    loop {
        let event = tokio::select! {
            () = shutdown.cancelled() => return,
            event = events.next() => event,
        };
        match event {
            None => return,
            Some(event) => tell(event),
        }
    }
}

/// Whether we have no right to read what is watched.
pub(super) fn is_forbidden(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 403)
}
