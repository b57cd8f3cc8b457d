//! One request: what it was, and how it ended. It is counted when the last that works on it lets go of it, so a watch is
//! counted when it ends, as in kube-apiserver.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU64, Ordering},
    },
    time::Instant,
};

use http::{HeaderMap, Method, StatusCode, header};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
};

use super::Metrics;
use crate::request::{DryRun, ResourceTarget, Target, Verb};

/// The component that kube-apiserver names for itself, too.
const COMPONENT: &str = "apiserver";

/// The size of an answer that is not known beforehand.
const SIZE_UNKNOWN: u64 = u64::MAX;

/// Labels of a request.
#[derive(Clone, Debug, Default, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RequestLabels {
    /// The verb in upper case.
    pub verb: &'static str,
    /// `All`, empty, or `invalid`.
    pub dry_run: &'static str,
    /// The API group; empty for what is not served.
    pub group: String,
    /// The version; empty for what is not served.
    pub version: String,
    /// The plural; empty for what is not served.
    pub resource: String,
    /// The subresource; for a probe, its path.
    pub subresource: &'static str,
    /// `resource`, `namespace`, `cluster`, or empty.
    pub scope: &'static str,
    /// Who answered.
    pub component: &'static str,
}

/// Labels of a resource.
#[derive(Clone, Debug, Default, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ResourceLabels {
    /// The API group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The plural.
    pub resource: String,
}

/// Labels of a request that has ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct CodeLabels {
    verb: &'static str,
    dry_run: &'static str,
    group: String,
    version: String,
    resource: String,
    subresource: &'static str,
    scope: &'static str,
    component: &'static str,
    code: u16,
}

/// Labels of a request that was ended in self-defense.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct TerminationLabels {
    verb: &'static str,
    group: String,
    version: String,
    resource: String,
    subresource: &'static str,
    scope: &'static str,
    component: &'static str,
    code: u16,
}

/// Labels of a request that runs.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct LongRunningLabels {
    verb: &'static str,
    group: String,
    version: String,
    resource: String,
    subresource: &'static str,
    scope: &'static str,
    component: &'static str,
}

/// The size of an answer has the same labels.
pub(super) type SizeLabels = LongRunningLabels;

impl RequestLabels {
    /// The labels of a request. `served` says whether its resource is one of ours: what is not has no labels, since
    /// clients could make up any number of them.
    #[must_use]
    pub fn new(
        target: &Target,
        method: &Method,
        query: Option<&str>,
        headers: &HeaderMap,
        served: impl FnOnce(&ResourceTarget) -> bool,
    ) -> Self {
        let component = COMPONENT;
        let target = match target {
            Target::Resource(target) => target,
            Target::NonResource { path } => {
                let subresource = match path.as_str() {
                    "/livez" => "/livez",
                    "/readyz" => "/readyz",
                    "/healthz" => "/healthz",
                    _ => "",
                };
                return Self { verb: verb(method, "", headers), subresource, component, ..Self::default() };
            }
        };
        let scope = if target.name.is_some() || target.verb == Verb::Create {
            "resource"
        } else if target.namespace.is_some() {
            "namespace"
        } else {
            "cluster"
        };
        let verb = if target.verb == Verb::Watch { "WATCH" } else { verb(method, scope, headers) };
        let labels = Self { verb, dry_run: dry_run(query), scope, component, ..Self::default() };
        if !served(target) {
            return labels;
        }
        let subresource = match target.subresource.as_deref() {
            Some("status") => "status",
            Some("scale") => "scale",
            _ => "",
        };
        let (group, version, resource) = (target.group.clone(), target.version.clone(), target.resource.clone());
        Self { group, version, resource, subresource, ..labels }
    }

    fn with_code(self, code: u16) -> CodeLabels {
        let Self { verb, dry_run, group, version, resource, subresource, scope, component } = self;
        CodeLabels { verb, dry_run, group, version, resource, subresource, scope, component, code }
    }

    fn terminated(self, code: u16) -> TerminationLabels {
        let Self { verb, group, version, resource, subresource, scope, component, .. } = self;
        TerminationLabels { verb, group, version, resource, subresource, scope, component, code }
    }

    fn running(self) -> LongRunningLabels {
        let Self { verb, group, version, resource, subresource, scope, component, .. } = self;
        LongRunningLabels { verb, group, version, resource, subresource, scope, component }
    }
}

/// The verb as metrics spell it (CanonicalVerb, CleanVerb, validRequestMethods).
fn verb(method: &Method, scope: &str, headers: &HeaderMap) -> &'static str {
    match method.as_str() {
        "GET" | "HEAD" if scope != "resource" && !scope.is_empty() => "LIST",
        "GET" | "HEAD" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => {
            let kind = headers.get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
            if kind == Some(b"application/apply-patch+yaml") { "APPLY" } else { "PATCH" }
        }
        "DELETE" => "DELETE",
        _ => "other",
    }
}

