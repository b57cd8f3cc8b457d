//! `kindsmith doctor` on a cluster that is well, and on one in which one thing after the other breaks.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use kindsmith_tests::{ControlPlane, Kindsmith, NAMESPACE, chart, pki::Authority, program, wait};
use serde_json::{Value, json};

use crate::{main_job::apply_definitions, own_rights::accounts};

/// Deployments with the names that they have; no node runs them here.
const DEPLOYMENTS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: kindsmith-operator, namespace: kindsmith-system}
spec:
  replicas: 2
  selector: {matchLabels: {app: kindsmith}}
  template:
    metadata: {labels: {app: kindsmith}}
    spec: {containers: [{name: kindsmith, image: 'kindsmith:0.1.0'}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: kindsmith-apiserver, namespace: kindsmith-system}
spec:
  replicas: 2
  selector: {matchLabels: {app: kindsmith}}
  template:
    metadata: {labels: {app: kindsmith}}
    spec: {containers: [{name: kindsmith, image: 'kindsmith:0.1.0'}]}
";

/// An APIService of somebody else whose Service is gone.
const DEAD: &str = "
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.dead.example.com}
spec:
  group: dead.example.com
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {name: gone, namespace: default}
";

/// What it said, and how it ended.
#[derive(Debug)]
struct Told {
    code: Option<i32>,
    checks: Vec<Value>,
    text: String,
}

async fn run(kubeconfig: &Path, flags: &[&str]) -> Result<(Option<i32>, String)> {
    let mut command = tokio::process::Command::new(tokio::task::spawn_blocking(program::obtain).await??);
    command.arg("doctor").arg("--kubeconfig").arg(kubeconfig).args(flags);
    let output = command.output().await?;
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&text).into_owned()))
}

/// Asks for JSON.
async fn doctor(kubeconfig: &Path, flags: &[&str]) -> Result<Told> {
    let (code, text) = run(kubeconfig, &[flags, &["-o", "json"]].concat()).await?;
    let told: Value = serde_json::from_str(&text).with_context(|| format!("it is no JSON: {text}"))?;
    ensure!(told["healthy"] == (code == Some(0)), "it ends with {code:?} and says {text}");
    Ok(Told { code, checks: told["checks"].as_array().cloned().unwrap_or_default(), text })
}

impl Told {
    fn of(&self, status: &str) -> Vec<&Value> {
        self.checks.iter().filter(|it| it["status"] == status).collect()
    }

    /// That it ends so, and has a line with that status, about that, with these words and that remedy.
    fn says(&self, code: i32, line: (&str, &str, &str, &str)) -> Result<()> {
        let (status, check, message, remedy) = line;
        let has = |it: &&Value, member: &str, part: &str| it[member].as_str().unwrap_or_default().contains(part);
        let found = self.checks.iter().find(|it| {
            it["status"] == status && it["check"] == check && has(it, "message", message) && has(it, "remedy", remedy)
        });
        ensure!(self.code == Some(code) && found.is_some(), "wanted {code} and {line:?}: {}", self.text);
        Ok(())
    }
}

