//! Connections: accept, TLS, HTTP/1.1 and HTTP/2, limits, shutdown.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use rustls::pki_types::CertificateDer;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use addresses::Addresses;
use refusals::{Burst, Refusals};

/// The serving certificate, replaced while we serve.
mod certificate;

/// Client certificates at the level of TLS: proof of the key, no judgement of the name.
mod client_certificates;

/// Bodies of requests, bounded.
mod body;

/// How a server ends, step by step.
mod lifecycle;

/// Whether a connection has something to do.
mod activity;

/// Answers that are being sent.
mod sending;

/// How many files may be open.
mod file_limit;

/// Connections that cannot be accepted.
mod refusals;

/// Connections by where they come from.
mod addresses;

/// One connection: TLS, HTTP/1.1 or HTTP/2, its requests, its end.
mod connection;

#[cfg(test)]
pub(crate) mod tests;

pub use body::{BodyError, read_body};
pub use certificate::{CertificateError, ServingCertificate};
pub use lifecycle::{Lifecycle, ShutdownTimes};
pub use sending::UntilSent;

/// How long the last connections are waited for that the kernel holds when the server closes.
const BACKLOG_WAIT: Duration = Duration::from_millis(100);

/// The error of a response's body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a response.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

/// The other end of a connection. Every request carries it as an extension, in an `Arc`.
#[derive(Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The certificates it showed, its own first; whose key it has was proved. Who issued them was not judged.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// For whom the other end of a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// For many users, as kube-apiserver does: what one of them does must not end the connection of all.
    FrontProxy,
    /// For itself.
    Itself,
}

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// For whom a peer speaks. It decides the limits of its connection.
    fn standing(&self, _: &Peer) -> Standing {
        Standing::Itself
    }

    /// Answers one request.
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;

    /// Hears of a connection that ended in its TLS handshake.
    fn handshake_failed(&self) {}

    /// The answer when `handle` panicked.
    fn panicked(&self) -> Response<Body>;
}

/// Bounds of connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; further ones wait to be accepted.
    pub connections_max: usize,
    /// Connections of one address at once that are none of a front proxy, or in their handshake; further ones are closed.
    pub connections_of_address_max: usize,
    /// How long a TLS handshake may take.
    pub handshake_max: Duration,
    /// How long the header of an HTTP/1.1 request may take.
    pub header_read_max: Duration,
    /// Requests at once on one HTTP/2 connection of a front proxy, which sends all users' requests over few connections.
    pub http2_streams_max: u32,
    /// Requests at once on one HTTP/2 connection of anybody else.
    pub http2_streams_of_others_max: u32,
    /// How long an HTTP/2 connection may have nothing to do. One of HTTP/1.1 must send a header within its time.
    pub idle_max: Duration,
    /// How long a piece of an answer may wait until the client takes it.
    pub stalled_max: Duration,
    /// How often an HTTP/2 connection is asked whether it is alive.
    pub http2_ping_interval: Duration,
    /// How long the answer may take before the connection is closed.
    pub http2_ping_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_of_address_max: 1000,
            handshake_max: Duration::from_secs(10),
            header_read_max: Duration::from_secs(32),
            http2_streams_max: 1000,
            // As kube-apiserver has it.
            http2_streams_of_others_max: 100,
            idle_max: Duration::from_secs(90),
            stalled_max: Duration::from_secs(60),
            http2_ping_interval: Duration::from_secs(30),
            http2_ping_max: Duration::from_secs(15),
        }
    }
}

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The TLS settings are refused.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// Serves until the lifecycle says to close, then until all requests have ended or the time for that is over.
///
/// # Errors
/// When TLS cannot be set up.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    certificate: Arc<ServingCertificate>,
    limits: Limits,
    handler: Arc<H>,
    lifecycle: Arc<Lifecycle>,
) -> Result<(), ServeError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = client_certificates::AnyIssuer::new(&provider);
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    if let Some(files) = file_limit::raise() {
        tracing::debug!(files, "the limit of open files");
    }
    let mut refusals = Refusals::default();
    let connections = TaskTracker::new();
    let room = Arc::new(Semaphore::new(limits.connections_max));
    let addresses = Addresses::new(limits.connections_of_address_max);
    let start = |(stream, address, permit): (TcpStream, SocketAddr, OwnedSemaphorePermit)| {
        let Some(counted) = addresses.count(address.ip()) else {
            tracing::debug!(%address, "the address holds as many connections as it may");
            return;
        };
        let accepted = connection::Accepted { stream, address, counted };
        let served =
            connection::serve(accepted, acceptor.clone(), limits, Arc::clone(&handler), Arc::clone(&lifecycle));
        connections.spawn(async move {
            served.await;
            drop::<OwnedSemaphorePermit>(permit);
        });
    };
    let closing = lifecycle.run();
    tokio::pin!(closing);
    let end = loop {
        tokio::select! {
            end = &mut closing => break end,
            accepted = accept(&listener, &room) => match accepted {
                Ok(accepted) => {
                    refusals.accepted();
                    start(accepted);
                }
                Err(error) => {
                    // Out of file descriptors, most likely: waiting is all that helps.
                    let (pause, burst) = refusals.failed(tokio::time::Instant::now());
                    match burst {
                        Burst::Begins => tracing::warn!(%error, "connections cannot be accepted"),
                        Burst::GoesOn => tracing::debug!(%error, "a connection cannot be accepted"),
                    }
                    tokio::time::sleep(pause).await;
                }
            },
        }
    };
    // The kernel has accepted these already; their clients have sent requests, perhaps. Clients that come again and again
    // cannot hold the end up.
    let backlog_end = tokio::time::Instant::now() + BACKLOG_WAIT;
    while let Ok(Ok(accepted)) = tokio::time::timeout_at(backlog_end, accept(&listener, &room)).await {
        start(accepted);
    }
    drop(listener);
    connections.close();
    let ended = async {
        connections.wait().await;
        lifecycle.streams_ended().await;
    };
    if tokio::time::timeout_at(end, ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "some requests did not end in time and are cut off");
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, address, permit))
}
