//! Namespaces of `kindsmith dev` beside those of the real kube-apiserver: a built-in type, asked the same.

use anyhow::{Result, ensure};
use kindsmith_tests::{ControlPlane, Dev};
use kube::Client;
use serde_json::{Value, json};

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const NAMESPACES: &str = "/api/v1/namespaces";

/// One request.
struct Ask {
    method: &'static str,
    path: String,
    content_type: &'static str,
    body: String,
}

fn ask(method: &'static str, path: &str, content_type: &'static str, body: &Value) -> Ask {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    Ask { method, path: format!("{NAMESPACES}{path}"), content_type, body }
}

fn requests() -> Vec<Ask> {
    let named = |name: &str| json!({"metadata": {"name": name}});
    let owner = |uid: &str, name: &str| json!({"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid});
    let mut asks = vec![
        // Without kind and apiVersion, with one of them, with others.
        ask("POST", "", JSON, &named("plain")),
        ask("POST", "", JSON, &named("plain")),
        ask("POST", "", JSON, &json!({"kind": "Namespace", "metadata": {"name": "half"}})),
        ask("POST", "", JSON, &json!({"apiVersion": "v1", "metadata": {"name": "other", "labels": {"a": "b"}}})),
        ask("POST", "", JSON, &json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}})),
        ask("POST", "", JSON, &json!({"apiVersion": "v1", "kind": "Teapot", "metadata": {"name": "pod"}})),
        ask("POST", "", JSON, &json!({"apiVersion": "apps/v1", "kind": "Namespace", "metadata": {"name": "pod"}})),
        ask("POST", "", JSON, &json!({"metadata": {"generateName": "made-"}})),
        ask("POST", "?dryRun=All", JSON, &named("dry")),
        // Names.
        ask("POST", "", JSON, &named("a.b")),
        ask("POST", "", JSON, &named("Upper")),
        ask("POST", "", JSON, &named(&"n".repeat(64))),
        ask("POST", "", JSON, &json!({})),
        ask("POST", "", JSON, &json!({"metadata": {"generateName": "a.b"}})),
        // What is unknown, and of another type.
        ask("POST", "", JSON, &json!({"metadata": {"name": "unknown", "nope": 1}, "spec": {"nope": 1}, "nope": 1})),
        ask(
            "POST",
            "?fieldValidation=Strict",
            JSON,
            &json!({"metadata": {"name": "strict", "nope": 1}, "spec": {"nope": 1}}),
        ),
        ask("POST", "", JSON, &json!({"metadata": {"name": "typed", "labels": {"a": 1}}})),
        ask("POST", "", JSON, &json!({"metadata": {"name": "typed"}, "spec": {"finalizers": "a"}})),
        ask("POST", "", JSON, &json!({"metadata": {"name": "typed"}, "spec": []})),
        ask("POST", "", JSON, &json!({"metadata": {"name": "typed"}, "status": {"phase": 1}})),
        ask("POST", "", JSON, &json!({"metadata": {"name": "kept"}, "spec": {"finalizers": ["example.com/x"]}})),
        ask("POST", "", JSON, &json!({"metadata": {"name": "phased"}, "status": {"phase": "Terminating"}})),
        ask("GET", "/plain", JSON, &Value::Null),
        ask("GET", "?fieldSelector=status.phase%3DActive,metadata.name%3Dplain", JSON, &Value::Null),
        ask("GET", "?fieldSelector=status.phase%3DTerminating", JSON, &Value::Null),
        ask("GET", "?fieldSelector=spec.x%3Da", JSON, &Value::Null),
        ask("GET", "?fieldSelector=metadata.namespace%3Da", JSON, &Value::Null),
        ask("GET", "?labelSelector=kubernetes.io/metadata.name%3Dplain", JSON, &Value::Null),
        // Updates: the label of the name comes back; no revision is needed.
        ask("PUT", "/plain", JSON, &json!({"metadata": {"name": "plain", "labels": {"x": "1"}}})),
        ask("PUT", "/plain", JSON, &json!({"metadata": {"name": "plain"}, "spec": {"finalizers": []}})),
        ask("PUT", "/plain", JSON, &named("different")),
        ask("PUT", "/missing", JSON, &named("missing")),
        ask("PUT", "/plain", JSON, &json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "plain"}})),
        ask("PUT", "/plain", JSON, &json!({"metadata": {"name": "plain", "resourceVersion": "1"}})),
        ask("PUT", "/plain", JSON, &json!({"metadata": {"name": "plain", "labels": {"a/b/c": "1"}}})),
        ask("PUT", "/plain/status", JSON, &json!({"metadata": {"name": "plain"}, "status": {"phase": "Active"}})),
        // Merge patches and JSON patches.
        ask(
            "PATCH",
            "/plain",
            MERGE,
            &json!({"metadata": {"labels": {"kubernetes.io/metadata.name": null, "m": "1"}}}),
        ),
        ask(
            "PATCH",
            "/plain",
            JSON_PATCH,
            &json!([{"op": "add", "path": "/metadata/annotations", "value": {"j": "1"}}]),
        ),
        ask("PATCH", "/plain", JSON_PATCH, &json!([{"op": "replace", "path": "/metadata/labels", "value": {"j": 1}}])),
        ask("PATCH", "/plain", "application/yaml", &json!({})),
    ];
    // Strategic merge patches.
    let strategic = |metadata: Value| ask("PATCH", "/plain", STRATEGIC, &json!({"metadata": metadata}));
    asks.extend([
        ask("PATCH", "/plain", STRATEGIC, &json!({})),
        ask("PATCH", "/plain", STRATEGIC, &json!([])),
        ask("PATCH", "/missing", STRATEGIC, &json!({"metadata": {"labels": {"t": "1"}}})),
        strategic(json!({"labels": {"t": "1", "m": null}})),
        strategic(json!({"labels": {"t": 1}})),
        strategic(json!({"nope": 1})),
        strategic(json!({"finalizers": ["example.com/a", "example.com/b"]})),
        strategic(json!({"finalizers": ["example.com/c", "example.com/a"]})),
        strategic(json!({"$setElementOrder/finalizers": ["example.com/b", "example.com/a"]})),
        strategic(json!({"$deleteFromPrimitiveList/finalizers": ["example.com/a"],
            "$setElementOrder/finalizers": ["example.com/c", "example.com/b"]})),
        strategic(json!({"$setElementOrder/finalizers": ["example.com/c"], "finalizers": ["example.com/d"]})),
        strategic(json!({"ownerReferences": [owner("1", "a"), owner("2", "b")]})),
        strategic(json!({"ownerReferences": [{"uid": "2", "name": "c"}, owner("3", "d"), {"uid": "1", "$patch": "delete"}]})),
        strategic(json!({"ownerReferences": [{"name": "no uid"}]})),
        strategic(json!({"ownerReferences": [{"$patch": "replace"}, owner("9", "z")]})),
        strategic(json!({"ownerReferences": null, "finalizers": null})),
        strategic(json!({"labels": {"$patch": "replace", "only": "1"}})),
        strategic(json!({"labels": {"$retainKeys": ["only", "new"], "new": "2"}})),
        strategic(json!({"labels": {"$retainKeys": ["only"], "new": "3"}})),
        strategic(json!({"labels": {"$patch": "mend"}})),
        strategic(json!({"labels": {"$patch": "delete"}})),
        ask("PATCH", "/plain", STRATEGIC, &json!({"spec": {"finalizers": ["example.com/x"]}})),
        ask("PATCH", "/plain?dryRun=All", STRATEGIC, &json!({"metadata": {"labels": {"dry": "1"}}})),
        ask("PATCH", "/plain?fieldValidation=Strict", STRATEGIC, &json!({"metadata": {"nope": 1}})),
        ask(
            "PATCH",
            "/plain/status",
            STRATEGIC,
            &json!({"status": {"conditions": [{"type": "A", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}]}}),
        ),
        ask(
            "PATCH",
            "/plain/status",
            STRATEGIC,
            &json!({"status": {"conditions": [{"type": "A", "reason": "R"}, {"type": "B", "status": "False",
                "lastTransitionTime": "2020-01-01T00:00:00Z"}]}}),
        ),
        // Server-side apply.
        ask("PATCH", "/applied?fieldManager=m", APPLY, &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "applied"}})),
        ask(
            "PATCH",
            "/applied?fieldManager=m",
            APPLY,
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "applied", "labels": {"a": "1"}}}),
        ),
        // Deletion.
        ask("DELETE", "", JSON, &Value::Null),
        ask("DELETE", "/default", JSON, &Value::Null),
        ask("DELETE", "/missing", JSON, &Value::Null),
        ask("DELETE", "/default", JSON, &json!({"preconditions": {"uid": "other"}})),
        ask("DELETE", "/half", JSON, &json!({"propagationPolicy": "Background"})),
        ask("PUT", "/half/status", YAML, &json!({"metadata": {"name": "half"}, "status": {"phase": "Terminating"}})),
    ]);
    asks
}

