//! From a former version to this one and back, one process after the other, while instances are written and watched.
//! `tests/upgrade.sh` builds the former version and runs this.

use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{
    Accounts, ControlPlane, NAMESPACE, balancer::Balancer, chart, kubeconfig, ports, process::Process, program, wait,
};
use kube::Client;
use serde_json::{Value, json};
use tokio::task::block_in_place;

use crate::{
    availability::load::{self, Failure, History, Load},
    releases::done,
};

const SERVICE: &str = "kindsmith-apiserver";
const RELEASES: &str = "/apis/helm.toolkit.fluxcd.io/v2/helmreleases";
const DEFINITIONS: &str = "/apis/kindsmith.dev/v1alpha1/applicationdefinitions";
const READY_MAX: Duration = Duration::from_secs(90);

/// How long a step is watched for what it breaks.
const SETTLES: Duration = Duration::from_secs(3);

/// Times of the end that a balancer in between needs.
const IN_TURN: [&str; 6] = [
    "--shutdown-delay-duration",
    "1s",
    "--shutdown-watch-termination-grace-period",
    "1s",
    "--shutdown-drain-timeout",
    "5s",
];

/// Which of the two versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Former,
    Present,
}

/// A former version: its binary and the objects that it is installed with.
struct Release {
    program: PathBuf,
    deploy: PathBuf,
}

/// Both versions on a control plane whose Service is a balancer on this machine.
struct Cluster {
    control_plane: ControlPlane,
    client: Client,
    former: Release,
    present: PathBuf,
    accounts: Accounts,
    balancer: Balancer,
    apiserver_ports: [u16; 2],
    apiservers: [Option<Process>; 2],
    operators: [Option<Process>; 2],
    started: usize,
}

fn from_variable(name: &str) -> Result<PathBuf> {
    env::var_os(name).map(PathBuf::from).with_context(|| format!("{name} is not set; run tests/upgrade.sh"))
}

/// A client for a port of this machine, past everything; it does not check the certificate.
async fn direct(path: &Path, port: u16) -> Result<Client> {
    let mut config = kubeconfig::config(path).await?;
    config.cluster_url = format!("https://127.0.0.1:{port}").parse()?;
    config.accept_invalid_certs = true;
    config.root_cert = None;
    config.root_cert_file = None;
    Ok(Client::try_from(config)?)
}

/// The Service of the manifests leads to pods, which there are none of: here it is another name of this machine.
async fn point_service(control_plane: &ControlPlane) -> Result<()> {
    let patch =
        json!({"spec": {"type": "ExternalName", "externalName": "localhost", "clusterIP": null, "clusterIPs": null}});
    let args = ["patch", "service", SERVICE, "--namespace", NAMESPACE, "--type=merge", "-p"];
    control_plane.kubectl(args.into_iter().map(str::to_owned).chain([patch.to_string()])).ok().await.map(drop)
}

impl Cluster {
    /// The former version, installed as its documentation says, with both parts twice.
    async fn start() -> Result<Cluster> {
        let former = Release {
            program: from_variable("KINDSMITH_FORMER_PROGRAM")?,
            deploy: from_variable("KINDSMITH_FORMER_DEPLOY")?,
        };
        let present = tokio::task::spawn_blocking(program::obtain).await??;
        let control_plane = ControlPlane::builder().controller_manager().start().await?;
        control_plane.install_flux_crds().await?;
        apply(&control_plane, &former.deploy).await?;
        let accounts = Accounts {
            operator: control_plane.kubeconfig_of_account(NAMESPACE, "kindsmith-operator").await?,
            replica_token: control_plane
                .token_of_account(NAMESPACE, "kindsmith-operator", "kindsmith-apiserver")
                .await?,
            apiserver: control_plane.kubeconfig_of_account(NAMESPACE, "kindsmith-apiserver").await?,
        };
        let apiserver_ports = [ports::free()?, ports::free()?];
        let mut servers = Vec::new();
        for port in apiserver_ports {
            servers.push((port, direct(&control_plane.kubeconfig(), port).await?));
        }
        let balancer = Balancer::start(ports::free()?, servers).await?;
        let client = control_plane.client().await?;
        let (apiservers, operators) = ([None, None], [None, None]);
        let mut cluster = Cluster {
            control_plane,
            client,
            former,
            present,
            accounts,
            balancer,
            apiserver_ports,
            apiservers,
            operators,
            started: 0,
        };
        for replica in 0..2 {
            cluster.replace_operator(replica, Version::Former)?;
            cluster.start_apiserver(replica, Version::Former)?;
        }
        cluster.until_both_are_ready().await?;
        Ok(cluster)
    }

    fn program(&self, version: Version) -> &Path {
        match version {
            Version::Former => &self.former.program,
            Version::Present => &self.present,
        }
    }

