//! The operator and the apiserver as processes on a control plane, reached through its aggregation layer.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use kube::Client;

use crate::{
    ControlPlane,
    binary::Binary,
    kubeconfig, ports,
    process::{self, Process},
    program, wait,
};

/// The namespace that Kindsmith's own objects are in.
pub const NAMESPACE: &str = "kindsmith-system";

/// The Service that APIServices name. It is an external name, so that kube-apiserver looks on this machine.
pub const SERVICE: &str = "kindsmith-apiserver";

/// How long our apiserver may take to be ready: the operator issues its certificate first.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// No load balancer stands before the apiserver of a test.
const AT_ONCE: &[&str] = &[
    "--shutdown-delay-duration",
    "0s",
    "--shutdown-watch-termination-grace-period",
    "0s",
    "--shutdown-drain-timeout",
    "3s",
];

const OBJECTS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: kindsmith-system}
---
apiVersion: v1
kind: Service
metadata: {name: kindsmith-apiserver, namespace: kindsmith-system}
spec: {type: ExternalName, externalName: localhost}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: kindsmith-operator, namespace: kindsmith-system}
";

/// The right to ask replicas, as `deploy/manifests` gives it with all others. The operator asks them as its account, also where
/// it is the administrator elsewhere.
const ASKS_REPLICAS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: asks-replicas}
rules:
- {nonResourceURLs: [/kindsmith/registry], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: asks-replicas}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: asks-replicas}
subjects:
- {kind: ServiceAccount, name: kindsmith-operator, namespace: kindsmith-system}
";

/// Kindsmith, running on a control plane; its processes end when it is dropped.
///
/// Declare it after the control plane, so that it ends first.
#[derive(Debug)]
pub struct Kindsmith {
    operator: Mutex<Option<Process>>,
    apiserver: Mutex<Option<Process>>,
    launch: Launch,
    port: u16,
    operator_port: u16,
    flags: Vec<String>,
}

/// Starts processes of Kindsmith on a control plane.
#[derive(Debug)]
pub(crate) struct Launch {
    guard: Binary,
    program: PathBuf,
    folder: PathBuf,
    kubeconfig: PathBuf,
    accounts: Option<Accounts>,
}

/// Kubeconfigs of the processes, where they are not the administrator.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// The operator's.
    pub operator: PathBuf,
    /// The file with the token that the operator asks replicas with.
    pub replica_token: PathBuf,
    /// The apiserver's.
    pub apiserver: PathBuf,
}

/// Builds the program if it must, and installs what it needs to begin: CRDs, the namespace, the Service, and the operator's
/// account with what it may as the administrator.
pub(crate) async fn install(control_plane: &ControlPlane) -> Result<Launch> {
    install_with(control_plane, &format!("{OBJECTS}---{ASKS_REPLICAS}")).await
}

async fn install_with(control_plane: &ControlPlane, objects: &str) -> Result<Launch> {
    let program = tokio::task::spawn_blocking(program::obtain).await.context("waiting for kindsmith")??;
    control_plane.install_crds(&program::workspace().join("deploy/crds")).await?;
    control_plane.apply(objects).await?;
    Ok(Launch {
        guard: control_plane.binary().clone(),
        program,
        folder: control_plane.folder().to_owned(),
        kubeconfig: control_plane.kubeconfig(),
        accounts: None,
    })
}

