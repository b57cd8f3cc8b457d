//! The scale subresource: kubectl scale, the scale client, and the same requests on a custom resource of kube-apiserver.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{ControlPlane, Dev, Kindsmith, Kubectl, wait};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

/// The versions of a kind whose replicas are not where Deployments have them.
fn versions() -> Value {
    json!([{
        "name": "v1", "served": true, "storage": true,
        "subresources": {"status": {}, "scale": {
            "specReplicasPath": ".spec.size.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".spec.selector",
        }},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "selector": {"type": "string"},
                "size": {"type": "object", "properties": {"replicas": {"type": "integer", "maximum": 9}}},
            }},
            "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}},
        }}},
    }])
}

fn definition(backend: &Value) -> String {
    json!({
        "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": "cups.ours.example.com"},
        "spec": {"group": "ours.example.com", "scope": "Namespaced", "names": {"kind": "Cup", "plural": "cups"},
            "versions": versions(), "backend": backend},
    })
    .to_string()
}

fn cup(group: &str, name: &str, spec: &Value) -> String {
    json!({"apiVersion": format!("{group}/v1"), "kind": "Cup",
        "metadata": {"name": name, "namespace": "default"}, "spec": spec})
    .to_string()
}

/// Makes calls of kubectl on whatever serves.
type Call<'a> = &'a dyn Fn(&[&str]) -> Kubectl;

async fn until_served(call: Call<'_>, resource: &str) -> Result<()> {
    wait::until("the kind to be served", Duration::from_secs(60), || async {
        call(&["get", resource, "-A"]).ok().await.map(drop)
    })
    .await
}

/// What is done with kubectl and with a client of the scale subresource.
async fn use_scale(call: Call<'_>, client: &Client) -> Result<()> {
    let ours = "ours.example.com";
    call(&["create", "-f", "-"])
        .stdin(&cup(ours, "a", &json!({"selector": "app=a", "size": {"replicas": 1}})))
        .ok()
        .await?;
    let scaled = || async { call(&["scale", "cups.ours.example.com/a", "--replicas=3"]).ok().await };
    let scaled = wait::until("kubectl to discover the subresource", Duration::from_secs(60), scaled).await?;
    ensure!(scaled == "cup.ours.example.com/a scaled\n", "kubectl printed {scaled:?}");
    let replicas = call(&["get", "cup.ours.example.com", "a", "-o", "jsonpath={.spec.size.replicas}"]).ok().await?;
    ensure!(replicas == "3", "the object has {replicas} replicas");
    let wrong = call(&["scale", "cups.ours.example.com/a", "--replicas=4", "--current-replicas=1"]).fails().await?;
    ensure!(wrong.contains("Expected replicas to be 1, was 3"), "kubectl complained {wrong}");
    let many = call(&["scale", "cups.ours.example.com/a", "--replicas=99"]).fails().await?;
    ensure!(many.contains("spec.size.replicas in body should be less than or equal to 9"), "kubectl complained {many}");
    let table = call(&["get", "cup.ours.example.com", "a", "--subresource=scale"]).ok().await?;
    ensure!(table.starts_with("NAME   DESIRED   AVAILABLE   AGE\na      3         0"), "kubectl printed {table}");

    let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(ours, "v1", "Cup"), "cups");
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), "default", &kind);
    let scale = api.get_scale("a").await?;
    let held = serde_json::to_value(&scale)?;
    ensure!(held["spec"]["replicas"] == 3 && held["status"]["selector"] == "app=a", "the scale is {held}");
    let merge = Patch::Merge(json!({"spec": {"replicas": 5}}));
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    let patched = serde_json::to_value(api.patch_scale("a", &dry, &merge).await?)?;
    ensure!(patched["spec"]["replicas"] == 5, "the answer to a dry run is {patched}");
    ensure!(serde_json::to_value(api.get_scale("a").await?)? == held, "a dry run changed the object");
    api.patch_scale("a", &PatchParams::default(), &merge).await?;
    let whole = api.get("a").await?;
    ensure!(whole.data["spec"] == json!({"selector": "app=a", "size": {"replicas": 5}}), "it is {}", whole.data);
    Ok(())
}

