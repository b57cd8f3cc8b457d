//! Whether this installation stays in the cluster: what is seen of its anchor and of its own namespace.
//!
//! An APIService whose server is gone holds up the deletion of every namespace. So APIServices are owned by the anchor, an
//! empty ClusterRole that comes and goes with the other objects of an installation: Kubernetes' garbage collector takes them
//! along, whatever uninstalls and whether an operator still runs. The operator never makes the anchor.
//!
//! A namespace that is deleted by hand takes the server along and leaves the anchor. No object of a namespace can own what is
//! in none, and the namespace itself is no owner either: it waits for discovery, which waits for the dead APIServices. There
//! the operator unregisters all by itself, see `departure`.

use kindsmith_backoff::patience;
use std::{
    fmt::Debug,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt;
use k8s_openapi::api::{core::v1::Namespace, rbac::v1::ClusterRole};
use kube::{Api, Client, Resource, ResourceExt};
use kube_runtime::{
    WatchStreamExt,
    watcher::{self, Event, watcher},
};
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, watch};

use crate::pulse::{Loops, Pulse};

/// The ClusterRole that owns APIServices.
pub const ANCHOR: &str = "kindsmith-anchor";

/// How long nothing is registered once the anchor was deleted. Whatever uninstalls has ended the operator by then; where one
/// still runs, somebody deleted the anchor alone.
const GOING_MAX: Duration = Duration::from_secs(120);

/// Whether this installation stays, and who owns what it registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Installation {
    /// It stays; APIServices are owned by the anchor of that uid, or by nobody where there is none.
    Stays {
        /// The uid of the anchor.
        anchor: Option<String>,
    },
    /// The anchor was deleted a short while ago: APIServices go, and none is to come.
    AnchorDeleted,
    /// The namespace of the installation is being deleted.
    NamespaceTerminating,
}

/// What is seen of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Sight {
    /// It was not looked at yet.
    #[default]
    Unknown,
    /// It may not be looked at.
    Hidden,
    /// It was not there since we look.
    Absent,
    /// It is there.
    Present {
        /// Its uid.
        uid: String,
    },
    /// It was there and is being deleted, or is gone.
    Gone {
        /// Since when that is seen.
        since: Instant,
    },
}

/// An object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    uid: String,
    is_terminating: bool,
}

impl Sight {
    /// What is seen after this, when that is found.
    fn next(&self, found: Option<Found>, now: Instant) -> Self {
        match (found, self) {
            (Some(Found { uid, is_terminating: false }), _) => Self::Present { uid },
            (None, Self::Unknown | Self::Hidden | Self::Absent) => Self::Absent,
            (_, Self::Gone { since }) => Self::Gone { since: *since },
            _ => Self::Gone { since: now },
        }
    }
}

/// What is seen of the objects by which an installation is known to stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sights {
    anchor: Sight,
    namespace: Sight,
}

impl Sights {
    /// What follows at some time.
    fn installation(&self, now: Instant) -> Installation {
        match (&self.namespace, &self.anchor) {
            (Sight::Gone { .. }, _) => Installation::NamespaceTerminating,
            (_, Sight::Present { uid }) => Installation::Stays { anchor: Some(uid.clone()) },
            (_, Sight::Gone { since }) if now < *since + GOING_MAX => Installation::AnchorDeleted,
            _ => Installation::Stays { anchor: None },
        }
    }
}

/// Follows what is seen of an installation, whoever leads.
#[derive(Clone)]
pub(crate) struct Watched {
    sights: watch::Receiver<Sights>,
}

/// Which of the two an object is.
type Place = fn(&mut Sights) -> &mut Sight;

impl Watched {
    /// Begins to follow; `bell` rings at every change.
    pub(crate) fn start(client: &Client, namespace: &str, bell: &Arc<Notify>, loops: &mut Loops) -> Self {
        let (told, sights) = watch::channel(Sights::default());
        let told = Arc::new(told);
        let anchors = Api::<ClusterRole>::all(client.clone());
        let (telling, ringing) = (Arc::clone(&told), Arc::clone(bell));
        loops.start("the anchor", |pulse| {
            let place: Place = |sights| &mut sights.anchor;
            follow(anchors, ANCHOR.to_owned(), place, telling, ringing, pulse)
        });
        let (namespaces, namespace) = (Api::<Namespace>::all(client.clone()), namespace.to_owned());
        let ringing = Arc::clone(bell);
        loops.start("the own namespace", |pulse| {
            let place: Place = |sights| &mut sights.namespace;
            follow(namespaces, namespace, place, told, ringing, pulse)
        });
        Self { sights }
    }

    /// Waits until both were looked at, or may not be.
    pub(crate) async fn ready(&self) {
        let known = |sights: &Sights| sights.anchor != Sight::Unknown && sights.namespace != Sight::Unknown;
        // An error means that the loops are gone; who waits for these says so.
        let _ = self.sights.clone().wait_for(known).await.map(drop);
    }

    /// Whether the installation stays.
    pub(crate) fn installation(&self, now: Instant) -> Installation {
        self.sights.borrow().installation(now)
    }

    /// When it is something else without a change.
    pub(crate) fn changes_at(&self, now: Instant) -> Option<Instant> {
        match self.sights.borrow().anchor {
            Sight::Gone { since } => Some(since + GOING_MAX).filter(|at| now < *at),
            _ => None,
        }
    }

