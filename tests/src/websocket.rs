//! A websocket client that shows everything: the handshake byte by byte, each frame as it came.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::{SinkExt as _, StreamExt as _};
use kube::{Config, client::ConfigExt as _};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Bytes, Message, protocol::Role},
};

/// How long the server may take for anything.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// The longest header of an answer.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// What a client sends that follows the rules; a test leaves out or adds.
pub const HANDSHAKE: [(&str, &str); 5] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Origin", "http://localhost"),
];

/// The answer to a handshake.
#[derive(Debug)]
pub struct Handshake {
    /// The status code.
    pub code: u16,
    /// The headers in lower case and in order, without those that differ from request to request.
    pub headers: Vec<(String, String)>,
    /// The body of a refusal.
    pub body: String,
    /// The connection, when the server has switched.
    pub socket: Option<Socket>,
}

/// A websocket.
pub type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Asks for a path with headers, on a connection of its own.
///
/// # Errors
/// The server cannot be reached, or what it says is no HTTP.
pub async fn connect(config: &Config, path: &str, headers: &[(&str, &str)]) -> Result<Handshake> {
    tokio::time::timeout(ANSWER_MAX, handshake(config, path, headers)).await.context("waiting for a handshake")?
}

async fn handshake(config: &Config, path: &str, headers: &[(&str, &str)]) -> Result<Handshake> {
    let host = config.cluster_url.host().context("the server has no host")?.to_owned();
    let port = config.cluster_url.port_u16().unwrap_or(443);
    let tls = TlsConnector::from(std::sync::Arc::new(config.rustls_client_config()?));
    let stream = TcpStream::connect((host.as_str(), port)).await?;
    let mut stream = tls.connect(ServerName::try_from(host.clone())?, stream).await?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n{headers}\r\n").as_bytes()).await?;

    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEADER_BYTES_MAX {
            bail!("the answer's header has no end");
        }
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) => bail!("after {:?}: {error}", String::from_utf8_lossy(&head)),
        }
    }
    let head = String::from_utf8(head)?;
    let mut lines = head.lines();
    let code = lines.next().and_then(|line| line.split(' ').nth(1)).context("there is no status")?.parse()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .filter(|(name, _)| !VARYING.contains(&name.as_str()))
        .collect();
    if code == 101 {
        let socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        return Ok(Handshake { code, headers, body: String::new(), socket: Some(socket) });
    }
    // A refusal of the handshake ends with the connection, another one with its length.
    let mut body = Vec::new();
    let _ = tokio::time::timeout(Duration::from_millis(500), stream.read_to_end(&mut body)).await;
    Ok(Handshake { code, headers, body: String::from_utf8_lossy(&body).into_owned(), socket: None })
}

/// Headers that are another every time, or say on behalf of whom a proxy of kube-apiserver works.
const VARYING: [&str; 6] = [
    "date",
    "audit-id",
    "x-kubernetes-pf-flowschema-uid",
    "x-kubernetes-pf-prioritylevel-uid",
    "content-length",
    "cache-control",
];

/// The next frame: its kind, and what is in it.
///
/// # Errors
/// There is none in time.
pub async fn next(socket: &mut Socket) -> Result<(&'static str, String)> {
    let frame = tokio::time::timeout(ANSWER_MAX, socket.next()).await.context("waiting for a frame")?;
    Ok(match frame {
        None => ("end", String::new()),
        Some(Err(error)) => ("error", error.to_string()),
        Some(Ok(Message::Text(text))) => ("text", text.to_string()),
        Some(Ok(Message::Binary(bytes))) => ("binary", String::from_utf8_lossy(&bytes).into_owned()),
        Some(Ok(Message::Ping(bytes))) => ("ping", String::from_utf8_lossy(&bytes).into_owned()),
        Some(Ok(Message::Pong(bytes))) => ("pong", String::from_utf8_lossy(&bytes).into_owned()),
        Some(Ok(Message::Close(frame))) => {
            ("close", frame.map(|frame| format!("{} {}", u16::from(frame.code), frame.reason)).unwrap_or_default())
        }
        Some(Ok(Message::Frame(_))) => ("frame", String::new()),
    })
}

/// Sends a ping and some text, which a watch has no use for.
///
/// # Errors
/// The server does not take it.
pub async fn disturb(socket: &mut Socket) -> Result<()> {
    socket.send(Message::Text("hello".into())).await?;
    socket.send(Message::Ping(Bytes::from_static(b"there?"))).await?;
    Ok(())
}