    fn launch(&mut self, command: &str, version: Version, kubeconfig: &Path, args: &[&str]) -> Result<Process> {
        let mut line = self.control_plane.binary().command("guard");
        line.arg(self.program(version)).arg(command).arg("--kubeconfig").arg(kubeconfig);
        line.args(["--namespace", NAMESPACE]).args(args);
        self.started += 1;
        let log = format!("logs/{command}-{}-{version:?}.log", self.started);
        Process::start(&format!("kindsmith {command}"), &mut line, &self.control_plane.folder().join(log))
    }

    fn replace_operator(&mut self, replica: usize, version: Version) -> Result<()> {
        if let Some(mut former) = self.operators[replica].take() {
            block_in_place(|| former.stop())?;
        }
        let (port, kubeconfig) = (self.balancer.port().to_string(), self.accounts.operator.clone());
        let token = self.accounts.replica_token.to_string_lossy().into_owned();
        let mut args = vec!["--service", SERVICE, "--service-port", &port];
        if version == Version::Present {
            args.extend(["--replica-token-file", &token]);
        }
        self.operators[replica] = Some(self.launch("operator", version, &kubeconfig, &args)?);
        Ok(())
    }

    fn start_apiserver(&mut self, replica: usize, version: Version) -> Result<()> {
        let (listen, kubeconfig) =
            (format!("127.0.0.1:{}", self.apiserver_ports[replica]), self.accounts.apiserver.clone());
        let args: Vec<&str> = ["--listen", &listen].into_iter().chain(IN_TURN).collect();
        self.apiservers[replica] = Some(self.launch("apiserver", version, &kubeconfig, &args)?);
        Ok(())
    }

    async fn until_both_are_ready(&self) -> Result<()> {
        wait::until("both apiservers to be ready", READY_MAX, || async {
            ensure!(self.balancer.ready() == 2, "{} are ready", self.balancer.ready());
            Ok(())
        })
        .await
    }

    /// Replaces all operators.
    async fn operators(&mut self, version: Version) -> Result<()> {
        for replica in 0..2 {
            self.replace_operator(replica, version)?;
        }
        Ok(())
    }

    /// Replaces all apiservers, one after the other.
    async fn apiservers(&mut self, version: Version) -> Result<()> {
        for replica in 0..2 {
            if let Some(mut former) = self.apiservers[replica].take() {
                block_in_place(|| former.stop())?;
            }
            self.start_apiserver(replica, version)?;
            self.until_both_are_ready().await?;
        }
        Ok(())
    }

    /// Installs the objects of a version over those of the other.
    async fn objects(&mut self, version: Version) -> Result<()> {
        hand_over(&self.control_plane).await?;
        match version {
            Version::Former => apply(&self.control_plane, &self.former.deploy).await,
            Version::Present => {
                let chart = chart::folder().to_string_lossy().into_owned();
                let args = ["upgrade", "--install", "kindsmith", &chart, "--namespace", NAMESPACE, "--take-ownership"];
                let args = args.into_iter().chain(["--force-conflicts", "--set", chart::IMAGE]);
                self.control_plane.helm(args.map(str::to_owned)).ok().await?;
                point_service(&self.control_plane).await
            }
        }
    }

