//! The Lease that says where this replica is reached directly.
//!
//! # Flow
//! Applied when the server knows what it serves, renewed until it ends, deleted then. A replica that was killed
//! leaves a Lease that nobody renews: who reads it ignores it after its duration and removes it.
//!
//! Replicas share Leases of fixed names, as RBAC can restrict rights by names alone: who takes this process over must not be able
//! to end the Lease by which operators elect their leader. Each write holds for the state that it was made for.
//!
//! # Why not EndpointSlices
//! They know only replicas behind a Service with a selector, refuse loopback addresses, and do not say which process
//! answers: after a restart the address is the same and the registry is not.

use std::{
    collections::{BTreeMap, HashMap},
    env, fs,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions},
};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::{rights::Rights, server::ServingCertificate};

/// The label of the Leases of replicas.
pub const REPLICA_LABEL: &str = "kindsmith.dev/replica";

/// The value of the label for the API server.
pub const REPLICA_LABEL_VALUE: &str = "apiserver";

/// The annotation with address and port.
pub const ADDRESS_ANNOTATION: &str = "kindsmith.dev/address";

/// The annotation with the certificate that is served: its SHA-256 in hexadecimal.
pub const CERTIFICATE_ANNOTATION: &str = "kindsmith.dev/certificate-sha256";

/// The field manager of our Lease.
const FIELD_MANAGER: &str = "kindsmith-apiserver";

/// How long a Lease holds that nobody renews.
const LEASE_SECONDS: i32 = 15;

/// How often it is renewed; at three quarters to all of it.
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// The pause after a failure; half to all of it.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// How long one call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(4);

/// How many replicas can be announced at a time; `deploy/manifests` names as many Leases.
const LEASES_MAX: usize = 16;

/// The longest duration that a Lease of somebody else may claim.
const LEASE_MAX: Duration = Duration::from_secs(300);

/// What a replica says about itself.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// The namespace of the Lease.
    pub namespace: String,
    /// The name of this process: another one on the same address has another.
    pub identity: String,
    /// Where it is reached.
    pub address: SocketAddr,
    /// What it serves with.
    pub certificate: Arc<ServingCertificate>,
}

/// A name for this process, after its host, that no other process has.
#[must_use]
pub fn identity() -> String {
    let host = env::var("HOSTNAME").ok().or_else(|| fs::read_to_string("/proc/sys/kernel/hostname").ok());
    let host = host.map(|host| host.trim().to_owned()).filter(|host| !host.is_empty());
    format!("{}_{}", host.as_deref().unwrap_or("kindsmith-apiserver"), uuid::Uuid::new_v4())
}

impl Announcement {
    /// The Leases in the order in which this replica tries them. Those of different addresses begin at different ones.
    fn order(&self) -> impl Iterator<Item = usize> + use<> {
        let hash = Sha256::digest(self.address.to_string());
        let first = hash.first().copied().map_or(0, usize::from);
        (0..LEASES_MAX).map(move |step| (first + step) % LEASES_MAX)
    }

    /// The Leases that this replica may take, the best first. The one of its address comes first, whoever held it: nobody else is
    /// there any more. Then come those that are not there, and then those that nobody has renewed for their duration.
    fn places(&self, found: &HashMap<usize, Lease>, is_abandoned: impl Fn(usize, &Lease) -> bool) -> Vec<usize> {
        let rank = |place: &usize| match found.get(place) {
            Some(lease) if lease.annotations().get(ADDRESS_ANNOTATION) == Some(&self.address.to_string()) => Some(0),
            None => Some(1),
            Some(lease) if is_abandoned(*place, lease) => Some(2),
            Some(_) => None,
        };
        let mut places: Vec<(i32, usize)> = self.order().filter_map(|place| Some((rank(&place)?, place))).collect();
        places.sort_by_key(|(rank, _)| *rank);
        places.into_iter().map(|(_, place)| place).collect()
    }