struct Answer {
    code: u16,
    body: Value,
    warnings: Vec<String>,
}

async fn send(client: &Client, method: &str, path: &str, kind: &str, body: &str) -> Result<Answer> {
    send_accepting(client, method, path, kind, "application/json", body).await
}

async fn send_accepting(
    client: &Client,
    method: &str,
    path: &str,
    kind: &str,
    accept: &str,
    body: &str,
) -> Result<Answer> {
    let request = http::Request::builder().method(method).uri(path);
    let request = request.header("content-type", kind).header("accept", accept);
    let answer = client.send(request.body(kube::client::Body::from(body.as_bytes().to_vec()))?).await?;
    let code = answer.status().as_u16();
    let warnings = answer.headers().get_all("warning").iter();
    let warnings = warnings.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
    let bytes = answer.into_body().collect_bytes().await?;
    let body = serde_json::from_slice(&bytes).with_context(|| format!("{}", String::from_utf8_lossy(&bytes)))?;
    Ok(Answer { code, body, warnings })
}

/// Replaces what differs between any two objects, and removes what only server-side apply needs.
fn level(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.remove("managedFields");
            for (name, held) in members {
                match name.as_str() {
                    "uid" | "resourceVersion" | "creationTimestamp" if held.is_string() => *held = json!("some"),
                    "cells" => {
                        if let Some(age) = held.as_array_mut().and_then(|cells| cells.last_mut()) {
                            *age = json!("some");
                        }
                    }
                    _ => level(held),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(level),
        _ => {}
    }
}

fn comparable(answer: &Answer, group: &str) -> Result<Value> {
    let mut body = answer.body.clone();
    level(&mut body);
    let all = json!({"code": answer.code, "body": body, "warnings": answer.warnings});
    Ok(serde_json::from_str(&all.to_string().replace(group, "GROUP"))?)
}

/// The methods of a path of OpenAPI: what each does, to what, and with which answers.
fn outline(path: &Value, group: &str) -> Value {
    let methods = path.as_object().into_iter().flatten().filter(|(name, _)| *name != "parameters");
    let parts = ["description", "x-kubernetes-action", "x-kubernetes-group-version-kind"];
    let methods = methods.map(|(name, operation)| {
        let mut outline: serde_json::Map<String, Value> =
            parts.iter().map(|part| ((*part).to_owned(), operation[part].clone())).collect();
        let codes = operation["responses"].as_object().into_iter().flatten().map(|(code, _)| json!(code)).collect();
        outline.insert("codes".to_owned(), codes);
        (name.clone(), Value::Object(outline))
    });
    let text = Value::Object(methods.collect()).to_string().replace(group, "GROUP");
    serde_json::from_str(&text).unwrap_or_default()
}

/// Method, path, content type, body.
type Request = (&'static str, &'static str, &'static str, Value);

/// Requests whose whole answers are compared, and those where the code is: kube-apiserver looks the type up in the wrong
/// scheme and says only that it is not there, shows the key in etcd, or shows what was patched in its own order.
#[rustfmt::skip]
fn requests() -> (Vec<Request>, Vec<Request>) {
    const JSON: &str = "application/json";
    const MERGE: &str = "application/merge-patch+json";
    const PATCH: &str = "application/json-patch+json";
    let scale = |name: &str, replicas: Value| json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": name}, "spec": {"replicas": replicas},
    });
    let with = |member: &str, value: Value| {
        let mut scale = scale("a", json!(2));
        scale["metadata"][member] = value;
        scale
    };
    let whole = vec![
        ("GET", "a/scale", JSON, json!(null)),
        ("GET", "bare/scale", JSON, json!(null)),
        ("GET", "absent/scale", JSON, json!(null)),
        ("GET", "a/scale?pretty=x&resourceVersion=0", JSON, json!(null)),
        ("PUT", "a/scale", JSON, scale("a", json!(2))),
        ("PUT", "a/scale?dryRun=All", JSON, scale("a", json!(4))),
        ("PUT", "a/scale?dryRun=Some", JSON, scale("a", json!(4))),
        ("GET", "a/scale", JSON, json!(null)),
        ("PUT", "a/scale", JSON, scale("a", json!(0))),
        ("GET", "a/scale", JSON, json!(null)),
        ("PUT", "a/scale", JSON, scale("a", json!(-1))),
        ("PUT", "a/scale", JSON, scale("a", json!(99))),
        ("PUT", "a/scale", JSON, scale("a", json!(-99))),
        ("PUT", "a/scale", JSON, scale("a", json!(null))),
        ("PUT", "a/scale", JSON, scale("b", json!(2))),
        ("PUT", "a/scale", JSON, scale("", json!(2))),
        ("PUT", "absent/scale", JSON, scale("absent", json!(2))),
        ("PUT", "bare/scale", JSON, scale("bare", json!(2))),
        ("PUT", "a/scale", JSON, with("namespace", json!("other"))),
        ("PUT", "a/scale", JSON, with("namespace", json!("default"))),
        ("PUT", "a/scale", JSON, with("resourceVersion", json!("1"))),
        ("PUT", "a/scale", JSON, with("labels", json!({"a": "b"}))),
        ("PUT", "a/scale", JSON, with("labelz", json!({}))),
        ("PUT", "a/scale", JSON, json!({"metadata": {"name": "a"}, "spec": {"replicas": 3}})),
        ("PUT", "a/scale", JSON, json!({"metadata": {"name": "a"}, "status": {"replicas": 7, "selector": "x=y"}})),
        ("PATCH", "a/scale", MERGE, json!({"spec": {"replicas": 6}})),
        ("PATCH", "a/scale", MERGE, json!({"spec": {"replicas": -6}})),
        ("PATCH", "a/scale", MERGE, json!({"spec": {"replicas": null}})),
        ("PATCH", "a/scale", MERGE, json!({"spec": {"replicaz": 1}})),
        ("PATCH", "a/scale", MERGE, json!({"metadata": {"resourceVersion": "1"}})),
        ("PATCH", "a/scale", MERGE, json!({"metadata": {"name": "b"}})),
        ("PATCH", "a/scale", MERGE, json!({"metadata": {"uid": "b"}, "spec": {"replicas": 1}})),
        ("PATCH", "a/scale?dryRun=All", MERGE, json!({"spec": {"replicas": 8}})),
        ("PATCH", "bare2/scale", MERGE, json!({"metadata": {"labels": {"a": "b"}}})),
        ("PATCH", "bare2/scale", MERGE, json!({"spec": {"replicas": 1}})),
        ("PATCH", "absent/scale", MERGE, json!({"spec": {"replicas": 1}})),
        ("PATCH", "a/scale", PATCH, json!([{"op": "replace", "path": "/spec/replicas", "value": 7}])),
        ("PATCH", "a/scale", PATCH, json!([{"op": "test", "path": "/spec/replicas", "value": 7},
            {"op": "replace", "path": "/spec/replicas", "value": 8}])),
        ("PATCH", "a/scale", "application/strategic-merge-patch+json", json!({"spec": {"replicas": 6}})),
        ("PATCH", "a/scale", "text/plain", json!({"spec": {"replicas": 6}})),
        ("GET", "a/scale", JSON, json!(null)),
        ("PATCH", "a/scale", PATCH, json!([{"op": "remove", "path": "/spec/replicas"}])),
        ("PATCH", "a/scale", PATCH, json!([{"op": "add", "path": "/spec/replicas", "value": 2}])),
        ("PATCH", "a/scale", PATCH, json!([{"op": "remove", "path": "/spec/nothing"}])),
        ("PATCH", "a/scale", PATCH, json!([{"op": "replace", "path": "/metadata/name", "value": "b"}])),
        ("PATCH", "a/scale", PATCH, json!([{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}])),
        ("PATCH", "a/scale", PATCH, json!([{"op": "replace", "path": "/status/replicas", "value": 5}])),
        ("PATCH", "bare/scale?dryRun=All", PATCH, json!([{"op": "replace", "path": "/spec/replicas", "value": 5}])),
        ("PATCH", "a/scale", PATCH, json!({})),
        ("PATCH", "a/scale", MERGE, json!([1])),
        ("PATCH", "a/scale", MERGE, json!("text")),
        ("PATCH", "absent/scale", MERGE, json!([1])),
        ("PATCH", "a/scale", MERGE, json!({})),
        ("PATCH", "a/scale", MERGE, json!({"spec": null})),
        ("PATCH", "a/scale", MERGE, json!({"status": {"replicas": 4, "selector": "b=c"}})),
        ("PATCH", "a/scale", MERGE, json!({"apiVersion": null, "kind": null, "spec": {"replicas": 3}})),
        ("PATCH", "a/scale", MERGE, json!({"metadata": {"resourceVersion": null}, "spec": {"replicas": 4}})),
        ("PATCH", "a/scale", MERGE, json!({"metadata": {"resourceVersion": "0"}, "spec": {"replicas": 5}})),
        ("PATCH", "a/scale", MERGE, json!({"metadata": {"namespace": "other"}})),
        ("PATCH", "a/scale", MERGE, json!({"metadata": {"finalizers": ["example.com/hold"]}})),
        ("PATCH", "a/scale?fieldValidation=Warn", MERGE, json!({"spec": {"replicaz": 1}, "metadata": {"x": 1}})),
        ("PATCH", "a/scale?fieldValidation=Ignore", MERGE, json!({"spec": {"replicaz": 1}, "metadata": {"x": 1}})),
        ("PATCH", "a/scale?fieldValidation=Sometimes", MERGE, json!({"spec": {"replicas": 1}})),
        ("PATCH", "a/scale?dryRun=Some", MERGE, json!({"spec": {"replicas": 1}})),
        ("PATCH", "a/scale?force=true", MERGE, json!({"spec": {"replicas": 1}})),
        ("PUT", "a/scale?fieldValidation=Ignore", JSON, with("labelz", json!({}))),
        ("PUT", "a/scale?fieldValidation=Sometimes", JSON, scale("a", json!(2))),
        ("PUT", "a/scale", JSON, with("resourceVersion", json!("0"))),
        ("PUT", "a/scale", JSON, with("resourceVersion", json!("x"))),
        ("PUT", "a/scale", JSON, with("generateName", json!("x-"))),
        ("PUT", "a/scale", JSON, json!({"metadata": {"name": "a"}})),
        ("PUT", "a/scale", "text/plain", scale("a", json!(2))),
        ("PUT", "a/scale", JSON, scale("a", json!(2_147_483_647))),
        ("PUT", "a/scale", JSON, scale("a", json!(-2_147_483_648_i64))),
        ("GET", "a/scale?resourceVersion=x", JSON, json!(null)),
        ("PATCH", "a?dryRun=All", MERGE, json!({"metadata": {"resourceVersion": null}})),
        ("PATCH", "a?dryRun=All", MERGE, json!({"metadata": {"resourceVersion": "0"}})),
        ("PATCH", "a?dryRun=All", MERGE, json!({"metadata": {"resourceVersion": "x"}})),
        ("PATCH", "a?dryRun=All", MERGE, json!({"metadata": {"resourceVersion": "18446744073709551616"}})),
        ("PUT", "a", JSON, json!({"spec": {"size": {"replicas": 3.0}}})),
        ("PUT", "a", JSON, json!({"spec": {"size": {"replicas": 3_000_000_000_i64}}})),
        ("PUT", "a", JSON, json!({"spec": {"size": {"replicas": -5}}})),
        ("PUT", "a/scale/more", JSON, json!({})),
        ("POST", "a/scale", JSON, scale("a", json!(2))),
        ("DELETE", "a/scale", JSON, json!(null)),
    ];
    let code = vec![
        ("PUT", "a/scale", JSON, scale("a", json!("3"))),
        ("PUT", "a/scale", JSON, scale("a", json!(1.5))),
        ("PUT", "a/scale", JSON, scale("a", json!(true))),
        ("PUT", "a/scale", JSON, scale("a", json!([]))),
        ("PUT", "a/scale", JSON, scale("a", json!(3_000_000_000_i64))),
        ("PUT", "a/scale", JSON, with("uid", json!("x"))),
        ("PUT", "a/scale", JSON, with("uid", json!(1))),
        ("PUT", "a/scale", JSON, with("name", json!(7))),
        ("PUT", "a/scale?fieldValidation=Strict", JSON, with("labelz", json!({}))),
        ("PUT", "a/scale", JSON, json!({"apiVersion": "apps/v1", "kind": "Scale", "metadata": {"name": "a"}})),
        ("PUT", "a/scale", JSON, json!({"apiVersion": "autoscaling/v1", "kind": "Cup", "metadata": {"name": "a"}})),
        ("PUT", "a/scale", JSON, json!({"metadata": {"name": "a"}, "spec": []})),
        ("PUT", "a/scale", JSON, json!({"metadata": [], "spec": {}})),
        ("PUT", "a/scale", JSON, json!([])),
        ("PATCH", "a/scale", MERGE, json!({"spec": {"replicas": "x"}})),
        ("PATCH", "a/scale", MERGE, json!({"kind": "Cup"})),
        ("PATCH", "a/scale", MERGE, json!({"apiVersion": "apps/v1"})),
        ("PATCH", "a/scale", MERGE, json!({"metadata": {"labels": {"a": 1}}})),
        ("PUT", "a/scale", JSON, with("labels", json!({"a": 1}))),
        ("PUT", "a/scale", JSON, with("creationTimestamp", json!("yesterday"))),
        ("PATCH", "a/scale?fieldValidation=Strict", MERGE, json!({"spec": {"replicaz": 1}})),
    ];
    (whole, code)
}

