//! `/metrics`: what is counted, named as kube-apiserver names it.
//!
//! Source: k8s.io/apiserver/pkg/endpoints/metrics/metrics.go. Guarantee: the number of series is bounded by the kinds that
//! are served; no name, no namespace and no user is a label, and what is not served has empty labels.

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
    },
    registry::Registry,
};

/// One request, counted at its end.
mod request;

/// What is looked up when somebody asks: caches, registry, certificate.
mod state;

/// This process: memory, time, open files.
mod process;

/// The two text formats.
mod text;

pub use request::{RequestLabels, RequestRecord, ResourceLabels, WatchRecord};
pub use state::{InFlight, State};
pub use text::Exposition;

use request::{CodeLabels, LongRunningLabels, SizeLabels, TerminationLabels};

/// Bounds of `apiserver_request_duration_seconds`, in seconds.
const DURATION_BUCKETS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];

/// Bounds of `apiserver_response_sizes`, in bytes.
const RESPONSE_SIZE_BUCKETS: [f64; 7] = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Bounds of `apiserver_watch_events_sizes`, in bytes.
const EVENT_SIZE_BUCKETS: [f64; 8] = [1024.0, 2048.0, 4096.0, 8192.0, 16384.0, 32768.0, 65536.0, 131_072.0];

/// Makes the histogram of a family.
#[derive(Clone)]
struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    requests: Family<CodeLabels, Counter>,
    durations: Family<RequestLabels, Histogram, Buckets>,
    sizes: Family<SizeLabels, Histogram, Buckets>,
    long_running: Family<LongRunningLabels, Gauge>,
    terminations: Family<TerminationLabels, Counter>,
    watch_events: Family<ResourceLabels, Counter>,
    watch_event_sizes: Family<ResourceLabels, Histogram, Buckets>,
    handshake_errors: Counter,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Counters at zero, and what is looked up when somebody asks.
    #[must_use]
    pub fn new(state: impl Collector) -> Arc<Self> {
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(Buckets(&DURATION_BUCKETS)),
            sizes: Family::new_with_constructor(Buckets(&RESPONSE_SIZE_BUCKETS)),
            long_running: Family::default(),
            terminations: Family::default(),
            watch_events: Family::default(),
            watch_event_sizes: Family::new_with_constructor(Buckets(&EVENT_SIZE_BUCKETS)),
            handshake_errors: Counter::default(),
        };
        let registry = &mut metrics.registry;
        registry.register(
            "apiserver_request",
            "Requests by verb, dry run, group, version, resource, subresource, scope, component and code",
            metrics.requests.clone(),
        );
        registry.register(
            "apiserver_request_duration_seconds",
            "Time from a request to the end of its answer",
            metrics.durations.clone(),
        );
        registry.register("apiserver_response_sizes", "Bytes of answers to GET and LIST", metrics.sizes.clone());
        registry.register("apiserver_longrunning_requests", "Watches that are running", metrics.long_running.clone());
        registry.register(
            "apiserver_request_terminations",
            "Requests that were ended in self-defense",
            metrics.terminations.clone(),
        );
        registry.register("apiserver_watch_events", "Events sent to watches", metrics.watch_events.clone());
        registry.register(
            "apiserver_watch_events_sizes",
            "Bytes of the events sent to watches",
            metrics.watch_event_sizes.clone(),
        );
        registry.register(
            "apiserver_tls_handshake_errors",
            "Connections that ended in their TLS handshake",
            metrics.handshake_errors.clone(),
        );
        registry.register_collector(Box::new(process::Process));
        registry.register_collector(Box::new(state));
        Arc::new(metrics)
    }

    /// Counts a connection that ended in its TLS handshake.
    pub fn handshake_failed(&self) {
        self.handshake_errors.inc();
    }

    /// All metrics in the format that a client takes.
    ///
    /// # Errors
    /// When they cannot be written down.
    pub fn expose(&self, accept: Option<&str>) -> Result<Exposition, fmt::Error> {
        text::expose(&self.registry, accept)
    }
}