    fn lease(&self, place: usize, acquired: Timestamp, now: Timestamp) -> Lease {
        let mut annotations = BTreeMap::from([(ADDRESS_ANNOTATION.to_owned(), self.address.to_string())]);
        annotations.extend(self.certificate.fingerprint().map(|it| (CERTIFICATE_ANNOTATION.to_owned(), it)));
        Lease {
            metadata: ObjectMeta {
                name: Some(name(place)),
                labels: Some([(REPLICA_LABEL.to_owned(), REPLICA_LABEL_VALUE.to_owned())].into()),
                annotations: Some(annotations),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: Some(LEASE_SECONDS),
                acquire_time: Some(MicroTime(acquired)),
                renew_time: Some(MicroTime(now)),
                ..LeaseSpec::default()
            }),
        }
    }
}

/// What is said to be written.
const ANNOUNCED: &str = "the Lease of this replica";

/// The name of one of the Leases.
fn name(place: usize) -> String {
    format!("kindsmith-apiserver-{place}")
}

/// Announces a replica until `shutdown`, and takes the announcement back.
pub async fn announce(client: Client, announcement: Announcement, rights: &Rights, shutdown: CancellationToken) {
    let leases = Api::namespaced(client, &announcement.namespace);
    let mut announcer =
        Announcer { leases, announcement, acquired: Timestamp::now(), held: None, seen: HashMap::new() };
    let mut known = false;
    loop {
        let pause = tokio::select! {
            () = shutdown.cancelled() => break,
            written = within(announcer.write()) => match written {
                Ok(()) => {
                    rights.went_well(ANNOUNCED);
                    if !known {
                        let Announcement { identity, address, .. } = &announcer.announcement;
                        tracing::info!(identity, %address, "announced");
                    }
                    known = true;
                    RENEW_EVERY.mul_f64(0.75 + rand::random::<f64>() / 4.0)
                }
                Err(error) => {
                    rights.failed(ANNOUNCED, &error);
                    RETRY_EVERY.mul_f64(0.5 + rand::random::<f64>() / 2.0)
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
    if let Err(error) = within(announcer.take_back()).await {
        tracing::warn!(%error, "the announcement stays until its time is over");
    }
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
enum AnnounceError {
    /// The cluster refused it.
    #[error(transparent)]
    Refused(#[from] kube::Error),
    /// The cluster did not answer in time.
    #[error("no answer within {CALL_DEADLINE:?}")]
    Deadline,
    /// All Leases are held by others.
    #[error("all {LEASES_MAX} Leases are held by other replicas")]
    Full,
}

async fn within<T>(call: impl Future<Output = Result<T, AnnounceError>>) -> Result<T, AnnounceError> {
    tokio::time::timeout(CALL_DEADLINE, call).await.map_err(|_| AnnounceError::Deadline)?
}

/// None where somebody else was there first, or it is gone.
fn unless_late<T>(outcome: Result<T, kube::Error>) -> Result<Option<T>, kube::Error> {
    match outcome {
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// A replica, and which Lease it has.
struct Announcer {
    leases: Api<Lease>,
    announcement: Announcement,
    acquired: Timestamp,
    /// Which Lease, in which state.
    held: Option<(usize, Option<String>)>,
    /// In which state each Lease was seen, and since when: clocks are not compared.
    seen: HashMap<usize, (Option<String>, Instant)>,
}

impl Announcer {
    /// Renews the Lease, or takes one.
    async fn write(&mut self) -> Result<(), AnnounceError> {
        if let Some((place, version)) = self.held.take()
            && let Some(version) = self.replace(place, version).await?
        {
            self.held = Some((place, version));
            return Ok(());
        }
        let mut found = HashMap::new();
        for place in 0..LEASES_MAX {
            match self.leases.get_opt(&name(place)).await? {
                Some(lease) => drop(found.insert(place, lease)),
                None => drop(self.seen.remove(&place)),
            }
        }
        let now = Instant::now();
        for (place, lease) in &found {
            let version = lease.resource_version();
            if self.seen.get(place).is_none_or(|(seen, _)| *seen != version) {
                self.seen.insert(*place, (version, now));
            }
        }
        let is_abandoned = |place: usize, lease: &Lease| {
            let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).unwrap_or(LEASE_SECONDS);
            let duration = u64::try_from(seconds).map_or(Duration::ZERO, Duration::from_secs).min(LEASE_MAX);
            self.seen.get(&place).is_some_and(|(_, since)| now.duration_since(*since) > duration)
        };
        for place in self.announcement.places(&found, is_abandoned) {
            let written = match found.get(&place) {
                None => self.create(place).await?,
                Some(lease) => self.replace(place, lease.resource_version()).await?,
            };
            if let Some(version) = written {
                self.held = Some((place, version));
                return Ok(());
            }
        }
        Err(AnnounceError::Full)
    }

    /// Makes a Lease. Returns its state, unless somebody else has made it.
    async fn create(&self, place: usize) -> Result<Option<Option<String>>, kube::Error> {
        let lease = self.announcement.lease(place, self.acquired, Timestamp::now());
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        Ok(unless_late(self.leases.create(&params, &lease).await)?.map(|lease| lease.resource_version()))
    }

    /// Writes over a Lease in a state. Returns the new one, unless it is in another.
    async fn replace(&self, place: usize, version: Option<String>) -> Result<Option<Option<String>>, kube::Error> {
        let mut lease = self.announcement.lease(place, self.acquired, Timestamp::now());
        lease.metadata.resource_version = version;
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let written = self.leases.patch(&name(place), &params, &Patch::Merge(&lease)).await;
        Ok(unless_late(written)?.map(|lease| lease.resource_version()))
    }

    /// Deletes the Lease, unless another process has taken it over.
    async fn take_back(&self) -> Result<(), AnnounceError> {
        let Some((place, version)) = &self.held else { return Ok(()) };
        let preconditions = Preconditions { uid: None, resource_version: version.clone() };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        unless_late(self.leases.delete(&name(*place), &params).await)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(address: &str) -> Announcement {
        let certificate = Arc::new(ServingCertificate::default());
        Announcement {
            namespace: "system".to_owned(),
            identity: identity(),
            address: address.parse().unwrap(),
            certificate,
        }
    }

    fn names(places: Vec<usize>) -> Vec<String> {
        places.into_iter().map(name).collect()
    }

    #[test]
    fn a_replica_takes_the_lease_of_its_address_then_a_free_one_then_one_that_nobody_renews() {
        let (one, two) = (announcement("[::1]:8443"), announcement("10.0.0.7:8443"));
        let then = Timestamp::UNIX_EPOCH;
        let never = |_: usize, _: &Lease| false;
        let all = one.places(&HashMap::new(), never);
        assert_eq!(all.len(), LEASES_MAX, "each is free");
        let mut found: HashMap<usize, Lease> = (0..LEASES_MAX).map(|it| (it, two.lease(it, then, then))).collect();
        assert!(one.places(&found, never).is_empty());
        assert_eq!(one.places(&found, |place, _| place == 5), [5]);
        found.remove(&3);
        assert_eq!(one.places(&found, |place, _| place == 5), [3, 5]);
        // Another process, on the same address.
        found.insert(9, announcement("[::1]:8443").lease(9, then, then));
        assert_eq!(one.places(&found, |place, _| place == 5), [9, 3, 5]);
    }

    #[test]
    fn the_manifest_names_the_leases_there_are_and_no_others() {
        let manifest = include_str!("../../../deploy/manifests/21-apiserver-rbac.yaml");
        let named = manifest.split(|it: char| !it.is_ascii_alphanumeric() && it != '-');
        let named: Vec<&str> = named
            .filter(|word| word.strip_prefix("kindsmith-apiserver-").is_some_and(|rest| rest.parse::<u32>().is_ok()))
            .collect();
        assert_eq!(named, names((0..LEASES_MAX).collect()));
    }

    #[test]
    fn a_lease_says_who_and_where() {
        let (announcement, then) = (announcement("10.0.0.7:8443"), Timestamp::UNIX_EPOCH);
        let lease = announcement.lease(0, then, then);
        assert_eq!(lease.annotations()[ADDRESS_ANNOTATION], "10.0.0.7:8443");
        assert!(!lease.annotations().contains_key(CERTIFICATE_ANNOTATION), "it has none yet");
        assert_eq!(lease.labels()[REPLICA_LABEL], "apiserver");
        assert_eq!(lease.spec.unwrap().holder_identity, Some(announcement.identity));
    }
}
