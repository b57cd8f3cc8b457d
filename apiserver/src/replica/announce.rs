//! The Lease that says where this replica is reached directly.
//!
//! # Flow
//! Applied when the server knows what it serves, renewed until it ends, deleted then. A replica that was killed
//! leaves a Lease that nobody renews: who reads it ignores it after its duration and removes it.
//!
//! # Why not EndpointSlices
//! They know only replicas behind a Service with a selector, refuse loopback addresses, and do not say which process
//! answers: after a restart the address is the same and the registry is not.

use std::{collections::BTreeMap, env, fs, net::SocketAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, Preconditions},
};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::server::ServingCertificate;

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

/// Hexadecimal digits of the hash in the Lease's name.
const NAME_DIGITS: usize = 16;

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
    /// One Lease an address: who comes after us on the same address takes it over.
    fn name(&self) -> String {
        let hash = format!("{:x}", Sha256::digest(self.address.to_string()));
        format!("kindsmith-apiserver-{}", hash.get(..NAME_DIGITS).unwrap_or(&hash))
    }

    fn lease(&self, acquired: Timestamp, now: Timestamp) -> Lease {
        let mut annotations = BTreeMap::from([(ADDRESS_ANNOTATION.to_owned(), self.address.to_string())]);
        annotations.extend(self.certificate.fingerprint().map(|it| (CERTIFICATE_ANNOTATION.to_owned(), it)));
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name()),
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

/// Announces a replica until `shutdown`, and takes the announcement back.
pub async fn announce(client: Client, announcement: Announcement, shutdown: CancellationToken) {
    let leases: Api<Lease> = Api::namespaced(client, &announcement.namespace);
    let acquired = Timestamp::now();
    let mut known = false;
    loop {
        let lease = announcement.lease(acquired, Timestamp::now());
        let pause = tokio::select! {
            () = shutdown.cancelled() => break,
            written = within(apply(&leases, &lease)) => match written {
                Ok(()) => {
                    if !known {
                        tracing::info!(identity = announcement.identity, address = %announcement.address, "announced");
                    }
                    known = true;
                    RENEW_EVERY.mul_f64(0.75 + rand::random::<f64>() / 4.0)
                }
                Err(error) => {
                    tracing::warn!(%error, "this replica cannot be announced; trying again");
                    RETRY_EVERY.mul_f64(0.5 + rand::random::<f64>() / 2.0)
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
    if let Err(error) = within(take_back(&leases, &announcement)).await {
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
}

async fn within<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, AnnounceError> {
    Ok(tokio::time::timeout(CALL_DEADLINE, call).await.map_err(|_| AnnounceError::Deadline)??)
}

async fn apply(leases: &Api<Lease>, lease: &Lease) -> Result<(), kube::Error> {
    let params = PatchParams::apply(FIELD_MANAGER).force();
    leases.patch(&lease.name_any(), &params, &Patch::Apply(lease)).await.map(drop)
}

/// Deletes the Lease, unless another process has taken it over.
async fn take_back(leases: &Api<Lease>, announcement: &Announcement) -> Result<(), kube::Error> {
    let name = announcement.name();
    let Some(held) = leases.get_opt(&name).await? else { return Ok(()) };
    if held.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref()) != Some(&announcement.identity) {
        return Ok(());
    }
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: held.uid(), resource_version: held.resource_version() }),
        ..DeleteParams::default()
    };
    match leases.delete(&name, &params).await {
        // Taken over, or gone.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        outcome => outcome.map(drop),
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

    #[test]
    fn an_address_has_one_lease_whoever_is_there() {
        let (one, two) = (announcement("[::1]:8443"), announcement("[::1]:8443"));
        assert_ne!(one.identity, two.identity);
        assert_eq!(one.name(), two.name());
        assert_ne!(one.name(), announcement("127.0.0.1:8443").name());
    }

    #[test]
    fn a_lease_says_who_and_where() {
        let (announcement, then) = (announcement("10.0.0.7:8443"), Timestamp::UNIX_EPOCH);
        let lease = announcement.lease(then, then);
        assert_eq!(lease.annotations()[ADDRESS_ANNOTATION], "10.0.0.7:8443");
        assert!(!lease.annotations().contains_key(CERTIFICATE_ANNOTATION), "it has none yet");
        assert_eq!(lease.labels()[REPLICA_LABEL], "apiserver");
        assert_eq!(lease.spec.unwrap().holder_identity, Some(announcement.identity));
    }
}