/// What was answered, without what differs from server to server.
async fn answer(client: &Client, ask: &Ask) -> Result<Value> {
    let request = http::Request::builder().method(ask.method).uri(&ask.path);
    let request = request.header("content-type", ask.content_type).header("user-agent", "namespaces");
    let answer = client.send(request.body(ask.body.clone().into_bytes().into())?).await?;
    let code = answer.status().as_u16();
    let warnings: Vec<String> = answer
        .headers()
        .get_all("warning")
        .iter()
        .filter_map(|warning| warning.to_str().ok().map(str::to_owned))
        .collect();
    let body = answer.into_body().collect_bytes().await?;
    let mut body: Value = serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body)));
    // Texts of refusals, owners of fields and items of lists are those of a custom resource here: see docs/differences.md.
    body = if code >= 400 {
        json!({"reason": body["reason"]})
    } else {
        let shown = |object: &Value| {
            let metadata = &object["metadata"];
            json!({"name": metadata["name"], "generateName": metadata["generateName"], "labels": metadata["labels"],
                "annotations": metadata["annotations"], "finalizers": metadata["finalizers"],
                "ownerReferences": metadata["ownerReferences"], "spec": object["spec"], "status": object["status"]})
        };
        match body["items"].as_array() {
            Some(items) => items.iter().map(shown).collect(),
            None => shown(&body),
        }
    };
    let mut own = Vec::new();
    mask(&mut body, &mut own);
    let mut text = json!({"code": code, "warnings": warnings, "body": body}).to_string();
    for own in own.iter().filter(|own| own.len() > 8) {
        text = text.replace(own.as_str(), "<own>");
    }
    Ok(serde_json::from_str(&text)?)
}

