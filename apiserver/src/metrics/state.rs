//! What is looked up when somebody asks for metrics: caches, registry, certificate, requests in flight.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use sha2::{Digest as _, Sha256};

use super::request::ResourceLabels;
use crate::{
    registry::{Registry, Snapshot},
    server::ServingCertificate,
    storage::cache::WatchCache,
};

/// How many requests run, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// Requests that read.
    pub reads: usize,
    /// Requests that write.
    pub writes: usize,
}

/// What is looked up.
pub struct State {
    /// The kinds and their caches.
    pub registry: Arc<Registry>,
    /// The serving certificate.
    pub certificate: Arc<ServingCertificate>,
    /// Requests that run.
    pub in_flight: Box<dyn Fn() -> InFlight + Send + Sync>,
}

impl fmt::Debug for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("State").finish_non_exhaustive()
    }
}

/// Of a cache, what a gauge says.
type Look = fn(&WatchCache) -> u64;

/// Gauges of each cache; there is one for each version of a kind.
const CACHES: [(&str, &str, Look); 4] = [
    ("kindsmith_cache_objects", "Objects in the cache of a resource.", |cache| cache.objects() as u64),
    ("kindsmith_cache_resource_version", "The newest resourceVersion that a cache knows.", WatchCache::revision),
    ("kindsmith_cache_ready", "Whether a cache has been filled.", |cache| u64::from(cache.is_ready())),
    ("kindsmith_cache_watchers", "Watches that follow a cache.", |cache| cache.watchers() as u64),
];

/// Names what is served: equal digests serve equal kinds, on whichever replica.
fn digest(snapshot: &Snapshot) -> String {
    let mut digest = Sha256::new();
    let discovery = snapshot.discovery.get("/apis").and_then(|document| document.aggregated());
    for document in [discovery, snapshot.openapi.index()].into_iter().flatten() {
        digest.update(document.hash.as_bytes());
    }
    digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

impl Collector for State {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let snapshot = self.registry.snapshot();
        for (name, help, look) in CACHES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for served in snapshot.kinds() {
                for view in &served.views {
                    let labels = ResourceLabels {
                        group: served.kind.group.clone(),
                        version: view.projection().version().name.clone(),
                        resource: served.kind.names.plural.clone(),
                    };
                    ConstGauge::new(look(view.cache())).encode(family.encode_family(&labels)?)?;
                }
            }
        }
        let (name, help) = ("kindsmith_registry_info", "What is served; equal digests serve equal kinds.");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(1_u64).encode(family.encode_family(&[("digest", digest(&snapshot))])?)?;

        let running = (self.in_flight)();
        let (name, help) = ("apiserver_current_inflight_requests", "Requests that run, by kind.");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (kind, count) in [("readOnly", running.reads), ("mutating", running.writes)] {
            ConstGauge::new(count as u64).encode(family.encode_family(&[("request_kind", kind)])?)?;
        }

        let swaps = ConstCounter::new(self.registry.swap_count());
        let (name, help) = ("kindsmith_registry_swaps", "How often other kinds became the ones that are served.");
        swaps.encode(encoder.encode_descriptor(name, help, None, swaps.metric_type())?)?;

        let mut gauge = |name: &str, help: &str, value: f64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        gauge("kindsmith_registry_kinds", "Kinds that are served.", f64::from(count(snapshot.kinds().count())))?;
        if let Some(at) = self.registry.swapped_at() {
            let help = "When the kinds that are served became so, in seconds of Unix time.";
            gauge("kindsmith_registry_swap_timestamp_seconds", help, at)?;
        }
        if let Some(at) = self.certificate.not_after() {
            let help = "When the serving certificate ends, in seconds of Unix time.";
            gauge("kindsmith_serving_certificate_expiration_timestamp_seconds", help, at)?;
        }
        Ok(())
    }
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
