//! What keeps one tenant from what is another's, from the side of the one who tries: on a real control plane, through
//! kube-apiserver and past it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::Request;
use kindsmith_tests::{ControlPlane, Kindsmith, wait};
use kube::{Client, client::Body};
use serde_json::{Value, json};

use crate::main_job::apply_definitions;

/// What bob may do: everything with instances that are called `cache`, in whatever namespace.
const ONLY_CACHE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: only-cache}
rules:
- {apiGroups: [apps.example.com], resources: [redises], resourceNames: [cache], verbs: [get, delete, patch, update]}
- {apiGroups: [apps.example.com], resources: [redises], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: only-cache}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: only-cache}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: bob}
---
apiVersion: v1
kind: Namespace
metadata: {name: tenant-b}
";

const VICTIM: &str = "{apiVersion: apps.example.com/v1alpha1, kind: Redis, metadata: {name: victim, namespace: tenant-b}, spec: {replicas: 2}}";

/// Namespaces as bob writes them into a path to come to `redis-victim` of `tenant-b`, or anywhere else.
const NAMESPACES: [&str; 9] = [
    "tenant-b%252Fhelmreleases%252Fredis-victim%3Fx",
    "tenant-b%252Fhelmreleases%252Fredis-victim%23",
    "tenant-b%25252Fhelmreleases%25252Fredis-victim%253Fx",
    "tenant-b%3Fwatch=1",
    "..%252Ftenant-b",
    "%252e%252e",
    "..",
    "tenant-b%3B",
    "%C3%BC",
];

/// Names of the same kind.
const NAMES: [&str; 7] = ["cache", "..", ".", "x%252F..%252Fvictim", "cache%3Fx", "cache%23", "cache%2500"];

/// The code and the message of an answer.
async fn ask(client: &Client, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, String)> {
    let media_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let request = Request::builder().method(method).uri(path).header("content-type", media_type);
    let answer = client.send(request.body(Body::from(body))?).await.with_context(|| format!("{method} {path}"))?;
    let code = answer.status().as_u16();
    let body = answer.into_body().collect_bytes().await?;
    let status: Value = serde_json::from_slice(&body).unwrap_or_default();
    Ok((code, status["message"].as_str().unwrap_or_default().to_owned()))
}

/// What bob asks of an address that leads elsewhere.
fn attempts(namespace: &str, name: &str) -> Vec<(&'static str, String, Option<Value>)> {
    let collection = format!("/namespaces/{namespace}/RESOURCE");
    let patch = json!({"metadata": {"labels": {"by": "bob"}}});
    let named = format!("{collection}/{name}");
    vec![
        ("GET", named.clone(), None),
        ("GET", format!("{named}?resourceVersion=0"), None),
        ("PATCH", named.clone(), Some(patch)),
        ("DELETE", named, None),
    ]
}

#[tokio::test]
async fn no_path_leads_out_of_what_was_authorized() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Kindsmith::start(&control_plane).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    apply_definitions(&call).await?;
    control_plane.apply(ONLY_CACHE).await?;
    call(&["create", "-f", "-"]).stdin(VICTIM).ok().await?;
    let release = ["get", "hr", "redis-victim", "-n", "tenant-b", "-o", "jsonpath={.metadata.resourceVersion}"];
    let before = call(&release).ok().await?;

    let bobs = control_plane.kubeconfig_as("bob", &[])?;
    let ways = [control_plane.client_as("bob", &[]).await?, kindsmith.client_as(&bobs).await?];
    let ours = "/apis/apps.example.com/v1alpha1";
    wait::until("bob's role", Duration::from_secs(20), || async {
        let (code, message) = ask(&ways[1], "GET", &format!("{ours}/namespaces/tenant-b/redises/cache"), None).await?;
        ensure!(code == 404, "{code} {message}");
        Ok(())
    })
    .await?;
    for (way, client) in ways.iter().enumerate() {
        let plain = format!("{ours}/namespaces/tenant-b/redises/victim");
        let (code, message) = ask(client, "DELETE", &plain, None).await?;
        ensure!(code == 403, "way {way}: {code} {message}");
        for namespace in NAMESPACES {
            for name in NAMES {
                for (method, path, body) in attempts(namespace, name) {
                    let path = format!("{ours}{}", path.replace("RESOURCE", "redises"));
                    let (code, message) = ask(client, method, &path, body.as_ref()).await?;
                    ensure!(matches!(code, 400 | 403 | 404), "way {way}: {method} {path} got {code} {message}");
                }
            }
        }
    }
    ensure!(call(&release).ok().await? == before, "bob has changed the victim's release");

    // Who may do everything is told what kube-apiserver tells of an own kind.
    let admin = control_plane.client().await?;
    let twin = "/apis/helm.toolkit.fluxcd.io/v2";
    let as_ours = |message: &str| {
        message
            .replace("helmreleases.helm.toolkit.fluxcd.io", "redises.apps.example.com")
            .replace("HelmRelease", "Redis")
    };
    let mut differences = Vec::new();
    for namespace in NAMESPACES.into_iter().chain(["tenant-b"]) {
        let mut requests: Vec<_> = NAMES.iter().flat_map(|name| attempts(namespace, name)).collect();
        requests.push(("GET", format!("/namespaces/{namespace}/RESOURCE"), None));
        requests.push(("GET", format!("/namespaces/{namespace}/RESOURCE?resourceVersion=0"), None));
        if namespace != "tenant-b" {
            requests.push(("DELETE", format!("/namespaces/{namespace}/RESOURCE"), None));
        }
        for (method, path, body) in requests {
            let (path, like) = (path.replace("RESOURCE", "redises"), path.replace("RESOURCE", "helmreleases"));
            let (our_code, our_message) = ask(&admin, method, &format!("{ours}{path}"), body.as_ref()).await?;
            let (code, message) = ask(&admin, method, &format!("{twin}{like}"), body.as_ref()).await?;
            if (our_code, our_message.as_str()) != (code, as_ours(&message).as_str()) {
                differences.push(format!("{method} {path}: {our_code} {our_message}\n    not {code} {message}"));
            }
        }
        let create = |api_version: &str, kind: &str, spec: Value| json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "new"}, "spec": spec});
        let chart = json!({"interval": "1m", "chartRef": {"kind": "OCIRepository", "name": "a"}});
        let sent = [
            create("apps.example.com/v1alpha1", "Redis", json!({})),
            create("helm.toolkit.fluxcd.io/v2", "HelmRelease", chart),
        ];
        let dry = format!("/namespaces/{namespace}/RESOURCE?dryRun=All");
        let (path, like) = (dry.replace("RESOURCE", "redises"), dry.replace("RESOURCE", "helmreleases"));
        let (our_code, our_message) = ask(&admin, "POST", &format!("{ours}{path}"), Some(&sent[0])).await?;
        let (code, message) = ask(&admin, "POST", &format!("{twin}{like}"), Some(&sent[1])).await?;
        if (our_code, our_message.as_str()) != (code, as_ours(&message).as_str()) {
            differences.push(format!("POST {path}: {our_code} {our_message}\n    not {code} {message}"));
        }
    }
    ensure!(differences.is_empty(), "kube-apiserver answers otherwise:\n{}", differences.join("\n"));
    ensure!(call(&release).ok().await? == before, "the victim's release has changed");
    Ok(())
}
