//! `kindsmith uninstall` as the Job of a chart runs it: with an account of its own, at each stage of an installation.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use kindsmith_tests::{ControlPlane, Kindsmith, NAMESPACE, chart, program, wait};

/// The Deployment of the operator, which no node runs here, and the Lease of one that was killed.
const OPERATOR: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: kindsmith-operator, namespace: kindsmith-system}
spec:
  replicas: 2
  selector: {matchLabels: {app: operator}}
  template:
    metadata: {labels: {app: operator}}
    spec: {containers: [{name: operator, image: kindsmith}]}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: kindsmith-operator, namespace: kindsmith-system}
spec: {holderIdentity: killed, leaseDurationSeconds: 1}
";

const DEFINITION: &str = "
apiVersion: kindsmith.dev/v1alpha1
kind: ApplicationDefinition
metadata: {name: boats.uninstall.example.com}
spec:
  group: uninstall.example.com
  scope: Namespaced
  names: {kind: Boat, plural: boats}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object}}}}
  backend:
    helmRelease: {chartRef: {kind: OCIRepository, name: boat, namespace: charts}, prefix: boat-}
";

const NAME: &str = "appdef/boats.uninstall.example.com";

/// What it printed, and how it ended.
struct Told {
    code: Option<i32>,
    text: String,
}

/// The command for the user of a kubeconfig.
async fn uninstall(kubeconfig: &Path, flags: &[&str]) -> Result<Told> {
    let mut command = tokio::process::Command::new(tokio::task::spawn_blocking(program::obtain).await??);
    command.arg("uninstall").arg("--kubeconfig").arg(kubeconfig).args(flags);
    let began = Instant::now();
    let output = command.output().await?;
    ensure!(began.elapsed() < Duration::from_secs(90), "it takes {:?}", began.elapsed());
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    Ok(Told { code: output.status.code(), text: String::from_utf8_lossy(&text).into_owned() })
}

impl Told {
    fn is_done_and_says(&self, parts: &[&str]) -> Result<()> {
        ensure!(self.code == Some(0), "it ends with {:?}: {}", self.code, self.text);
        let missing: Vec<_> = parts.iter().filter(|&&part| !self.text.contains(part)).collect();
        ensure!(missing.is_empty(), "{missing:?} is not in:\n{}", self.text);
        Ok(())
    }
}