/// Replaces what each server chooses itself, and notes it, since messages quote it.
fn mask(value: &mut Value, own: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if members.get("generateName").is_some_and(Value::is_string) {
                members.remove("name");
            }
            for (name, value) in members {
                let is_own = matches!(
                    name.as_str(),
                    "uid"
                        | "resourceVersion"
                        | "creationTimestamp"
                        | "deletionTimestamp"
                        | "time"
                        | "continue"
                        | "kubernetes.io/metadata.name"
                        | "f:kubernetes.io/metadata.name"
                );
                match value {
                    Value::String(text) if is_own && name.ends_with("metadata.name") => {
                        if text.starts_with("made-") {
                            *value = json!("<made>");
                        }
                    }
                    Value::String(text) if is_own && text.len() > 1 => {
                        own.push(text.clone());
                        *value = json!("<own>");
                    }
                    other => mask(other, own),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, own)),
        _ => {}
    }
}

#[tokio::test]
async fn namespaces_are_those_of_kube_apiserver() -> Result<()> {
    let (dev, theirs) = tokio::try_join!(Dev::start(Vec::<String>::new()), ControlPlane::start())?;
    let (ours_client, their_client) = (dev.client().await?, theirs.client().await?);
    let mut differences = Vec::new();
    for ask in requests() {
        let (ours, theirs) = (answer(&ours_client, &ask).await?, answer(&their_client, &ask).await?);
        if ours != theirs {
            let Ask { method, path, body, .. } = ask;
            differences.push(format!("{method} {path} {body}\n  ours   {ours}\n  theirs {theirs}"));
        }
    }
    ensure!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));

    // A folder that is applied again, with a Namespace that changed.
    let folder = |size: u32| {
        format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: team, labels: {{size: '{size}'}}}}\n---\n\
             apiVersion: apps.example.com/v1alpha1\nkind: Redis\nmetadata: {{name: cache, namespace: team}}\n\
             spec: {{replicas: {size}}}\n"
        )
    };
    dev.kubectl(["apply", "-f", "-"]).stdin(&folder(1)).ok().await?;
    let again = dev.kubectl(["apply", "-f", "-"]).stdin(&folder(2)).ok().await?;
    ensure!(again.contains("namespace/team configured"), "it said {again}");
    let sizes = dev.kubectl(["get", "ns", "team", "-o", "jsonpath={.metadata.labels}"]).ok().await?;
    ensure!(sizes.contains(r#""size":"2""#) && sizes.contains("kubernetes.io/metadata.name"), "the labels are {sizes}");
    dev.kubectl(["patch", "ns", "default", "-p", r#"{"metadata":{"labels":{"t":"1"}}}"#]).ok().await?;
    let refusal = dev.kubectl(["get", "ns", "--as=bob"]).fails().await?;
    ensure!(refusal.contains(r#"User "kindsmith-admin" cannot impersonate resource "users""#), "it said {refusal}");
    let paths: Value = serde_json::from_str(&dev.kubectl(["get", "--raw", "/"]).ok().await?)?;
    let paths: Vec<&str> = paths["paths"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for path in
        ["/api", "/api/v1", "/apis", "/apis/apps.example.com/v1alpha1", "/readyz/ping", "/openapi/v2", "/version"]
    {
        ensure!(paths.contains(&path), "{path} is not among {paths:?}");
    }
    let version: Value = serde_json::from_str(&dev.kubectl(["get", "--raw", "/version"]).ok().await?)?;
    let wanted: Value = serde_json::from_str(&theirs.kubectl(["get", "--raw", "/version"]).ok().await?)?;
    let git = |version: &Value| version["gitVersion"].as_str().unwrap_or_default().to_owned();
    ensure!(git(&version).starts_with(&format!("{}+kindsmith-", git(&wanted))), "it is {version}, not {wanted}");
    let members = |version: &Value| version.as_object().map(|it| it.keys().cloned().collect::<Vec<_>>());
    ensure!(members(&version) == members(&wanted) && version["minor"] == wanted["minor"], "{version} and {wanted}");
    Ok(())
}