impl Launch {
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.folder.join("logs").join(format!("kindsmith-{name}.log"))
    }

    /// Starts `kindsmith COMMAND` as its account or the administrator; its log has that name.
    pub(crate) fn start(&self, command: &str, name: &str, args: &[&str]) -> Result<Process> {
        let kubeconfig = match &self.accounts {
            None => &self.kubeconfig,
            Some(accounts) if command == "operator" => &accounts.operator,
            Some(accounts) => &accounts.apiserver,
        };
        let mut line = self.guard.command("guard");
        line.arg(&self.program).arg(command).arg("--kubeconfig").arg(kubeconfig);
        line.args(["--namespace", NAMESPACE]).args(args);
        if let Some(accounts) = self.accounts.as_ref().filter(|_| command == "operator") {
            line.arg("--replica-token-file").arg(&accounts.replica_token);
        }
        Process::start(&format!("kindsmith {name}"), &mut line, &self.log(name))
    }

    /// A client for the apiserver on a port, past everything, as the administrator; it does not check the certificate.
    pub(crate) async fn direct(&self, port: u16) -> Result<Client> {
        Self::direct_as(&self.kubeconfig, port).await
    }

    /// As [`Launch::direct`], for the user of a kubeconfig.
    async fn direct_as(kubeconfig: &Path, port: u16) -> Result<Client> {
        let mut config = kubeconfig::config(kubeconfig).await?;
        config.cluster_url = format!("https://127.0.0.1:{port}").parse().context("parsing our own address")?;
        config.accept_invalid_certs = true;
        config.root_cert = None;
        config.root_cert_file = None;
        Client::try_from(config).context("making a client of our apiserver")
    }
}

impl Kindsmith {
    /// Installs the CRDs of `deploy/crds`, the namespace and the Service, starts both processes as the administrator,
    /// and returns when our apiserver is ready.
    ///
    /// # Errors
    /// The program cannot be built, an object is refused, or a process does not start; the error carries the end of its
    /// log.
    pub async fn start(control_plane: &ControlPlane) -> Result<Kindsmith> {
        Self::start_with(control_plane, &[]).await
    }

    /// As [`Kindsmith::start`], with further flags for both processes.
    ///
    /// # Errors
    /// As [`Kindsmith::start`].
    pub async fn start_with(control_plane: &ControlPlane, flags: &[&str]) -> Result<Kindsmith> {
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        Self::launched(install(control_plane).await?, flags).await
    }

    /// As [`Kindsmith::start`]; both processes reach kube-apiserver as this kubeconfig says.
    ///
    /// # Errors
    /// As [`Kindsmith::start`].
    pub async fn start_through(control_plane: &ControlPlane, kubeconfig: &Path) -> Result<Kindsmith> {
        let launch = Launch { kubeconfig: kubeconfig.to_owned(), ..install(control_plane).await? };
        Self::launched(launch, Vec::new()).await
    }

    /// As [`Kindsmith::start`], where both processes may do what RBAC grants these accounts, and no more.
    ///
    /// # Errors
    /// As [`Kindsmith::start`].
    pub async fn start_as(control_plane: &ControlPlane, accounts: Accounts) -> Result<Kindsmith> {
        let launch = Launch { accounts: Some(accounts), ..install_with(control_plane, OBJECTS).await? };
        Self::launched(launch, Vec::new()).await
    }

    async fn launched(launch: Launch, flags: Vec<String>) -> Result<Kindsmith> {
        let (operator, apiserver) = (Mutex::new(None), Mutex::new(None));
        let (port, operator_port) = (ports::free()?, ports::free()?);
        let kindsmith = Kindsmith { operator, apiserver, launch, port, operator_port, flags };
        kindsmith.start_operator()?;
        kindsmith.start_apiserver().await?;
        Ok(kindsmith)
    }

    /// The apiserver's process, while it runs.
    #[must_use]
    pub fn apiserver_id(&self) -> Option<u32> {
        let apiserver = self.apiserver.lock().unwrap_or_else(PoisonError::into_inner);
        apiserver.as_ref().map(|it| process::guarded(it.id()))
    }

    /// The operator's process, while it runs.
    #[must_use]
    pub fn operator_id(&self) -> Option<u32> {
        let operator = self.operator.lock().unwrap_or_else(PoisonError::into_inner);
        operator.as_ref().map(|it| process::guarded(it.id()))
    }

    /// The port of 127.0.0.1 that our apiserver listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port of 127.0.0.1 where the operator serves probes and metrics.
    pub fn operator_port(&self) -> u16 {
        self.operator_port
    }

