//! Definitions and instances as charts of Helm: what docs/tasks/gitops.md promises of them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{ControlPlane, Kindsmith, helm::Helm, wait};
use kube::Client;
use serde_json::{Value, json};

use crate::releases::{RELEASES, done};

/// How long Helm waits at most; what is told early is told much before.
const TIMEOUT: &str = "--timeout=60s";

/// What is early.
const EARLY: Duration = Duration::from_secs(30);

const DEFINITION: &str = "
apiVersion: kindsmith.dev/v1alpha1
kind: ApplicationDefinition
metadata: {name: gadgets.charts.example.com}
spec:
  group: charts.example.com
  scope: Namespaced
  names: {kind: Gadget, plural: gadgets}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: integer}}}
  backend:
    helmRelease: {chartRef: {kind: OCIRepository, name: gadget, namespace: charts}, prefix: gadget-}
";

fn gadget(name: &str) -> String {
    format!("apiVersion: charts.example.com/v1\nkind: Gadget\nmetadata: {{name: {name}}}\nspec: {{size: 1}}\n")
}

/// Writes a chart with one template.
fn chart(folder: &Path, name: &str, template: &str) -> Result<PathBuf> {
    let chart = folder.join(name);
    fs::create_dir_all(chart.join("templates"))?;
    fs::write(chart.join("Chart.yaml"), format!("apiVersion: v2\nname: {name}\nversion: 0.1.0\n"))?;
    fs::write(chart.join("templates/objects.yaml"), template)?;
    Ok(chart)
}

/// Writes what Flux says of a release once it is there, as helm-controller does.
async fn flux_says(client: &Client, release: &str, conditions: &[(&str, &str, &str)]) -> Result<()> {
    let path = format!("{RELEASES}/{release}");
    let found = wait::until(&format!("the release {release}"), EARLY, || done(client, "GET", &path, None)).await?;
    let generation = found["metadata"]["generation"].clone();
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(kind, status, reason)| {
            json!({"type": kind, "status": status, "reason": reason, "message": format!("Helm: {reason}"),
                "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z"})
        })
        .collect();
    let status = json!({"status": {"observedGeneration": generation, "lastAttemptedGeneration": generation,
        "conditions": conditions}});
    done(client, "PATCH", &format!("{path}/status"), Some(&status)).await?;
    Ok(())
}

#[tokio::test]
async fn definitions_and_instances_are_installed_as_two_charts() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let _kindsmith = Kindsmith::start(&control_plane).await?;
    let client = control_plane.client().await?;
    let folder = tempfile::tempdir()?;
    let helm = |args: &[&str]| {
        let home = control_plane.folder().join("home");
        Helm::new(control_plane.binary(), &control_plane.kubeconfig(), &home).args(args.iter().copied())
    };
    let path = |chart: &Path| chart.to_string_lossy().into_owned();

    // Both in one: Helm looks all kinds up before it applies anything.
    let both = chart(folder.path(), "both", &format!("{DEFINITION}---\n{}", gadget("one")))?;
    let refused = helm(&["install", "both", &path(&both), "--wait", TIMEOUT]).fails().await?;
    println!("helm install of a definition with its instance: {}", refused.trim());
    ensure!(refused.contains("resource mapping not found"), "{refused}");
    let there = control_plane.kubectl(["get", "appdef", "-o", "name"]).ok().await?;
    ensure!(there.is_empty(), "{there} was applied all the same");

    // The definition by itself: Helm waits until its kind is served.
    let definitions = chart(folder.path(), "definitions", DEFINITION)?;
    let began = Instant::now();
    helm(&["install", "platform", &path(&definitions), "--wait", TIMEOUT]).ok().await?;
    println!("helm install --wait of a definition: {:.1} s", began.elapsed().as_secs_f64());
    let ready = ["wait", "--for=condition=Ready", "appdef/gadgets.charts.example.com", "--timeout=1s"];
    control_plane.kubectl(ready).ok().await.context("Helm did not wait")?;

    // Instances: Helm waits for what Flux says of them.
    let instances = chart(folder.path(), "instances", &gadget("one"))?;
    let install = helm(&["install", "team-a", &path(&instances), "--wait", TIMEOUT]);
    let flux = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        flux_says(
            &client,
            "gadget-one",
            &[("Ready", "True", "InstallSucceeded"), ("Released", "True", "InstallSucceeded")],
        )
        .await
    };
    let began = Instant::now();
    let (installed, said) = tokio::join!(install.ok(), flux);
    said?;
    installed?;
    ensure!(began.elapsed() >= Duration::from_secs(3), "Helm did not wait for Flux");
    println!("helm install --wait of an instance that Flux took 3 s for: {:.1} s", began.elapsed().as_secs_f64());

    // What Flux gave up on fails at once, and not after the timeout.
    let broken = chart(folder.path(), "broken", &gadget("two"))?;
    let install = helm(&["install", "team-b", &path(&broken), "--wait", TIMEOUT]);
    let stalled = [("Stalled", "True", "RetriesExceeded"), ("Ready", "False", "InstallFailed")];
    let began = Instant::now();
    let (failed, said) = tokio::join!(install.fails(), flux_says(&client, "gadget-two", &stalled));
    said?;
    println!("helm install --wait of an instance that Flux gave up on: {:.1} s", began.elapsed().as_secs_f64());
    ensure!(began.elapsed() < EARLY, "Helm waited to its timeout");
    println!("  {}", failed?.trim());

    // A chart that goes takes its instances with it, and the definition goes last.
    helm(&["uninstall", "team-a"]).ok().await?;
    Ok(())
}