#[tokio::test]
async fn scale_is_that_of_a_custom_resource() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let _kindsmith = Kindsmith::start(&control_plane).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    let release = json!({"helmRelease": {"prefix": "cup-", "chartRef": {"kind": "OCIRepository", "name": "cup"}}});
    call(&["apply", "-f", "-"]).stdin(&definition(&release)).ok().await?;
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "cups.theirs.example.com"},
        "spec": {"group": "theirs.example.com", "scope": "Namespaced", "versions": versions(),
            "names": {"kind": "Cup", "plural": "cups", "singular": "cup", "listKind": "CupList"}},
    });
    call(&["apply", "-f", "-"]).stdin(&crd.to_string()).ok().await?;
    let groups = ["ours.example.com", "theirs.example.com"];
    for group in groups {
        until_served(&call, &format!("cups.{group}")).await?;
    }
    let client = control_plane.client().await?;
    use_scale(&call, &client).await?;
    call(&["delete", "cups.ours.example.com", "a"]).ok().await?;

    for group in groups {
        let full = json!({"selector": "app=a", "size": {"replicas": 1}});
        for (name, spec) in [("a", full), ("bare", json!({})), ("bare2", json!({}))] {
            call(&["create", "-f", "-"]).stdin(&cup(group, name, &spec)).ok().await?;
        }
    }
    let mut different = Vec::new();
    let (whole, code) = requests();
    let requests = whole.into_iter().map(|one| (one, "")).chain(code.into_iter().map(|one| (one, "/code")));
    for ((method, path, kind, body), part) in requests {
        let mut answers = Vec::new();
        for group in groups {
            let mut body = body.clone();
            if path == "a" {
                body["apiVersion"] = json!(format!("{group}/v1"));
                body["kind"] = json!("Cup");
                let url = format!("/apis/{group}/v1/namespaces/default/cups/a");
                body["metadata"] = send(&client, "GET", &url, "", "").await?.body["metadata"].clone();
            }
            let body = if body.is_null() { String::new() } else { body.to_string() };
            let url = format!("/apis/{group}/v1/namespaces/default/cups/{path}");
            answers.push(comparable(&send(&client, method, &url, kind, &body).await?, group)?);
        }
        if answers[0].pointer(part) != answers[1].pointer(part) {
            different.push(format!("{method} {path} {body}\n  ours   {}\n  theirs {}", answers[0], answers[1]));
        }
    }
    const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
    const METADATA: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    let set = json!({"metadata": {"name": "a"}, "spec": {"replicas": 2}}).to_string();
    for (method, accept, body) in [
        ("GET", TABLE, ""),
        ("GET", "application/json;as=Table;v=v1beta1;g=meta.k8s.io", ""),
        ("GET", "application/json;as=Table;v=v2;g=meta.k8s.io", ""),
        ("GET", METADATA, ""),
        ("GET", "text/plain", ""),
        ("PUT", TABLE, &set),
        ("PUT", METADATA, &set),
    ] {
        let mut answers = Vec::new();
        for group in groups {
            let url = format!("/apis/{group}/v1/namespaces/default/cups/a/scale");
            let answer = send_accepting(&client, method, &url, "application/json", accept, body).await?;
            answers.push(comparable(&answer, group)?);
        }
        if answers[0] != answers[1] {
            different.push(format!("{method} as {accept}\n  ours   {}\n  theirs {}", answers[0], answers[1]));
        }
    }
    ensure!(different.is_empty(), "{} answers differ:\n{}", different.len(), different.join("\n"));

    let discovered = |group: &str| {
        let path = format!("/apis/{group}/v1");
        let client = client.clone();
        async move {
            let list = send(&client, "GET", &path, "", "").await?.body;
            let found = list["resources"].as_array().into_iter().flatten().find(|one| one["name"] == "cups/scale");
            anyhow::Ok(found.cloned())
        }
    };
    let (ours, theirs) = (discovered(groups[0]).await?, discovered(groups[1]).await?);
    ensure!(ours.is_some() && ours == theirs, "in discovery: {ours:?}, not {theirs:?}");
    let published = async |group: &str| {
        let document = send(&client, "GET", &format!("/openapi/v3/apis/{group}/v1"), "", "").await?.body;
        let path = format!("/apis/{group}/v1/namespaces/{{namespace}}/cups/{{name}}/scale");
        let answer = document["paths"][&path].pointer("/get/responses/200/content/application~1json/schema/$ref");
        let name = answer.and_then(Value::as_str).and_then(|name| name.strip_prefix("#/components/schemas/"));
        let name = name.context("the answer has no schema")?;
        ensure!(name.ends_with(".autoscaling.v1.Scale"), "the answer is a {name}");
        let scale = &document["components"]["schemas"][name];
        ensure!(scale["type"] == "object", "the schema of a Scale is {scale}");
        Ok(outline(&document["paths"][&path], group))
    };
    let (ours, theirs) = (published(groups[0]).await?, published(groups[1]).await?);
    ensure!(ours == theirs && ours["put"].is_object(), "in OpenAPI v3: {ours}, not {theirs}");
    wait::until("OpenAPI v2 to have both", Duration::from_secs(60), || async {
        let document = send(&client, "GET", "/openapi/v2", "", "").await?.body;
        let outlined = |group: &str| {
            let path = format!("/apis/{group}/v1/namespaces/{{namespace}}/cups/{{name}}/scale");
            outline(&document["paths"][&path], group)
        };
        let (ours, theirs) = (outlined(groups[0]), outlined(groups[1]));
        ensure!(ours == theirs && ours["put"].is_object(), "in OpenAPI v2: {ours}, not {theirs}");
        Ok(())
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn scale_works_without_a_cluster() -> Result<()> {
    let dev = Dev::start(Vec::<String>::new()).await?;
    let call = |args: &[&str]| dev.kubectl(args.iter().copied());
    call(&["apply", "-f", "-"]).stdin(&definition(&json!({"store": {}}))).ok().await?;
    until_served(&call, "cups.ours.example.com").await?;
    let client = dev.client().await?;
    use_scale(&call, &client).await?;
    let status = r#"{"status": {"replicas": 4}}"#;
    call(&["patch", "cup.ours.example.com", "a", "--subresource=status", "--type=merge", "-p", status]).ok().await?;
    let path = "/apis/ours.example.com/v1/namespaces/default/cups/a/scale";
    let scale = send(&client, "GET", path, "", "").await?.body;
    ensure!(scale["status"] == json!({"replicas": 4, "selector": "app=a"}), "the scale is {scale}");
    let negative = r#"{"status": {"replicas": -4}}"#;
    let refused =
        call(&["patch", "cup.ours.example.com", "a", "--subresource=status", "--type=merge", "-p", negative]).fails();
    let refused = refused.await?;
    ensure!(refused.contains(".status.replicas: Invalid value: -4: should be a non-negative integer"), "{refused}");
    Ok(())
}
