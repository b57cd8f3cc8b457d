//! Several apiservers behind a balancer, and one operator that can be killed.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use kube::Client;

use crate::{
    ControlPlane,
    balancer::Balancer,
    kindsmith::{self, Launch, SERVICE},
    ports,
    process::{self, Process},
    wait,
};

/// How long all apiservers may take to be ready.
const START_DEADLINE: Duration = Duration::from_secs(90);

/// What an apiserver does when it is told to end: the balancer must have heard of it before it closes.
const IN_TURN: &[&str] = &[
    "--shutdown-delay-duration",
    "1s",
    "--shutdown-watch-termination-grace-period",
    "1s",
    "--shutdown-drain-timeout",
    "5s",
];

/// Kindsmith with several replicas, running on a control plane; its processes end when it is dropped.
#[derive(Debug)]
pub struct Replicated {
    balancer: Balancer,
    launch: Launch,
    operator: Mutex<Option<Process>>,
    apiservers: Vec<Mutex<Option<Process>>>,
    ports: Vec<u16>,
    operator_flags: Vec<String>,
}

impl Replicated {
    /// Starts so many apiservers, a balancer, and an operator with further flags; returns when all are ready.
    ///
    /// # Errors
    /// The program cannot be built, an object is refused, or a process does not start.
    pub async fn start(control_plane: &ControlPlane, replicas: usize, operator_flags: &[&str]) -> Result<Replicated> {
        let launch = kindsmith::install(control_plane).await?;
        let mut servers = Vec::new();
        let mut apiservers = Vec::new();
        for replica in 0..replicas {
            let port = ports::free()?;
            apiservers.push(Mutex::new(Some(apiserver(&launch, replica, port)?)));
            servers.push((port, launch.direct(port).await?));
        }
        let ports = servers.iter().map(|(port, _)| *port).collect();
        let balancer = Balancer::start(ports::free()?, servers).await?;
        let operator_flags = operator_flags.iter().map(|&flag| flag.to_owned()).collect();
        let operator = Mutex::default();
        let replicated = Replicated { balancer, launch, operator, apiservers, ports, operator_flags };
        replicated.start_operator()?;
        let ready = wait::until("all apiservers to be ready", START_DEADLINE, || async {
            for process in replicated.apiservers.iter().chain([&replicated.operator]) {
                process.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map_or(Ok(()), Process::check)?;
            }
            let ready = replicated.balancer.ready();
            ensure!(ready == replicas, "{ready} of {replicas} are ready");
            Ok(())
        });
        ready
            .await
            .with_context(|| format!("the operator's log ends:\n{}", process::tail(&replicated.operator_log())))?;
        Ok(replicated)
    }

    /// The port of 127.0.0.1 that stands for the Service.
    pub fn port(&self) -> u16 {
        self.balancer.port()
    }

    /// A client for one apiserver, past the balancer and the aggregation layer, as the administrator. It does not check
    /// the serving certificate.
    ///
    /// # Errors
    /// There are not so many apiservers, or the kubeconfig cannot be read.
    pub async fn client(&self, replica: usize) -> Result<Client> {
        let port = self.ports.get(replica).context("there are not so many apiservers")?;
        self.launch.direct(*port).await
    }

    /// The `kindsmith` binary.
    pub fn program(&self) -> &Path {
        self.launch.program()
    }

    /// The operator's log, of all its lives.
    pub fn operator_log(&self) -> PathBuf {
        self.launch.log("operator")
    }

    /// The log of an apiserver.
    pub fn apiserver_log(&self, replica: usize) -> PathBuf {
        self.launch.log(&format!("apiserver-{replica}"))
    }

    /// Starts the operator, if it does not run.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_operator(&self) -> Result<()> {
        let mut operator = self.operator.lock().unwrap_or_else(PoisonError::into_inner);
        if operator.is_none() {
            let port = self.balancer.port().to_string();
            // One that was killed is started anew, and would wait for its own Lease to expire.
            let mut args = vec!["--service", SERVICE, "--service-port", &port, "--leader-elect=false"];
            args.extend(self.operator_flags.iter().map(String::as_str));
            *operator = Some(self.launch.start("operator", "operator", &args)?);
        }
        Ok(())
    }

    /// Kills the operator as a crash would.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn kill_operator(&self) -> Result<()> {
        let process = self.operator.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut process) = process {
            process.kill().context("killing the operator")?;
        }
        Ok(())
    }

    /// Starts a further operator that contends for the Lease; `name` is that of its log.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_candidate(&self, name: &str) -> Result<Process> {
        let port = self.balancer.port().to_string();
        self.launch.start("operator", name, &["--service", SERVICE, "--service-port", &port])
    }

    /// The log of a process, of all its lives.
    pub fn log(&self, name: &str) -> PathBuf {
        self.launch.log(name)
    }

    /// How many apiservers are ready.
    pub fn ready(&self) -> usize {
        self.balancer.ready()
    }

    /// Starts an apiserver that does not run, where it was before.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_apiserver(&self, replica: usize) -> Result<()> {
        let (slot, port) =
            self.apiservers.get(replica).zip(self.ports.get(replica)).context("there are not so many")?;
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            *slot = Some(apiserver(&self.launch, replica, *port)?);
        }
        Ok(())
    }

    /// Kills an apiserver as a crash would.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn kill_apiserver(&self, replica: usize) -> Result<()> {
        let slot = self.apiservers.get(replica).context("there are not so many apiservers")?;
        let process = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        process.map_or(Ok(()), |mut process| process.kill().map(drop).context("killing an apiserver"))
    }

    /// Ends an apiserver in its orderly way.
    ///
    /// # Errors
    /// It cannot be stopped.
    pub fn stop_apiserver(&self, replica: usize) -> Result<()> {
        let slot = self.apiservers.get(replica).context("there are not so many apiservers")?;
        let process = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        process.map_or(Ok(()), |mut process| process.stop().map(drop).context("stopping an apiserver"))
    }
}

fn apiserver(launch: &Launch, replica: usize, port: u16) -> Result<Process> {
    let listen = format!("127.0.0.1:{port}");
    launch.start("apiserver", &format!("apiserver-{replica}"), &[&["--listen", &listen][..], IN_TURN].concat())
}
