//! One tenant attacks while another one works, on a kind of ours and on the same kind as a CustomResourceDefinition.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use http::Request;
use kube::Client;
use serde_json::{Value, json};

use crate::{ControlPlane, wait};

/// What one tenant can do.
mod attacks;

/// Who attacks, or is attacked.
mod tenant;

/// Who works.
mod victim;

pub use attacks::{ATTACKS, Attack, Endless, Strength};
pub use tenant::Tenant;
pub use victim::{Suffered, suffer};

const OURS: &str = "/apis/ours.example.com/v1/namespaces";
const THEIRS: &str = "/apis/theirs.example.com/v1/namespaces";

/// The bytes of an object of the attacker's, of which there are many.
const FAT_BYTES: usize = 100_000;

const RIGHTS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: tenants}
rules:
- {apiGroups: [ours.example.com, theirs.example.com], resources: ['*'], verbs: ['*']}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: tenants}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: tenants}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: tenants}
---
apiVersion: v1
kind: Namespace
metadata: {name: attacker}
---
apiVersion: v1
kind: Namespace
metadata: {name: victim}
";

fn versions() -> Value {
    let spec = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {
        "size": {"type": "integer"}, "pad": {"type": "string"},
        "databases": {"type": "array", "maxItems": 32, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}}}});
    json!([{"name": "v1", "served": true, "storage": true,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}])
}

fn manifests() -> [Value; 2] {
    let chart = json!({"kind": "OCIRepository", "name": "cup", "namespace": "charts"});
    [
        json!({"apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
            "metadata": {"name": "cups.ours.example.com"},
            "spec": {"group": "ours.example.com", "scope": "Namespaced", "names": {"kind": "Cup", "plural": "cups"},
                "versions": versions(), "backend": {"helmRelease": {"chartRef": chart, "prefix": "cup-"}}}}),
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "cups.theirs.example.com"},
            "spec": {"group": "theirs.example.com", "scope": "Namespaced", "versions": versions(),
                "names": {"kind": "Cup", "plural": "cups", "singular": "cup", "listKind": "CupList"}}}),
    ]
}

/// A side: an attacker and a victim.
pub struct Side {
    /// Who attacks.
    pub attacker: Tenant,
    /// Who works.
    pub victim: Tenant,
}

/// Our side and theirs. The attacker has so many objects of 100 KB.
///
/// # Errors
/// A kind is not served, or an object cannot be made.
pub async fn sides(control_plane: &ControlPlane, fat_objects: usize) -> Result<[Side; 2]> {
    control_plane.apply(RIGHTS).await?;
    for manifest in manifests() {
        control_plane.apply(&manifest.to_string()).await?;
    }
    Ok([side(control_plane, OURS, fat_objects).await?, side(control_plane, THEIRS, fat_objects).await?])
}

async fn side(control_plane: &ControlPlane, namespaces: &'static str, fat_objects: usize) -> Result<Side> {
    let attacker = Tenant::new(control_plane, "alice", namespaces, "attacker").await?;
    let victim = Tenant::new(control_plane, "vic", namespaces, "victim").await?;
    wait::until("the kind to be served", Duration::from_secs(60), || async {
        let code = victim.ask("GET", &victim.collection(), "application/json", Vec::new()).await;
        anyhow::ensure!(code == Some(200), "{code:?}");
        Ok(())
    })
    .await?;
    let fat = (0..fat_objects).map(|at| (&attacker, format!("fat{at}"), json!({"pad": "x y".repeat(FAT_BYTES / 3)})));
    let own = [&attacker, &victim].map(|tenant| (tenant, "own".to_owned(), json!({"size": 0})));
    for (tenant, name, spec) in own.into_iter().chain(fat) {
        let body = tenant.cup(&name, &spec).to_string();
        let code = tenant.ask("POST", &tenant.collection(), "application/json", body).await;
        anyhow::ensure!(code == Some(201), "{name} is answered with {code:?}");
    }
    Ok(Side { attacker, victim })
}

/// Forgets the most memory that a process had so far.
///
/// # Errors
/// The kernel does not let us.
pub fn forget_most_resident(process: u32) -> Result<()> {
    fs::write(format!("/proc/{process}/clear_refs"), "5").context("forgetting the most memory")
}

/// The most memory that a process had since it was forgotten last, in KiB.
pub fn most_resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Whether kube-apiserver finds our server available.
///
/// # Errors
/// It cannot be asked.
pub async fn is_available(admin: &Client) -> Result<bool> {
    let path = "/apis/apiregistration.k8s.io/v1/apiservices/v1.ours.example.com";
    let service: Value = admin.request(Request::get(path).body(Vec::new())?).await?;
    let conditions = service["status"]["conditions"].as_array().cloned().unwrap_or_default();
    Ok(conditions.iter().any(|it| it["type"] == "Available" && it["status"] == "True"))
}
