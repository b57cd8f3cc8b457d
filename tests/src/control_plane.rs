//! etcd and kube-apiserver, running: a cluster without nodes, of one test alone.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client};

use crate::{
    Helm, Kubectl,
    binary::{self, Binary},
    instance::{ADMIN, Instance},
    kubeconfig, pki, ports,
    process::{self, Process},
    wait,
};

mod servers;

/// How long kube-apiserver may take to be ready, on a machine that runs other tests too.
const START_DEADLINE: Duration = Duration::from_secs(120);

/// How often a start is tried: the ports may be taken between the choice and the start.
const START_ATTEMPTS: u32 = 3;

/// How long CRDs may take to be served.
const CRD_SECONDS: u32 = 30;

/// What a control plane is started with.
#[derive(Debug, Clone, Default)]
pub struct Builder {
    folder: Option<PathBuf>,
    controller_manager: bool,
    writes: servers::Writes,
    reach: servers::Reach,
}

/// A running control plane.
///
/// # Guarantees
/// - Nothing is shared with other instances: folder, ports, certificates, data.
/// - Its processes end when it is dropped, when the test panics, and when the test is killed.
/// - After a panic or a start that failed the folder is kept and its path printed; otherwise it is removed, unless
///   `KINDSMITH_KEEP` is set.
///
/// # Caveats
/// A test that ends with an `Err` does not panic, so its folder is removed.
#[derive(Debug)]
pub struct ControlPlane {
    // The servers end in this order, before the folder is removed.
    controller_manager: Option<Process>,
    apiserver: Mutex<Option<Process>>,
    etcd: Process,
    ports: servers::Ports,
    reach: servers::Reach,
    binary: Binary,
    instance: Instance,
}

impl Builder {
    /// Lives in this folder, which is kept, in place of a temporary one.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Builder {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Runs kube-controller-manager too. Without it a deleted namespace stays, nothing is collected as garbage, there
    /// are no service accounts, and the aggregated cluster roles `view`, `edit` and `admin` are empty.
    #[must_use]
    pub fn controller_manager(mut self) -> Builder {
        self.controller_manager = true;
        self
    }

    /// Serves a node at an address of its own, and pods on it: with all controllers, and Services that pods can reach.
    #[must_use]
    pub fn node(mut self, address: Ipv4Addr) -> Builder {
        self.reach = servers::Reach::Node(address);
        self.controller_manager = true;
        self
    }

    /// Makes writes wait for the disk, as in every cluster: for whoever measures them.
    #[must_use]
    pub fn durable(mut self) -> Builder {
        self.writes = servers::Writes::Durable;
        self
    }

    /// Starts it, and returns when it is ready. The first call on a machine builds the binary, which takes minutes.
    ///
    /// # Errors
    /// The binary cannot be built, or a server does not start; the error carries the end of its log.
    pub async fn start(self) -> Result<ControlPlane> {
        let binary = tokio::task::spawn_blocking(binary::obtain).await.context("waiting for the binary")??;
        let mut attempt = 1;
        loop {
            match self.attempt(&binary).await {
                Err(error) if attempt < START_ATTEMPTS && servers::is_port_taken(&error) => attempt += 1,
                started => return started,
            }
        }
    }

    async fn attempt(&self, binary: &Binary) -> Result<ControlPlane> {
        let mut instance = Instance::create(self.folder.as_deref())?;
        let started = self.start_servers(binary, &instance).await;
        let (ports, etcd, apiserver, controller_manager) = started.inspect_err(|_| instance.keep())?;
        let apiserver = Mutex::new(Some(apiserver));
        let (reach, binary) = (self.reach, binary.clone());
        Ok(ControlPlane { controller_manager, apiserver, etcd, ports, reach, binary, instance })
    }

    async fn start_servers(
        &self,
        binary: &Binary,
        instance: &Instance,
    ) -> Result<(servers::Ports, Process, Process, Option<Process>)> {
        let ports = servers::Ports { etcd: ports::free()?, peer: ports::free()?, apiserver: ports::free()? };
        let (user, groups) = ADMIN;
        write_kubeconfig(instance, &ports.url(), &instance.kubeconfig(), user, groups)?;
        let mut etcd = servers::etcd(binary, instance, &ports, self.writes)?;
        let mut apiserver = servers::apiserver(binary, instance, &ports, self.reach)?;
        let client = kubeconfig::client(&instance.kubeconfig()).await?;
        await_ready(&client, &mut apiserver, Some(&mut etcd)).await?;
        let mut controller_manager = None;
        if self.controller_manager {
            let path = instance.folder().join("kube-controller-manager.kubeconfig");
            write_kubeconfig(instance, &ports.url(), &path, "system:kube-controller-manager", &[])?;
            let process = controller_manager.insert(servers::controller_manager(binary, instance, &path, self.reach)?);
            await_controllers(&client, process).await?;
        }
        Ok((ports, etcd, apiserver, controller_manager))
    }
}

