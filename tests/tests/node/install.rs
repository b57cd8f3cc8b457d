//! Installed with Helm and changed under load, in a namespace of Kubernetes' strictest policy.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{NAMESPACE, node::Node};
use kube::{Api, ResourceExt as _, api::ListParams};
use tokio::time::sleep;

use crate::{
    ground::{Ground, RELEASE, TENANT, component, helm, pods, redises, releases, settled},
    traffic::Traffic,
};

/// Instances of the tenant.
pub(crate) const INSTANCES: [&str; 2] = ["small", "large"];

/// How long there is load before something happens, and after it.
pub(crate) const AROUND: Duration = Duration::from_secs(2);

pub(crate) async fn helm_installs_what_serves_instances(ground: &Ground) -> Result<()> {
    let node = ground.node().await?;
    let took = ground.install().await?;
    println!("  helm install: all pods and a definition were Ready after {:.1} s", took.as_secs_f64());
    let began = Instant::now();
    make_instances(node).await?;
    let client = node.control_plane().client().await?;
    let (instances, releases): (Api<_>, Api<_>) = (redises(&client), releases(&client));
    for name in INSTANCES {
        let instance = instances.get(name).await.with_context(|| format!("reading {name}"))?;
        ensure!(instance.data["spec"]["replicas"] == 2, "{name} has no defaults: {}", instance.data["spec"]);
    }
    ensure!(releases.list(&ListParams::default()).await?.items.len() == INSTANCES.len(), "releases are missing");
    println!("  {} instances were made and read after {} ms", INSTANCES.len(), began.elapsed().as_millis());
    let table = node.kubectl(["get", "redises", "--namespace", TENANT]).ok().await?;
    ensure!(table.contains("small"), "kubectl printed {table:?}");

    let tested = node.helm(["test", RELEASE, "--namespace", NAMESPACE, "--timeout", "90s", "--logs"]).ok().await?;
    println!("  helm test: {}", tested.lines().filter(|line| line.starts_with("Phase")).collect::<Vec<_>>().join(", "));
    for pod in pods(node).await? {
        let (memory, restarts) = used(node, &pod)?;
        println!(
            "  {:<9} RSS {:>3} MiB, the cgroup at most {:>3} of {:>3} MiB",
            component(&pod).unwrap_or_default(),
            memory.resident >> 20,
            memory.peak >> 20,
            memory.limit >> 20,
        );
        ensure!(restarts == 0, "{} was started anew {restarts} times", pod.name_any());
    }
    Ok(())
}

pub(crate) async fn an_upgrade_under_load_fails_nothing(ground: &Ground) -> Result<()> {
    let node = ground.installed().await?;
    let traffic = Traffic::start(node).await?;
    sleep(AROUND).await;
    let began = Instant::now();
    let settings =
        ["operator.resources.requests.cpu=11m", "apiserver.resources.requests.cpu=51m", "apiserver.port=10350"];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]).map(str::to_owned);
    node.helm(helm("upgrade", node)).args(settings).ok().await?;
    settled(node).await?;
    println!("  helm upgrade: all pods were others after {:.1} s", began.elapsed().as_secs_f64());
    let port = apiserver_port(node).await?;
    ensure!(port == "10350", "the API server listens on {port}");

    let began = Instant::now();
    node.helm(["rollback", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "100s"]).ok().await?;
    settled(node).await?;
    println!("  helm rollback: all pods were others after {:.1} s", began.elapsed().as_secs_f64());
    let port = apiserver_port(node).await?;
    ensure!(port == "10250", "the API server listens on {port}");
    sleep(AROUND).await;
    let figures = traffic.stop().await?;
    println!("  {figures}");
    figures.check(0)
}

async fn apiserver_port(node: &Node) -> Result<String> {
    let path = "jsonpath={.spec.template.spec.containers[0].ports[0].containerPort}";
    node.kubectl(["get", "deployment", "kindsmith-apiserver", "--namespace", NAMESPACE, "-o", path]).ok().await
}

/// Makes the instances of the tenant, if they are not there.
pub(crate) async fn make_instances(node: &Node) -> Result<()> {
    for name in INSTANCES {
        let instance = format!(
            "{{apiVersion: apps.example.com/v1alpha1, kind: Redis, metadata: {{name: {name}, namespace: {TENANT}}}}}"
        );
        node.kubectl(["apply", "--server-side", "-f", "-"]).stdin(&instance).ok().await?;
    }
    Ok(())
}

/// What the only container of a pod uses, and how often it was started anew.
pub(crate) fn used(node: &Node, pod: &k8s_openapi::api::core::v1::Pod) -> Result<(kindsmith_tests::node::Memory, i32)> {
    let containers = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    let container = containers.and_then(|all| all.first()).context("the pod has no container")?;
    let id = container.container_id.as_deref().and_then(|id| id.strip_prefix("containerd://"));
    let uid = pod.uid().context("the pod has no uid")?;
    let memory = node.memory(&uid, id.context("the container does not run")?)?;
    Ok((memory, container.restart_count))
}
