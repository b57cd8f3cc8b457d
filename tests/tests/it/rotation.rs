//! Certificates and authorities rotate under constant traffic, and nobody notices.
//!
//! Lifetimes of seconds; the operator is killed once at every stage. A minute by default;
//! `KINDSMITH_ROTATION_SECONDS=180` for the long run.

/// Clients that notice everything.
mod traffic;

/// Secrets that somebody broke.
mod repair;

use std::{
    collections::BTreeSet,
    env, fs,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::{api::coordination::v1::Lease, api::core::v1::Secret};
use kindsmith_tests::{
    ControlPlane, Replicated,
    kindsmith::{NAMESPACE, SERVICE},
    pki::{Authority, Credential},
    ports, program, wait,
};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::time::sleep;

use crate::credentials::metrics;
use traffic::Traffic;

/// The variable that says how long the rotation runs.
const SECONDS_VARIABLE: &str = "KINDSMITH_ROTATION_SECONDS";

const SECONDS: u64 = 60;

const LEAF_SECONDS: u64 = 13;

const CA_SECONDS: u64 = 55;

/// The stages at which the operator is killed, as its log names them.
const STAGES: [&str; 5] = ["staged", "trusted", "issued", "serving", "retired"];

/// How many requests are sent each second, and how many watches are open.
const REQUESTS_PER_SECOND: u64 = 200;

const WATCHES: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_rotate_under_load_and_nobody_notices() -> Result<()> {
    let seconds = env::var(SECONDS_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let (leaf, ca) = (format!("{LEAF_SECONDS}s"), format!("{CA_SECONDS}s"));
    let metrics_port = ports::free()?;
    let telling = format!("127.0.0.1:{metrics_port}");
    let flags = ["--certificate-lifetime", &leaf, "--ca-lifetime", &ca, "--metrics-listen", &telling];
    let kindsmith = Replicated::start(&control_plane, 2, &flags).await?;
    let definition = program::workspace().join("deploy/examples/redis.yaml");
    control_plane.kubectl(["apply", "-f"]).args([definition.to_string_lossy()]).ok().await?;
    let served = || async { control_plane.kubectl(["get", "redises", "-A"]).ok().await.map(drop) };
    wait::until("the kind to be served", Duration::from_secs(30), served).await?;

    let client = control_plane.client().await?;
    let traffic = Traffic::start(&control_plane, kindsmith.port(), REQUESTS_PER_SECOND, WATCHES).await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    // The first rotation is one that somebody asks for.
    let asked = json!({"metadata": {"annotations": {"kindsmith.dev/rotate": "now"}}});
    secrets.patch("kindsmith-ca", &PatchParams::default(), &Patch::Merge(&asked)).await?;

    let (mut leaves, mut authorities) = (BTreeSet::new(), BTreeSet::new());
    let mut killed: BTreeSet<&str> = BTreeSet::new();
    let mut read = 0;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        leaves.insert(certificate(&secrets, "kindsmith-serving-cert").await?);
        authorities.insert(certificate(&secrets, "kindsmith-ca").await?);
        let log = fs::read(kindsmith.operator_log()).context("reading the operator's log")?;
        let log = plain(&String::from_utf8_lossy(&log));
        let news = log.get(read..).unwrap_or_default();
        let stage = |line: &str| STAGES.iter().find(|stage| line.contains(&format!("stage={stage}"))).copied();
        if let Some(stage) = news.lines().filter_map(stage).find(|stage| !killed.contains(stage)) {
            kindsmith.kill_operator()?;
            killed.insert(stage);
            kindsmith.start_operator()?;
        }
        read = log.len();
        sleep(Duration::from_millis(25)).await;
    }
    let figures = traffic.stop().await?;
    let (leaves, authorities) = (leaves.len() - 1, authorities.len() - 1);
    println!("{seconds} s: {leaves} serving certificates, {authorities} authorities, operator killed at {killed:?}");
    println!("{figures}");
    figures.check()?;
    ensure!(killed.len() == STAGES.len(), "the operator was killed at {killed:?} only");
    // A certificate of 13 s is renewed after 8, an authority of 55 s after 25.
    let (least_leaves, least_authorities) = (usize::try_from(seconds / 9)?, usize::try_from(seconds / 45)?);
    ensure!(leaves >= least_leaves, "{leaves} serving certificates are fewer than {least_leaves}");
    ensure!(authorities >= least_authorities, "{authorities} authorities are fewer than {least_authorities}");

    let metrics = metrics(&control_plane, metrics_port).await?;
    for line in ["rotation_stage{stage=\"settled\"}", "replicas{state=\"answering\"} 2", "{certificate=\"serving\"}"] {
        ensure!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    let mut status = Command::new(kindsmith.program());
    status.args(["certs", "status", "--kubeconfig"]).arg(control_plane.kubeconfig());
    let status = status.output().context("asking for the status")?;
    let text = String::from_utf8_lossy(&status.stdout);
    println!("{text}");
    ensure!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    for part in ["stage: ", "next:  ", "serving certificate\n  SHA-256  ", "CA\n  SHA-256  "] {
        ensure!(text.contains(part), "{part:?} is not in\n{text}");
    }

    let leases: Api<Lease> = Api::namespaced(client, NAMESPACE);
    ensure!(leases.list(&ListParams::default()).await?.items.len() == 2, "each replica has a Lease");
    kindsmith.stop_apiserver(0)?;
    ensure!(leases.list(&ListParams::default()).await?.items.len() == 1, "one that has ended has none");
    Ok(())
}

/// A log without the sequences that colour it.
fn plain(log: &str) -> String {
    let mut parts = log.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

/// SHA-256 of the first certificate of a Secret.
async fn certificate(secrets: &Api<Secret>, name: &str) -> Result<[u8; 32]> {
    let secret = secrets.get(name).await?;
    let data = secret.data.context("a Secret is empty")?;
    Ok(Sha256::digest(&data.get("tls.crt").context("a Secret has no certificate")?.0).into())
}

#[tokio::test]
async fn certificates_of_somebody_else_are_taken_over_and_left_alone() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let authority = Authority::new("somebody else")?;
    let secret = |credential: &Credential| {
        let data =
            json!({"tls.crt": credential.certificate, "tls.key": credential.key, "ca.crt": authority.certificate()});
        json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "stringData": data,
            "metadata": {"name": "kindsmith-serving-cert", "namespace": NAMESPACE}})
    };
    let host = format!("{SERVICE}.{NAMESPACE}.svc");
    let first = authority.server(&[&host])?;
    control_plane.apply(&format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}")).await?;
    control_plane.apply(&secret(&first).to_string()).await?;
    let kindsmith = Replicated::start(&control_plane, 1, &["--certificates", "secret"]).await?;
    let definition = program::workspace().join("deploy/examples/redis.yaml");
    control_plane.kubectl(["apply", "-f"]).args([definition.to_string_lossy()]).ok().await?;
    let served = || async { control_plane.kubectl(["get", "redises", "-A"]).ok().await.map(drop) };
    wait::until("the kind to be served", Duration::from_secs(30), served).await?;

    control_plane.apply(&secret(&authority.server(&[&host])?).to_string()).await?;
    wait::until("the new certificate to be served", Duration::from_secs(10), || async {
        let log = fs::read_to_string(kindsmith.apiserver_log(0)).context("reading the log")?;
        ensure!(log.matches("certificate loaded").count() == 2, "it is not loaded yet");
        Ok(())
    })
    .await?;
    served().await?;
    let secrets: Api<Secret> = Api::namespaced(control_plane.client().await?, NAMESPACE);
    ensure!(secrets.get_opt("kindsmith-ca").await?.is_none(), "a CA was made that nobody needs");
    Ok(())
}