#[tokio::test]
async fn whatever_was_installed_is_taken_out_with_few_rights_and_releases_stay() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    // All that the account may do.
    control_plane.kubectl(["create", "namespace", NAMESPACE]).ok().await?;
    control_plane.apply(&chart::account("uninstall/hook.yaml")?).await?;
    let account = control_plane.kubeconfig_of_account(NAMESPACE, "kindsmith-uninstall").await?;

    // Nothing came up: no CustomResourceDefinition, no Deployment, no Lease, no APIService.
    let told = uninstall(&account, &["--leave-instances"]).await?;
    told.is_done_and_says(&["nothing is to be done"])?;

    // The operator's image was never there.
    control_plane.apply(OPERATOR).await?;
    let told = uninstall(&account, &["--leave-instances"]).await?;
    told.is_done_and_says(&["scale Deployment kindsmith-operator to zero", "left: the namespace kindsmith-system"])?;
    let scaled =
        ["get", "deployment", "kindsmith-operator", "--namespace", NAMESPACE, "-o", "jsonpath={.spec.replicas}"];
    ensure!(call(&scaled).ok().await? == "0", "the operator is not scaled");

    // All is there, and in use.
    control_plane.install_flux_crds().await?;
    let kindsmith = Kindsmith::start(&control_plane).await?;
    call(&["apply", "-f", "-"]).stdin(DEFINITION).ok().await?;
    call(&["wait", "--for=condition=Ready", NAME, "--timeout=60s"]).ok().await?;
    let boat = "{apiVersion: uninstall.example.com/v1, kind: Boat, metadata: {name: one, namespace: default}}";
    call(&["apply", "-f", "-"]).stdin(boat).ok().await?;
    let told = uninstall(&control_plane.kubeconfig(), &[]).await?;
    ensure!(
        told.code == Some(1) && told.text.contains("boats.uninstall.example.com has 1 instance: default/one"),
        "instances do not hold it: {}",
        told.text
    );
    kindsmith.stop_operator()?;
    let told = uninstall(&account, &["--leave-instances"]).await?;
    told.is_done_and_says(&[
        "delete APIService v1.uninstall.example.com",
        "remove the finalizer of definition boats.uninstall.example.com",
        "left: 1 definition and instances, as HelmReleases, which could not be counted",
        "left: the CustomResourceDefinition",
    ])?;
    let reason = "jsonpath={.metadata.finalizers}{.status.conditions[?(@.type==\"Ready\")].reason}";
    ensure!(call(&["get", NAME, "-o", reason]).ok().await? == "Uninstalled", "the definition is not told");

    // Once more.
    let told = uninstall(&account, &["--leave-instances"]).await?;
    let is_done_again =
        ["delete APIService", "remove the finalizer", "say in"].iter().any(|step| told.text.contains(step));
    ensure!(!is_done_again, "it is done again: {}", told.text);
    told.is_done_and_says(&["left: 1 definition\n"])?;

    // Somebody deletes the CustomResourceDefinition first, and it hangs; it and its definitions go, and are not said to be left.
    let is_back = || async {
        call(&["wait", "--for=condition=Ready", NAME, "--timeout=60s"]).ok().await?;
        call(&["get", "boats", "one"]).ok().await.map(drop)
    };
    kindsmith.start_operator()?;
    wait::until("the kind to be back", Duration::from_secs(60), is_back).await?;
    let crd = ["crd", "applicationdefinitions.kindsmith.dev"];
    call(&[&["delete", "--wait=false"], &crd[..]].concat()).ok().await?;
    wait::until("the instances to hold it", Duration::from_secs(30), || async {
        let held = "jsonpath={.status.conditions[?(@.type==\"Terminating\")].reason}";
        let held = call(&["get", NAME, "-o", held]).ok().await?;
        ensure!(held == "InstancesExist", "it is {held:?}");
        Ok(())
    })
    .await?;
    kindsmith.stop_operator()?;
    let told = uninstall(&account, &["--leave-instances"]).await?;
    told.is_done_and_says(&[
        "gone: 1 definition",
        "gone: the CustomResourceDefinition applicationdefinitions.kindsmith.dev",
    ])?;
    ensure!(!told.text.contains("left: 1 definition"), "what is gone is said to be left: {}", told.text);
    let left = call(&[&["get"], &crd[..]].concat()).fails().await?;
    ensure!(left.contains("not found"), "the CustomResourceDefinition is left: {left}");

    // Everything that is Kindsmith's own, as it was asked for.
    control_plane.install_crds(&program::workspace().join("deploy/crds")).await?;
    call(&["apply", "-f", "-"]).stdin(DEFINITION).ok().await?;
    kindsmith.start_operator()?;
    wait::until("the kind to be back", Duration::from_secs(60), is_back).await?;
    let admin = control_plane.kubeconfig();
    let told = uninstall(&admin, &["--crds", "--dry-run", "--leave-instances"]).await?;
    told.is_done_and_says(&[
        "would delete definition boats.uninstall.example.com",
        "would delete the CustomResourceDefinition",
    ])?;
    let told = uninstall(&admin, &["--crds"]).await?;
    ensure!(told.code == Some(1), "instances do not hold it: {}", told.text);
    call(&["get", NAME]).ok().await?;
    kindsmith.stop_operator()?;
    let told = uninstall(&admin, &["--crds", "--leave-instances"]).await?;
    told.is_done_and_says(&[
        "delete definition boats",
        "left: 1 instance, as HelmReleases",
        "gone: the CustomResourceDefinition",
    ])?;
    call(&["get", "helmrelease", "boat-one"]).ok().await.map(drop)
}
