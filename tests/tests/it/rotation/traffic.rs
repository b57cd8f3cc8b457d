//! Constant traffic through kube-apiserver, and past it with a connection for each request.

use std::{
    fmt,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kindsmith_tests::ControlPlane;
use kube::{
    Api, Client,
    api::{
        ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams, WatchEvent,
        WatchParams,
    },
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

/// Clients that send requests one after the other.
const CLIENTS: u64 = 20;

/// Instances that are read and changed.
const INSTANCES: u64 = 4;

/// How often a request has a connection of its own.
const CONNECT_EVERY: Duration = Duration::from_millis(50);

/// How long one request may take on a machine that does everything at once.
const REQUEST_MAX: Duration = Duration::from_secs(20);

/// How long a watch lasts that nobody ends: longer than the test.
const WATCH_SECONDS: u32 = 290;

const API_SERVICE: &str = "v1alpha1.apps.example.com";

/// What happened.
#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    connections: AtomicU64,
    events: AtomicU64,
    watches: AtomicUsize,
    failures: Mutex<Vec<String>>,
    slowest_ms: AtomicU64,
}

impl Counts {
    fn failed(&self, what: &str, error: &anyhow::Error) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{what}: {error:#}"));
    }
}

/// Running traffic.
pub(crate) struct Traffic {
    counts: Arc<Counts>,
    end: CancellationToken,
    tasks: JoinSet<()>,
    started: Instant,
    watches: usize,
}

/// What the traffic was.
#[derive(Debug)]
pub(crate) struct Figures {
    counts: Arc<Counts>,
    elapsed: Duration,
    watches_open: usize,
    watches: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let requests = count(&self.counts.requests);
        write!(
            formatter,
            "{requests} requests through kube-apiserver ({:.0}/s, slowest {} ms), {} connections of their own, \
             {} events on {} of {} watches, {} failures",
            requests as f64 / self.elapsed.as_secs_f64(),
            count(&self.counts.slowest_ms),
            count(&self.counts.connections),
            count(&self.counts.events),
            self.watches_open,
            self.watches,
            self.counts.failures.lock().unwrap_or_else(PoisonError::into_inner).len(),
        )
    }
}

impl Figures {
    /// Fails unless nobody noticed anything.
    pub(crate) fn check(&self) -> Result<()> {
        let failures = self.counts.failures.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(failures.is_empty(), "the first failures: {:#?}", &failures[..failures.len().min(5)]);
        ensure!(self.watches_open == self.watches, "{} of {} watches are open", self.watches_open, self.watches);
        Ok(())
    }
}

impl Traffic {
    /// Makes instances, opens watches, and begins to ask; `port` is where the Service is.
    pub(crate) async fn start(
        control_plane: &ControlPlane,
        port: u16,
        per_second: u64,
        watches: usize,
    ) -> Result<Traffic> {
        let client = control_plane.client().await?;
        let resource = ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk("apps.example.com", "v1alpha1", "Redis"),
            "redises",
        );
        let redises: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", &resource);
        for name in (0..INSTANCES).map(instance) {
            let object =
                json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": name}});
            redises.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        }
        let (counts, end) = (Arc::new(Counts::default()), CancellationToken::new());
        let mut tasks = JoinSet::new();
        let version = redises.list(&ListParams::default()).await?.metadata.resource_version.unwrap_or_default();
        for _ in 0..watches {
            tasks.spawn(watch(redises.clone(), version.clone(), Arc::clone(&counts), end.clone()));
        }
        let pause = Duration::from_micros(1_000_000 * CLIENTS / per_second);
        for number in 0..CLIENTS {
            tasks.spawn(requests(redises.clone(), number, pause, Arc::clone(&counts), end.clone()));
        }
        tasks.spawn(connections(client, port, Arc::clone(&counts), end.clone()));
        Ok(Traffic { counts, end, tasks, started: Instant::now(), watches })
    }

    /// Ends it.
    pub(crate) async fn stop(mut self) -> Result<Figures> {
        let elapsed = self.started.elapsed();
        let watches_open = self.counts.watches.load(Ordering::Relaxed);
        self.end.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("a client panicked")?;
        }
        Ok(Figures { counts: self.counts, elapsed, watches_open, watches: self.watches })
    }
}

fn instance(number: u64) -> String {
    format!("cache-{}", number % INSTANCES)
}

async fn watch(redises: Api<DynamicObject>, version: String, counts: Arc<Counts>, end: CancellationToken) {
    let followed = async {
        let params = WatchParams::default().timeout(WATCH_SECONDS);
        let mut events = redises.watch(&params, &version).await.context("opening")?.boxed();
        counts.watches.fetch_add(1, Ordering::Relaxed);
        while let Some(event) = events.try_next().await.context("reading")? {
            match event {
                WatchEvent::Error(status) => return Err(anyhow!("{status:?}")),
                _ => counts.events.fetch_add(1, Ordering::Relaxed),
            };
        }
        Err(anyhow!("it ended"))
    };
    tokio::select! {
        () = end.cancelled() => {}
        ended = followed => {
            counts.watches.fetch_sub(1, Ordering::Relaxed);
            let ended: Result<()> = ended;
            if let Err(error) = ended {
                counts.failed("a watch", &error);
            }
        }
    }
}

async fn requests(
    redises: Api<DynamicObject>,
    number: u64,
    pause: Duration,
    counts: Arc<Counts>,
    end: CancellationToken,
) {
    let mut ticks = interval(pause);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turn = number;
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            _ = ticks.tick() => {}
        }
        turn += 1;
        let (name, began) = (instance(turn), Instant::now());
        let request = async {
            if turn.is_multiple_of(10) {
                redises.list(&ListParams::default()).await.map(drop).context("list")
            } else if turn.is_multiple_of(33) {
                let patch = json!({"metadata": {"annotations": {"turn": turn.to_string()}}});
                redises.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await.map(drop).context("patch")
            } else {
                redises.get(&name).await.map(drop).context("get")
            }
        };
        let answered = timeout(REQUEST_MAX, request).await.unwrap_or_else(|_| Err(anyhow!("no answer in time")));
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        counts.slowest_ms.fetch_max(took, Ordering::Relaxed);
        match answered {
            Ok(()) => drop(counts.requests.fetch_add(1, Ordering::Relaxed)),
            Err(error) => counts.failed("a request", &error),
        }
    }
}

/// Asks past kube-apiserver, and verifies against the bundle that it is given.
async fn connections(client: Client, port: u16, counts: Arc<Counts>, end: CancellationToken) {
    let api_services: Api<APIService> = Api::all(client);
    let mut ticks = interval(CONNECT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match timeout(REQUEST_MAX, connect(&api_services, port)).await {
            Ok(Ok(())) => drop(counts.connections.fetch_add(1, Ordering::Relaxed)),
            Ok(Err(error)) => counts.failed("a connection", &error),
            Err(_) => counts.failed("a connection", &anyhow!("no answer in time")),
        }
    }
}

async fn connect(api_services: &Api<APIService>, port: u16) -> Result<()> {
    let found = api_services.get(API_SERVICE).await.context("reading the APIService")?;
    let bundle = found.spec.and_then(|spec| spec.ca_bundle).context("the APIService has no bundle")?;
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(&bundle.0) {
        roots.add(authority?)?;
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("kindsmith-apiserver.kindsmith-system.svc")?;
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.context("connecting")?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.context("the TLS handshake")?;
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: kindsmith\r\nconnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.context("reading the answer")?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "the answer is {}", String::from_utf8_lossy(&answer));
    Ok(())
}
