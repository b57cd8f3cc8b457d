//! The life of a definition: changes that would break instances, restarts in between, consent, deletion, its roles.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{ControlPlane, Kindsmith, Kubectl, wait};

pub(crate) const VOLUME: &str = "
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

/// Creates and deletes namespaces until it is told to end; says how long the slowest deletion took.
async fn namespaces_come_and_go(
    caller: &Caller<'_>,
    ended: &std::sync::atomic::AtomicBool,
) -> Result<(usize, Duration)> {
    let (mut round, mut slowest) = (0, Duration::ZERO);
    while !ended.load(std::sync::atomic::Ordering::Relaxed) {
        round += 1;
        let name = format!("team-{round}");
        caller.call(&["create", "namespace", &name]).ok().await?;
        let began = std::time::Instant::now();
        let deleted = caller.call(&["delete", "namespace", &name, "--timeout=45s"]).ok().await;
        deleted.with_context(|| format!("namespace {name} is not deleted"))?;
        slowest = slowest.max(began.elapsed());
    }
    Ok((round, slowest))
}

#[tokio::test]
async fn definitions_are_deleted_and_kindsmith_uninstalled_without_holding_up_any_namespace() -> Result<()> {
    let control_plane = ControlPlane::builder().controller_manager().start().await?;
    control_plane.install_flux_crds().await?;
    let caller = Caller(&control_plane);
    let ended = std::sync::atomic::AtomicBool::new(false);
    let life = async {
        let done = deletion_and_uninstall(&control_plane, &caller).await;
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        done
    };
    let (life, namespaces) = tokio::join!(life, namespaces_come_and_go(&caller, &ended));
    life?;
    let (round, slowest) = namespaces?;
    println!("{round} namespaces came and went meanwhile; the slowest was gone after {} ms", slowest.as_millis());
    Ok(())
}

