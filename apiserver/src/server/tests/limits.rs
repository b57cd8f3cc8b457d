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
async fn connections_of_an_address_beyond_its_share_are_closed_until_others_end() {
    let limits = Limits { connections_of_address_max: 2, ..Limits::default() };
    let (issued, server) = plain(limits, Duration::ZERO).await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    let mut open = connect(server.address, &issued, Version::HTTP_2).await.unwrap();
    assert_eq!(open.text("/object").await.unwrap().0, 200);
    assert!(connect(server.address, &issued, Version::HTTP_2).await.is_err(), "there is a third one");
    assert_eq!(open.text("/object").await.unwrap().0, 200);
    drop(silent);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while connect(server.address, &issued, Version::HTTP_2).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the place is not given back");
        tokio::time::sleep(Duration::from_millis(10)).await;
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
async fn a_thousand_requests_run_at_once_on_one_connection_of_a_front_proxy_and_a_hundred_on_others() {
    for (standing, streams, requests) in [(Standing::FrontProxy, 1000, 1100), (Standing::Itself, 100, 150)] {
        let issued = issue();
        let takes = Duration::from_millis(1500);
        let server = start_for(&issued, Limits::default(), ShutdownTimes::at_once(), takes, standing).await;
        let Connection::Http2(sender) = connect(server.address, &issued, Version::HTTP_2).await.unwrap() else {
            panic!("HTTP/2 was asked for")
        };
        let asked = (0..requests).map(|_| {
            let mut connection = Connection::Http2(sender.clone());
            async move { connection.text("/object").await.unwrap().0 }
        });
        let codes = futures::future::join_all(asked).await;
        assert!(codes.iter().all(|code| *code == 200));
        assert_eq!(server.handler.running_max.load(Ordering::SeqCst), streams, "{standing:?}");
    }
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

/// The code of the answer to a request with so many headers of 60 bytes; none where the connection ends instead.
async fn with_headers(server: &Server, issued: &Issued, version: Version, headers: usize) -> Option<u16> {
    let mut connection = connect(server.address, issued, version).await.unwrap();
    let mut request = Request::get("https://localhost/object").header("host", "localhost");
    for number in 0..headers {
        request = request.header("x-remote-group", format!("{number:060}"));
    }
    match connection.send(request.body(Empty::new()).unwrap()).await {
        Outcome::Answered(answer) => Some(answer.status().as_u16()),
        Outcome::NotTaken | Outcome::Lost(_) => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_may_be_as_long_as_in_go_and_no_longer() {
    let (issued, server) = plain(Limits::default(), Duration::ZERO).await;
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for headers in [250, 4000] {
            assert_eq!(with_headers(&server, &issued, version, headers).await, Some(200), "{version:?} {headers}");
        }
        let too_many = with_headers(&server, &issued, version, 20_000).await;
        assert!(matches!(too_many, None | Some(431)), "{version:?} {too_many:?}");
    }
}

/// What a frame of HTTP/2 is about (RFC 9113, 6).
mod frames {
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const GOAWAY: u8 = 7;
    /// END_STREAM and END_HEADERS.
    pub(super) const WHOLE: u8 = 5;
    /// The reason of a reset: the answer is not wanted any more.
    pub(super) const CANCEL: [u8; 4] = 8_u32.to_be_bytes();
    /// `GET https://localhost/` in HPACK.
    pub(super) const GET: &[u8] = b"\x82\x87\x84\x01\x09localhost";
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Asks for one thing, and for many others that are cancelled at once. Returns the first frame that is an answer or the end.
async fn cancelling(standing: Standing, cancelled: u32) -> u8 {
    let issued = issue();
    let times = ShutdownTimes::at_once();
    let server = start_for(&issued, Limits::default(), times, Duration::from_millis(500), standing).await;
    let stream = tls(server.address, &issued, "h2").await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(frame(frames::SETTINGS, 0, 0, b""));
    sent.extend(frame(frames::HEADERS, frames::WHOLE, 1, frames::GET));
    for number in 1..=cancelled {
        sent.extend(frame(frames::HEADERS, frames::WHOLE, 2 * number + 1, frames::GET));
        sent.extend(frame(frames::RST_STREAM, 0, 2 * number + 1, &frames::CANCEL));
    }
    // The server may have ended the connection by then, which the frames say.
    let sending = tokio::spawn(async move {
        let _ = writer.write_all(&sent).await;
        writer
    });
    let answered = async {
        loop {
            let mut head = [0; 9];
            if reader.read_exact(&mut head).await.is_err() {
                return frames::GOAWAY;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            reader.read_exact(&mut payload).await.unwrap();
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            if head[3] == frames::GOAWAY || (head[3] == frames::HEADERS && stream == 1) {
                return head[3];
            }
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(10), answered).await.unwrap();
    drop(sending.await.unwrap());
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cancels_at_once_ends_no_connection_but_an_own_one() {
    assert_eq!(cancelling(Standing::FrontProxy, 5000).await, frames::HEADERS, "the connection of all users ended");
    assert_eq!(cancelling(Standing::Itself, 5000).await, frames::GOAWAY, "rapid resets are not noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_before_1_2_is_refused() {
    let (_, server) = plain(Limits::default(), Duration::ZERO).await;
    for minor in 0..=2 {
        // A ClientHello (RFC 4346, section 7.4.1.2) with one cipher suite, which all versions know.
        let hello = [&[3, minor][..], &[7; 32], &[0, 0, 2, 0, 0x2f, 1, 0]].concat();
        let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
        let message = [&[1, 0, 0, length(&hello)][..], &hello].concat();
        let record = [&[0x16, 3, 1, 0, length(&message)][..], &message].concat();
        let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        stream.write_all(&record).await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "the connection goes on");
        assert!(answer.first().is_none_or(|kind| *kind == 0x15), "no alert: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_servers_could_read_differently_is_no_request() {
    let (issued, server) = plain(Limits::default(), Duration::ZERO).await;
    let long = "a".repeat(70_000);
    let heads = [
        "Content-Length: 1\r\nContent-Length: 2".to_owned(),
        "Content-Length: 1, 2".to_owned(),
        "Content-Length: +1".to_owned(),
        "Content-Length: -1".to_owned(),
        "Transfer-Encoding: xchunked".to_owned(),
        "Transfer-Encoding: chunked, identity".to_owned(),
        "X-Remote-User : alice".to_owned(),
        "X-A: b\r\n folded".to_owned(),
        "X-A: b\0c".to_owned(),
        format!("X-A: {}", "a".repeat(2 << 20)),
    ];
    let requests = heads.iter().map(|head| format!("POST /a HTTP/1.1\r\nhost: localhost\r\n{head}\r\n\r\n"));
    let lines = [format!("GET /{long} HTTP/1.1"), "GET /a b HTTP/1.1".to_owned(), "GET /a HTTP/3.0".to_owned()];
    let requests = requests.chain(lines.iter().map(|line| format!("{line}\r\nhost: localhost\r\n\r\n")));
    for request in requests {
        let mut stream = tls(server.address, &issued, "http/1.1").await.unwrap();
        // The server may refuse it before all is sent.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
        let (line, answer) =
            (request.chars().take(80).collect::<String>(), String::from_utf8_lossy(&answer).into_owned());
        assert!(ended.is_ok(), "the connection goes on after {line:?}");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{line:?} got {answer}");
    }
    assert_eq!(server.handler.running_max.load(Ordering::SeqCst), 0, "a handler has run");
}
