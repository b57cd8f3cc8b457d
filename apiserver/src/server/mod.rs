//! Connections: accept, TLS, HTTP/1.1 and HTTP/2, limits, shutdown.

use std::{convert::Infallible, future::Future, net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::FutureExt as _;
use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use rustls::pki_types::CertificateDer;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The serving certificate, replaced while we serve.
mod certificate;

/// Client certificates at the level of TLS: proof of the key, no judgement of the name.
mod client_certificates;

/// Bodies of requests, bounded.
mod body;

pub use body::{BodyError, read_body};
pub use certificate::{CertificateError, ServingCertificate};

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

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send;

    /// The answer when `handle` panicked.
    fn panicked(&self) -> Response<Body>;
}

/// Bounds of connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; further ones wait to be accepted.
    pub connections_max: usize,
    /// How long a TLS handshake may take.
    pub handshake_max: Duration,
    /// How long the header of an HTTP/1.1 request may take.
    pub header_read_max: Duration,
    /// Requests at once on one HTTP/2 connection; aggregators send all users' requests over few connections.
    pub http2_streams_max: u32,
    /// How often an HTTP/2 connection is asked whether it is alive.
    pub http2_ping_interval: Duration,
    /// How long the answer may take before the connection is closed.
    pub http2_ping_max: Duration,
    /// How long requests may go on after shutdown has begun.
    pub drain_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            handshake_max: Duration::from_secs(10),
            header_read_max: Duration::from_secs(32),
            http2_streams_max: 1000,
            http2_ping_interval: Duration::from_secs(30),
            http2_ping_max: Duration::from_secs(15),
            drain_max: Duration::from_secs(10),
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

/// Serves until `shutdown`, then lets requests end for a while.
///
/// # Errors
/// When TLS cannot be set up.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    certificate: Arc<ServingCertificate>,
    limits: Limits,
    handler: Arc<H>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = client_certificates::AnyIssuer::new(&provider);
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let connections = TaskTracker::new();
    let room = Arc::new(Semaphore::new(limits.connections_max));
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let (stream, address, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: waiting is all that helps.
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (acceptor, handler, shutdown) = (acceptor.clone(), Arc::clone(&handler), shutdown.clone());
        connections.spawn(async move {
            connection(stream, address, acceptor, limits, handler, shutdown).await;
            drop(permit);
        });
    }
    connections.close();
    if tokio::time::timeout(limits.drain_max, connections.wait()).await.is_err() {
        tracing::warn!("some requests did not end in time and are cut off");
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

async fn connection<H: Handler>(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    limits: Limits,
    handler: Arc<H>,
    shutdown: CancellationToken,
) {
    // Watch events are small and must not wait for more.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let handshake = tokio::time::timeout(limits.handshake_max, acceptor.accept(stream)).await;
    let stream = match handshake {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "TLS handshake failed");
            return;
        }
        Err(_) => return,
    };
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificates = certificates.iter().map(|held| held.clone().into_owned()).collect();
    let peer = Arc::new(Peer { address, certificates });
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(&peer));
        let handler = Arc::clone(&handler);
        async move {
            let answer = AssertUnwindSafe(handler.handle(request)).catch_unwind().await;
            Ok::<_, Infallible>(answer.unwrap_or_else(|_| {
                tracing::error!("a request panicked");
                handler.panicked()
            }))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_read_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams_max)
        .keep_alive_interval(limits.http2_ping_interval)
        .keep_alive_timeout(limits.http2_ping_max);
    let served = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = shutdown.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%address, error, "connection ended");
    }
}
