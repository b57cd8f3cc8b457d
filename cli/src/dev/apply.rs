//! Applies manifests as a client would: creates what is not there, patches what is.

use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::GroupVersionKind,
    discovery::{self, Scope},
};
use serde_json::Value;

/// How long a kind may take from its definition to being served.
const SERVED_MAX: Duration = Duration::from_secs(5);

/// Applies manifests in order, and says what became of each.
pub(super) async fn apply(client: &Client, manifests: &[Value]) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    for manifest in manifests {
        let (kind, name) = (text(manifest, "/kind"), text(manifest, "/metadata/name"));
        let line = one(client, manifest).await.with_context(|| format!("{kind} {name:?} cannot be applied"))?;
        lines.push(line);
    }
    Ok(lines)
}

fn text<'a>(manifest: &'a Value, pointer: &str) -> &'a str {
    manifest.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

async fn one(client: &Client, manifest: &Value) -> anyhow::Result<String> {
    let (group, version) = match text(manifest, "/apiVersion").split_once('/') {
        Some(parts) => parts,
        None => ("", text(manifest, "/apiVersion")),
    };
    let wanted = GroupVersionKind::gvk(group, version, text(manifest, "/kind"));
    let name = text(manifest, "/metadata/name");
    if name.is_empty() || wanted.kind.is_empty() {
        bail!("kind and metadata.name are needed");
    }
    let deadline = tokio::time::Instant::now() + SERVED_MAX;
    let (resource, capabilities) = loop {
        match discovery::pinned_kind(client, &wanted).await {
            Ok(found) => break found,
            Err(_) if tokio::time::Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(_) => bail!(
                "{} is not served; apply its definition first, and see why it is not accepted with: \
                 kubectl describe applicationdefinitions",
                text(manifest, "/apiVersion").to_owned() + " " + &wanted.kind
            ),
        }
    };
    let namespace = Some(text(manifest, "/metadata/namespace")).filter(|held| !held.is_empty()).unwrap_or("default");
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Namespaced => Api::namespaced_with(client.clone(), namespace, &resource),
        Scope::Cluster => Api::all_with(client.clone(), &resource),
    };
    let shown = format!("{}.{group}/{name}", resource.plural);
    let present = api.get_opt(name).await?;
    match present {
        None => {
            let object: DynamicObject = serde_json::from_value(manifest.clone())?;
            api.create(&PostParams::default(), &object).await?;
            Ok(format!("{shown} created"))
        }
        Some(before) => {
            let after = api.patch(name, &PatchParams::default(), &Patch::Merge(manifest)).await?;
            let same = before.metadata.resource_version == after.metadata.resource_version;
            Ok(format!("{shown} {}", if same { "unchanged" } else { "configured" }))
        }
    }
}
