//! The life of a definition: changes that would break instances, restarts in between, consent.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{ControlPlane, Kindsmith, Kubectl, wait};

const VOLUME: &str = "
apiVersion: kindsmith.dev/v1alpha1
kind: ApplicationDefinition
metadata: {name: volumes.life.example.com}
spec:
  group: life.example.com
  scope: Namespaced
  names: {kind: Volume, plural: volumes}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {size: {type: string}}}
  backend:
    helmRelease: {chartRef: {kind: OCIRepository, name: volume, namespace: charts}, prefix: volume-}
";

const NAME: &str = "appdef/volumes.life.example.com";

fn volume(name: &str) -> String {
    format!(
        "{{apiVersion: life.example.com/v1, kind: Volume, metadata: {{name: {name}, namespace: default}}, spec: {{size: large}}}}"
    )
}

/// Calls kubectl.
struct Caller<'a>(&'a ControlPlane);

impl Caller<'_> {
    fn call(&self, args: &[&str]) -> Kubectl {
        self.0.kubectl(args.iter().copied())
    }

    async fn define(&self, definition: &str) -> Result<()> {
        self.call(&["apply", "-f", "-"]).stdin(definition).ok().await.map(drop)
    }

    /// Waits until a condition of the present generation is as wanted, `Accepted=False BreaksInstances`; returns its
    /// message.
    async fn condition(&self, wanted: &str) -> Result<String> {
        let (kind, _) = wanted.split_once('=').context("TYPE=STATUS REASON is wanted")?;
        let format = format!(
            "jsonpath={{.metadata.generation}}{{'\\n'}}{{range .status.conditions[?(@.type==\"{kind}\")]}}{{.observedGeneration}}{{'\\n'}}{{.type}}={{.status}} {{.reason}}{{'\\n'}}{{.message}}{{end}}"
        );
        wait::until(wanted, Duration::from_secs(60), || async {
            let found = self.call(&["get", NAME, "-o", &format]).ok().await?;
            let lines: Vec<&str> = found.splitn(4, '\n').collect();
            let [generation, observed, condition, message] = lines[..] else { anyhow::bail!("it has {found}") };
            ensure!(generation == observed && condition == wanted, "it has {found}");
            Ok(message.to_owned())
        })
        .await
    }

    async fn create(&self, name: &str) -> Result<()> {
        wait::until("the instance to be created", Duration::from_secs(30), || async {
            self.call(&["apply", "-f", "-"]).stdin(&volume(name)).ok().await.map(drop)
        })
        .await
    }
}

/// The schema that our apiserver publishes.
async fn published(kindsmith: &Kindsmith) -> Result<String> {
    let request = http::Request::get("/openapi/v3/apis/life.example.com/v1").body(kube::client::Body::empty())?;
    let answer = kindsmith.client().await?.send(request).await?;
    ensure!(answer.status().is_success(), "it answers {}", answer.status());
    Ok(String::from_utf8_lossy(&answer.into_body().collect_bytes().await?).into_owned())
}

#[tokio::test]
async fn a_change_that_breaks_instances_waits_over_restarts_until_they_are_mended_or_it_is_forced() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Kindsmith::start(&control_plane).await?;
    let caller = Caller(&control_plane);
    caller.define(VOLUME).await?;
    caller.condition("Ready=True Ready").await?;
    caller.create("one").await?;
    caller.create("two").await?;

    // Instances have the field that goes.
    caller.define(&VOLUME.replace("size:", "gigabytes:")).await?;
    let message = caller.condition("Accepted=False BreaksInstances").await?;
    for told in ["2 instances would be harmed", "default/one: spec.size is no longer known", "default/two", "\"2\""] {
        ensure!(message.contains(told), "{told:?} is not in {message:?}");
    }
    caller.condition("Served=True LastGoodGeneration").await?;
    let still_served = async || {
        let schema = published(&kindsmith).await?;
        ensure!(schema.contains("\"size\"") && !schema.contains("gigabytes"), "another generation is served");
        anyhow::Ok(())
    };
    still_served().await?;

    // Neither process remembers it by itself.
    kindsmith.stop_operator()?;
    kindsmith.restart_apiserver().await?;
    still_served().await?;
    kindsmith.start_operator()?;
    caller.condition("Accepted=False BreaksInstances").await?;
    caller.create("three").await?;
    still_served().await?;

    // One that does not compile at all.
    caller.define(&VOLUME.replace("string", "strin")).await?;
    caller.condition("Accepted=False InvalidDefinition").await?;
    kindsmith.stop_operator()?;
    kindsmith.restart_apiserver().await?;
    still_served().await?;
    kindsmith.start_operator()?;
    caller.condition("Served=True LastGoodGeneration").await?;
    caller.create("four").await?;

    // Consent.
    caller.define(&VOLUME.replace("size:", "gigabytes:")).await?;
    caller.condition("Accepted=False BreaksInstances").await?;
    caller.call(&["annotate", NAME, "kindsmith.dev/force-schema-change=4"]).ok().await?;
    caller.condition("Ready=True Ready").await?;
    let schema = published(&kindsmith).await?;
    ensure!(schema.contains("gigabytes") && !schema.contains("\"size\""), "it is not forced");

    // What hurts nobody is taken, and instances that are mended are noticed.
    caller.define(&VOLUME.replace("{size: {type: string}}", "{}")).await?;
    caller.condition("Ready=True Ready").await?;
    caller
        .define(&VOLUME.replace("{size: {type: string}}", "{size: {type: string}, gigabytes: {type: integer}}"))
        .await?;
    caller.condition("Ready=True Ready").await?;
    caller.define(&VOLUME.replace("string}", "string, maxLength: 3}")).await?;
    let message = caller.condition("Accepted=False BreaksInstances").await?;
    ensure!(message.contains("4 instances") && message.contains("Too long"), "it says {message}");
    caller.call(&["delete", "volumes", "--all", "--wait=false"]).ok().await?;
    caller.condition("Ready=True Ready").await?;
    let records = caller.call(&["get", "controllerrevisions", "-n", "kindsmith-system", "-o", "name"]).ok().await?;
    ensure!(records.lines().count() == 1, "records are left: {records}");
    Ok(())
}