    /// Why the Ready of definitions is not True, where that is so.
    async fn not_ready(&self) -> Result<BTreeSet<String>> {
        let listed = done(&self.client, "GET", DEFINITIONS, None).await?;
        let said = |definition: &Value| {
            let conditions = definition["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let ready = conditions.iter().find(|it| it["type"] == "Ready").cloned().unwrap_or_default();
            (ready["status"] != "True").then(|| ready["reason"].as_str().unwrap_or_default().to_owned())
        };
        Ok(listed["items"].as_array().into_iter().flatten().filter_map(said).collect())
    }

    /// Makes a new kind while the versions differ, and says how long it takes to be Ready.
    async fn new_kind(&self, plural: &str, kind: &str) -> Result<String> {
        self.control_plane.apply(&load::definition(plural, kind)).await?;
        let began = Instant::now();
        let definition = format!("{DEFINITIONS}/{plural}.lives.example.com");
        let served = wait::until("the new kind to be served", READY_MAX, || async {
            let path = format!("/apis/lives.example.com/v1/namespaces/default/{plural}");
            done(&self.client, "GET", &path, None).await.map(drop)
        });
        served.await?;
        let served = began.elapsed();
        let ready = wait::until("the new kind to be Ready", Duration::from_secs(20), || async {
            let found = done(&self.client, "GET", &definition, None).await?;
            let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let ready = conditions.iter().find(|it| it["type"] == "Ready").cloned().unwrap_or_default();
            ensure!(ready["status"] == "True", "{} {}", ready["reason"], ready["message"]);
            Ok(())
        });
        let ready = match ready.await {
            Ok(()) => format!("Ready after {:.1} s", began.elapsed().as_secs_f64()),
            Err(_) => "and not said to be Ready for 20 s".to_owned(),
        };
        Ok(format!("a new kind was served after {:.1} s, {ready}", served.as_secs_f64()))
    }

    /// The generation of each release: what an upgrade must not change, as each is an upgrade of what a tenant runs.
    async fn specs(&self) -> Result<Vec<(String, Value)>> {
        let listed = done(&self.client, "GET", RELEASES, None).await?;
        let spec = |release: &Value| {
            let mut spec = release["spec"].clone();
            // What the writers write.
            spec["values"] = Value::Null;
            (release["metadata"]["name"].as_str().unwrap_or_default().to_owned(), spec)
        };
        Ok(listed["items"].as_array().into_iter().flatten().map(spec).collect())
    }
}

/// Makes room for Deployments of another owner, and leaves the pods. What one owner applied stays beside what another applies: the
/// former port of the container would, under the name of the present one.
async fn hand_over(control_plane: &ControlPlane) -> Result<()> {
    let args = ["delete", "deployments", "--namespace", NAMESPACE, "--cascade=orphan", "--ignore-not-found"];
    control_plane.kubectl(args.into_iter().chain(["kindsmith-operator", "kindsmith-apiserver"])).ok().await.map(drop)
}

/// Installs the objects of the former version, as it documents it.
async fn apply(control_plane: &ControlPlane, deploy: &Path) -> Result<()> {
    for folder in ["crds", "manifests"] {
        let folder = deploy.join(folder).to_string_lossy().into_owned();
        let args = ["apply", "--server-side", "--force-conflicts", "-f", &folder];
        control_plane.kubectl(args).ok().await?;
    }
    point_service(control_plane).await
}

/// Says what failed since a step began, after it has settled.
async fn told(load: &Load, step: &str, began: Instant, before: usize) -> usize {
    let took = began.elapsed();
    tokio::time::sleep(SETTLES).await;
    let (unsent, failed): (Vec<_>, Vec<_>) = load.failures_since(began).into_iter().partition(Failure::was_never_sent);
    println!(
        "upgrade: {step}: {:.1} s, {} writes, {} failed, {} never left kube-apiserver",
        took.as_secs_f64(),
        load.acknowledged() - before,
        failed.len(),
        unsent.len()
    );
    if !failed.is_empty() {
        println!("upgrade:   {}", load::told(&failed));
    }
    failed.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "builds a former version first: run tests/upgrade.sh"]
async fn a_former_version_is_upgraded_and_back_under_load() -> Result<()> {
    let mut cluster = Cluster::start().await?;
    cluster.control_plane.apply(&load::definition("jobs", "Job")).await?;
    wait::until("the definition to be Ready", READY_MAX, || async {
        let not_ready = cluster.not_ready().await?;
        ensure!(not_ready.is_empty(), "{not_ready:?}");
        Ok(())
    })
    .await?;
    let load = Load::start(&cluster.control_plane).await?;
    let specs = cluster.specs().await?;
    let mut failed = 0;
    macro_rules! step {
        ($step:literal, $done:expr) => {{
            let (began, before) = (Instant::now(), load.acknowledged());
            $done.await.with_context(|| format!("at the step: {}", $step))?;
            failed += told(&load, $step, began, before).await;
            let not_ready = cluster.not_ready().await?;
            if !not_ready.is_empty() {
                println!("upgrade:   Ready is False meanwhile: {not_ready:?}");
            }
        }};
    }
    use Version::{Former, Present};
    step!("objects of this version", cluster.objects(Present));
    step!("operators of this version, apiservers of the former", cluster.operators(Present));
    println!("upgrade:   {}", cluster.new_kind("skews", "Skew").await?);
    step!("apiservers of this version", cluster.apiservers(Present));
    println!("upgrade:   {}", cluster.new_kind("presents", "Present").await?);
    step!("back: apiservers of the former version", cluster.apiservers(Former));
    step!("back: operators of the former version", cluster.operators(Former));
    step!("back: objects of the former version", cluster.objects(Former));
    println!("upgrade:   {}", cluster.new_kind("formers", "Former").await?);
    step!("again: objects of this version", cluster.objects(Present));
    step!("again: apiservers of this version, operators of the former", cluster.apiservers(Present));
    println!("upgrade:   {}", cluster.new_kind("turneds", "Turned").await?);
    step!("again: operators of this version", cluster.operators(Present));
    wait::until("all definitions to be Ready", READY_MAX, || async {
        let not_ready = cluster.not_ready().await?;
        ensure!(not_ready.is_empty(), "{not_ready:?}");
        Ok(())
    })
    .await?;
    println!("upgrade: {failed} requests failed in all; {}", load.stop(History::Kept).await?);
    let after = cluster.specs().await?;
    ensure!(specs == after, "releases are others:\n{specs:#?}\n{after:#?}");
    Ok(())
}