impl ControlPlane {
    /// etcd and kube-apiserver, in a temporary folder.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub async fn start() -> Result<ControlPlane> {
        Self::builder().start().await
    }

    /// To say what else it is to have.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where kube-apiserver is.
    pub fn url(&self) -> String {
        self.ports.url()
    }

    /// The folder with its data and logs.
    pub fn folder(&self) -> &Path {
        self.instance.folder()
    }

    /// The binary that it runs.
    pub fn binary(&self) -> &Binary {
        &self.binary
    }

    /// The ids of its processes.
    pub fn process_ids(&self) -> Vec<u32> {
        let apiserver = self.apiserver.lock().unwrap_or_else(PoisonError::into_inner);
        let others = self.controller_manager.iter().chain(apiserver.iter());
        others.chain([&self.etcd]).map(Process::id).collect()
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.instance.kubeconfig()
    }

    /// A kubeconfig for a user with at most two groups, by a client certificate; the user may do what RBAC says.
    ///
    /// # Errors
    /// There are more groups, or the file cannot be written.
    pub fn kubeconfig_as(&self, user: &str, groups: &[&str]) -> Result<PathBuf> {
        let folder = tempfile::Builder::new().prefix("user-").tempdir_in(self.folder()).context("creating a folder")?;
        let path = folder.keep().join("kubeconfig");
        write_kubeconfig(&self.instance, &self.url(), &path, user, groups)?;
        Ok(path)
    }

    /// A kubeconfig for a service account, by a token of an hour.
    ///
    /// # Errors
    /// There is no such account, or the file cannot be written.
    pub async fn kubeconfig_of_account(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let token = self.kubectl(["create", "token", name, "--namespace", namespace, "--duration=1h"]).ok().await?;
        let path = self.folder().join(format!("{namespace}-{name}.kubeconfig"));
        let text = kubeconfig::render_token(&self.url(), &self.cluster_ca_pem(), token.trim())?;
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    /// A file with a token of an hour for a service account, for an audience.
    ///
    /// # Errors
    /// There is no such account, or the file cannot be written.
    pub async fn token_of_account(&self, namespace: &str, name: &str, audience: &str) -> Result<PathBuf> {
        let args = ["create", "token", name, "--namespace", namespace, "--duration=1h", "--audience", audience];
        let token = self.kubectl(args).ok().await?;
        // An audience may be a URL.
        let named = audience.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
        let path = self.folder().join(format!("{namespace}-{name}.{named}.token"));
        fs::write(&path, token.trim()).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    /// The port of 127.0.0.1 that kube-apiserver listens on.
    pub fn port(&self) -> u16 {
        self.ports.apiserver
    }

    /// A kubeconfig for the administrator that reaches kube-apiserver through another port of 127.0.0.1.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn kubeconfig_through(&self, port: u16) -> Result<PathBuf> {
        let path = self.folder().join(format!("through-{port}.kubeconfig"));
        let (user, groups) = ADMIN;
        write_kubeconfig(&self.instance, &format!("https://127.0.0.1:{port}"), &path, user, groups)?;
        Ok(path)
    }

    /// A client for the administrator.
    ///
    /// # Errors
    /// The kubeconfig cannot be read.
    pub async fn client(&self) -> Result<Client> {
        kubeconfig::client(&self.kubeconfig()).await
    }

    /// A client for a user with at most two groups.
    ///
    /// # Errors
    /// As [`ControlPlane::kubeconfig_as`].
    pub async fn client_as(&self, user: &str, groups: &[&str]) -> Result<Client> {
        kubeconfig::client(&self.kubeconfig_as(user, groups)?).await
    }

    /// The cluster's certificate authority: of kube-apiserver's certificate and of client certificates.
    pub fn cluster_ca_pem(&self) -> String {
        self.instance.cluster.certificate()
    }

    /// The authority whose client certificates may say on whose behalf they ask.
    pub fn front_proxy_ca_pem(&self) -> String {
        self.instance.front_proxy.certificate()
    }

    /// The client certificate that kube-apiserver shows to extension API servers.
    pub fn front_proxy_client_cert(&self) -> &pki::Credential {
        &self.instance.front_proxy_client
    }

    /// kubectl for the administrator.
    pub fn kubectl<I: IntoIterator<Item: Into<String>>>(&self, args: I) -> Kubectl {
        Kubectl::new(&self.binary, &self.kubeconfig(), &self.folder().join("home")).args(args)
    }

    /// Helm for the administrator.
    pub fn helm<I: IntoIterator<Item: Into<String>>>(&self, args: I) -> Helm {
        Helm::new(&self.binary, &self.kubeconfig(), &self.folder().join("home")).args(args)
    }

    /// Applies manifests, on the server's side.
    ///
    /// # Errors
    /// kubectl refuses one.
    pub async fn apply(&self, yaml: &str) -> Result<()> {
        self.kubectl(["apply", "--server-side", "-f", "-"]).stdin(yaml).ok().await?;
        Ok(())
    }

    /// Applies a folder of CRDs and returns when all of them are served.
    ///
    /// # Errors
    /// kubectl refuses one, or it is not served in time.
    pub async fn install_crds(&self, folder: &Path) -> Result<()> {
        let folder = folder.to_string_lossy().into_owned();
        self.kubectl(["apply", "--server-side", "-f", &folder]).ok().await?;
        let timeout = format!("--timeout={CRD_SECONDS}s");
        self.kubectl(["wait", "--for=condition=Established", &timeout, "-f", &folder]).ok().await?;
        Ok(())
    }

    /// Installs Flux's own CRDs: HelmRelease.
    ///
    /// # Errors
    /// As [`ControlPlane::install_crds`].
    pub async fn install_flux_crds(&self) -> Result<()> {
        self.install_crds(&self.binary.crds()).await
    }

    /// Stops kube-apiserver, for a test of what happens without it.
    ///
    /// # Errors
    /// It cannot be stopped.
    pub fn stop_api_server(&self) -> Result<()> {
        let process = self.apiserver.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut process) = process {
            process.stop().context("stopping kube-apiserver")?;
        }
        Ok(())
    }

    /// Stops etcd where it is, until [`ControlPlane::thaw_etcd`].
    ///
    /// # Errors
    /// It cannot be stopped.
    pub fn freeze_etcd(&self) -> Result<()> {
        self.etcd.freeze()
    }

    /// Lets etcd go on.
    ///
    /// # Errors
    /// It cannot be reached.
    pub fn thaw_etcd(&self) -> Result<()> {
        self.etcd.thaw()
    }

    /// Starts kube-apiserver again, on the same port and data, and returns when it is ready.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_api_server(&self) -> Result<()> {
        self.stop_api_server()?;
        let mut process = servers::apiserver(&self.binary, &self.instance, &self.ports, self.reach)?;
        await_ready(&self.client().await?, &mut process, None).await?;
        *self.apiserver.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        Ok(())
    }
}

fn write_kubeconfig(instance: &Instance, url: &str, path: &Path, user: &str, groups: &[&str]) -> Result<()> {
    let credential = instance.cluster.client(user, groups)?;
    let text = kubeconfig::render(url, &instance.cluster.certificate(), &credential)?;
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// Waits until kube-apiserver is ready; not longer than it, and etcd beneath it, live.
async fn await_ready(client: &Client, apiserver: &mut Process, etcd: Option<&mut Process>) -> Result<()> {
    let log = apiserver.log().to_owned();
    let ready = wait::until("kube-apiserver to be ready", START_DEADLINE, || kubeconfig::ready(client));
    process::alive(ready, [Some(apiserver), etcd].into_iter().flatten())
        .await
        .with_context(|| format!("the log of kube-apiserver is {}", log.display()))
}

/// Waits until the controllers work: every namespace gets its default service account.
async fn await_controllers(client: &Client, process: &mut Process) -> Result<()> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    let ready = wait::until("kube-controller-manager to make service accounts", START_DEADLINE, || async {
        accounts.get("default").await.context("reading the service account default").map(drop)
    });
    process::alive(ready, [process]).await
}
