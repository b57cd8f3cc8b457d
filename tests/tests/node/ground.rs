//! The installation that tests are about: each finds it, or makes it anew.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::{api::core::v1::Pod, kube_aggregator::pkg::apis::apiregistration::v1::APIService};
use kindsmith_tests::{
    NAMESPACE,
    node::{Node, Place},
    program::workspace,
    wait,
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams},
};
use tokio::sync::OnceCell;

/// The release's name.
pub(crate) const RELEASE: &str = "kindsmith";

/// How long pods may take to come or to go; images are there already.
pub(crate) const PODS_DEADLINE: Duration = Duration::from_secs(110);

/// How long instances may take to be served by ready pods.
const SERVED_DEADLINE: Duration = Duration::from_secs(60);

/// How long a namespace that has nothing to do with Kindsmith may take to be deleted.
pub(crate) const DELETION_MAX: Duration = Duration::from_secs(10);

/// A namespace in which nothing runs that Kubernetes' strictest policy forbids, and the one of a tenant.
const NAMESPACES: &str = "
apiVersion: v1
kind: Namespace
metadata:
  name: kindsmith-system
  labels:
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/warn: restricted
---
apiVersion: v1
kind: Namespace
metadata: {name: tenant}
";

/// The namespace of instances.
pub(crate) const TENANT: &str = "tenant";

/// One node, and what is installed on it.
pub(crate) struct Ground {
    folder: PathBuf,
    node: OnceCell<Node>,
}

impl Ground {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, node: OnceCell::new() }
    }

    /// The node, which the first caller starts.
    pub(crate) async fn node(&self) -> Result<&Node> {
        let start = async {
            let place = tokio::task::spawn_blocking(Place::again).await.context("finding programs")??;
            let node = Node::start(&place, &self.folder).await?;
            println!("  the node was Ready after {:.1} s", node.started().as_secs_f64());
            node.control_plane().install_flux_crds().await?;
            anyhow::Ok(node)
        };
        self.node.get_or_try_init(|| start).await
    }

    /// The folder of the node.
    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Says what is there when tests have failed.
    pub(crate) async fn end(&self) {
        let Some(node) = self.node.get() else { return };
        let _ = node.kubectl(["get", "events", "-A"]).run().await.map(|events| {
            let _ = std::fs::write(self.folder.join("events.txt"), events.stdout);
        });
    }

    /// The node with Kindsmith on it, in the state that an installation with no further values has.
    pub(crate) async fn installed(&self) -> Result<&Node> {
        let node = self.node().await?;
        if !node.helm(["status", RELEASE, "--namespace", NAMESPACE]).run().await?.status.success() {
            self.install().await?;
        }
        Ok(node)
    }

    /// Installs Kindsmith with Helm; returns how long that took until all pods were ready.
    pub(crate) async fn install(&self) -> Result<Duration> {
        let node = self.node().await?;
        node.control_plane().apply(NAMESPACES).await?;
        let began = Instant::now();
        node.helm(helm("install", node)).ok().await?;
        rolled_out(node).await?;
        let definition = workspace().join("deploy/examples/redis.yaml").to_string_lossy().into_owned();
        node.kubectl(["apply", "--server-side", "-f", &definition]).ok().await?;
        let ready =
            ["wait", "--for=condition=Ready", "--timeout=60s", "applicationdefinition/redises.apps.example.com"];
        node.kubectl(ready).ok().await?;
        // A definition that was there before may still say what was so then.
        let redises = redises(&node.control_plane().client().await?);
        wait::until("instances to be served", SERVED_DEADLINE, || async {
            redises.list(&ListParams::default()).await.context("listing").map(drop)
        })
        .await?;
        Ok(began.elapsed())
    }
}

/// A command line of Helm about the release, with the image that the node has.
pub(crate) fn helm(verb: &str, node: &Node) -> Vec<String> {
    let chart = workspace().join("deploy/helm/kindsmith").to_string_lossy().into_owned();
    let image = node.kindsmith();
    let (repository, tag) = (format!("image.repository={}", image.repository), format!("image.tag={}", image.tag));
    [verb, RELEASE, &chart, "--namespace", NAMESPACE, "--set", &repository, "--set", &tag]
        .into_iter()
        .chain(["--set", "image.pullPolicy=Never", "--wait", "--timeout", "100s"])
        .map(str::to_owned)
        .collect()
}

/// Waits until as many pods are ready as are wanted; others may still end.
async fn rolled_out(node: &Node) -> Result<()> {
    for deployment in ["kindsmith-operator", "kindsmith-apiserver"] {
        let rolled = ["rollout", "status", "deployment", deployment, "--namespace", NAMESPACE, "--timeout=110s"]
            .map(str::to_owned);
        node.kubectl(rolled).ok().await?;
    }
    Ok(())
}

/// Waits until as many pods are ready as are wanted, and none else is there.
pub(crate) async fn settled(node: &Node) -> Result<()> {
    rolled_out(node).await?;
    wait::until("old pods to be gone", PODS_DEADLINE, || async {
        let pods = pods(node).await?;
        ensure!(pods.len() == 4 && pods.iter().all(is_ready), "pods: {}", told(&pods));
        Ok(())
    })
    .await
}

/// The pods of both parts, those of a hook left out.
pub(crate) async fn pods(node: &Node) -> Result<Vec<Pod>> {
    let pods: Api<Pod> = Api::namespaced(node.control_plane().client().await?, NAMESPACE);
    let listed = pods.list(&ListParams::default()).await.context("listing pods")?;
    let part = |pod: &Pod| component(pod).is_some_and(|part| part == "operator" || part == "apiserver");
    Ok(listed.items.into_iter().filter(part).collect())
}

/// What a pod is of.
pub(crate) fn component(pod: &Pod) -> Option<&str> {
    pod.metadata.labels.as_ref()?.get("app.kubernetes.io/component").map(String::as_str)
}

/// Whether a pod is ready, and stays.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Pods by name, for an error.
fn told(pods: &[Pod]) -> String {
    let one = |pod: &Pod| {
        let ready = if is_ready(pod) { "ready" } else { "not ready" };
        format!("{} ({ready})", pod.metadata.name.clone().unwrap_or_default())
    };
    pods.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The kind of the example.
pub(crate) fn redises(client: &Client) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), TENANT, &resource("apps.example.com", "v1alpha1", "Redis", "redises"))
}

/// Releases of the tenant.
pub(crate) fn releases(client: &Client) -> Api<DynamicObject> {
    let resource = resource("helm.toolkit.fluxcd.io", "v2", "HelmRelease", "helmreleases");
    Api::namespaced_with(client.clone(), TENANT, &resource)
}

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let gvk = kube::api::GroupVersionKind::gvk(group, version, kind);
    ApiResource::from_gvk_with_plural(&gvk, plural)
}

/// The APIServices that Kindsmith registered.
pub(crate) async fn registered(client: &Client) -> Result<Vec<String>> {
    let services: Api<APIService> = Api::all(client.clone());
    let listed = services.list(&ListParams::default()).await.context("listing APIServices")?;
    let ours = |service: &APIService| {
        let service = service.spec.as_ref().and_then(|spec| spec.service.as_ref());
        service.is_some_and(|service| service.namespace.as_deref() == Some(NAMESPACE))
    };
    Ok(listed.items.into_iter().filter(ours).filter_map(|service| service.metadata.name).collect())
}
