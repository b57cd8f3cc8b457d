//! Who follows the changes of the store: a bounded queue each.

use std::sync::{Mutex, PoisonError};

use futures::stream::{BoxStream, StreamExt as _};
use tokio::sync::mpsc;

use crate::storage::host::{HostEvent, HostResource};

/// Changes that wait for a slow follower before its stream is ended; it can resume from the history.
const FOLLOWER_QUEUE_EVENTS_MAX: usize = 8192;

struct Follower {
    resource: HostResource,
    queue: mpsc::Sender<HostEvent>,
}

/// All followers.
#[derive(Default)]
pub(super) struct Followers {
    followers: Mutex<Vec<Follower>>,
}

/// The revision of an event.
pub(super) fn revision(event: &HostEvent) -> u64 {
    match event {
        HostEvent::Applied { revision, .. }
        | HostEvent::Deleted { revision, .. }
        | HostEvent::Progress { revision } => *revision,
    }
}

impl Followers {
    /// The changes of a resource from now on.
    pub(super) fn follow(&self, resource: &HostResource) -> BoxStream<'static, HostEvent> {
        let (queue, events) = mpsc::channel(FOLLOWER_QUEUE_EVENTS_MAX);
        let follower = Follower { resource: resource.clone(), queue };
        self.followers.lock().unwrap_or_else(PoisonError::into_inner).push(follower);
        futures::stream::unfold(events, |mut events| async move { Some((events.recv().await?, events)) }).boxed()
    }

    /// Tells of changes that are on the disk, in the order of their revisions. Followers of other resources hear how far
    /// the store is.
    pub(super) fn publish(&self, changes: &[(HostResource, HostEvent)]) {
        let Some((_, last)) = changes.last() else { return };
        let newest = revision(last);
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        followers.retain(|follower| {
            for (_, event) in changes.iter().filter(|(resource, _)| *resource == follower.resource) {
                if follower.queue.try_send(event.clone()).is_err() {
                    return false;
                }
            }
            // Only a hint: a full queue holds newer news already.
            let _ = follower.queue.try_send(HostEvent::Progress { revision: newest });
            !follower.queue.is_closed()
        });
    }
}
