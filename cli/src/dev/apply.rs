//! Applies manifests as a client would: creates what is not there, patches what is.

use std::{collections::HashSet, time::Duration};

use anyhow::bail;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::{GroupVersionKind, Status},
    discovery::{self, Scope},
};
use serde_json::Value;

use crate::output;

/// How long a kind may take from its definition to being served.
const SERVED_MAX: Duration = Duration::from_secs(5);

/// Applies manifests in order, and prints what became of each. What cannot be applied is told, and the others are.
pub(super) async fn apply(client: &Client, manifests: &[Value]) -> anyhow::Result<()> {
    let (mut missing, mut refused) = (HashSet::new(), 0);
    for manifest in manifests {
        match one(client, manifest, &mut missing).await {
            Ok(line) => output::print(&format!("{line}\n"))?,
            Err(error) => {
                refused += 1;
                let (kind, name) = (text(manifest, "/kind"), text(manifest, "/metadata/name"));
                output::complain(&match error.downcast_ref::<kube::Error>() {
                    Some(kube::Error::Api(status)) => told(status),
                    _ => format!("error: {kind} {name:?} cannot be applied: {error:#}"),
                });
            }
        }
    }
    if refused > 0 {
        output::complain(&format!("{refused} of {} manifests cannot be applied", manifests.len()));
    }
    Ok(())
}

/// A refusal as kubectl tells it (k8s.io/kubectl/pkg/cmd/util/helpers.go, `StandardErrorMessage` and `checkErr`).
fn told(status: &Status) -> String {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    match (&status.details, status.reason.as_str()) {
        (Some(details), "Invalid") if !causes.is_empty() => {
            let about = format!("The {} {:?} is invalid", details.kind, details.name);
            let line = |field: &str, message: &str| {
                if field.is_empty() { message.to_owned() } else { format!("{field}: {message}") }
            };
            match causes {
                [one] => format!("{about}: {}", line(&one.field, &one.message)),
                many => many.iter().fold(format!("{about}: "), |told, cause| {
                    format!("{told}\n* {}", line(&cause.field, &cause.message))
                }),
            }
        }
        (_, "") => format!("Error from server: {}", status.message),
        (_, reason) => format!("Error from server ({reason}): {}", status.message),
    }
}

fn text<'a>(manifest: &'a Value, pointer: &str) -> &'a str {
    manifest.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Applies one. Kinds that are not served in time are remembered as `missing`, so that they are not waited for again.
async fn one(client: &Client, manifest: &Value, missing: &mut HashSet<GroupVersionKind>) -> anyhow::Result<String> {
    let (group, version) = match text(manifest, "/apiVersion").split_once('/') {
        Some(parts) => parts,
        None => ("", text(manifest, "/apiVersion")),
    };
    let wanted = GroupVersionKind::gvk(group, version, text(manifest, "/kind"));
    let name = text(manifest, "/metadata/name");
    if name.is_empty() || wanted.kind.is_empty() {
        bail!("kind and metadata.name are needed");
    }
    let wait = if missing.contains(&wanted) { Duration::ZERO } else { SERVED_MAX };
    let deadline = tokio::time::Instant::now() + wait;
    let (resource, capabilities) = loop {
        match discovery::pinned_kind(client, &wanted).await {
            Ok(found) => break found,
            Err(_) if tokio::time::Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(_) => {
                let shown = text(manifest, "/apiVersion").to_owned() + " " + &wanted.kind;
                missing.insert(wanted);
                bail!(
                    "{shown} is not served; apply its definition first, and see why it is not accepted with: \
                     kubectl describe applicationdefinitions"
                );
            }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn refusals_are_told_as_kubectl_tells_them() {
        let told = |status: Value| super::told(&serde_json::from_value(status).unwrap());
        let cause =
            |field: &str, message: &str| json!({"reason": "FieldValueInvalid", "message": message, "field": field});
        let invalid = |causes: Value| json!({"code": 422, "reason": "Invalid", "message": "long", "details": {"kind": "Redis", "name": "a", "causes": causes}});
        assert_eq!(
            told(invalid(json!([cause("spec.size", "is wrong")]))),
            "The Redis \"a\" is invalid: spec.size: is wrong"
        );
        assert_eq!(
            told(invalid(json!([cause("spec.size", "is wrong"), cause("", "bad")]))),
            "The Redis \"a\" is invalid: \n* spec.size: is wrong\n* bad"
        );
        assert_eq!(
            told(json!({"code": 404, "reason": "NotFound", "message": "namespaces \"x\" not found"})),
            "Error from server (NotFound): namespaces \"x\" not found"
        );
    }
}
