//! Whether we live, are ready, are healthy: the conditions of a server.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::{
    authn::SETTINGS,
    endpoints::probes::{Check, Probes},
    registry::{Registry, snapshot::Sync, watch::Source},
    rights::{Rights, told},
    server::{Lifecycle, ServingCertificate},
};

/// How long caches that are not filled make us unready.
const CACHES_WAIT_MAX: Duration = Duration::from_secs(30);

/// What the probes ask for.
pub(crate) struct Asked {
    pub(crate) registry: Arc<Registry>,
    pub(crate) certificate: Arc<ServingCertificate>,
    pub(crate) definitions: Vec<Source>,
    pub(crate) authentication: Option<watch::Receiver<bool>>,
    pub(crate) rights: Arc<Rights>,
    pub(crate) lifecycle: Arc<Lifecycle>,
}

impl Asked {
    /// The probes, with the checks of each.
    pub(crate) fn probes(self) -> Probes {
        let Self { registry, certificate, definitions, authentication, rights, lifecycle } = self;
        let synced = Arc::clone(&registry);
        let mut health = vec![
            Check::ping(),
            Check::new("registry", move || {
                if synced.snapshot().sync == Sync::Done {
                    return Ok(());
                }
                let failure = definitions.iter().find_map(|(_, feed)| feed.failure());
                Err(failure.map_or("definitions have not been read yet".to_owned(), |error| told(&error)))
            }),
            caches(registry),
            Check::new("certificate", move || {
                certificate.is_loaded().then_some(()).ok_or_else(|| "there is no serving certificate yet".to_owned())
            }),
        ];
        if let Some(authentication) = authentication {
            health.push(Check::new("authentication", move || {
                let read = *authentication.borrow();
                let unread = || "the cluster's CAs have not been read yet".to_owned();
                read.then_some(()).ok_or_else(|| rights.missing(SETTINGS).unwrap_or_else(unread))
            }));
        }
        let mut ready = health.clone();
        ready.push(Check::new("shutdown", move || {
            if lifecycle.is_terminating() { Err("process is shutting down".to_owned()) } else { Ok(()) }
        }));
        Probes { live: vec![Check::ping()], ready, health }
    }
}

/// Holds once the caches of the kinds that were known first are filled, and from then on: a kind that comes later is no
/// reason to send requests elsewhere. A host that does not answer keeps us back for a while only, since discovery is
/// needed by the whole cluster whether objects can be read or not.
fn caches(registry: Arc<Registry>) -> Arc<Check> {
    let (filled, known_at) = (OnceLock::new(), OnceLock::new());
    Check::new("caches", move || {
        if filled.get().is_some() {
            return Ok(());
        }
        let snapshot = registry.snapshot();
        if snapshot.sync == Sync::Pending {
            return Err("definitions have not been read yet".to_owned());
        }
        let empty = snapshot.kinds().flat_map(|kind| &kind.views).filter(|view| !view.cache().is_ready()).count();
        if empty > 0 && known_at.get_or_init(Instant::now).elapsed() < CACHES_WAIT_MAX {
            return Err(format!("{empty} caches are not filled yet"));
        }
        filled.get_or_init(|| ());
        Ok(())
    })
}