#[tokio::test]
async fn what_breaks_is_told_with_what_to_do() -> Result<()> {
    let control_plane = ControlPlane::builder().controller_manager().start().await?;
    let admin = control_plane.kubeconfig();
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());

    // Before an installation: Flux is missing; somebody may not install; nobody answers.
    let told = doctor(&admin, &["--pre"]).await?;
    told.says(1, ("error", "flux", "Flux is missing", "flux install"))?;
    told.says(1, ("ok", "aggregation-layer", "set up", ""))?;
    let told = doctor(&admin, &[]).await?;
    told.says(1, ("error", "crd", "Kindsmith is not installed", "kindsmith doctor --pre"))?;
    control_plane.install_flux_crds().await?;
    let told = doctor(&admin, &["--pre"]).await?;
    told.says(0, ("ok", "rights", "you may create all", ""))?;
    told.says(0, ("ok", "rights", "you may grant", ""))?;
    let somebody = control_plane.kubeconfig_as("somebody", &[])?;
    let told = doctor(&somebody, &["--pre"]).await?;
    told.says(1, ("error", "rights", "you may not create", "administrator"))?;
    told.says(1, ("unchecked", "apiservices", "needs list on apiservices", ""))?;
    let (code, text) = run(&control_plane.kubeconfig_through(1)?, &["--pre"]).await?;
    ensure!(code == Some(2) && text.contains("the cluster is not reached"), "it ends with {code:?}: {text}");

    // All is well.
    let accounts = accounts(&control_plane).await?;
    let kindsmith = Kindsmith::start_as(&control_plane, accounts).await?;
    kindsmith.stop_operator()?;
    let leader = kindsmith.start_candidate("leader")?;
    apply_definitions(&call).await?;
    call(&["wait", "--for=condition=Ready", "--timeout=60s", "applicationdefinitions", "--all"]).ok().await?;
    control_plane.apply(DEPLOYMENTS).await?;
    for name in ["kindsmith-operator", "kindsmith-apiserver"] {
        let status = r#"{"status": {"replicas": 2, "readyReplicas": 2, "availableReplicas": 2}}"#;
        let patch = [
            "patch",
            "deployment",
            name,
            "--namespace",
            NAMESPACE,
            "--subresource=status",
            "--type=merge",
            "-p",
            status,
        ];
        call(&patch).ok().await?;
    }
    control_plane.apply(&chart::account("tests/doctor.yaml")?).await?;
    let tester = control_plane.kubeconfig_of_account(NAMESPACE, "kindsmith-test").await?;
    // The role of instances is filled in by a controller.
    let told = wait::until("all to be well", Duration::from_secs(30), || async {
        let told = doctor(&admin, &[]).await?;
        ensure!(told.code == Some(0), "something is broken: {}", told.text);
        Ok(told)
    })
    .await?;
    for (check, message) in [
        ("rights", "kindsmith-operator may do all"),
        ("rights", "kindsmith-apiserver may do all"),
        ("crd", "is established"),
        ("operator", "acts"),
        ("apiserver", "serves"),
        ("versions", "both processes run kindsmith:0.1.0"),
        ("certificates", "is believed until"),
        ("apiservices", "are available"),
        ("definitions", "definitions are Ready"),
        ("discovery", "through kube-apiserver"),
        ("namespaces", "no namespace hangs"),
    ] {
        told.says(0, ("ok", check, message, ""))?;
    }
    let warned: Vec<&str> = told.of("warning").iter().filter_map(|it| it["check"].as_str()).collect();
    // No Flux runs here.
    ensure!(warned == ["flux"] && told.of("unchecked").is_empty(), "it warns: {}", told.text);
    let (_, text) = run(&admin, &[]).await?;
    ensure!(text.contains("✔ certificates:") && text.contains("    → flux check"), "it prints {text}");
    let told = doctor(&tester, &[]).await?;
    let unchecked: Vec<&str> = told.of("unchecked").iter().filter_map(|it| it["check"].as_str()).collect();
    ensure!(told.code == Some(0) && unchecked == ["flux", "certificates"], "the tester is told {}", told.text);
    let told = doctor(&somebody, &[]).await?;
    ensure!(told.code == Some(0), "what somebody may not see is said to be broken: {}", told.text);

    // An APIService of somebody else is dead, and a right is taken away.
    control_plane.apply(DEAD).await?;
    let role = "[{\"op\": \"remove\", \"path\": \"/rules/1\"}]";
    call(&["patch", "clusterrole", "kindsmith-operator", "--type=json", "-p", role]).ok().await?;
    wait::until("the dead APIService and the right to be told of", Duration::from_secs(30), || async {
        let told = doctor(&tester, &[]).await?;
        told.says(
            1,
            (
                "warning",
                "apiservices",
                "v1beta1.dead.example.com",
                "kubectl delete apiservice v1beta1.dead.example.com",
            ),
        )?;
        told.says(
            1,
            (
                "error",
                "rights",
                "kindsmith-operator may not get, patch applicationdefinitions/status",
                "apply its roles again",
            ),
        )
    })
    .await?;

    // Nobody acts, and the certificate is a stranger's, and then one that is over.
    drop(leader);
    let stranger = Authority::new("stranger")?;
    for (credential, message) in [
        (stranger.server(&["kindsmith-apiserver.kindsmith-system.svc"])?, "is not believed under the bundle"),
        (
            stranger.expired_server("kindsmith-apiserver.kindsmith-system.svc", 2025)?,
            "the serving certificate expired at 2025-01-01",
        ),
    ] {
        let encoded = |text: &str| STANDARD.encode(text);
        let patch = json!({"data": {"tls.crt": encoded(&credential.certificate), "tls.key": encoded(&credential.key)}});
        let patch = ["patch", "secret", "kindsmith-serving-cert", "--namespace", NAMESPACE, "-p", &patch.to_string()];
        call(&patch).ok().await?;
        let told = doctor(&admin, &[]).await?;
        told.says(1, ("error", "certificates", message, "logs deployment/kindsmith-operator"))?;
        told.says(
            1,
            ("error", "operator", "no operator acts: nobody holds the Lease", "logs deployment/kindsmith-operator"),
        )?;
    }

    // Flux is gone, and so is the API server.
    kindsmith.stop_apiserver()?;
    call(&["delete", "crd", "helmreleases.helm.toolkit.fluxcd.io", "--wait=false"]).ok().await?;
    wait::until("the rest to be told of", Duration::from_secs(60), || async {
        let told = doctor(&admin, &[]).await?;
        told.says(1, ("error", "flux", "Flux is missing", "flux install"))?;
        told.says(1, ("error", "apiservices", "APIService v1alpha1.apps.example.com is dead", "kindsmith uninstall"))?;
        told.says(1, ("error", "apiserver", "no replica announces itself", "get pods"))?;
        told.says(1, ("error", "discovery", "does not answer through kube-apiserver", "kubectl get --raw /apis/"))
    })
    .await
}
