//! A pod may use so much memory, and a tenant attacks: what another tenant asks for is done, and nothing is killed.

use std::time::Duration;

use anyhow::{Result, ensure};
use kindsmith_tests::attack::{ATTACKS, Strength, is_available, sides, suffer};
use kube::ResourceExt as _;

use crate::{
    ground::{Ground, component, pods},
    install::used,
};

/// How long each attack lasts.
const ATTACK: Duration = Duration::from_secs(3);

/// Objects of 100 KB that the attacker lists.
const FAT_OBJECTS: usize = 100;

pub(crate) async fn limits_of_memory_hold_under_attack(ground: &Ground) -> Result<()> {
    let node = ground.installed().await?;
    let admin = node.control_plane().client().await?;
    let [side, _] = sides(node.control_plane(), FAT_OBJECTS).await?;
    for (name, attack) in ATTACKS {
        let suffered = suffer(&side.attacker, &side.victim, Some((attack, Strength::Full)), ATTACK).await;
        let mut peaks = Vec::new();
        for pod in pods(node).await? {
            let (memory, restarts) = used(node, &pod)?;
            ensure!(restarts == 0 && memory.killed == 0, "{name}: {} was killed", pod.name_any());
            if component(&pod) == Some("apiserver") {
                peaks.push(format!("{} of {} MiB", memory.peak >> 20, memory.limit >> 20));
            }
        }
        println!(
            "  {name}: {} done, median {:.0} ms; the cgroups had at most {}",
            suffered.times.len(),
            suffered.percentile(50),
            peaks.join(" and ")
        );
        ensure!(suffered.failed.is_empty() && !suffered.times.is_empty(), "{name}: {:?}", suffered.failed);
        ensure!(is_available(&admin).await?, "{name}: the server is not available");
    }
    node.kubectl(["delete", "applicationdefinition", "cups.ours.example.com", "--wait=false"]).ok().await.map(drop)
}
