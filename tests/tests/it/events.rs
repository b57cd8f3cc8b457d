//! What Flux says of a release with Events is found from its instance, as kubectl looks for it, and nothing is said twice.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{ControlPlane, Kindsmith, wait};
use serde_json::{Value, json};

use crate::releases::{RELEASES, done};

const EVENTS: &str = "/api/v1/namespaces/default/events";

/// An Event as Flux writes it about a release.
fn by_flux(release: &Value, reason: &str, count: u32) -> Value {
    let metadata = &release["metadata"];
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": format!("{}.{}", metadata["name"].as_str().unwrap_or_default(), reason.to_lowercase()),
            "namespace": "default"},
        "involvedObject": {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "name": metadata["name"],
            "namespace": "default", "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]},
        "reason": reason, "message": format!("Helm says {reason}"), "type": "Warning", "count": count,
        "firstTimestamp": "2026-11-30T10:00:00Z", "lastTimestamp": "2026-11-30T10:05:00Z",
        "source": {"component": "helm-controller"}, "reportingComponent": "helm-controller", "reportingInstance": "",
    })
}

/// Writes Events about the release of a Redis and about others, and looks for them from the Redis.
pub(crate) async fn are_those_of_the_release(
    control_plane: &ControlPlane,
    kindsmith: &Kindsmith,
    redis: &str,
) -> Result<()> {
    let client = control_plane.client().await?;
    let release = done(&client, "GET", &format!("{RELEASES}/redis-{redis}"), None).await?;
    let foreign = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "foreign"},
        "spec": {"interval": "5m", "chartRef": {"kind": "OCIRepository", "name": "other", "namespace": "charts"}}});
    let foreign = done(&client, "POST", RELEASES, Some(&foreign)).await?;
    for event in [by_flux(&release, "InstallFailed", 1), by_flux(&foreign, "InstallFailed", 1)] {
        done(&client, "POST", EVENTS, Some(&event)).await?;
    }
    // As people look.
    let said = async |count: u64| {
        wait::until("kubectl to show what Flux says", Duration::from_secs(20), || async {
            let shown = control_plane.kubectl(["describe", "redis", redis]).ok().await?;
            let (_, events) = shown.split_once("\nEvents:").context("there are no Events in it")?;
            let wanted = ["InstallFailed", "helm-controller", "Helm says InstallFailed"];
            ensure!(wanted.iter().all(|part| events.contains(part)), "kubectl describe shows {events}");
            ensure!(events.contains(&format!("(x{count} over")) == (count > 1), "kubectl describe shows {events}");
            let shown = control_plane.kubectl(["events", "--for", &format!("redis/{redis}")]).ok().await?;
            ensure!(shown.contains("InstallFailed") && shown.lines().count() == 2, "kubectl events shows {shown}");
            Ok(())
        })
        .await
    };
    said(1).await?;
    // It is said again, also while no operator is there, and what was repeated is not repeated.
    kindsmith.stop_operator()?;
    let again = json!({"count": 4, "lastTimestamp": "2026-11-30T10:15:00Z"});
    done(&client, "PATCH", &format!("{EVENTS}/redis-{redis}.installfailed"), Some(&again)).await?;
    kindsmith.start_operator()?;
    said(4).await?;
    let all = done(&client, "GET", EVENTS, None).await?;
    let ours: Vec<&Value> = all["items"]
        .as_array()
        .context("there is no list")?
        .iter()
        .filter(|event| event["metadata"]["annotations"].get("kindsmith.dev/repeats-event").is_some())
        .collect();
    ensure!(ours.len() == 1 && ours[0]["count"] == 4, "repeated are {ours:?}");
    done(&client, "DELETE", &format!("{RELEASES}/foreign"), None).await.map(drop)
}
