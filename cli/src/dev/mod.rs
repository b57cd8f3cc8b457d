//! `kindsmith dev`: everything in one process, on an embedded store, without a cluster.
//!
//! The apiserver serves ApplicationDefinition itself; the operator's logic runs against it as a client, as it does in a
//! cluster. What was stored is there again at the next start.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use kindsmith_apiserver::{
    registry::Registry,
    run::StandAlone,
    server::{ServingCertificate, ShutdownTimes},
    storage::embedded::Embedded,
};
use kindsmith_operator::OperatorConfig;
use kindsmith_schema::form::DefinitionForm;
use kube::Client;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::{in_cluster::FormArguments, output};

/// Applies manifests as a client would.
mod apply;

/// The kubeconfig for kubectl.
mod kubeconfig;

/// Ends the deletion of namespaces, as kube-controller-manager does in a cluster.
mod namespaces;

/// Certificates of this server and of its administrator.
mod pki;

/// What is served, as tables.
mod show;

/// Flags of `kindsmith dev`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Definitions and instances to apply: files, or directories of them [default: the examples]
    #[arg(value_name = "MANIFEST|DIR")]
    manifests: Vec<PathBuf>,
    /// Where to accept connections
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7443")]
    listen: SocketAddr,
    /// Where objects and certificates are kept
    #[arg(long, value_name = "DIR", default_value = ".kindsmith")]
    data_dir: PathBuf,
    /// Where to write the kubeconfig; entries of others in it stay [default: kubeconfig in the data directory]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    definitions: FormArguments,
}

/// How long the server may take until it answers.
const START_MAX: Duration = Duration::from_secs(20);

/// Runs until Ctrl-C.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let shutdown = crate::in_cluster::until_signal()?;
    let forms = arguments.definitions.forms();
    // The examples are definitions of our own form.
    let manifests = if arguments.manifests.is_empty() && !forms.contains(&DefinitionForm::Kindsmith) {
        Vec::new()
    } else {
        crate::manifests::read(&arguments.manifests)?
    };
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("{} cannot be listened on; choose another address with --listen", arguments.listen))?;
    let address = listener.local_addr()?;
    let store = Embedded::open(&arguments.data_dir)?;
    let pki = pki::load_or_create(&arguments.data_dir.join("pki"), address.ip())?;
    let certificate = Arc::new(ServingCertificate::default());
    certificate.load(pki.serving.certificate_pem.as_bytes(), pki.serving.key_pem.as_bytes())?;
    let kubeconfig_file = arguments.kubeconfig.unwrap_or_else(|| arguments.data_dir.join("kubeconfig"));
    let kubeconfig = kubeconfig::kubeconfig(address, &pki);
    kubeconfig::write(&kubeconfig, &kubeconfig_file)?;
    let client = kubeconfig::client(kubeconfig).await?;

    let tasks = TaskTracker::new();
    let server = StandAlone {
        store: Arc::clone(&store),
        client_ca_pem: pki.ca_pem.clone(),
        listener,
        certificate,
        registry: Arc::new(Registry::default()),
        shutdown_times: ShutdownTimes::at_once(),
        forms: forms.clone(),
    };
    let served = tokio::spawn(server.run(shutdown.clone()));
    tokio::select! {
        ready = wait_until_ready(&client) => ready?,
        () = shutdown.cancelled() => {}
    }
    let config = OperatorConfig { forms: forms.clone(), ..OperatorConfig::stand_alone() };
    let operator = kindsmith_operator::run(client.clone(), config, shutdown.clone());
    let failed = shutdown.clone();
    tasks.spawn(async move {
        if let Err(error) = operator.await {
            tracing::error!(error = format!("{error:#}"), "the operator's logic stopped");
            failed.cancel();
        }
    });
    tasks.spawn(namespaces::run(client.clone(), store, shutdown.clone()));
    if !shutdown.is_cancelled() {
        namespaces::ensure_default(&client).await?;
        let prepared = prepare(&client, &forms, &manifests, address, &kubeconfig_file).await;
        if let Err(error) = prepared {
            shutdown.cancel();
            served.await??;
            return Err(error);
        }
    }
    let served = served.await?;
    tasks.close();
    tasks.wait().await;
    served.context("the server stopped")?;
    output::print(&format!("\nStopped. What was stored is in {} for the next start.\n", arguments.data_dir.display()))
}

async fn prepare(
    client: &Client,
    forms: &[DefinitionForm],
    manifests: &[serde_json::Value],
    address: SocketAddr,
    kubeconfig: &Path,
) -> anyhow::Result<()> {
    output::print(&format!("Kindsmith serves at https://{address}\n\n"))?;
    apply::apply(client, manifests).await?;
    show::print(client, forms).await?;
    output::print(&format!(
        "\nUse it with kubectl:\n\n  export KUBECONFIG={}\n  kubectl api-resources\n  kubectl get applicationdefinitions,helmreleases -A\n\nCtrl-C stops it.\n",
        std::path::absolute(kubeconfig).unwrap_or_else(|_| kubeconfig.to_owned()).display()
    ))
}

async fn wait_until_ready(client: &Client) -> anyhow::Result<()> {
    let ready = async {
        loop {
            let request = http::Request::get("/readyz").body(Vec::new())?;
            if client.request_text(request).await.is_ok() {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(START_MAX, ready).await.context("the server did not become ready in time")?
}
