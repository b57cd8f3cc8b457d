//! A TCP balancer that stands for a Service: connections go to the servers whose `/readyz` says yes, in turn.
//!
//! Open connections stay where they are, as with a Service, whatever `/readyz` says afterwards.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use kube::Client;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::kubeconfig;

/// How often a server is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// How long its answer, or a connection to it, may take.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// A running balancer; it ends when it is dropped.
#[derive(Debug)]
pub struct Balancer {
    port: u16,
    ready: Arc<Mutex<Vec<u16>>>,
    _tasks: JoinSet<()>,
}

impl Balancer {
    /// Listens on a port of 127.0.0.1 for servers on others, each with a client that asks it for `/readyz`.
    ///
    /// # Errors
    /// The port cannot be listened on.
    pub async fn start(port: u16, servers: Vec<(u16, Client)>) -> Result<Balancer> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.with_context(|| format!("listening on port {port}"))?;
        let ready: Arc<Mutex<Vec<u16>>> = Arc::default();
        let mut tasks = JoinSet::new();
        for (server, client) in servers {
            tasks.spawn(follow(server, client, Arc::clone(&ready)));
        }
        tasks.spawn(accept(listener, Arc::clone(&ready)));
        Ok(Balancer { port, ready, _tasks: tasks })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many servers are ready.
    pub fn ready(&self) -> usize {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

async fn follow(server: u16, client: Client, ready: Arc<Mutex<Vec<u16>>>) {
    loop {
        let yes = matches!(timeout(ANSWER_MAX, kubeconfig::ready(&client)).await, Ok(Ok(())));
        {
            let mut ready = ready.lock().unwrap_or_else(PoisonError::into_inner);
            ready.retain(|other| *other != server);
            if yes {
                ready.push(server);
            }
        }
        sleep(ASK_EVERY).await;
    }
}

async fn accept(listener: TcpListener, ready: Arc<Mutex<Vec<u16>>>) {
    let turn = AtomicUsize::new(0);
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let mut servers = ready.lock().unwrap_or_else(PoisonError::into_inner).clone();
        servers.sort_unstable();
        if !servers.is_empty() {
            let first = turn.fetch_add(1, Ordering::Relaxed) % servers.len();
            servers.rotate_left(first);
        }
        connections.spawn(async move {
            for server in servers {
                let connect = TcpStream::connect((Ipv4Addr::LOCALHOST, server));
                let Ok(Ok(mut upstream)) = timeout(ANSWER_MAX, connect).await else { continue };
                let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
                let _ = copy_bidirectional(&mut client, &mut upstream).await;
                return;
            }
        });
    }
}
