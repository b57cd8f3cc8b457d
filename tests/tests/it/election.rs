//! Operators that contend for one Lease: the other acts when the leader is killed, and at once when it ends in peace.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kindsmith_tests::{ControlPlane, Kindsmith, wait};
use serde_json::json;

/// The duration of the Lease, two pauses, and what a loaded machine needs besides.
const TAKEOVER_MAX: Duration = Duration::from_secs(30);

/// One pause, and what a loaded machine needs besides.
const HANDOVER_MAX: Duration = Duration::from_secs(10);

fn definition(plural: &str, kind: &str) -> String {
    json!({
        "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": format!("{plural}.leads.example.com")},
        "spec": {"group": "leads.example.com", "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}}}],
            "backend": {"helmRelease": {
                "chartRef": {"kind": "OCIRepository", "name": plural, "namespace": "charts"}, "prefix": format!("{plural}-")}}},
    })
    .to_string()
}

/// The holder of the Lease, and how often it has changed.
async fn lease(control_plane: &ControlPlane) -> Result<(String, u32)> {
    let show = "jsonpath={.spec.holderIdentity} {.spec.leaseTransitions}";
    let shown = control_plane
        .kubectl(["get", "lease", "kindsmith-operator", "--namespace", "kindsmith-system", "-o", show])
        .ok()
        .await?;
    let (holder, transitions) = shown.split_once(' ').unwrap_or((&shown, ""));
    ensure!(!holder.is_empty(), "nobody holds the Lease");
    Ok((holder.to_owned(), transitions.parse().unwrap_or_default()))
}

async fn holder_other_than(control_plane: &ControlPlane, before: &str, within: Duration) -> Result<(String, u32)> {
    wait::until("another holder of the Lease", within, || async {
        let (holder, transitions) = lease(control_plane).await?;
        ensure!(holder != before, "{holder} holds it still");
        Ok((holder, transitions))
    })
    .await
}

async fn is_ready(control_plane: &ControlPlane, plural: &str, within: Duration) -> Result<()> {
    let definition = format!("appdef/{plural}.leads.example.com");
    let timeout = format!("--timeout={}s", within.as_secs());
    control_plane.kubectl(["wait", "--for=condition=Ready", definition.as_str(), timeout.as_str()]).ok().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_operator_acts_when_the_leader_is_gone() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Kindsmith::start(&control_plane).await?;
    kindsmith.stop_operator()?;
    let mut first = kindsmith.start_candidate("operator-one")?;
    let (leader, _) = holder_other_than(&control_plane, "", TAKEOVER_MAX).await?;
    let mut second = kindsmith.start_candidate("operator-two")?;
    control_plane.apply(&definition("cups", "Cup")).await?;
    is_ready(&control_plane, "cups", Duration::from_secs(60)).await?;
    let (holder, before) = lease(&control_plane).await?;
    ensure!(holder == leader, "{holder} took the Lease from {leader}, who lives");

    first.kill()?;
    let killed = Instant::now();
    control_plane.apply(&definition("mugs", "Mug")).await?;
    let (leader, transitions) = holder_other_than(&control_plane, &leader, TAKEOVER_MAX).await?;
    let held = killed.elapsed();
    is_ready(&control_plane, "mugs", TAKEOVER_MAX).await?;
    println!(
        "election: killed leader: Lease taken after {:.1} s, a new kind ready after {:.1} s",
        held.as_secs_f64(),
        killed.elapsed().as_secs_f64()
    );
    ensure!(transitions == before + 1, "the Lease counts {transitions} transitions after {before}");

    let mut third = kindsmith.start_candidate("operator-three")?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let ended = Instant::now();
    second.stop()?;
    holder_other_than(&control_plane, &leader, HANDOVER_MAX).await?;
    println!("election: leader that ended: Lease taken after {:.1} s", ended.elapsed().as_secs_f64());
    control_plane.apply(&definition("jars", "Jar")).await?;
    is_ready(&control_plane, "jars", Duration::from_secs(60)).await?;
    third.stop()?;
    Ok(())
}