    /// Waits until the namespace is being deleted.
    pub(crate) async fn namespace_goes(&self) {
        let goes = |sights: &Sights| matches!(sights.namespace, Sight::Gone { .. });
        if self.sights.clone().wait_for(goes).await.map(drop).is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Keeps what is seen of one object.
async fn follow<K>(
    api: Api<K>,
    name: String,
    place: Place,
    told: Arc<watch::Sender<Sights>>,
    bell: Arc<Notify>,
    pulse: Pulse,
) where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let tell = |found: Option<Found>| {
        let changed = told.send_if_modified(|sights| {
            let sight = place(sights);
            let next = sight.next(found, Instant::now());
            let changed = *sight != next;
            *sight = next;
            changed
        });
        if changed {
            bell.notify_one();
        }
    };
    let only = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = pin!(watcher(api, only).backoff(patience()));
    let mut listed = None;
    while let Some(event) = pulse.wait(events.next()).await {
        match event {
            Ok(Event::Init) => listed = None,
            Ok(Event::InitApply(object)) => listed = Some(found(&object)),
            Ok(Event::InitDone) => {
                pulse.went_well();
                tell(listed.take());
            }
            Ok(Event::Apply(object)) => tell(Some(found(&object))),
            Ok(Event::Delete(_)) => tell(None),
            Err(error) => {
                pulse.failed(&error);
                let hidden = told.send_if_modified(|sights| {
                    let sight = place(sights);
                    let unknown = *sight == Sight::Unknown && is_forbidden(&error);
                    if unknown {
                        *sight = Sight::Hidden;
                    }
                    unknown
                });
                if hidden {
                    bell.notify_one();
                }
            }
        }
    }
}

fn found<K: Resource>(object: &K) -> Found {
    Found { uid: object.uid().unwrap_or_default(), is_terminating: object.meta().deletion_timestamp.is_some() }
}

/// Whether a watch failed for want of a right.
fn is_forbidden(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = error else {
        return false;
    };
    crate::call::is_status(error, 403)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(uid: &str) -> Option<Found> {
        Some(Found { uid: uid.to_owned(), is_terminating: false })
    }

    fn going(uid: &str) -> Option<Found> {
        Some(Found { uid: uid.to_owned(), is_terminating: true })
    }

    /// What follows from what is found of the anchor, one after the other, each a second later, and some time after that.
    fn of_anchor(found: &[Option<Found>], after: Duration) -> Installation {
        let (mut now, mut sights) = (Instant::now(), Sights::default());
        for found in found {
            now += Duration::from_secs(1);
            sights.anchor = sights.anchor.next(found.clone(), now);
        }
        sights.installation(now + after)
    }

    fn stays(anchor: Option<&str>) -> Installation {
        Installation::Stays { anchor: anchor.map(str::to_owned) }
    }

    #[test]
    fn an_installation_without_an_anchor_stays() {
        assert_eq!(of_anchor(&[], Duration::ZERO), stays(None));
        assert_eq!(of_anchor(&[None, None], Duration::ZERO), stays(None));
        assert_eq!(
            of_anchor(&[None, there("a")], Duration::ZERO),
            stays(Some("a")),
            "manifests that have it came later"
        );
    }

    #[test]
    fn an_anchor_that_was_deleted_means_that_the_installation_goes_for_a_while() {
        for deleted in [vec![there("a"), None], vec![there("a"), going("a")], vec![there("a"), going("a"), None]] {
            assert_eq!(of_anchor(&deleted, Duration::ZERO), Installation::AnchorDeleted, "{deleted:?}");
            assert_eq!(of_anchor(&deleted, GOING_MAX - Duration::from_secs(2)), Installation::AnchorDeleted);
            assert_eq!(of_anchor(&deleted, GOING_MAX), stays(None), "{deleted:?}");
        }
        let again = [there("a"), None, None];
        assert_eq!(of_anchor(&again, GOING_MAX - Duration::from_secs(1)), stays(None), "counted from the first sight");
    }

    #[test]
    fn an_anchor_that_was_replaced_owns_at_once() {
        assert_eq!(of_anchor(&[there("a"), there("b")], Duration::ZERO), stays(Some("b")));
        assert_eq!(of_anchor(&[there("a"), None, there("b")], Duration::ZERO), stays(Some("b")));
        assert_eq!(of_anchor(&[there("a"), None, there("b"), None], Duration::ZERO), Installation::AnchorDeleted);
    }

    #[test]
    fn a_namespace_that_goes_counts_before_the_anchor_and_one_that_came_back_is_another() {
        let now = Instant::now();
        let anchor = Sight::default().next(there("a"), now);
        let namespace = |found: &[Option<Found>]| {
            let seen = found.iter().fold(Sight::default(), |sight, found| sight.next(found.clone(), now));
            Sights { anchor: anchor.clone(), namespace: seen }.installation(now)
        };
        assert_eq!(namespace(&[]), stays(Some("a")));
        assert_eq!(namespace(&[None]), stays(Some("a")), "it was never there");
        assert_eq!(namespace(&[there("n")]), stays(Some("a")));
        assert_eq!(namespace(&[going("n")]), Installation::NamespaceTerminating, "also for who starts then");
        assert_eq!(namespace(&[there("n"), going("n"), None]), Installation::NamespaceTerminating);
        assert_eq!(namespace(&[there("n"), going("n"), None, there("m")]), stays(Some("a")));
        let hidden = Sights { anchor: anchor.clone(), namespace: Sight::Hidden };
        assert_eq!(hidden.installation(now), stays(Some("a")), "an older manifest does not let us look");
    }
}
