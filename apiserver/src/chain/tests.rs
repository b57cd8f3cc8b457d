//! What clients see of the chain, over real connections.

use async_trait::async_trait;
use http::Version;
use http_body_util::BodyExt as _;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    authn::AuthenticationConfig,
    authz::{AuthzError, Decision},
    endpoints::probes::Check,
    server::{
        Limits, ShutdownTimes, serve,
        tests::{Connection, Issued, Outcome, connect, issue},
    },
};

/// Lets everybody do everything, once the gate is open.
struct Gate(watch::Receiver<bool>);

#[async_trait]
impl Authorizer for Gate {
    async fn authorize(&self, _: &UserInfo, _: &Attributes) -> Result<Decision, AuthzError> {
        let _ = self.0.clone().wait_for(|open| *open).await;
        Ok(Decision::Allow)
    }
}

struct Server {
    issued: Issued,
    address: std::net::SocketAddr,
    gate: watch::Sender<bool>,
    signal: CancellationToken,
}

async fn start(open: watch::Sender<bool>) -> Server {
    let issued = issue();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let certificate = Arc::new(ServingCertificate::default());
    certificate.load(issued.chain_pem.as_bytes(), issued.key_pem.as_bytes()).unwrap();
    let signal = CancellationToken::new();
    let times = ShutdownTimes { delay: Duration::from_secs(5), ..ShutdownTimes::at_once() };
    let lifecycle = Lifecycle::new(signal.clone(), times);
    let ending = Arc::clone(&lifecycle);
    let shutdown = Check::new("shutdown", move || {
        if ending.is_terminating() { Err("process is shutting down".to_owned()) } else { Ok(()) }
    });
    let probes =
        Probes { live: vec![Check::ping()], ready: vec![Check::ping(), shutdown], health: vec![Check::ping()] };
    let nobody = Arc::new(arc_swap::ArcSwap::from_pointee(AuthenticationConfig::default()));
    let chain = Chain::new(
        Arc::new(Registry::default()),
        Authenticators::new(nobody, None),
        Arc::new(Gate(open.subscribe())),
        None,
        probes,
        Arc::clone(&lifecycle),
        Arc::clone(&certificate),
    );
    // One connection is to take all places that a user can have.
    let limits = Limits { http2_streams_of_others_max: Limits::default().http2_streams_max, ..Limits::default() };
    tokio::spawn(serve(listener, certificate, limits, Arc::new(chain), lifecycle));
    Server { issued, address, gate: open, signal }
}

/// Half of the places are for others.
const READS_OF_ONE_MAX: usize = READS_IN_FLIGHT_MAX / 2;

const THINGS: &str = "/apis/a.example.com/v1/namespaces/default/things";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_requests_are_refused_and_watches_and_probes_are_not() {
    let server = start(watch::Sender::new(false)).await;
    let Connection::Http2(sender) = connect(server.address, &server.issued, Version::HTTP_2).await.unwrap() else {
        panic!("HTTP/2 was asked for")
    };
    let mut waiting = tokio::task::JoinSet::new();
    for path in [THINGS.to_owned(), format!("{THINGS}?watch=true")] {
        for _ in 0..READS_OF_ONE_MAX {
            let mut connection = Connection::Http2(sender.clone());
            let path = path.clone();
            waiting.spawn(async move { connection.text(&path).await.unwrap().0 });
        }
    }
    let mut connection = Connection::Http2(sender);
    // The first that is refused says that all places are taken. One that waits takes a place from another for a while.
    let mut took = 0;
    let refused = loop {
        let asked = tokio::time::timeout(Duration::from_millis(200), connection.ask(THINGS)).await;
        if let Ok(Outcome::Answered(answer)) = asked {
            break answer;
        }
        took += 1;
    };
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(refused.headers()["x-content-type-options"], "nosniff");
    let body = refused.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "Too many requests, please try again later.\n");
    assert_eq!(connection.text("/livez").await.unwrap(), (200, "ok".to_owned()));

    server.gate.send_replace(true);
    let metrics = connection.text("/metrics").await.unwrap().1;
    let codes = waiting.join_all().await;
    let answered = codes.iter().filter(|code| **code == 503).count();
    let refused = codes.iter().filter(|code| **code == 429).count();
    assert_eq!(answered + refused, 2 * READS_OF_ONE_MAX, "the registry is not there yet, and says so");
    assert!(refused <= took, "{refused} were refused for {took}");
    let terminated = "apiserver_request_terminations_total{verb=\"LIST\",group=\"\",version=\"\",resource=\"\",\
                      subresource=\"\",scope=\"namespace\",component=\"apiserver\",code=\"429\"}";
    assert!(metrics.contains(terminated), "{metrics}");
    assert!(metrics.contains("apiserver_current_inflight_requests{request_kind=\"mutating\"} 0\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_is_not_ready_and_answers_on() {
    let server = start(watch::Sender::new(true)).await;
    let mut connection = connect(server.address, &server.issued, Version::HTTP_2).await.unwrap();
    assert_eq!(connection.text("/readyz").await.unwrap(), (200, "ok".to_owned()));
    server.signal.cancel();
    let failed = "[+]ping ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n";
    assert_eq!(connection.text("/readyz").await.unwrap(), (500, failed.to_owned()));
    let reason = "internal server error: process is shutting down\n";
    assert_eq!(connection.text("/readyz/shutdown").await.unwrap(), (500, reason.to_owned()));
    assert_eq!(connection.text("/livez").await.unwrap(), (200, "ok".to_owned()));
    let mut new = connect(server.address, &server.issued, Version::HTTP_11).await.unwrap();
    assert_eq!(new.text("/version").await.unwrap().0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_up_paths_make_no_series() {
    let server = start(watch::Sender::new(true)).await;
    let mut connection = connect(server.address, &server.issued, Version::HTTP_2).await.unwrap();
    connection.text("/metrics").await.unwrap();
    for number in 0..50 {
        let things = format!("/apis/group{number}.example.com/v1/namespaces/team{number}/things{number}/name{number}");
        connection.text(&things).await.unwrap();
        connection.text(&format!("/made/up/{number}")).await.unwrap();
    }
    let (code, metrics) = connection.text("/metrics").await.unwrap();
    assert_eq!(code, 200);
    assert!(!metrics.contains("group1") && !metrics.contains("team1") && !metrics.contains("made"), "{metrics}");
    let series = metrics.lines().filter(|line| line.starts_with("apiserver_request_total{")).count();
    assert!(series <= 4, "{metrics}");
    for name in [
        "process_resident_memory_bytes ",
        "process_cpu_seconds_total ",
        "process_open_fds ",
        "kindsmith_registry_kinds 0",
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(name)), "{name} is not in {metrics}");
    }
    assert!(metrics.contains("kindsmith_serving_certificate_expiration_timestamp_seconds"), "{metrics}");
}