fn dry_run(query: Option<&str>) -> &'static str {
    if !query.is_some_and(|query| query.contains("dryRun")) {
        return "";
    }
    match DryRun::of_query(query) {
        Ok(DryRun::All) => "All",
        Ok(DryRun::No) => "",
        Err(_) => "invalid",
    }
}

/// Counts a request when it is dropped.
#[derive(Debug)]
pub struct RequestRecord {
    metrics: Arc<Metrics>,
    labels: RequestLabels,
    began: Instant,
    code: AtomicU16,
    bytes: AtomicU64,
    running: Option<Gauge>,
}

impl RequestRecord {
    /// A request that has begun.
    #[must_use]
    pub fn new(metrics: &Arc<Metrics>, labels: RequestLabels, began: Instant) -> Arc<Self> {
        let running = (labels.verb == "WATCH").then(|| {
            let running = metrics.long_running.get_or_create_owned(&labels.clone().running());
            running.inc();
            running
        });
        let (code, bytes) = (AtomicU16::new(0), AtomicU64::new(SIZE_UNKNOWN));
        Arc::new(Self { metrics: Arc::clone(metrics), labels, began, code, bytes, running })
    }

    /// Says how it was answered, and with how many bytes, if that is known.
    pub fn answered(&self, code: StatusCode, bytes: Option<u64>) {
        self.code.store(code.as_u16(), Ordering::Relaxed);
        self.bytes.store(bytes.unwrap_or(SIZE_UNKNOWN), Ordering::Relaxed);
    }

    /// For the events of a watch.
    #[must_use]
    pub fn watch(self: &Arc<Self>) -> WatchRecord {
        let RequestLabels { group, version, resource, .. } = self.labels.clone();
        let labels = ResourceLabels { group, version, resource };
        WatchRecord {
            events: self.metrics.watch_events.get_or_create_owned(&labels),
            sizes: self.metrics.watch_event_sizes.get_or_create_owned(&labels),
            _request: Arc::clone(self),
        }
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.dec();
        }
        // A client that left before the answer is not counted, as in kube-apiserver.
        let code = self.code.load(Ordering::Relaxed);
        if code == 0 {
            return;
        }
        let labels = &self.labels;
        self.metrics.requests.get_or_create(&labels.clone().with_code(code)).inc();
        self.metrics.durations.get_or_create(labels).observe(self.began.elapsed().as_secs_f64());
        if matches!(code, 429 | 504) {
            self.metrics.terminations.get_or_create(&labels.clone().terminated(code)).inc();
        }
        let bytes = self.bytes.load(Ordering::Relaxed);
        if matches!(labels.verb, "GET" | "LIST") && bytes != SIZE_UNKNOWN {
            self.metrics.sizes.get_or_create(&labels.clone().running()).observe(bytes as f64);
        }
    }
}

/// Counts the events of a watch, which runs as long as this is held.
#[derive(Debug)]
pub struct WatchRecord {
    events: Counter,
    sizes: Histogram,
    _request: Arc<RequestRecord>,
}

