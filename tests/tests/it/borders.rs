//! What keeps one tenant from what is another's, from the side of the one who tries: on a real control plane, through
//! kube-apiserver and past it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::Request;
use kindsmith_tests::{ControlPlane, Dev, Kindsmith, wait};
use kube::{Client, client::Body};
use serde_json::{Value, json};

use crate::main_job::apply_definitions;

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STEPS: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

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

/// Other ways to what bob has no right to.
const OTHER_WAYS: [(&str, &str); 22] = [
    ("GET", "/namespaces/tenant-b/redises"),
    ("GET", "/namespaces/tenant-b/redises?fieldSelector=metadata.name%3Dvictim"),
    ("GET", "/namespaces/tenant-b/redises?fieldSelector=metadata.name%3Dcache&fieldSelector=metadata.name%3Dvictim"),
    ("GET", "/namespaces/tenant-b/redises?watch=1&fieldSelector=metadata.name%3Dcache&timeoutSeconds=1"),
    ("GET", "/namespaces/tenant-b/redises?watch=0&watch=1&timeoutSeconds=1"),
    ("GET", "/namespaces/tenant-b/redises;name=cache"),
    ("GET", "/namespaces/tenant-b/redises/victim"),
    ("GET", "/namespaces/tenant-b/redises/victim?watch=1&timeoutSeconds=1"),
    ("GET", "/namespaces/tenant-b/redises/victim/status"),
    ("GET", "/namespaces/tenant-b/redises/victim/scale"),
    ("GET", "/namespaces/tenant-b/redises/cache/../victim"),
    ("GET", "/namespaces/tenant-b/redises/cache%2F..%2Fvictim"),
    ("GET", "/namespaces/tenant-b/redises//victim"),
    ("GET", "/namespaces/tenant-b/REDISES/cache"),
    ("GET", "/namespaces/tenant-b/redises/Cache"),
    ("GET", "/namespaces/tenant-b/redises/victim%00"),
    ("GET", "/watch/namespaces/tenant-b/redises/victim?timeoutSeconds=1"),
    ("GET", "/proxy/namespaces/tenant-b/redises/cache"),
    ("DELETE", "/namespaces/tenant-b/redises"),
    ("DELETE", "/namespaces/tenant-b/redises?fieldSelector=metadata.name%3Dcache"),
    ("DELETE", "/namespaces/tenant-b/redises/victim"),
    ("PATCH", "/namespaces/tenant-b/redises/cache"),
];

/// The code and the message of an answer.
async fn ask(client: &Client, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, String)> {
    let media_type = if method == "PATCH" { MERGE } else { JSON };
    let (code, answer, _) = send(client, method, media_type, path, body).await?;
    Ok((code, answer["message"].as_str().unwrap_or_default().to_owned()))
}

/// The code, the body and the warnings of an answer.
async fn send(
    client: &Client,
    method: &str,
    media_type: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<(u16, Value, String)> {
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let request = Request::builder().method(method).uri(path).header("content-type", media_type);
    let answer = client.send(request.body(Body::from(body))?).await.with_context(|| format!("{method} {path}"))?;
    let code = answer.status().as_u16();
    let warnings = answer.headers().get_all("warning").iter().map(|text| String::from_utf8_lossy(text.as_bytes()));
    let warnings = warnings.collect::<Vec<_>>().join("\n");
    let body = answer.into_body().collect_bytes().await?;
    Ok((code, serde_json::from_slice(&body).unwrap_or_default(), warnings))
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
    for (way, client) in ways.iter().enumerate() {
        for (method, path) in OTHER_WAYS {
            let path = format!("{ours}{path}");
            let body = (method == "PATCH").then(|| json!({"metadata": {"name": "victim"}}));
            let media_type = if method == "PATCH" { MERGE } else { JSON };
            let (code, answer, _) = send(client, method, media_type, &path, body.as_ref()).await?;
            let is_refused = matches!(code, 301 | 400 | 403 | 404 | 405) && answer["kind"] != "Redis";
            ensure!(is_refused, "way {way}: {method} {path} got {code} {answer}");
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
            // Which key of etcd is refused is told to nobody here.
            let refuses_key = code == 500 && message.starts_with("invalid key: ");
            let is_like = (our_code, our_message.as_str()) == (code, as_ours(&message).as_str());
            let is_told = is_like || (refuses_key && matches!(our_code, 200 | 404));
            if !is_told {
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
    what_is_others_is_not_served(&control_plane, &kindsmith).await
}

/// A CustomResourceDefinition in the group of somebody else.
fn foreign_resource(plural: &str, kind: &str) -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.vendor.example.org")},
        "spec": {"group": "vendor.example.org", "scope": "Namespaced", "names": {"plural": plural, "kind": kind},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}})
}

/// A definition of another version in that group.
fn definition_beside(plural: &str, kind: &str) -> Value {
    json!({"apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": format!("{plural}.vendor.example.org")},
        "spec": {"group": "vendor.example.org", "scope": "Namespaced", "names": {"plural": plural, "kind": kind},
            "versions": [{"name": "v9", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object",
                "properties": {"spec": {"type": "object"}}}}}],
            "backend": {"helmRelease": {"prefix": format!("{plural}-"),
                "chartRef": {"kind": "OCIRepository", "name": plural, "namespace": "charts"}}}}})
}

