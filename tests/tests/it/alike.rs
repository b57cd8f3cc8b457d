//! What kube-apiserver says besides the first fault: warnings, causes and what defaults make, asked of a kind of ours, in
//! the embedded store and in releases, and of a CustomResourceDefinition of the same schema.

use std::time::Duration;

use anyhow::{Result, ensure};
use http::Request;
use kindsmith_tests::twin::answer::Answer;
use kindsmith_tests::twin::likeness::Likeness;
use kindsmith_tests::twin::pair::without_release_status;
use kindsmith_tests::{ControlPlane, Dev, wait};
use kube::Client;
use serde_json::{Value, json};

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STEPS: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

const THEIR_GROUP: &str = "alike.example.org";
const STORE_GROUP: &str = "store.alike.example.org";
const RELEASE_GROUP: &str = "release.alike.example.org";

fn versions() -> Value {
    let text = json!({"type": "string"});
    let with_default = |default: &str| json!({"type": "string", "default": default});
    // Defaults that reach into metadata: of the resource, of metadata, of its fields, of what is around.
    let embedded = |more: Value| {
        let mut schema = json!({"type": "object", "x-kubernetes-embedded-resource": true});
        schema
            .as_object_mut()
            .into_iter()
            .for_each(|schema| schema.extend(more.as_object().cloned().unwrap_or_default()));
        schema
    };
    let thing = json!({"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "nn", "extra": "e"}});
    let fields = json!({
        "name": with_default("nn"), "extra": with_default("e"), "labels": {"type": "object", "default": {}}});
    let spec = json!({"type": "object",
        "x-kubernetes-validations": [{"rule": "!has(self.a) || self.a != 'bad'", "message": "a is bad"}],
        "properties": {
            "a": {"type": "string", "maxLength": 3},
            "whole": embedded(json!({"properties": {"foo": text}, "default": thing})),
            "metadata": embedded(json!({"x-kubernetes-preserve-unknown-fields": true,
                "properties": {"metadata": {"type": "object", "default": {"name": "nn", "extra": "e"}}}})),
            "fields": embedded(json!({"properties": {"apiVersion": with_default("v1"), "kind": with_default("Thing"),
                "metadata": {"type": "object", "properties": fields}}})),
            "around": {"type": "object", "default": {"l": [thing], "more": {"metadata": {"extra": "e"}}},
                "x-kubernetes-preserve-unknown-fields": true, "properties": {
                "l": {"type": "array", "items": embedded(json!({"properties": {"foo": text}}))}}}}});
    let other = json!({"type": "object", "properties": {"a": text, "late": text}});
    let version = |name: &str, spec: Value| {
        json!({"name": name, "served": true, "storage": name == "v1",
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}})
    };
    json!([version("v1", spec), version("v1beta1", other)])
}

fn definition(group: &str, backend: Option<Value>) -> Value {
    let names = json!({"kind": "Alike", "plural": "alikes", "singular": "alike", "listKind": "AlikeList"});
    let mut definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("alikes.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": versions()}});
    if let Some(backend) = backend {
        definition["apiVersion"] = json!("kindsmith.dev/v1alpha1");
        definition["kind"] = json!("ApplicationDefinition");
        definition["spec"]["backend"] = backend;
    }
    definition
}

/// One request: method, version, what follows the collection, media type, body. `{rv}` is the revision that this side saw
/// last.
type Ask = (&'static str, &'static str, &'static str, &'static str, String);

fn object(version: &str, name: &str, spec: Value) -> Value {
    let mut object = json!({"apiVersion": format!("{{group}}/{version}"), "kind": "Alike", "metadata": {"name": name}});
    object["spec"] = spec;
    object
}

fn with_metadata(mut object: Value, member: &str, value: Value) -> Value {
    object["metadata"][member] = value;
    object
}

