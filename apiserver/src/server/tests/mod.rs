//! What clients see of connections, over real sockets.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::stream;
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::encode::response;

/// Limits of connections.
mod limits;

/// The end of a server.
mod shutdown;

/// A certificate for `localhost`.
pub(crate) struct Issued {
    pub(crate) chain_pem: String,
    pub(crate) key_pem: String,
    pub(crate) config: ClientConfig,
}

pub(crate) fn issue() -> Issued {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(issued.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    // A session that is resumed shows no certificate.
    config.resumption = rustls::client::Resumption::disabled();
    Issued { chain_pem: issued.cert.pem(), key_pem: issued.signing_key.serialize_pem(), config }
}

/// Answers `/PATH` after a while, and `/watch` with events until it is to end.
pub(crate) struct Answers {
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) takes: Duration,
    pub(crate) running: AtomicUsize,
    pub(crate) running_max: AtomicUsize,
    pub(crate) standing: Standing,
}

/// How often a watch of [`Answers`] has an event.
const EVENT_INTERVAL: Duration = Duration::from_millis(5);

impl Handler for Answers {
    fn standing(&self, _: &Peer) -> Standing {
        self.standing
    }

    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        if request.uri().path() == "/panic" {
            panic!("as the test wants");
        }
        if request.uri().path() == "/watch" {
            let lifecycle = Arc::clone(&self.lifecycle);
            let end = Box::pin(async move { lifecycle.watch_end().await });
            let events = stream::unfold(end, |mut end| async move {
                tokio::select! {
                    () = end.as_mut() => None,
                    () = tokio::time::sleep(EVENT_INTERVAL) => {
                        Some((Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"event\n"))), end))
                    }
                }
            });
            return Response::new(StreamBody::new(events).boxed_unsync());
        }
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.running_max.fetch_max(running, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        response::answer(StatusCode::OK, "text/plain", Bytes::from_static(b"done"))
    }

    fn panicked(&self) -> Response<Body> {
        response::answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", Bytes::from_static(b"panicked"))
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) signal: CancellationToken,
    pub(crate) handler: Arc<Answers>,
    pub(crate) certificate: Arc<ServingCertificate>,
    pub(crate) served: JoinHandle<Result<(), ServeError>>,
}

pub(crate) async fn start(issued: &Issued, limits: Limits, times: ShutdownTimes, takes: Duration) -> Server {
    start_for(issued, limits, times, takes, Standing::Itself).await
}

/// [`start`], for peers who are all of a standing.
pub(crate) async fn start_for(
    issued: &Issued,
    limits: Limits,
    times: ShutdownTimes,
    takes: Duration,
    standing: Standing,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let certificate = Arc::new(ServingCertificate::default());
    certificate.load(issued.chain_pem.as_bytes(), issued.key_pem.as_bytes()).unwrap();
    let signal = CancellationToken::new();
    let lifecycle = Lifecycle::new(signal.clone(), times);
    let handler = Arc::new(Answers {
        lifecycle: Arc::clone(&lifecycle),
        takes,
        running: AtomicUsize::new(0),
        running_max: AtomicUsize::new(0),
        standing,
    });
    let served = tokio::spawn(serve(listener, Arc::clone(&certificate), limits, Arc::clone(&handler), lifecycle));
    Server { address, signal, handler, certificate, served }
}

pub(crate) async fn tls(address: SocketAddr, issued: &Issued, protocol: &str) -> io::Result<TlsStream<TcpStream>> {
    let mut config = issued.config.clone();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// One connection of a client.
pub(crate) enum Connection {
    Http1(conn::http1::SendRequest<Empty<Bytes>>),
    Http2(conn::http2::SendRequest<Empty<Bytes>>),
}

pub(crate) async fn connect(address: SocketAddr, issued: &Issued, version: Version) -> io::Result<Connection> {
    if version == Version::HTTP_2 {
        let io = TokioIo::new(tls(address, issued, "h2").await?);
        let (sender, driver) = conn::http2::handshake(TokioExecutor::new(), io).await.map_err(io::Error::other)?;
        tokio::spawn(driver);
        return Ok(Connection::Http2(sender));
    }
    let io = TokioIo::new(tls(address, issued, "http/1.1").await?);
    let (sender, driver) = conn::http1::handshake(io).await.map_err(io::Error::other)?;
    tokio::spawn(driver);
    Ok(Connection::Http1(sender))
}

/// What became of a request.
pub(crate) enum Outcome {
    Answered(Response<Incoming>),
    /// It was not sent, or the server said that it did not look at it: another connection may be asked.
    NotTaken,
    Lost(String),
}

impl Connection {
    pub(crate) async fn ask(&mut self, path: &str) -> Outcome {
        let request = Request::get(format!("https://localhost{path}")).header("host", "localhost");
        self.send(request.body(Empty::new()).unwrap()).await
    }

    pub(crate) async fn send(&mut self, request: Request<Empty<Bytes>>) -> Outcome {
        let sent = match self {
            Connection::Http1(sender) => {
                if sender.ready().await.is_err() {
                    return Outcome::NotTaken;
                }
                sender.try_send_request(request).await
            }
            Connection::Http2(sender) => {
                if sender.ready().await.is_err() {
                    return Outcome::NotTaken;
                }
                sender.try_send_request(request).await
            }
        };
        match sent {
            Ok(answer) => Outcome::Answered(answer),
            Err(mut error) => match error.take_message() {
                Some(_) => Outcome::NotTaken,
                None => match format!("{:?}", error.into_error()) {
                    // The client's library says so of streams after the last one that the server has looked at.
                    reason if reason.contains("GoAway(b\"\", NO_ERROR, Remote)") => Outcome::NotTaken,
                    reason => Outcome::Lost(reason),
                },
            },
        }
    }

    pub(crate) async fn text(&mut self, path: &str) -> Result<(u16, String), String> {
        match self.ask(path).await {
            Outcome::Answered(answer) => {
                let code = answer.status().as_u16();
                let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
                Ok((code, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
            }
            Outcome::NotTaken => Err("not taken".to_owned()),
            Outcome::Lost(reason) => Err(reason),
        }
    }
}