impl WatchRecord {
    /// Counts an event of so many bytes.
    pub fn sent(&self, bytes: usize) {
        self.events.inc();
        self.sizes.observe(bytes as f64);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use rstest::rstest;

    use super::*;
    use crate::request::target;

    fn labels(method: &str, uri: &str) -> String {
        let (path, query) = uri.split_once('?').map_or((uri, None), |(path, query)| (path, Some(query)));
        let method: Method = method.parse().unwrap();
        let target = target(&method, path, query).unwrap();
        let labels =
            RequestLabels::new(&target, &method, query, &HeaderMap::new(), |target| target.resource == "redises");
        let RequestLabels { verb, dry_run, group, version, resource, subresource, scope, .. } = labels;
        format!("{verb} {dry_run} {group} {version} {resource} {subresource} {scope}")
    }

    const ONE: &str = "/apis/a.example.com/v1/namespaces/default/redises/cache";
    const MANY: &str = "/apis/a.example.com/v1/namespaces/default/redises";
    const ALL: &str = "/apis/a.example.com/v1/redises";

    #[rstest]
    #[case("GET", ONE, "GET  a.example.com v1 redises  resource")]
    #[case("HEAD", ONE, "GET  a.example.com v1 redises  resource")]
    #[case("GET", MANY, "LIST  a.example.com v1 redises  namespace")]
    #[case("GET", ALL, "LIST  a.example.com v1 redises  cluster")]
    #[case("POST", MANY, "POST  a.example.com v1 redises  resource")]
    #[case("DELETE", MANY, "DELETE  a.example.com v1 redises  namespace")]
    #[case("OPTIONS", MANY, "other  a.example.com v1 redises  namespace")]
    fn verbs_and_scopes_are_those_of_kube_apiserver(#[case] method: &str, #[case] uri: &str, #[case] expected: &str) {
        assert_eq!(labels(method, uri), expected);
    }

    #[rstest]
    #[case("?watch=true", "WATCH  a.example.com v1 redises  namespace")]
    #[case("?dryRun=All", "LIST All a.example.com v1 redises  namespace")]
    #[case("?dryRun=Some", "LIST invalid a.example.com v1 redises  namespace")]
    #[case("/cache/status", "GET  a.example.com v1 redises status resource")]
    #[case("/cache/scale", "GET  a.example.com v1 redises scale resource")]
    #[case("/cache/made-up", "GET  a.example.com v1 redises  resource")]
    fn queries_and_subresources_are_folded(#[case] rest: &str, #[case] expected: &str) {
        assert_eq!(labels("GET", &format!("{MANY}{rest}")), expected);
    }

    #[rstest]
    #[case("/apis/made.up/v1/namespaces/default/things/x", "GET      resource")]
    #[case("/apis/made.up/v2/others", "LIST      cluster")]
    #[case("/made/up", "GET      ")]
    #[case("/readyz", "GET     /readyz ")]
    #[case("/readyz/ping", "GET      ")]
    fn what_is_not_served_has_empty_labels(#[case] uri: &str, #[case] expected: &str) {
        assert_eq!(labels("GET", uri), expected);
    }

    #[test]
    fn an_apply_is_told_from_other_patches() {
        let mut headers = HeaderMap::new();
        assert_eq!(verb(&Method::PATCH, "resource", &headers), "PATCH");
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/apply-patch+yaml"));
        assert_eq!(verb(&Method::PATCH, "resource", &headers), "APPLY");
    }

    #[derive(Debug)]
    struct Nothing;

    impl prometheus_client::collector::Collector for Nothing {
        fn encode(&self, _: prometheus_client::encoding::DescriptorEncoder) -> Result<(), std::fmt::Error> {
            Ok(())
        }
    }

    fn record(metrics: &Arc<Metrics>, uri: &str) -> Arc<RequestRecord> {
        let (path, query) = uri.split_once('?').map_or((uri, None), |(path, query)| (path, Some(query)));
        let target = target(&Method::GET, path, query).unwrap();
        let labels = RequestLabels::new(&target, &Method::GET, query, &HeaderMap::new(), |_| true);
        RequestRecord::new(metrics, labels, Instant::now())
    }

    #[test]
    fn a_watch_is_counted_while_it_runs_and_again_when_it_ends() {
        let metrics = Metrics::new(Nothing);
        let request = record(&metrics, &format!("{ALL}?watch=1"));
        let watch = request.watch();
        watch.sent(100);
        watch.sent(3000);
        request.answered(StatusCode::OK, None);
        drop(request);
        let running = metrics.expose(None).unwrap().body;
        let labels = "group=\"a.example.com\",version=\"v1\",resource=\"redises\"";
        let of = |line: &str| line.replace('@', labels);
        let long = "apiserver_longrunning_requests{verb=\"WATCH\",@,subresource=\"\",scope=\"cluster\",component=\"apiserver\"}";
        assert!(running.contains(&of(&format!("{long} 1\n"))), "{running}");
        assert!(running.contains(&of("apiserver_watch_events_total{@} 2\n")), "{running}");
        assert!(running.contains(&of("apiserver_watch_events_sizes_bucket{le=\"1024.0\",@} 1\n")), "{running}");
        assert!(!running.contains("apiserver_request_total"), "{running}");
        drop(watch);
        let ended = metrics.expose(None).unwrap().body;
        assert!(ended.contains(&of(&format!("{long} 0\n"))), "{ended}");
        let total = "apiserver_request_total{verb=\"WATCH\",dry_run=\"\",@,subresource=\"\",scope=\"cluster\",\
                     component=\"apiserver\",code=\"200\"} 1\n";
        assert!(ended.contains(&of(total)), "{ended}");
    }

    #[test]
    fn requests_are_counted_by_code_and_those_refused_in_self_defense_besides() {
        let metrics = Metrics::new(Nothing);
        for (code, bytes) in [(StatusCode::OK, Some(5000)), (StatusCode::TOO_MANY_REQUESTS, Some(10))] {
            record(&metrics, ALL).answered(code, bytes);
        }
        drop(record(&metrics, ALL));
        let text = metrics.expose(None).unwrap().body;
        let lines = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(lines("apiserver_request_total{"), 2, "{text}");
        assert_eq!(lines("apiserver_request_terminations_total{"), 1, "{text}");
        assert_eq!(lines("apiserver_request_duration_seconds_count{"), 1, "{text}");
        assert_eq!(lines("apiserver_response_sizes_bucket{"), 8, "{text}");
    }
}
