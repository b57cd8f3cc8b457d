//! Short attacks of each class: what another tenant asks for meanwhile is done.

use std::time::Duration;

use anyhow::{Result, ensure};
use kindsmith_tests::{
    ControlPlane, Kindsmith,
    attack::{ATTACKS, Strength, is_available, sides, suffer},
};

const ATTACK: Duration = Duration::from_secs(3);

/// Lists of 4 MB.
const FAT_OBJECTS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_tenant_cannot_take_the_server_from_another() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let _kindsmith = Kindsmith::start(&control_plane).await?;
    let admin = control_plane.client().await?;
    let [side, _] = sides(&control_plane, FAT_OBJECTS).await?;
    for (name, attack) in ATTACKS {
        let suffered = suffer(&side.attacker, &side.victim, Some((attack, Strength::Quarter)), ATTACK).await;
        println!("{name}: {} done, median {:.0} ms", suffered.times.len(), suffered.percentile(50));
        ensure!(suffered.failed.is_empty() && !suffered.times.is_empty(), "{name}: {:?}", suffered.failed);
        ensure!(suffered.watch_ended == 0, "{name}: a watch ended");
        ensure!(is_available(&admin).await?, "{name}: the server is not available");
    }
    Ok(())
}
