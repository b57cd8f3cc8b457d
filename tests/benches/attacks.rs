//! One tenant attacks while another one works, on a kind of ours and on the same kind as a CustomResourceDefinition.
//!
//! Prints a table: what the victim's requests took on each side, what failed of them, how often its watch ended, and the
//! most memory that our apiserver had during the attack. Both sides are attacked in turns, through kube-apiserver.

use std::time::Duration;

use anyhow::{Context as _, Result};
use kindsmith_tests::{
    ControlPlane, Kindsmith,
    attack::{ATTACKS, Strength, Suffered, forget_most_resident, is_available, most_resident_kib, sides, suffer},
};
use tokio::time::sleep;

/// How long each attack lasts.
const ATTACK: Duration = Duration::from_secs(8);

/// The pause after it, until things are as before.
const REST: Duration = Duration::from_secs(3);

/// Objects of 100 KB that the attacker lists.
const FAT_OBJECTS: usize = 180;

/// The memory that our manifests have room for, with a margin for the kernel's own.
const RESIDENT_KIB_MAX: u64 = 400 * 1024;

/// The victim's numbers on one side.
fn told(side: &Suffered) -> String {
    let failed = format!("{}/{}", side.failed.len(), side.times.len() + side.failed.len());
    format!("{:>7.1} {:>8.1} {failed:>6} {:>7}", side.percentile(50), side.percentile(99), side.watch_ended)
}

#[tokio::main]
async fn main() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Kindsmith::start(&control_plane).await?;
    let admin = control_plane.client().await?;
    let apiserver = kindsmith.apiserver_id().context("the apiserver does not run")?;
    let [our_side, their_side] = sides(&control_plane, FAT_OBJECTS).await?;
    println!("{:<30} | {:^31} | {:^31} |   p99   VmHWM", "the victim, ms", "ours", "theirs");
    let columns = format!("{:>7} {:>8} {:>6} {:>7}", "p50", "p99", "failed", "watches");
    println!("{:<30} | {columns} | {columns} | ratio     MiB  available", "attack");
    let mut not_met = Vec::new();
    let attacks =
        [("nothing", None)].into_iter().chain(ATTACKS.map(|(name, attack)| (name, Some((attack, Strength::Full)))));
    for (name, attack) in attacks {
        let is_attack = attack.is_some();
        forget_most_resident(apiserver)?;
        let ours = suffer(&our_side.attacker, &our_side.victim, attack, ATTACK).await;
        let (resident, available) = (most_resident_kib(apiserver), is_available(&admin).await?);
        sleep(REST).await;
        let theirs = suffer(&their_side.attacker, &their_side.victim, attack, ATTACK).await;
        sleep(REST).await;
        let ratio = ours.percentile(99) / theirs.percentile(99);
        println!(
            "{name:<30} | {} | {} | {ratio:>4.1}x {:>7}  {available}",
            told(&ours),
            told(&theirs),
            resident / 1024
        );
        if !ours.failed.is_empty() {
            println!("{:<30}   failed: {}", "", ours.failed.join(", ").chars().take(120).collect::<String>());
        }
        let goals = [
            (ours.failed.is_empty(), "something of the victim's failed"),
            (ours.watch_ended == 0, "a watch of the victim's ended"),
            // Without an attack it is the slowest requests of either side that are compared, by chance.
            (ratio <= 2.0 || !is_attack, "the victim's p99 is more than twice that of theirs"),
            (resident <= RESIDENT_KIB_MAX, "the apiserver took more than 400 MiB"),
            (available, "the APIService was not available"),
        ];
        not_met.extend(goals.into_iter().filter(|(met, _)| !met).map(|(_, goal)| format!("{name}: {goal}")));
    }
    println!("goals: nothing fails, no watch ends, p99 <= 2x, VmHWM <= 400 MiB, available throughout");
    not_met.iter().for_each(|goal| println!("NOT MET: {goal}"));
    Ok(())
}
