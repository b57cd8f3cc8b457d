//! Objects of tens of thousands of fields with several managers, objects that are too large, bursts of changes, and what
//! a backup brings back: beside a custom resource of kube-apiserver.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::{AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _};
use kindsmith_tests::{ControlPlane, Dev, Kindsmith};
use kube::{Client, client::Body};
use serde_json::{Value, json};

use crate::releases::{RELEASES, ask, done, served};

const OURS: &str = "/apis/ours.example.com/v1/namespaces/default/brokers";
const THEIRS: &str = "/apis/theirs.example.com/v1/namespaces/default/brokers";
const STORED: &str = "/apis/stored.example.com/v1/namespaces/default/brokers";

fn versions() -> Value {
    json!([{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
        "type": "object", "properties": {"spec": {"type": "object", "properties": {
            "replicas": {"type": "integer", "default": 1},
            "settings": {"type": "object", "additionalProperties": {"type": "string"}},
            "users": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "required": ["name"], "properties": {
                    "name": {"type": "string"}, "role": {"type": "string", "default": "reader"},
                    "uid": {"type": "integer"}}}}}}}}}}])
}

fn definition(group: &str, backend: &Value) -> Value {
    json!({"apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": format!("brokers.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": "Broker", "plural": "brokers"},
            "versions": versions(), "backend": backend}})
}

fn on_releases() -> Value {
    let chart = json!({"kind": "OCIRepository", "name": "broker", "namespace": "charts"});
    definition("ours.example.com", &json!({"helmRelease": {"chartRef": chart, "prefix": "broker-"}}))
}

fn custom_resource() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "brokers.theirs.example.com"},
        "spec": {"group": "theirs.example.com", "scope": "Namespaced", "versions": versions(),
            "names": {"kind": "Broker", "plural": "brokers", "singular": "broker", "listKind": "BrokerList"}}})
}

/// A name that nothing can be made shorter of.
fn name(at: u64) -> String {
    let mixed = (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("k{:016x}{:07x}", mixed ^ (mixed >> 29), mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 36)
}

fn settings(count: u64) -> Value {
    json!({"settings": (0..count).map(|at| (name(at), json!("v"))).collect::<serde_json::Map<_, _>>()})
}

fn users(count: u64) -> Value {
    json!({"users": (0..count).map(|at| json!({"name": name(at), "uid": at})).collect::<Vec<_>>()})
}

fn broker(collection: &str, name: &str, spec: &Value) -> Value {
    let group = collection.split('/').nth(2).unwrap_or_default();
    json!({"apiVersion": format!("{group}/v1"), "kind": "Broker", "metadata": {"name": name, "namespace": "default"},
        "spec": spec})
}

async fn apply(client: &Client, path: &str, object: &Value) -> Result<Value> {
    let request = http::Request::patch(path).header("content-type", "application/apply-patch+yaml");
    let answer = client.send(request.body(Body::from(object.to_string().into_bytes()))?).await?;
    let code = answer.status();
    let body: Value = serde_json::from_slice(&answer.into_body().collect_bytes().await?)?;
    ensure!(code.is_success(), "{path} answers {code}: {}", body["message"]);
    Ok(body)
}

/// Who owns what: manager, operation and fields, without group and time.
fn owners(object: &Value) -> Vec<Value> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let mut owners: Vec<Value> =
        entries.map(|entry| json!([entry["manager"], entry["operation"], entry["fieldsV1"]])).collect();
    owners.sort_by_key(|owner| (owner[0].to_string(), owner[1].to_string()));
    owners
}

/// What the annotations of ours take of the release, in bytes.
async fn annotation_bytes(client: &Client, name: &str) -> Result<usize> {
    let release = done(client, "GET", &format!("{RELEASES}/broker-{name}"), None).await?;
    let held = release["metadata"]["annotations"].as_object().context("no annotations")?;
    Ok(held
        .iter()
        .filter(|(key, _)| key.starts_with("kindsmith.dev/"))
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum())
}

#[tokio::test]
async fn large_objects_have_owners_and_come_back_from_a_backup() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let _kindsmith = Kindsmith::start(&control_plane).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    for manifest in [on_releases(), custom_resource()] {
        call(&["apply", "-f", "-"]).stdin(&manifest.to_string()).ok().await?;
    }
    let client = control_plane.client().await?;
    served(&client, OURS).await?;
    served(&client, THEIRS).await?;
    for (kind, spec, change) in [
        ("settings", settings(12_000), json!({"settings": {name(7): "changed", "new": "v"}})),
        ("users", users(5000), json!({"replicas": 3})),
    ] {
        let mut both = Vec::new();
        for collection in [OURS, THEIRS] {
            let one = format!("{collection}/{kind}");
            let object = broker(collection, kind, &spec);
            done(&client, "POST", &format!("{collection}?fieldManager=first"), Some(&object)).await?;
            apply(&client, &format!("{one}?fieldManager=second&force=true"), &object).await?;
            done(&client, "PATCH", &format!("{one}?fieldManager=third"), Some(&json!({"spec": change}))).await?;
            both.push(done(&client, "GET", &one, None).await?);
        }
        ensure!(both[0]["spec"] == both[1]["spec"], "{kind} differ");
        ensure!(owners(&both[0]) == owners(&both[1]), "the owners of {kind} differ");
        let (object, own) = (both[0]["spec"].to_string().len(), both[0]["metadata"]["managedFields"].to_string().len());
        let held = annotation_bytes(&client, kind).await?;
        println!("{kind}: {object} bytes, owners {own} bytes, annotations of ours {held} bytes");
        ensure!(held < 16 << 10, "{kind}: annotations of ours take {held} bytes");
    }
    by_client_side_apply(&call, &client).await.context("client-side apply")?;
    annotations_that_are_too_long_are_told(&client).await.context("annotations")?;
    others_change_the_release(&client).await.context("a change of the release")?;
    a_backup_brings_all_back(&control_plane, &client).await.context("backup")
}

