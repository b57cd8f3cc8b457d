//! A watch over a websocket: each event is one text message.
//!
//! Sources: k8s.io/apiserver/pkg/endpoints/handlers/watch.go (HandleWS), golang.org/x/net/websocket (whose handshake and
//! whose refusals clients of kube-apiserver get). What the client sends is ignored, except that it closes.

use std::{sync::PoisonError, time::Duration};

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _, stream::BoxStream};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message, Utf8Bytes,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use crate::{encode::response, endpoints::context::Context, server::Body};

/// The longest message that a client may send; nothing is done with it.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// How long the client may take to take a message, and to close after we did.
const SEND_MAX: Duration = Duration::from_secs(60);

/// How long the client is waited for after we have closed.
const CLOSE_MAX: Duration = Duration::from_secs(1);

/// RFC 6455, section 1.3.
const ACCEPT_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Whether a client wants a websocket (k8s.io/streaming/pkg/httpstream/wsstream/conn.go, IsWebSocketRequest).
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let upgrade = text(headers, header::UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    let mut connection = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    upgrade && connection.any(|value| value.to_ascii_lowercase().contains("upgrade"))
}

/// Answers with a websocket that carries the events until they or the client end.
pub(super) fn run(context: &Context, events: BoxStream<'static, Bytes>) -> Response<Body> {
    let answer = match handshake(&context.headers) {
        Ok(answer) => answer,
        Err(refusal) => return refusal,
    };
    let upgrade = context.transport.upgrade.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(upgrade) = upgrade else {
        return refusal(StatusCode::BAD_REQUEST, "not websocket protocol");
    };
    context.transport.lifecycle.run_stream(carry(upgrade, events));
    answer
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
}

fn refusal(code: StatusCode, reason: &'static str) -> Response<Body> {
    let mut answer = Response::new(response::full(Bytes::from_static(reason.as_bytes())));
    *answer.status_mut() = code;
    answer
}

/// Accepts or refuses, as golang.org/x/net/websocket does: a client must say where it comes from, and want one protocol
/// at most, which it gets whatever its name is.
fn handshake(headers: &HeaderMap) -> Result<Response<Body>, Response<Body>> {
    let key = text(headers, header::SEC_WEBSOCKET_KEY)
        .ok_or_else(|| refusal(StatusCode::BAD_REQUEST, "mismatch challenge/response"))?;
    if text(headers, header::SEC_WEBSOCKET_VERSION) != Some("13") {
        let mut answer = refusal(StatusCode::BAD_REQUEST, "missing or bad WebSocket Version");
        answer.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Err(answer);
    }
    if !text(headers, header::ORIGIN).is_some_and(is_origin) {
        return Err(refusal(StatusCode::FORBIDDEN, ""));
    }
    let protocol = text(headers, header::SEC_WEBSOCKET_PROTOCOL).map(str::trim).filter(|held| !held.is_empty());
    if protocol.is_some_and(|held| held.contains(',')) {
        return Err(refusal(StatusCode::BAD_REQUEST, ""));
    }
    let accept = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{ACCEPT_SUFFIX}").as_bytes());
    let mut answer = refusal(StatusCode::SWITCHING_PROTOCOLS, "");
    let held = answer.headers_mut();
    held.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    held.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    let accept = HeaderValue::from_str(&STANDARD.encode(accept));
    held.insert(header::SEC_WEBSOCKET_ACCEPT, accept.map_err(|_| refusal(StatusCode::INTERNAL_SERVER_ERROR, ""))?);
    if let Some(protocol) = protocol.and_then(|held| HeaderValue::from_str(held).ok()) {
        held.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok(answer)
}

/// Whether Go's `url.ParseRequestURI` reads an origin: an absolute path, or a URI with a scheme.
fn is_origin(origin: &str) -> bool {
    let scheme = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text.chars().all(|held| held.is_ascii_alphanumeric() || matches!(held, '+' | '-' | '.'))
    };
    origin.starts_with('/') || origin.split_once(':').is_some_and(|(before, _)| scheme(before))
}

async fn carry(upgrade: OnUpgrade, mut events: BoxStream<'static, Bytes>) {
    let upgraded = match upgrade.await {
        Ok(upgraded) => TokioIo::new(upgraded),
        Err(error) => {
            tracing::debug!(%error, "a websocket did not begin");
            return;
        }
    };
    let config =
        WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX)).max_frame_size(Some(MESSAGE_BYTES_MAX));
    let mut socket = WebSocketStream::from_raw_socket(upgraded, Role::Server, Some(config)).await;
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            // Pings are answered by the library; whatever else comes is not for us.
            received = socket.next() => match received {
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => continue,
            },
        };
        let Some(message) = event.map(Utf8Bytes::try_from).transpose().ok().flatten() else { break };
        match tokio::time::timeout(SEND_MAX, socket.send(Message::Text(message))).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
    let frame = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
    let close = async {
        // An error says that the client has closed already.
        let _ = socket.close(Some(frame)).await;
        while let Some(Ok(_)) = socket.next().await {}
        // TLS has an end of its own, without which the client cannot tell that nothing was cut off.
        let _ = socket.get_mut().shutdown().await;
    };
    let _ = tokio::time::timeout(CLOSE_MAX, close).await;
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    const WANTED: [(&str, &str); 5] = [
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("origin", "http://localhost"),
    ];

    #[test]
    fn the_accept_header_is_that_of_the_rfc() {
        let given = headers(&WANTED);
        assert!(is_wanted(&given));
        let answer = handshake(&given).unwrap();
        assert_eq!(answer.status(), 101);
        assert_eq!(answer.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(answer.headers().get("sec-websocket-protocol").is_none());
    }

    #[rstest]
    #[case("binary.k8s.io", Some("binary.k8s.io"))]
    #[case(" any ", Some("any"))]
    #[case("binary.k8s.io, base64.binary.k8s.io", None)]
    fn one_protocol_is_taken_whatever_its_name_is(#[case] wanted: &str, #[case] taken: Option<&str>) {
        let mut given = headers(&WANTED);
        given.insert("sec-websocket-protocol", HeaderValue::from_str(wanted).unwrap());
        let answer = handshake(&given).unwrap_or_else(|refusal| refusal);
        assert_eq!(answer.status(), if taken.is_some() { 101 } else { 400 });
        let protocol = answer.headers().get("sec-websocket-protocol").map(|value| value.to_str().unwrap());
        assert_eq!(protocol, taken);
    }

    #[rstest]
    #[case("sec-websocket-key", 400)]
    #[case("sec-websocket-version", 400)]
    #[case("origin", 403)]
    fn what_is_missing_is_refused_as_in_go(#[case] missing: &str, #[case] code: u16) {
        let mut given = headers(&WANTED);
        given.remove(missing);
        assert_eq!(handshake(&given).err().map(|refusal| refusal.status().as_u16()), Some(code));
    }

    #[rstest]
    #[case(&[("upgrade", "websocket")], false)]
    #[case(&[("connection", "Upgrade")], false)]
    #[case(&[("connection", "Upgrade"), ("upgrade", "h2c")], false)]
    #[case(&[("connection", "close"), ("connection", "upgrade"), ("upgrade", "websocket")], true)]
    fn both_headers_are_needed(#[case] given: &[(&'static str, &str)], #[case] wanted: bool) {
        assert_eq!(is_wanted(&headers(given)), wanted);
    }
}