    /// The `kindsmith` binary.
    pub fn program(&self) -> &Path {
        self.launch.program()
    }

    /// The operator's log.
    pub fn operator_log(&self) -> PathBuf {
        self.launch.log("operator")
    }

    /// The apiserver's log.
    pub fn apiserver_log(&self) -> PathBuf {
        self.launch.log("apiserver")
    }

    /// Starts the operator, if it does not run.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_operator(&self) -> Result<()> {
        let port = self.port.to_string();
        // One that was killed is started anew, and would wait for its own Lease to expire.
        let mut args = vec!["--service", SERVICE, "--service-port", &port, "--leader-elect=false"];
        let listen = format!("127.0.0.1:{}", self.operator_port);
        args.extend(["--metrics-listen", &listen]);
        start(&self.operator, || self.process("operator", &args))
    }

    /// Starts a further operator that contends for the Lease; `name` is that of its log.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_candidate(&self, name: &str) -> Result<Process> {
        let port = self.port.to_string();
        self.launch.start("operator", name, &["--service", SERVICE, "--service-port", &port])
    }

    /// Stops the operator.
    ///
    /// # Errors
    /// It cannot be stopped.
    pub fn stop_operator(&self) -> Result<()> {
        stop(&self.operator)
    }

    /// Starts the apiserver, if it does not run, and returns when it is ready.
    ///
    /// # Errors
    /// It does not start, or one of the two processes ends meanwhile.
    pub async fn start_apiserver(&self) -> Result<()> {
        let listen = format!("127.0.0.1:{}", self.port);
        start(&self.apiserver, || self.process("apiserver", &[&["--listen", &listen][..], AT_ONCE].concat()))?;
        let client = self.client().await?;
        let ready = wait::until("our apiserver to be ready", START_DEADLINE, || async {
            check(&self.operator)?;
            check(&self.apiserver)?;
            kubeconfig::ready(&client).await
        });
        ready.await.with_context(|| {
            let (operator, apiserver) = (process::tail(&self.operator_log()), process::tail(&self.apiserver_log()));
            format!("the operator's log ends:\n{operator}\nthe apiserver's log ends:\n{apiserver}")
        })
    }

    /// Stops the apiserver.
    ///
    /// # Errors
    /// It cannot be stopped.
    pub fn stop_apiserver(&self) -> Result<()> {
        stop(&self.apiserver)
    }

    /// Stops the apiserver and starts it again on the same port.
    ///
    /// # Errors
    /// As [`Kindsmith::start_apiserver`].
    pub async fn restart_apiserver(&self) -> Result<()> {
        self.stop_apiserver()?;
        self.start_apiserver().await
    }

    /// A client for our apiserver itself, past the aggregation layer, as the administrator. It does not check the
    /// serving certificate, which is for the Service's name.
    ///
    /// # Errors
    /// The kubeconfig cannot be read.
    pub async fn client(&self) -> Result<Client> {
        self.launch.direct(self.port).await
    }

    /// As [`Kindsmith::client`], for the user of a kubeconfig.
    ///
    /// # Errors
    /// The kubeconfig cannot be read.
    pub async fn client_as(&self, kubeconfig: &Path) -> Result<Client> {
        Launch::direct_as(kubeconfig, self.port).await
    }

    fn process(&self, name: &str, args: &[&str]) -> Result<Process> {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).chain(args.iter().copied()).collect();
        self.launch.start(name, name, &flags)
    }
}

type Slot = Mutex<Option<Process>>;

fn start(slot: &Slot, make: impl FnOnce() -> Result<Process>) -> Result<()> {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if slot.is_none() {
        *slot = Some(make()?);
    }
    Ok(())
}

fn stop(slot: &Slot) -> Result<()> {
    let process = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(mut process) = process {
        process.stop().context("stopping a process of kindsmith")?;
    }
    Ok(())
}

fn check(slot: &Slot) -> Result<()> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map_or(Ok(()), Process::check)
}
