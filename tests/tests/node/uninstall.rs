//! Kindsmith is taken away, in each way in which that happens: nobody else is harmed, and all is there when it comes back.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kindsmith_tests::{NAMESPACE, node::Node, wait};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, PostParams},
};
use tokio::time::sleep;

use crate::{
    ground::{DELETION_MAX, Ground, PODS_DEADLINE, RELEASE, redises, registered, releases},
    install::make_instances,
};

/// How long the namespace of Kindsmith itself may take, with its pods.
const NAMESPACE_MAX: Duration = Duration::from_secs(120);

/// The pause between namespaces that are deleted while Kindsmith goes.
const PAUSE: Duration = Duration::from_secs(2);

pub(crate) async fn helm_uninstall_harms_nothing(ground: &Ground) -> Result<()> {
    taken_away(ground, "helm uninstall", async |node| {
        let uninstall = ["uninstall", RELEASE, "--namespace", NAMESPACE, "--timeout", "110s"];
        node.helm(uninstall).ok().await.map(drop)
    })
    .await
}

pub(crate) async fn without_hooks_nothing_is_harmed(ground: &Ground) -> Result<()> {
    taken_away(ground, "helm uninstall --no-hooks", async |node| {
        let uninstall = ["uninstall", RELEASE, "--namespace", NAMESPACE, "--no-hooks", "--timeout", "110s"];
        node.helm(uninstall).ok().await.map(drop)
    })
    .await
}

pub(crate) async fn a_deleted_namespace_harms_nothing(ground: &Ground) -> Result<()> {
    taken_away(ground, "kubectl delete namespace", async |node| {
        let began = Instant::now();
        node.kubectl(["delete", "namespace", NAMESPACE, "--wait=false"]).ok().await?;
        let namespaces: Api<Namespace> = Api::all(node.control_plane().client().await?);
        let mut slowest = Duration::ZERO;
        while namespaces.get_opt(NAMESPACE).await?.is_some() {
            ensure!(began.elapsed() < NAMESPACE_MAX, "the namespace of Kindsmith is still there");
            slowest = slowest.max(deletion(node).await?);
            sleep(PAUSE).await;
        }
        println!(
            "  the namespace was gone after {:.1} s; others meanwhile after {:.1} s at most",
            began.elapsed().as_secs_f64(),
            slowest.as_secs_f64()
        );
        Ok(())
    })
    .await
}

async fn taken_away(ground: &Ground, how: &str, take: impl AsyncFnOnce(&Node) -> Result<()>) -> Result<()> {
    let node = ground.installed().await?;
    make_instances(node).await?;
    let client = node.control_plane().client().await?;
    let (instances, releases) = (redises(&client), releases(&client));
    let instances_before = told(&instances, |it| it.uid().unwrap_or_default() + &it.data["spec"].to_string()).await?;
    let releases_before = told(&releases, written).await?;

    let began = Instant::now();
    take(node).await?;
    let (took, deleted) = (began.elapsed(), deletion(node).await?);
    println!(
        "  {how} took {:.1} s; another namespace was deleted {:.1} s after that was begun",
        took.as_secs_f64(),
        deleted.as_secs_f64()
    );
    wait::until("APIServices to be gone", DELETION_MAX, || async {
        let left = registered(&client).await?;
        ensure!(left.is_empty(), "{left:?} are registered");
        Ok(())
    })
    .await?;
    let releases_after = told(&releases, written).await?;
    ensure!(releases_after == releases_before, "releases were {releases_before:?} and are {releases_after:?}");

    // A pod of the former installation may still end.
    wait::until("an installation to be possible", PODS_DEADLINE, || async {
        let helm = node.helm(["list", "--all-namespaces", "--short"]).ok().await?;
        ensure!(helm.trim().is_empty(), "there are the releases {helm}");
        Ok(())
    })
    .await?;
    let installed = ground.install().await?;
    let instances_after = told(&instances, |it| it.uid().unwrap_or_default() + &it.data["spec"].to_string()).await?;
    ensure!(instances_after == instances_before, "instances were {instances_before:?} and are {instances_after:?}");
    println!(
        "  {} instances were back {:.1} s after a new installation was begun",
        instances_after.len(),
        installed.as_secs_f64()
    );
    Ok(())
}

/// What a release is, down to the last write.
fn written(release: &DynamicObject) -> String {
    let deleted = if release.metadata.deletion_timestamp.is_some() { " deleted" } else { "" };
    format!("{}@{}{deleted}", release.uid().unwrap_or_default(), release.resource_version().unwrap_or_default())
}

/// What there is, by name.
async fn told(
    objects: &Api<DynamicObject>,
    tell: impl Fn(&DynamicObject) -> String,
) -> Result<BTreeMap<String, String>> {
    let listed = objects.list(&ListParams::default()).await.context("listing")?;
    ensure!(!listed.items.is_empty(), "there is nothing");
    Ok(listed.items.iter().map(|object| (object.name_any(), tell(object))).collect())
}

/// How long the deletion of a namespace takes that has nothing to do with Kindsmith.
async fn deletion(node: &Node) -> Result<Duration> {
    let namespaces: Api<Namespace> = Api::all(node.control_plane().client().await?);
    let mut namespace = Namespace::default();
    namespace.metadata.generate_name = Some("elsewhere-".to_owned());
    let made = namespaces.create(&PostParams::default(), &namespace).await.context("making a namespace")?.name_any();
    let began = Instant::now();
    namespaces.delete(&made, &DeleteParams::default()).await.context("deleting a namespace")?;
    wait::until("another namespace to be deleted", DELETION_MAX, || async {
        let left = namespaces.get_opt(&made).await?;
        let why = left.and_then(|left| left.status).and_then(|status| status.conditions);
        ensure!(why.is_none(), "{why:?}");
        let left = namespaces.get_opt(&made).await?;
        ensure!(left.is_none(), "it is there");
        Ok(())
    })
    .await?;
    Ok(began.elapsed())
}
