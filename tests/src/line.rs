//! A TCP line to a server that can be cut: all its connections break at once, and new ones are taken again.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context, Result};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// A running line; it ends when it is dropped.
#[derive(Debug)]
pub struct Line {
    port: u16,
    cuts: watch::Sender<u64>,
    broken: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Line {
    /// Listens on a port of 127.0.0.1 for a server on another.
    ///
    /// # Errors
    /// The port cannot be listened on.
    pub async fn start(port: u16, server: u16) -> Result<Line> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.with_context(|| format!("listening on port {port}"))?;
        let (cuts, broken) = (watch::Sender::new(0), Arc::new(AtomicUsize::new(0)));
        let mut task = JoinSet::new();
        task.spawn(accept(listener, server, cuts.subscribe(), Arc::clone(&broken)));
        Ok(Line { port, cuts, broken, _task: task })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Breaks all connections there are.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// How many connections were broken.
    pub fn broken(&self) -> usize {
        self.broken.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, server: u16, cuts: watch::Receiver<u64>, broken: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (mut cuts, broken) = (cuts.clone(), Arc::clone(&broken));
        // What was cut before is not this connection.
        cuts.mark_unchanged();
        connections.spawn(async move {
            let Ok(mut upstream) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { return };
            let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut upstream) => {}
                _ = cuts.changed() => { broken.fetch_add(1, Ordering::Relaxed); }
            }
        });
    }
}
