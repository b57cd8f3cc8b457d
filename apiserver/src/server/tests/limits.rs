//! Limits of connections, and certificates that change.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

async fn plain(limits: Limits, takes: Duration) -> (Issued, Server) {
    let issued = issue();
    let server = start(&issued, limits, ShutdownTimes::at_once(), takes).await;
    (issued, server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_is_shown_to_the_next_client_and_open_connections_go_on() {
    let (first, server) = plain(Limits::default(), Duration::ZERO).await;
    let mut open = connect(server.address, &first, Version::HTTP_2).await.unwrap();
    assert_eq!(open.text("/object").await.unwrap().0, 200);
    let shown = server.certificate.fingerprint();

    let second = issue();
    assert!(server.certificate.load(first.chain_pem.as_bytes(), second.key_pem.as_bytes()).is_err());
    assert!(server.certificate.load(b"", second.key_pem.as_bytes()).is_err());
    assert_eq!(server.certificate.fingerprint(), shown, "what cannot be used has replaced what can");

    server.certificate.load(second.chain_pem.as_bytes(), second.key_pem.as_bytes()).unwrap();
    assert_ne!(server.certificate.fingerprint(), shown);
    assert_eq!(open.text("/object").await.unwrap().0, 200);
    assert!(connect(server.address, &first, Version::HTTP_2).await.is_err());
    let mut new = connect(server.address, &second, Version::HTTP_11).await.unwrap();
    assert_eq!(new.text("/object").await.unwrap().0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_do_not_come_in_time_end_the_connection() {
    let limits = Limits { header_read_max: Duration::from_millis(200), ..Limits::default() };
    let (issued, server) = plain(limits, Duration::ZERO).await;
    for sent in ["", "GET /object HTTP/1.1\r\nhost: loc"] {
        let mut stream = tls(server.address, &issued, "http/1.1").await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "the connection stays open after {sent:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_of_http1_ends() {
    let limits = Limits { header_read_max: Duration::from_millis(200), ..Limits::default() };
    let (issued, server) = plain(limits, Duration::ZERO).await;
    let mut stream = tls(server.address, &issued, "http/1.1").await.unwrap();
    stream.write_all(b"GET /object HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the idle connection stays open");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_of_http2_ends_and_one_with_a_watch_does_not() {
    let limits = Limits { idle_max: Duration::from_millis(200), ..Limits::default() };
    let (issued, server) = plain(limits, Duration::ZERO).await;
    let mut idle = connect(server.address, &issued, Version::HTTP_2).await.unwrap();
    let mut busy = connect(server.address, &issued, Version::HTTP_2).await.unwrap();
    assert_eq!(idle.text("/object").await.unwrap().0, 200);
    let Outcome::Answered(mut watch) = busy.ask("/watch").await else { panic!("the watch did not begin") };
    let end = tokio::time::Instant::now() + Duration::from_secs(1);
    while tokio::time::Instant::now() < end {
        assert!(watch.body_mut().frame().await.unwrap().is_ok());
    }
    assert!(matches!(idle.ask("/object").await, Outcome::NotTaken), "the idle connection stays open");
    assert_eq!(busy.text("/object").await.unwrap().0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_does_not_end_is_given_up() {
    let limits = Limits { handshake_max: Duration::from_millis(200), ..Limits::default() };
    let (_, server) = plain(limits, Duration::ZERO).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection stays open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_run_at_once_on_one_connection_and_no_more() {
    let (issued, server) = plain(Limits::default(), Duration::from_millis(1500)).await;
    let Connection::Http2(sender) = connect(server.address, &issued, Version::HTTP_2).await.unwrap() else {
        panic!("HTTP/2 was asked for")
    };
    let asked = (0..1100).map(|_| {
        let mut connection = Connection::Http2(sender.clone());
        async move { connection.text("/object").await.unwrap().0 }
    });
    let codes = futures::future::join_all(asked).await;
    assert!(codes.iter().all(|code| *code == 200));
    assert_eq!(server.handler.running_max.load(Ordering::SeqCst), 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn further_connections_wait_for_room() {
    let (issued, server) = plain(Limits { connections_max: 1, ..Limits::default() }, Duration::ZERO).await;
    let first = connect(server.address, &issued, Version::HTTP_2).await.unwrap();
    let mut second = Box::pin(connect(server.address, &issued, Version::HTTP_2));
    assert!(tokio::time::timeout(Duration::from_millis(300), second.as_mut()).await.is_err());
    drop(first);
    tokio::time::timeout(Duration::from_secs(5), second).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_panics_is_answered_and_the_connection_goes_on() {
    let (issued, server) = plain(Limits::default(), Duration::ZERO).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut connection = connect(server.address, &issued, version).await.unwrap();
        assert_eq!(connection.text("/panic").await.unwrap(), (500, "panicked".to_owned()));
        assert_eq!(connection.text("/object").await.unwrap().0, 200);
    }
}