/// The annotation of kubectl has all of the object.
async fn by_client_side_apply(call: &dyn Fn(&[&str]) -> kindsmith_tests::Kubectl, client: &Client) -> Result<()> {
    for collection in [OURS, THEIRS] {
        let mut object = broker(collection, "csa", &settings(6800));
        call(&["apply", "-f", "-"]).stdin(&object.to_string()).ok().await?;
        object["spec"]["settings"][name(3)] = json!("w");
        call(&["apply", "-f", "-"]).stdin(&object.to_string()).ok().await?;
    }
    let (ours, theirs) = (
        done(client, "GET", &format!("{OURS}/csa"), None).await?,
        done(client, "GET", &format!("{THEIRS}/csa"), None).await?,
    );
    ensure!(owners(&ours) == owners(&theirs), "the owners differ");
    let applied = ours["metadata"]["annotations"].to_string().len();
    println!("applied: last-applied {applied} bytes, annotations of ours {}", annotation_bytes(client, "csa").await?);
    Ok(())
}

/// Users have what is left of 256 KiB, and are told whose the rest is.
async fn annotations_that_are_too_long_are_told(client: &Client) -> Result<()> {
    let mut object = broker(OURS, "full", &settings(3000));
    object["metadata"]["annotations"] = json!({"note": "x".repeat((256 << 10) - (5 << 10))});
    done(client, "POST", OURS, Some(&object)).await.context("with 5 KiB left")?;
    let one = format!("{OURS}/full");
    let longer = json!({"metadata": {"annotations": {"note": "x".repeat((256 << 10) - 100)}}});
    let (code, answer) = ask(client, "PATCH", &one, Some(&longer)).await?;
    let message = answer["message"].as_str().unwrap_or_default();
    ensure!(code == 422 && message.contains("metadata.annotations: Too long"), "{code}: {message}");
    ensure!(message.contains("who owns its fields") && !message.contains("<nil>"), "{message}");
    Ok(())
}

/// What somebody adds to the release is theirs, and all else is whose it was.
async fn others_change_the_release(client: &Client) -> Result<()> {
    let before = owners(&done(client, "GET", &format!("{OURS}/settings"), None).await?);
    let release = format!("{RELEASES}/broker-settings?fieldManager=outsider");
    let change = json!({"spec": {"values": {"settings": {"theirs": "1", name(9): null}}}});
    done(client, "PATCH", &release, Some(&change)).await?;
    let after = owners(&done(client, "GET", &format!("{OURS}/settings"), None).await?);
    let theirs = json!(["outsider", "Update", {"f:spec": {"f:settings": {"f:theirs": {}}}}]);
    ensure!(after.contains(&theirs), "the outsider owns nothing");
    for mut owner in before {
        let gone = format!("f:{}", name(9));
        if let Some(fields) = owner.pointer_mut("/2/f:spec/f:settings").and_then(Value::as_object_mut) {
            fields.remove(&gone);
        }
        ensure!(after.contains(&owner), "{} owns other fields now", owner[0]);
    }
    Ok(())
}

