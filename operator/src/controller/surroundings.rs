//! Looks at the cluster around the definitions: certificates, APIServices, replicas, and who else asks for names.

use std::{fs::File, io::Read, path::Path, sync::Arc, time::Instant};

use jiff::Timestamp;
use k8s_openapi::{ByteString, kube_aggregator::pkg::apis::apiregistration::v1::APIService};

use super::Controller;
use crate::{
    CertificateKeeper,
    certificates::{CertificateState, Observed, Served, Spread, assess, bundle, external},
    decide::{Action, Cluster, ServiceTarget},
    group_version::GroupVersion,
    installation::Installation,
    ours::{carries, is_ours},
    watch::ClusterStores,
};

/// The largest file of a bundle.
const BUNDLE_BYTES_MAX: u64 = 1 << 20;

impl Controller {
    /// What is seen of the cluster, how the certificates stand, and what is to be done about them.
    pub(super) fn look_around(
        &self,
        stores: &ClusterStores,
        now: Timestamp,
    ) -> (Cluster, CertificateState, Vec<Action>) {
        let mut api_services = stores.api_services.state();
        api_services.sort_by(|left, right| left.metadata.name.cmp(&right.metadata.name));
        let ours = || api_services.iter().filter(|found| is_ours(found));
        let (ca, serving) = (stores.ca(), stores.serving());
        let served = match &self.following.replicas {
            None => Served::Unasked,
            Some(replicas) => {
                let living = replicas.living().into_iter();
                let shown = living.map(|replica| Some((*replica.answer?.ok()?.certificate).clone()));
                // One that is cut off from the cluster may be reached by kube-apiserver all the same.
                Served::Replicas(shown.chain(std::iter::repeat_n(None, replicas.lost())).collect())
            }
        };
        let through = ours().find_map(|found| group_version(found));
        let observed = Observed {
            spread: &|bundle| {
                if ours().all(|found| carries(found, bundle)) { Spread::Complete } else { Spread::Pending }
            },
            served: &served,
            // Without an APIService there is no way through kube-aggregator, and nobody on it.
            round_trip: &|key| through.is_none() || self.round_trip.as_deref() == Some(key),
        };
        let mut state = match &self.config.certificates {
            CertificateKeeper::Operator => assess(now, ca.as_deref(), serving.as_deref(), &self.sans, &observed),
            CertificateKeeper::Secret | CertificateKeeper::Files { .. } => {
                external(now, serving.as_deref(), self.bundle(stores))
            }
        };
        let write = state.work.take().map(|work| {
            let (name, existing) = if work.is_for_authority() {
                (self.config.ca_secret.clone(), ca)
            } else {
                (self.config.serving_secret.clone(), serving)
            };
            Action::WriteSecret { name, existing, work }
        });
        let trip = state.round_trip.take().zip(through);
        let trip = trip.map(|(key, group_version)| Action::RoundTrip { key, group_version });
        let service = ServiceTarget {
            namespace: self.config.namespace.clone(),
            name: self.config.service.clone(),
            port: self.config.service_port,
        };
        let crds = stores.crds(|group| self.following.told.groups.contains(group));
        let releases = stores.release_schema.backend();
        let bundle = state.bundle.take();
        let replicas =
            self.following.replicas.as_ref().map(|replicas| replicas.living().into_iter().map(Into::into).collect());
        let records = Arc::clone(&stores.records);
        let visible = self.following.discoverable.as_ref().map(|it| it.visible());
        let sights = self.following.references.as_ref().map(|it| it.sights()).unwrap_or_default();
        let roles = stores.roles.all();
        let installation = self
            .installation
            .as_ref()
            .map_or(Installation::Stays { anchor: None }, |watched| watched.installation(Instant::now()));
        (
            Cluster {
                api_services,
                crds,
                releases,
                bundle,
                service,
                replicas,
                records,
                roles,
                visible,
                sights,
                installation,
            },
            state,
            write.into_iter().chain(trip).collect(),
        )
    }

    /// The bundle that replicas are verified against.
    pub(super) fn bundle(&self, stores: &ClusterStores) -> Option<ByteString> {
        match &self.config.certificates {
            CertificateKeeper::Operator => stores.ca().and_then(|ca| bundle(&ca)),
            CertificateKeeper::Secret => stores.serving().and_then(|serving| bundle(&serving)),
            CertificateKeeper::Files { bundle } => read_bundle(bundle),
        }
    }
}

fn group_version(api_service: &APIService) -> Option<GroupVersion> {
    let spec = api_service.spec.as_ref()?;
    Some(GroupVersion { group: spec.group.clone()?, version: spec.version.clone()? })
}

/// Reads a bundle from its file; it is small, and there is no other way to hear of a change.
fn read_bundle(path: &Path) -> Option<ByteString> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BUNDLE_BYTES_MAX).read_to_end(&mut bytes));
    read.inspect_err(|error| tracing::error!(path = %path.display(), %error, "the bundle cannot be read")).ok()?;
    Some(ByteString(bytes))
}