/// What others serve in a group is not served by us, by whichever definition requests come in.
async fn what_is_others_is_not_served(control_plane: &ControlPlane, kindsmith: &Kindsmith) -> Result<()> {
    let client = control_plane.client().await?;
    let ways = [control_plane.client().await?, kindsmith.client().await?];
    let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let definitions = "/apis/kindsmith.dev/v1alpha1/applicationdefinitions";
    let at = |plural: &str| format!("/apis/vendor.example.org/v9/namespaces/default/{plural}");
    let answers = async |plural: &str, wanted: u16| {
        for (way, client) in ways.iter().enumerate() {
            wait::until(&format!("{plural} to answer {wanted}"), Duration::from_secs(20), || async {
                let (code, message) = ask(client, "GET", &at(plural), None).await?;
                ensure!(code == wanted, "way {way}: {code} {message}");
                Ok(())
            })
            .await?;
        }
        anyhow::Ok(())
    };
    let (code, answer) = ask(&client, "POST", crds, Some(&foreign_resource("widgets", "Widget"))).await?;
    ensure!(code == 201, "{answer}");
    for (plural, kind) in [("widgets", "Widget"), ("gears", "Gear"), ("cogs", "Cog")] {
        let (code, answer) = ask(&client, "POST", definitions, Some(&definition_beside(plural, kind))).await?;
        ensure!(code == 201, "{answer}");
    }
    answers("gears", 200).await?;
    answers("cogs", 200).await?;
    for client in &ways {
        for path in [at("widgets"), "/apis/vendor.example.org/v9/widgets".to_owned(), format!("{}/one", at("widgets"))]
        {
            let (code, message) = ask(client, "GET", &path, None).await?;
            ensure!(code == 404, "{path} answered {code} {message}");
        }
        let (_, told, _) = send(client, "GET", JSON, "/apis/vendor.example.org/v9", None).await?;
        ensure!(told.to_string().contains("gears") && !told.to_string().contains("widgets"), "{told}");
    }
    // One that comes later takes its plural at once, and gives it back.
    let (code, answer) = ask(&client, "POST", crds, Some(&foreign_resource("cogs", "Cog"))).await?;
    ensure!(code == 201, "{answer}");
    answers("cogs", 404).await?;
    answers("gears", 200).await?;
    let (code, answer) = ask(&client, "DELETE", &format!("{crds}/cogs.vendor.example.org"), None).await?;
    ensure!(code == 200, "{answer}");
    answers("cogs", 200).await
}

const RELEASES: &str = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/default/helmreleases";

/// A definition of Cozystack's form: with properties a closed schema, without any an open one.
fn cozystack_definition(kind: &str, properties: &Value) -> Value {
    let plural = format!("{}s", kind.to_lowercase());
    let schema = json!({"title": "Chart Values", "type": "object", "properties": properties}).to_string();
    json!({"apiVersion": "cozystack.io/v1alpha1", "kind": "ApplicationDefinition", "metadata": {"name": kind.to_lowercase()},
        "spec": {
            "application": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "openAPISchema": schema},
            "release": {"prefix": format!("{}-", kind.to_lowercase()), "labels": {},
                "chartRef": {"kind": "ExternalArtifact", "name": plural, "namespace": "cozy-system"}}}})
}

