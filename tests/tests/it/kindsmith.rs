//! Our own processes under the harness: they start, are reached, and can be stopped and started again.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kindsmith_tests::{ControlPlane, Dev, Kindsmith, kubeconfig, program, wait};

#[tokio::test]
async fn a_definition_is_served_through_kube_apiserver() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Kindsmith::start(&control_plane).await?;
    let definition = program::workspace().join("deploy/examples/redis.yaml");
    control_plane.kubectl(["apply", "-f"]).args([definition.to_string_lossy()]).ok().await?;
    let served = || async { control_plane.kubectl(["get", "redises", "-A"]).ok().await.map(drop) };
    wait::until("the kind to be served", Duration::from_secs(30), served).await?;

    kindsmith.stop_apiserver()?;
    let direct = kindsmith.client().await?;
    ensure!(kubeconfig::ready(&direct).await.is_err(), "a stopped apiserver answers");
    kindsmith.restart_apiserver().await?;
    wait::until("the kind to be served again", Duration::from_secs(30), served).await
}

#[tokio::test]
async fn dev_serves_again_what_it_stored() -> Result<()> {
    let examples = program::workspace().join("deploy/examples");
    let mut dev = Dev::start([examples.to_string_lossy()]).await?;
    let before = dev.kubectl(["get", "redises", "-A", "-o", "name"]).ok().await?;
    ensure!(!before.is_empty(), "no instance of the examples is there");
    dev.restart().await?;
    let after = dev.kubectl(["get", "redises", "-A", "-o", "name"]).ok().await?;
    ensure!(before == after, "before the restart {before:?}, after it {after:?}");
    Ok(())
}

#[tokio::test]
async fn a_start_that_fails_says_why() -> Result<()> {
    let error = Dev::start(["--no-such-flag"]).await.err().context("it started with a flag that it does not know")?;
    ensure!(format!("{error:#}").contains("unexpected argument '--no-such-flag'"), "the error is {error:#}");
    Ok(())
}
