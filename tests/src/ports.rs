//! Ports that nobody listens on.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

/// First port that is tried. The range ends below the ports that systems hand out to outgoing connections.
const FIRST: u32 = 11_000;

/// How many ports are tried at most.
const COUNT: u32 = 20_000;

/// How many ports lie between where processes with neighbouring ids begin to look.
const STRIDE: u32 = 97;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port of 127.0.0.1 that is free now. Nothing reserves it: whoever starts a server on it must be ready to try again.
///
/// # Errors
/// No port of the range is free.
pub fn free() -> io::Result<u16> {
    let start = std::process::id().wrapping_mul(STRIDE);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + start.wrapping_add(step) % COUNT).map_err(io::Error::other)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no port is free"))
}