async fn deletion_and_uninstall(control_plane: &ControlPlane, caller: &Caller<'_>) -> Result<()> {
    let kindsmith = Kindsmith::start(control_plane).await?;
    caller.define(VOLUME).await?;
    caller.condition("Ready=True Ready").await?;

    // The built-in roles have the rights.
    wait::until("the roles to be taken up", Duration::from_secs(60), || async {
        for (role, verb) in [("view", "list"), ("edit", "create"), ("admin", "deletecollection")] {
            let rules = caller.call(&["get", "clusterrole", role, "-o", "json"]).ok().await?;
            let rules: serde_json::Value = serde_json::from_str(&rules)?;
            let grants = |rule: &serde_json::Value| {
                rule["apiGroups"] == serde_json::json!(["life.example.com"])
                    && rule["verbs"].as_array().is_some_and(|verbs| verbs.iter().any(|it| it == verb))
            };
            ensure!(rules["rules"].as_array().is_some_and(|rules| rules.iter().any(grants)), "{role} has no {verb}");
        }
        Ok(())
    })
    .await?;

    // Instances hold it.
    caller.create("one").await?;
    caller.create("two").await?;
    caller.call(&["delete", NAME, "--wait=false"]).ok().await?;
    let message = caller.condition("Terminating=True InstancesExist").await?;
    ensure!(message.contains("2 instances: default/one, default/two"), "it says {message}");
    caller.call(&["get", "volume", "one"]).ok().await?;
    kindsmith.restart_apiserver().await?;
    caller.call(&["delete", "volumes", "--all"]).ok().await?;
    caller.call(&["wait", "--for=delete", NAME, "--timeout=30s"]).ok().await?;
    let left = caller.call(&["get", "apiservice", "v1.life.example.com"]).fails().await?;
    ensure!(left.contains("not found"), "the APIService is left: {left}");
    wait::until("the roles to be gone", Duration::from_secs(30), || async {
        let roles = caller.call(&["get", "clusterroles", "-l", "kindsmith.dev/roles-of", "-o", "name"]).ok().await?;
        ensure!(roles.is_empty(), "left: {roles}");
        Ok(())
    })
    .await?;

    // Those of one that lets them be are left.
    let orphan = VOLUME.replace("  backend:", "  deletionPolicy: Orphan\n  backend:");
    caller.define(&orphan).await?;
    caller.condition("Ready=True Ready").await?;
    caller.create("kept").await?;
    caller.call(&["delete", NAME, "--timeout=30s"]).ok().await?;
    caller.call(&["get", "helmrelease", "volume-kept"]).ok().await?;
    // With the definition they are back.
    caller.define(VOLUME).await?;
    caller.condition("Ready=True Ready").await?;
    caller.call(&["get", "volume", "kept"]).ok().await?;

    // An upgrade: both processes make room for others.
    kindsmith.stop_operator()?;
    kindsmith.start_operator()?;
    kindsmith.restart_apiserver().await?;
    wait::until("the instance to be served again", Duration::from_secs(30), || async {
        caller.call(&["get", "volume", "kept"]).ok().await.map(drop)
    })
    .await?;

    // Uninstall.
    let kubeconfig = control_plane.kubeconfig();
    let uninstall = async |flags: &[&str]| {
        let mut command = tokio::process::Command::new(kindsmith.program());
        command.arg("uninstall").arg("--kubeconfig").arg(&kubeconfig).args(flags);
        let output = command.output().await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        anyhow::Ok((output.status.success(), text(&output.stdout), text(&output.stderr)))
    };
    let (done, _, complaint) = uninstall(&[]).await?;
    ensure!(!done && complaint.contains("volumes.life.example.com has 1 instance: default/kept"), "{complaint}");
    let (done, told, complaint) = uninstall(&["--dry-run", "--leave-instances"]).await?;
    ensure!(done && told.contains("would delete APIService v1.life.example.com"), "{told}{complaint}");
    caller.call(&["get", "apiservice", "v1.life.example.com"]).ok().await?;
    // Here no Deployment runs the operator.
    kindsmith.stop_operator()?;
    let (done, told, complaint) = uninstall(&["--leave-instances"]).await?;
    ensure!(done && told.contains("left: 1 definition and 1 instance"), "{told}{complaint}");
    kindsmith.stop_apiserver()?;
    let ours = ["get", "apiservices", "-l", "app.kubernetes.io/managed-by=kindsmith", "-o", "name"];
    ensure!(caller.call(&ours).ok().await?.is_empty(), "APIServices are left");
    for condition in ["Registered", "Served", "Discoverable", "Ready"] {
        caller.condition(&format!("{condition}=False Uninstalled")).await?;
    }
    nobody_has_looked_at_a_new_one(caller).await?;
    caller.call(&["delete", NAME, "--timeout=20s"]).ok().await?;
    caller.call(&["get", "helmrelease", "volume-kept"]).ok().await.map(drop)
}

/// Without an operator a new definition is in progress, for people and for who waits by kstatus.
async fn nobody_has_looked_at_a_new_one(caller: &Caller<'_>) -> Result<()> {
    caller.define(&VOLUME.replace("volumes", "disks").replace("Volume", "Disk").replace("volume-", "disk-")).await?;
    let made = caller.call(&["get", "appdef/disks.life.example.com", "-o", "json"]).ok().await?;
    let made: serde_json::Value = serde_json::from_str(&made)?;
    ensure!(made["status"]["observedGeneration"] == -1, "it is observed: {}", made["status"]);
    let row = caller.call(&["get", "appdef/disks.life.example.com", "--no-headers"]).ok().await?;
    ensure!(row.matches("Unknown").count() == 3, "kubectl shows {row}");
    let ready = ["wait", "--for=condition=Ready", "appdef/disks.life.example.com", "--timeout=1s"];
    caller.call(&ready).fails().await?;
    caller.call(&["delete", "appdef/disks.life.example.com", "--timeout=20s"]).ok().await.map(drop)
}
