//! Watches over websockets: ours, and those of a custom resource of kube-apiserver, frame by frame.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{
    ControlPlane, Dev, kubeconfig, wait,
    websocket::{HANDSHAKE, Handshake, connect, disturb, next},
};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};

const GROUP: &str = "sockets.example.com";

fn definition(kind: &str, api_version: &str) -> Value {
    let mut object = json!({
        "apiVersion": api_version, "kind": kind, "metadata": {"name": format!("plugs.{GROUP}")},
        "spec": {"group": GROUP, "scope": "Namespaced",
            "names": {"kind": "Plug", "plural": "plugs", "singular": "plug", "listKind": "PlugList"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}}]}});
    if kind == "ApplicationDefinition" {
        object["spec"]["backend"] = json!({"store": {}});
    }
    object
}

/// One of the two servers.
struct Side {
    config: Config,
    client: Client,
}

const PLUGS: &str = "/apis/sockets.example.com/v1/namespaces/default/plugs";

impl Side {
    async fn create(&self, name: &str) -> Result<()> {
        let object = json!({"apiVersion": format!("{GROUP}/v1"), "kind": "Plug",
            "metadata": {"name": name, "namespace": "default"}, "spec": {"size": 1}});
        let request = http::Request::post(PLUGS).header("content-type", "application/json");
        self.client.request_text(request.body(object.to_string().into_bytes())?).await.context("creating a plug")?;
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let request = http::Request::delete(format!("{PLUGS}/{name}"));
        self.client.request_text(request.body(Vec::new())?).await.context("deleting a plug")?;
        Ok(())
    }

    async fn revision(&self) -> Result<String> {
        let list: Value = self.client.request(http::Request::get(PLUGS).body(Vec::new())?).await?;
        Ok(list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned())
    }
}

/// What every object has of its own.
fn neutral(text: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    for pointer in ["/object/metadata", "/object/rows/0/object/metadata"] {
        if let Some(metadata) = value.pointer_mut(pointer).and_then(Value::as_object_mut) {
            for name in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
                metadata.remove(name);
            }
        }
    }
    if let Some(cells) = value.pointer_mut("/object/rows/0/cells") {
        cells[1] = json!("");
    }
    let end = if text.ends_with('\n') { "\\n" } else { "" };
    format!("{value}{end}")
}

fn refusal(answer: &Handshake) -> String {
    format!("{} {:?} {}", answer.code, answer.headers, answer.body)
}

/// The frames of one watch, from its begin to its end.
async fn follow(side: &Side) -> Result<Vec<String>> {
    let mut seen = Vec::new();
    side.create("first").await?;
    let path = format!("{PLUGS}?watch=true&resourceVersion=0");
    let mut answer = connect(&side.config, &path, &HANDSHAKE).await?;
    seen.push(refusal(&answer));
    let socket = answer.socket.as_mut().context("the server did not switch")?;
    let mut take = async |socket: &mut _| -> Result<()> {
        let (kind, text) = next(socket).await?;
        seen.push(format!("{kind} {}", neutral(&text)));
        Ok(())
    };
    take(socket).await?;
    side.create("second").await?;
    take(socket).await?;
    disturb(socket).await?;
    take(socket).await?;
    side.delete("second").await?;
    take(socket).await?;
    let normal = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    socket.close(Some(normal)).await?;
    take(socket).await?;
    take(socket).await?;

    // A watch that ends by itself.
    let revision = side.revision().await?;
    let path = format!("{PLUGS}?watch=true&timeoutSeconds=1&resourceVersion={revision}");
    let mut answer = connect(&side.config, &path, &HANDSHAKE).await?;
    let socket = answer.socket.as_mut().context("the server did not switch")?;
    take(socket).await?;
    take(socket).await?;

    // A Table, of which the first event alone has columns.
    let table = ("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    let headers: Vec<_> = HANDSHAKE.into_iter().chain([table]).collect();
    let path = format!("{PLUGS}?watch=true&resourceVersion=0");
    let mut answer = connect(&side.config, &path, &headers).await?;
    let socket = answer.socket.as_mut().context("the server did not switch")?;
    take(socket).await?;
    side.create("third").await?;
    take(socket).await?;
    side.delete("third").await?;
    side.delete("first").await?;
    Ok(seen)
}

/// What is wrong with a handshake, or with the watch that it asks for.
async fn refusals(side: &Side) -> Result<Vec<String>> {
    let mut seen = Vec::new();
    let path = format!("{PLUGS}?watch=true&timeoutSeconds=1");
    for left_out in ["Origin", "Sec-WebSocket-Version", "Sec-WebSocket-Key"] {
        let headers: Vec<_> = HANDSHAKE.into_iter().filter(|(name, _)| *name != left_out).collect();
        let answer = connect(&side.config, &path, &headers).await?;
        seen.push(format!("without {left_out}: {} {}", answer.code, answer.body));
    }
    for (name, value) in [
        ("Sec-WebSocket-Protocol", "binary.k8s.io"),
        ("Sec-WebSocket-Protocol", "base64.binary.k8s.io"),
        ("Sec-WebSocket-Protocol", "made.up"),
        ("Sec-WebSocket-Protocol", "binary.k8s.io, base64.binary.k8s.io"),
    ] {
        let headers: Vec<_> = HANDSHAKE.into_iter().chain([(name, value)]).collect();
        let answer = connect(&side.config, &path, &headers).await?;
        seen.push(format!("with {name}: {value}: {}", refusal(&answer)));
    }
    for query in
        ["resourceVersion=x", "resourceVersion=999999999999", "fieldSelector=spec.made=up", "labelSelector=%3D"]
    {
        let answer = connect(&side.config, &format!("{PLUGS}?watch=true&timeoutSeconds=1&{query}"), &HANDSHAKE).await?;
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        seen.push(format!("with {query}: {} {} {}", answer.code, body["reason"], body["message"]));
    }
    Ok(seen)
}

#[tokio::test]
async fn events_and_refusals_are_those_of_a_custom_resource() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    let dev = Dev::start(Vec::<String>::new()).await?;
    let theirs = definition("CustomResourceDefinition", "apiextensions.k8s.io/v1").to_string();
    control_plane.apply(&theirs).await?;
    let ours = definition("ApplicationDefinition", "kindsmith.dev/v1alpha1").to_string();
    dev.kubectl(["apply", "-f", "-"]).stdin(&ours).ok().await?;
    let ours = Side { config: kubeconfig::config(&dev.kubeconfig()).await?, client: dev.client().await? };
    let theirs =
        Side { config: kubeconfig::config(&control_plane.kubeconfig()).await?, client: control_plane.client().await? };
    for side in [&ours, &theirs] {
        wait::until("the kind to be served", Duration::from_secs(20), || async { side.revision().await }).await?;
    }
    let mut differences = Vec::new();
    let (followed, expected) = (follow(&ours).await?, follow(&theirs).await?);
    let (refused, wanted) = (refusals(&ours).await?, refusals(&theirs).await?);
    ensure!(followed.len() == expected.len() && refused.len() == wanted.len(), "one side saw more");
    for (ours, theirs) in followed.iter().chain(&refused).zip(expected.iter().chain(&wanted)) {
        println!("{theirs}");
        if ours != theirs {
            differences.push(format!("ours   {ours}\ntheirs {theirs}"));
        }
    }
    ensure!(differences.is_empty(), "{}", differences.join("\n\n"));
    Ok(())
}
