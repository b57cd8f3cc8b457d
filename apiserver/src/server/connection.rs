//! One connection: TLS, HTTP/1.1 or HTTP/2, its requests, its end.

use std::{
    convert::Infallible, future::Future, net::SocketAddr, panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration,
};

use futures::FutureExt as _;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::{
    Body, Handler, Lifecycle, Limits, Peer, Standing,
    activity::Activity,
    addresses::Counted,
    sending::{Sent, Streams, UntilSent, watched},
};

/// How long a connection that has sent no request yet is waited for when the server closes: it may be on its way.
const FIRST_REQUEST_MAX: Duration = Duration::from_secs(2);

/// Bytes of the headers of one request, as Go has it: its default, and what it adds for the rest of a buffer. Users of many
/// groups have long ones.
///
/// Source: net/http/server.go (`DefaultMaxHeaderBytes`, `initialReadLimitSize`).
pub(super) const HEADER_BYTES_MAX: u32 = (1 << 20) + 4096;

/// Lines in the header of one request of HTTP/1.1: room is made for so many. HTTP/2 counts bytes alone.
pub(super) const HTTP1_HEADERS_MAX: usize = 4096;

/// Requests of a front proxy that were cancelled before they were looked at, for each that may run at once: its users cancel
/// as they like, and the connection is all users'. Of anybody else h2's own limits hold, against rapid resets.
const CANCELLED_PER_STREAM_MAX: usize = 10;

/// A connection that was accepted.
pub(super) struct Accepted {
    /// The connection.
    pub(super) stream: TcpStream,
    /// Its other end.
    pub(super) address: SocketAddr,
    /// Its place among those of the address.
    pub(super) counted: Counted,
}

/// Serves a connection until the client or the server's lifecycle ends it.
pub(super) async fn serve<H: Handler>(
    Accepted { stream, address, counted }: Accepted,
    acceptor: TlsAcceptor,
    limits: Limits,
    handler: Arc<H>,
    lifecycle: Arc<Lifecycle>,
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
            handler.handshake_failed();
            return;
        }
        Err(_) => {
            handler.handshake_failed();
            return;
        }
    };
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let certificates = certificates.iter().map(|held| held.clone().into_owned()).collect();
    let peer = Arc::new(Peer { address, certificates });
    let standing = handler.standing(&peer);
    // A front proxy has connections for many users, and perhaps for many of our groups.
    let _counted = Some(counted).filter(|_| standing == Standing::Itself);
    let activity = Activity::new();
    let (running, ending) = (Arc::clone(&activity), Arc::clone(&lifecycle));
    let service = service_fn(move |mut request: Request<Incoming>| {
        let run = running.begin();
        request.extensions_mut().insert(Arc::clone(&peer));
        let (handler, ending, version) = (Arc::clone(&handler), Arc::clone(&ending), request.version());
        async move {
            let answer = AssertUnwindSafe(handler.handle(request)).catch_unwind().await;
            let mut answer = answer.unwrap_or_else(|_| {
                tracing::error!("a request panicked");
                handler.panicked()
            });
            if ending.is_terminating() {
                close_after(&mut answer, version);
            }
            let until_sent = answer.extensions_mut().remove::<UntilSent>();
            Ok::<_, Infallible>(answer.map(|body| Sent::new(body, run, until_sent)))
        }
    });
    // What TLS has agreed on; to wait for the first bytes to tell the protocol would have no end.
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let io = TokioIo::new(stream);
    let ended = if http2 {
        let mut builder = http2::Builder::new(Streams { stalled_max: limits.stalled_max });
        builder
            .timer(TokioTimer::new())
            .max_header_list_size(HEADER_BYTES_MAX)
            .keep_alive_interval(limits.http2_ping_interval)
            .keep_alive_timeout(limits.http2_ping_max);
        match standing {
            Standing::FrontProxy => {
                let streams = usize::try_from(limits.http2_streams_max).unwrap_or(usize::MAX);
                let cancelled = streams.saturating_mul(CANCELLED_PER_STREAM_MAX);
                builder
                    .max_concurrent_streams(limits.http2_streams_max)
                    .max_pending_accept_reset_streams(cancelled)
                    .max_local_error_reset_streams(cancelled);
            }
            Standing::Itself => drop(builder.max_concurrent_streams(limits.http2_streams_of_others_max)),
        }
        run(builder.serve_connection(io, service), |served| served.graceful_shutdown(), &activity, limits, &lifecycle)
            .await
    } else {
        let mut builder = http1::Builder::new();
        let header_bytes = usize::try_from(HEADER_BYTES_MAX).unwrap_or(usize::MAX);
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_read_max)
            .max_headers(HTTP1_HEADERS_MAX)
            .max_header_size(header_bytes)
            .max_buf_size(header_bytes);
        let served = run(
            builder.serve_connection(io, service).with_upgrades(),
            |served| served.graceful_shutdown(),
            &activity,
            limits,
            &lifecycle,
        );
        watched(served, limits.stalled_max).await.unwrap_or_else(|| {
            tracing::debug!(%address, "an answer that nobody takes was ended");
            Ok(())
        })
    };
    if let Err(error) = ended {
        tracing::debug!(%address, %error, "connection ended");
    }
}

/// Runs a connection to its end: the client's, that of the server, or that of having nothing to do.
async fn run<C, E>(
    connection: C,
    shut_down: fn(Pin<&mut C>),
    activity: &Activity,
    limits: Limits,
    lifecycle: &Lifecycle,
) -> Result<(), E>
where
    C: Future<Output = Result<(), E>>,
{
    let close = async {
        lifecycle.closing().await;
        // Ending at once would lose the request that a client who just connected is sending.
        let _ = tokio::time::timeout(FIRST_REQUEST_MAX, activity.begun()).await;
    };
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = close => {}
        () = activity.idle(limits.idle_max) => {}
    }
    shut_down(connection.as_mut());
    connection.await
}

/// Tells an HTTP/1.1 client to take another connection for its next request. Otherwise it might send that on this one at
/// the moment when we close it, and lose it. HTTP/2 has GOAWAY for that.
fn close_after(answer: &mut Response<Body>, version: Version) {
    if version <= Version::HTTP_11 && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}