#[tokio::test]
async fn what_is_the_platforms_on_a_release_is_no_tenants_to_write() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (kind, properties) in [("Open", json!({})), ("Closed", json!({"size": {"type": "integer"}}))] {
        let definition = cozystack_definition(kind, &properties);
        std::fs::write(folder.path().join(format!("{kind}.yaml")), definition.to_string())?;
    }
    let dev = Dev::start(["--definitions", "cozystack", &folder.path().to_string_lossy()]).await?;
    let client = dev.client().await?;
    for kind in ["Open", "Closed"] {
        let plural = format!("{}s", kind.to_lowercase());
        let collection = format!("/apis/apps.cozystack.io/v1alpha1/namespaces/default/{plural}");
        let object = |name: &str, spec: Value| json!({"apiVersion": "apps.cozystack.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        let evil = || json!({"size": 1, "_cluster": {"host": "evil.example.org"}});
        let one = format!("{collection}/one");
        let (code, held, _) =
            send(&client, "POST", JSON, &collection, Some(&object("one", json!({"size": 1})))).await?;
        ensure!(code == 201, "{held}");
        let release = format!("{RELEASES}/{}-one", kind.to_lowercase());
        let platform = json!({"spec": {"values": {"_cluster": {"host": "example.org"}}}});
        let (code, answer, _) = send(&client, "PATCH", MERGE, &release, Some(&platform)).await?;
        ensure!(code == 200, "{answer}");
        let (new, forced) = (format!("{collection}/new?fieldManager=t"), format!("{one}?fieldManager=t&force=true"));
        let mut replaced = held.clone();
        replaced["metadata"]["resourceVersion"] = answer["metadata"]["resourceVersion"].clone();
        replaced["spec"] = evil();
        let steps = json!([{"op": "add", "path": "/spec/_cluster", "value": {"host": "evil.example.org"}}]);
        let merge = json!({"spec": {"_cluster": {"host": "evil.example.org"}}});
        let moved = json!([{"op": "move", "from": "/spec/size", "path": "/spec/_size"}]);
        for (method, media_type, path, body) in [
            ("POST", JSON, &collection, object("new", evil())),
            ("PATCH", APPLY, &new, object("new", evil())),
            ("PATCH", APPLY, &format!("{new}&dryRun=All"), object("new", evil())),
            ("PATCH", APPLY, &forced, object("one", evil())),
            ("PUT", JSON, &one, replaced),
            ("PATCH", MERGE, &one, merge),
            ("PATCH", STEPS, &one, steps),
            ("PATCH", STEPS, &one, moved),
        ] {
            let (code, answer, _) = send(&client, method, media_type, path, Some(&body)).await?;
            let message = answer["message"].as_str().unwrap_or_default();
            ensure!(
                code == 400 && message.contains("is reserved"),
                "{kind}: {method} {media_type} got {code} {answer}"
            );
        }
        let (_, answer, _) = send(&client, "GET", JSON, &release, None).await?;
        ensure!(answer["spec"]["values"]["_cluster"]["host"] == "example.org", "{answer}");
        let (code, answer, _) = send(&client, "GET", JSON, &format!("{collection}/new"), None).await?;
        ensure!(code == 404, "{answer}");
    }

    // Finalizers of Flux are left out of what a client brings, and stay where Flux put them.
    let opens = "/apis/apps.cozystack.io/v1alpha1/namespaces/default/opens";
    let brought = |name: &str| {
        json!({"apiVersion": "apps.cozystack.io/v1alpha1", "kind": "Open",
            "metadata": {"name": name, "finalizers": ["finalizers.fluxcd.io", "evil.io/x-fluxcd.io"]}})
    };
    let back = format!("{opens}/back");
    for (method, media_type, path, name) in [
        ("POST", JSON, opens.to_owned(), "back"),
        ("PATCH", APPLY, format!("{opens}/applied?fieldManager=t"), "applied"),
    ] {
        let (code, answer, warnings) = send(&client, method, media_type, &path, Some(&brought(name))).await?;
        ensure!(code == 201 && answer["metadata"]["finalizers"] == json!(["evil.io/x-fluxcd.io"]), "{answer}");
        ensure!(warnings.contains("left out, since Flux alone"), "{warnings}");
        ensure!(!answer["metadata"]["managedFields"].to_string().contains("finalizers.fluxcd.io"), "{answer}");
    }
    let both = json!({"metadata": {"finalizers": ["finalizers.fluxcd.io", "evil.io/x-fluxcd.io"]}});
    let (code, answer, warnings) = send(&client, "PATCH", MERGE, &back, Some(&both)).await?;
    ensure!(code == 200 && answer["metadata"]["finalizers"] == json!(["evil.io/x-fluxcd.io"]), "{answer}");
    ensure!(warnings.contains("left out, since Flux alone"), "{warnings}");
    send(&client, "PATCH", MERGE, &format!("{RELEASES}/open-back"), Some(&both)).await?;
    let none = json!({"metadata": {"finalizers": []}});
    let (code, answer, _) = send(&client, "PATCH", MERGE, &back, Some(&none)).await?;
    ensure!(code == 200 && answer["metadata"]["finalizers"] == json!(["finalizers.fluxcd.io"]), "{answer}");
    Ok(())
}