fn requests() -> Vec<Ask> {
    let x = |spec: Value| object("v1", "x", spec);
    let put = |spec: Value| with_metadata(object("v1", "x", spec), "resourceVersion", json!("{rv}"));
    let owner = json!([{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": ""}]);
    let (too_long, bad) = (json!({"a": "long", "zz": 1}), json!({"a": "bad"}));
    let ask = |method, version, tail, media_type, body: Value| -> Ask {
        (method, version, tail, media_type, body.to_string())
    };
    let post = |body: Value| ask("POST", "v1", "", JSON, body);
    let merge = |tail, body: Value| ask("PATCH", "v1", tail, MERGE, body);
    vec![
        // Faults of metadata that keep rules from running, and those that do not.
        post(object("v1", "", bad.clone())),
        post(with_metadata(x(bad.clone()), "ownerReferences", owner.clone())),
        post(with_metadata(x(bad.clone()), "labels", json!({"-": "x"}))),
        post(with_metadata(x(bad.clone()), "finalizers", json!(["-"]))),
        post(x(bad.clone())),
        // What defaults make is what the next request may bring.
        post(x(json!({"a": "1", "metadata": {"apiVersion": "v1", "kind": "X"}, "fields": {"metadata": {}}}))),
        merge("/x?fieldValidation=Strict", json!({"metadata": {"labels": {"l": "1"}}})),
        merge("/x?fieldValidation=Strict", json!({"spec": {"a": "2"}})),
        ask("PATCH", "v1", "/x?fieldManager=m&force=true&fieldValidation=Strict", APPLY, x(json!({"a": "3"}))),
        ask("PATCH", "v1", "/x?fieldManager=m&force=true", APPLY, x(json!({"a": "3"}))),
        ask("PATCH", "v1", "/y?fieldManager=m", APPLY, object("v1", "y", json!({"a": "3", "fields": {"metadata": {}}}))),
        merge("/x", json!({"spec": {"whole": null, "around": null, "metadata": {"metadata": null}}})),
        ask("GET", "v1", "/x", JSON, Value::Null),
        // The same of updates.
        merge("/x", json!({"metadata": {"ownerReferences": owner}, "spec": bad})),
        merge("/x", json!({"metadata": {"labels": {"-": "x"}}, "spec": bad})),
        ask("PUT", "v1", "/x", JSON, with_metadata(put(bad.clone()), "ownerReferences", owner)),
        // What is unknown is told beside whatever the request is refused for.
        post(object("v1", "z", too_long.clone())),
        ask("PUT", "v1", "/x", JSON, put(too_long.clone())),
        ask("PUT", "v1", "/x", JSON, x(too_long.clone())),
        merge("/x", json!({"spec": too_long})),
        merge("/x?dryRun=All", json!({"spec": too_long})),
        ("PATCH", "v1", "/x", MERGE, r#"{"spec": {"a": "long", "zz": 1, "zz": 2}}"#.to_owned()),
        ask("PATCH", "v1", "/x", STEPS, json!([{"op": "add", "path": "/spec/zz", "value": 1, "note": 1},
            {"op": "add", "path": "/spec/a", "value": "long"}])),
        merge("/x", json!({"metadata": {"nope": 1, "labels": {"-": "x"}}})),
        merge("/x", json!({"metadata": {"resourceVersion": "1"}, "spec": {"zz": 1}})),
        merge("/x", json!({"metadata": {"name": "other"}, "spec": {"zz": 1}})),
        merge("/x", json!({"metadata": {"namespace": "other"}, "spec": {"zz": 1}})),
        merge("/x", json!({"metadata": {"name": null}, "spec": {"zz": 1}})),
        ("PATCH", "v1", "/x", MERGE, r#"{"kind": "Other", "metadata": {"nope": 1}, "spec": {"a": "1", "a": "1"}}"#.to_owned()),
        merge("/missing", json!({"spec": too_long})),
        ask("PATCH", "v1", "/x?fieldManager=m", APPLY, x(too_long)),
        // What is unknown is for the version to say that the object names.
        post(object("v1beta1", "q", json!({"a": "1", "late": "2"}))),
        post(object("v1beta1", "q", json!({"a": "1", "late": "2", "zz": 1}))),
        ask("POST", "v1", "?fieldValidation=Strict", JSON, object("v1beta1", "q", json!({"late": "2"}))),
        ask("POST", "v1", "?fieldValidation=Strict", JSON, object("v1beta1", "q", json!({"zz": "2"}))),
        ask("POST", "v1beta1", "", JSON, with_metadata(object("v1", "q", json!({"late": "2"})), "nope", json!(1))),
        post(object("v9", "q", json!({"a": "1"}))),
        ask("PUT", "v1", "/x", JSON, with_metadata(object("v1beta1", "x", json!({"late": "2", "zz": 1})), "nope", json!(1))),
        ask("PUT", "v1", "/x?fieldValidation=Strict", JSON, object("v1beta1", "x", json!({"zz": 1}))),
        ask("PUT", "v1", "/x", JSON, object("v9", "x", json!({"a": "1"}))),
        ("PUT", "v1", "/x", JSON, r#"{"apiVersion": "{group}/v1beta1", "kind": "Alike", "metadata": {"name": "x"}, "spec": {"late": "1", "late": "2"}}"#.to_owned()),
        merge("/x", json!({"apiVersion": "{group}/v1beta1", "spec": {"late": "2", "whole": null}})),
        merge("/x", json!({"apiVersion": "{group}/v9"})),
    ]
}

/// Sends the requests to both sides, each for itself, and says what differs.
async fn differences(ours: (&Client, &str), theirs: (&Client, &str), namespace: &str) -> Result<Vec<String>> {
    let sides = [ours, theirs];
    for (client, _) in sides {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}).to_string();
        let request = Request::post("/api/v1/namespaces").header("content-type", JSON).body(body.into_bytes())?;
        ensure!(Answer::to(client, request).await?.code == 201, "{namespace} is not taken");
    }
    let mut likeness = Likeness::new(ours.1, theirs.1);
    let mut revisions = [String::new(), String::new()];
    let mut found = Vec::new();
    for (method, version, tail, media_type, body) in requests() {
        // A release has a status at once, of which another version knows nothing.
        if ours.1 == RELEASE_GROUP && method == "PATCH" && body.contains("{group}/v9") {
            continue;
        }
        let mut answers = Vec::new();
        for ((client, group), revision) in sides.into_iter().zip(&mut revisions) {
            let uri = format!("/apis/{group}/{version}/namespaces/{namespace}/alikes{tail}");
            let body =
                if method == "GET" { String::new() } else { body.replace("{group}", group).replace("{rv}", revision) };
            let request = Request::builder().method(method).uri(uri).header("content-type", media_type);
            let answer = Answer::to(client, request.header("user-agent", "alike").body(body.into_bytes())?).await?;
            if answer.code < 300 && answer.body["metadata"]["name"] == "x" {
                *revision = answer.body["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
            }
            answers.push(answer);
        }
        if ours.1 == RELEASE_GROUP {
            without_release_status(&mut answers[0].body);
        }
        let differences = likeness.differences(&answers[0], &answers[1]);
        if !differences.is_empty() {
            let texts: Vec<String> =
                answers.iter().map(|it| format!("{} {:?} {}", it.code, it.headers, it.body)).collect();
            let (ours, theirs) = (&texts[0], &texts[1]);
            found.push(format!(
                "{method} {version} {tail} {body}\n  {differences:?}\n  ours   {ours}\n  theirs {theirs}"
            ));
        }
    }
    Ok(found)
}

#[tokio::test]
async fn what_is_told_besides_is_what_kube_apiserver_tells() -> Result<()> {
    let release = json!({"helmRelease": {"prefix": "alike-",
        "chartRef": {"kind": "OCIRepository", "name": "alike", "namespace": "charts"}}});
    let folder = tempfile::tempdir()?;
    let manifests = folder.path().join("definitions.yaml");
    let definitions = [definition(STORE_GROUP, Some(json!({"store": {}}))), definition(RELEASE_GROUP, Some(release))];
    std::fs::write(&manifests, format!("{}\n---\n{}\n", definitions[0], definitions[1]))?;
    let (dev, control_plane) = tokio::try_join!(Dev::start([manifests.display().to_string()]), ControlPlane::start())?;
    let (ours, theirs) = (dev.client().await?, control_plane.client().await?);
    control_plane.apply(&definition(THEIR_GROUP, None).to_string()).await?;
    let served = format!("/apis/{THEIR_GROUP}/v1beta1/alikes");
    wait::until("the twin to be served", Duration::from_secs(30), || async {
        let code = Answer::to(&theirs, Request::get(&served).body(Vec::new())?).await?.code;
        ensure!(code == 200, "{code}");
        Ok(())
    })
    .await?;
    let mut found = Vec::new();
    for (group, namespace) in [(STORE_GROUP, "store"), (RELEASE_GROUP, "release")] {
        found.extend(differences((&ours, group), (&theirs, THEIR_GROUP), namespace).await?);
    }
    ensure!(found.is_empty(), "{} differ:\n{}", found.len(), found.join("\n"));

    // What nests deeper with each operation is refused, and the server and its lists are there afterwards.
    let nested = (0..100).fold(json!({}), |inside, _| json!({"a": inside}));
    let deeper = |operations: usize| {
        let steps = |number: usize| format!("/spec/around{}", "/a".repeat(1 + 101 * number));
        let operations = (0..operations).map(|number| json!({"op": "add", "path": steps(number), "value": nested}));
        Value::Array(operations.collect()).to_string()
    };
    let path = format!("/apis/{STORE_GROUP}/v1/namespaces/store/alikes");
    for (operations, code) in [(1, 200), (2, 400), (60, 422)] {
        let request = Request::patch(format!("{path}/x")).header("content-type", STEPS);
        let answer = Answer::to(&ours, request.body(deeper(operations).into_bytes())?).await?;
        ensure!(answer.code == code, "{operations} operations gave {}: {}", answer.code, answer.body);
        let list = Answer::to(&ours, Request::get(&path).body(Vec::new())?).await?;
        ensure!(list.code == 200, "the list gives {}: {}", list.code, list.body);
    }
    Ok(())
}