/// As docs/backup.md says.
async fn a_backup_brings_all_back(control_plane: &ControlPlane, client: &Client) -> Result<()> {
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    let small = broker(OURS, "small", &json!({"settings": {"a": "b"}}));
    apply(client, &format!("{OURS}/small?fieldManager=gitops"), &small).await?;
    let more =
        json!({"metadata": {"labels": {"tier": "db"}, "annotations": {"note": "mine"}}, "spec": {"replicas": 2}});
    done(client, "PATCH", &format!("{OURS}/small?fieldManager=people"), Some(&more)).await?;
    let platform = json!({"metadata": {"labels": {"platform": "yes"}}, "spec": {"suspend": true}});
    done(client, "PATCH", &format!("{RELEASES}/broker-small"), Some(&platform)).await?;
    let names = ["small", "users"];
    let mut before = Vec::new();
    for name in names {
        before.push(done(client, "GET", &format!("{OURS}/{name}"), None).await?);
    }
    let releases = call(&["get", "helmreleases", "broker-small", "broker-users", "-o", "json"]).ok().await?;
    let definitions = call(&["get", "applicationdefinitions", "-o", "json"]).ok().await?;
    call(&["delete", "helmreleases", "--all"]).ok().await?;
    call(&["delete", "applicationdefinitions", "--all"]).ok().await?;
    for backup in [definitions, releases] {
        let mut list: Value = serde_json::from_str(&backup)?;
        for item in list["items"].as_array_mut().context("no items")? {
            let metadata = item["metadata"].as_object_mut().context("no metadata")?;
            metadata.retain(|member, _| matches!(member.as_str(), "name" | "namespace" | "labels" | "annotations"));
        }
        call(&["create", "-f", "-"]).stdin(&list.to_string()).ok().await?;
    }
    served(client, OURS).await?;
    for (name, before) in names.iter().zip(&before) {
        let after = done(client, "GET", &format!("{OURS}/{name}"), None).await?;
        ensure!(owners(&after) == owners(before), "{name} has other owners");
        for member in ["/spec", "/metadata/labels", "/metadata/annotations"] {
            ensure!(after.pointer(member) == before.pointer(member), "{name} has other {member}");
        }
    }
    let release = done(client, "GET", &format!("{RELEASES}/broker-small"), None).await?;
    ensure!(release["spec"]["suspend"] == true && release["metadata"]["labels"]["platform"] == "yes", "{release}");
    // Also after the next write.
    let next = json!({"spec": {"replicas": 4}});
    done(client, "PATCH", &format!("{OURS}/small?fieldManager=people"), Some(&next)).await?;
    let after = done(client, "GET", &format!("{OURS}/small"), None).await?;
    ensure!(owners(&after) == owners(&before[0]), "it has other owners after a write: {}", after["metadata"]);
    Ok(())
}

/// Patches objects of a collection so often, and reads the changes of all from before the first.
async fn burst(client: &Client, collection: &str, changes: usize) -> Result<usize> {
    let streams = 20;
    for at in 0..streams {
        let object = broker(collection, &format!("b{at}"), &json!({}));
        done(client, "POST", collection, Some(&object)).await?;
    }
    let list = done(client, "GET", collection, None).await?;
    let revision = list["metadata"]["resourceVersion"].as_str().context("no revision")?.to_owned();
    let patches = (0..streams).map(|at| async move {
        for round in 0..changes / streams {
            let patch = json!({"metadata": {"labels": {"round": round.to_string()}}});
            done(client, "PATCH", &format!("{collection}/b{at}"), Some(&patch)).await?;
        }
        anyhow::Ok(())
    });
    futures::future::try_join_all(patches).await?;
    let watch = format!("{collection}?watch=true&resourceVersion={revision}");
    let lines = client.request_stream(http::Request::get(watch).body(Vec::new())?).await?.lines();
    let modified = lines.map_err(anyhow::Error::from).take(changes).try_fold(0, |seen, line| async move {
        ensure!(line.starts_with(r#"{"type":"MODIFIED""#), "the watch says {line:.300} after {seen} changes");
        Ok(seen + 1)
    });
    tokio::time::timeout(Duration::from_secs(30), modified).await.context("the watch waits")?
}

#[tokio::test]
async fn a_burst_can_be_resumed_and_large_objects_are_refused_as_by_etcd() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut paths = Vec::new();
    for (name, manifest) in
        [("ours", on_releases()), ("stored", definition("stored.example.com", &json!({"store": {}})))]
    {
        let path = folder.path().join(format!("{name}.yaml"));
        std::fs::write(&path, manifest.to_string())?;
        paths.push(path.display().to_string());
    }
    let dev = Dev::start(paths).await?;
    let client = dev.client().await?;
    for collection in [OURS, STORED] {
        served(&client, collection).await?;
        ensure!(burst(&client, collection, 6000).await? == 6000, "{collection}");
    }
    for collection in [OURS, STORED] {
        let of = |letters: usize| json!({"settings": {"a": "x".repeat(letters)}});
        let told = |code: u16, answer: &Value| format!("{code} {} {}", answer["reason"], answer["message"]);
        let post = |letters: usize| broker(collection, "large", &of(letters));
        let (code, answer) = ask(&client, "POST", collection, Some(&post(1_600_000))).await?;
        ensure!(told(code, &answer) == r#"500 null "etcdserver: request is too large""#, "{}", told(code, &answer));
        let (code, answer) = ask(&client, "POST", collection, Some(&post(2_500_000))).await?;
        ensure!(told(code, &answer).contains("larger than max (25") && code == 500, "{}", told(code, &answer));
        done(&client, "POST", collection, Some(&post(1_000_000))).await?;
        let more = json!({"spec": {"settings": {"b": "x".repeat(700_000)}}});
        let (code, answer) = ask(&client, "PATCH", &format!("{collection}/large"), Some(&more)).await?;
        ensure!(told(code, &answer) == r#"500 null "etcdserver: request is too large""#, "{}", told(code, &answer));
    }
    Ok(())
}
