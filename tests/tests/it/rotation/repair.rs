//! Secrets that somebody broke are repaired, and what is served goes on or comes back.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::{
    ByteString,
    api::{core::v1::Secret, events::v1::Event},
};
use kindsmith_tests::{ControlPlane, Kindsmith, kindsmith::NAMESPACE, pki::Authority, program, wait};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::certificate;

const AUTHORITY: &str = "kindsmith-ca";

const SERVING: &str = "kindsmith-serving-cert";

/// How long a repair may take.
const REPAIRED: Duration = Duration::from_secs(20);

#[tokio::test]
async fn secrets_that_somebody_broke_are_repaired() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Kindsmith::start(&control_plane).await?;
    let definition = program::workspace().join("deploy/examples/redis.yaml");
    control_plane.kubectl(["apply", "-f"]).args([definition.to_string_lossy()]).ok().await?;
    let served = || async { control_plane.kubectl(["get", "redises", "-A"]).ok().await.map(drop) };
    wait::until("the kind to be served", Duration::from_secs(30), served).await?;
    let client = control_plane.client().await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let foreign = Authority::new("foreign")?;

    let repaired = async |name: &str, before: [u8; 32], what: &str| {
        let changed = || async {
            ensure!(certificate(&secrets, name).await? != before, "it is what it was");
            ensure!(secrets.get(name).await?.type_.as_deref() == Some("kubernetes.io/tls"), "it is of another type");
            Ok(())
        };
        wait::until(&format!("a new certificate, {what}"), REPAIRED, changed).await?;
        wait::until(&format!("the kind to be served, {what}"), REPAIRED, served).await
    };
    for name in [SERVING, AUTHORITY] {
        let before = certificate(&secrets, name).await?;
        secrets.delete(name, &DeleteParams::default()).await?;
        repaired(name, before, &format!("{name} deleted")).await?;
    }
    let broken: [(&str, &str, Value); 4] = [
        (SERVING, "its key is garbage", json!({"stringData": {"tls.key": "garbage"}})),
        (SERVING, "another authority has signed it", {
            let leaf = foreign.server(&["kindsmith-apiserver.kindsmith-system.svc"])?;
            json!({"stringData": {"tls.crt": leaf.certificate, "tls.key": leaf.key}})
        }),
        (AUTHORITY, "its key is another one's", json!({"stringData": {"tls.crt": foreign.certificate()}})),
        (AUTHORITY, "it is empty", json!({"data": {"tls.crt": "", "tls.key": "", "ca.crt": ""}})),
    ];
    for (name, what, patch) in broken {
        secrets.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        let before = certificate(&secrets, name).await?;
        repaired(name, before, &format!("{name}: {what}")).await?;
    }
    // Of another type, and nobody may change it.
    let opaque = Secret {
        type_: Some("Opaque".to_owned()),
        immutable: Some(true),
        data: Some([("tls.crt".to_owned(), ByteString(b"garbage".to_vec()))].into()),
        metadata: kube::api::ObjectMeta { name: Some(SERVING.to_owned()), ..Default::default() },
        ..Secret::default()
    };
    kindsmith.stop_operator()?;
    secrets.delete(SERVING, &DeleteParams::default()).await?;
    secrets.create(&PostParams::default(), &opaque).await?;
    let before = certificate(&secrets, SERVING).await?;
    kindsmith.start_operator()?;
    repaired(SERVING, before, "it is immutable").await?;

    let events: Api<Event> = Api::namespaced(client, NAMESPACE);
    let events = events.list(&ListParams::default()).await.context("listing Events")?.items;
    let warned = |event: &&Event| event.type_.as_deref() == Some("Warning");
    ensure!(events.iter().filter(warned).count() >= 4, "repairs are not said: {:?}", events.len());
    let reason = |event: &Event| event.reason.clone().unwrap_or_default();
    ensure!(
        events.iter().any(|event| reason(event) == "AuthorityIssued"),
        "{}",
        events.iter().map(reason).collect::<String>()
    );
    ensure!(events.iter().all(|event| !event.name_any().is_empty()), "an Event has no name");
    Ok(())
}
