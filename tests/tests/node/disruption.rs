//! Replicas that are killed or moved away under load: the other one goes on.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{NAMESPACE, node::NAME};
use kube::ResourceExt as _;
use tokio::time::sleep;

use crate::{
    ground::{Ground, component, is_ready, pods, settled},
    install::AROUND,
    traffic::Traffic,
};

/// How many requests kube-apiserver's proxy may break when a replica is killed: those that the replica was at.
const BROKEN_MAX: u64 = 25;

pub(crate) async fn a_killed_replica_is_covered(ground: &Ground) -> Result<()> {
    let node = ground.installed().await?;
    let traffic = Traffic::start(node).await?;
    sleep(AROUND).await;
    let killed = pods(node).await?.into_iter().find(|pod| component(pod) == Some("apiserver"));
    let killed = killed.context("there is no API server")?.name_any();
    let began = Instant::now();
    node.kubectl(["delete", "pod", &killed, "--namespace", NAMESPACE, "--force", "--grace-period=0"]).ok().await?;
    settled(node).await?;
    println!("  a replica was killed, and another one Ready after {:.1} s", began.elapsed().as_secs_f64());
    sleep(AROUND).await;
    let figures = traffic.stop().await?;
    println!("  {figures}");
    figures.check(BROKEN_MAX)
}

pub(crate) async fn a_drain_leaves_one_replica(ground: &Ground) -> Result<()> {
    let node = ground.installed().await?;
    let traffic = Traffic::start(node).await?;
    sleep(AROUND).await;
    let drain = ["drain", NAME, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=25s"];
    let refused = node.kubectl(drain).fails().await?;
    ensure!(refused.contains("would violate the pod's disruption budget"), "kubectl said {refused}");
    let left = pods(node).await?;
    for part in ["operator", "apiserver"] {
        let ready = left.iter().filter(|pod| component(pod) == Some(part) && is_ready(pod)).count();
        ensure!(ready == 1, "{ready} pods of {part} are ready on a node that is drained");
    }
    let began = Instant::now();
    node.kubectl(["uncordon", NAME]).ok().await?;
    settled(node).await?;
    println!(
        "  the budgets held one replica of each part; all were Ready {:.1} s after",
        began.elapsed().as_secs_f64()
    );
    sleep(AROUND).await;
    let figures = traffic.stop().await?;
    println!("  {figures}");
    figures.check(0)
}
