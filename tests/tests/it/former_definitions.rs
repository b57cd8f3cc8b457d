//! Objects that one definition has left behind, and another one finds.

use anyhow::{Result, ensure};
use kindsmith_tests::Dev;
use serde_json::{Value, json};

use crate::releases::{ask, done};

const DEFINITIONS: &str = "/apis/kindsmith.dev/v1alpha1/applicationdefinitions";
const DEFINITION: &str = "/apis/kindsmith.dev/v1alpha1/applicationdefinitions/logs.former.example.com";
const CLUSTER: &str = "/apis/former.example.com/v1/logs";
const NAMESPACED: &str = "/apis/former.example.com/v1/namespaces/default/logs";

fn definition(scope: &str, kind: &str) -> Value {
    json!({"apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": "logs.former.example.com"},
        "spec": {"group": "former.example.com", "scope": scope, "names": {"kind": kind, "plural": "logs"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"a": {"type": "string"}}}}}],
            "backend": {"store": {}}}})
}

fn log(kind: &str, name: &str) -> Value {
    json!({"apiVersion": "former.example.com/v1", "kind": kind, "metadata": {"name": name}, "a": "1"})
}

/// The kind and the name of each object of a list.
async fn listed(client: &kube::Client, path: &str) -> Result<Vec<String>> {
    let list = done(client, "GET", path, None).await?;
    let items = list["items"].as_array().into_iter().flatten();
    Ok(items.map(|it| format!("{}/{}", it["kind"], it["metadata"]["name"]).replace('"', "")).collect())
}

#[tokio::test]
async fn what_is_listed_can_be_got_and_deleted_whatever_definition_was_before() -> Result<()> {
    let dev = Dev::start(Vec::<String>::new()).await?;
    let client = dev.client().await?;
    let define = async |scope: &str, kind: &str| -> Result<()> {
        done(&client, "POST", DEFINITIONS, Some(&definition(scope, kind))).await?;
        let path = if scope == "Cluster" { CLUSTER } else { NAMESPACED };
        // Discovery is older than the definition for some milliseconds.
        kindsmith_tests::wait::until("the kind", std::time::Duration::from_secs(10), || async {
            let groups = done(&client, "GET", "/apis/former.example.com/v1", None).await?;
            ensure!(groups["resources"][0]["kind"] == kind, "{groups}");
            done(&client, "GET", path, None).await
        })
        .await?;
        Ok(())
    };
    let forget = async || -> Result<()> {
        done(&client, "DELETE", DEFINITION, None).await?;
        kindsmith_tests::wait::until("the kind to go", std::time::Duration::from_secs(10), || async {
            let (code, answer) = ask(&client, "GET", "/apis/former.example.com/v1", None).await?;
            ensure!(code == 404, "{answer}");
            Ok(())
        })
        .await
    };

    define("Namespaced", "Log").await?;
    done(&client, "POST", NAMESPACED, Some(&log("Log", "x"))).await?;
    let mut changed = done(&client, "GET", DEFINITION, None).await?;
    changed["spec"]["scope"] = json!("Cluster");
    let (code, status) = ask(&client, "PUT", DEFINITION, Some(&changed)).await?;
    let message = status["message"].as_str().unwrap_or_default();
    ensure!(
        code == 422 && message.ends_with("spec.scope: Invalid value: \"Cluster\": field is immutable"),
        "{code}: {status}"
    );

    forget().await?;
    define("Cluster", "Log").await?;
    ensure!(listed(&client, CLUSTER).await?.is_empty(), "an object of the other scope is listed");
    for (method, path) in [("GET", "x"), ("DELETE", "x")] {
        let (code, answer) = ask(&client, method, &format!("{CLUSTER}/{path}"), None).await?;
        ensure!(code == 404, "{method}: {answer}");
    }
    done(&client, "POST", CLUSTER, Some(&log("Log", "x"))).await?;
    ensure!(listed(&client, CLUSTER).await? == ["Log/x"], "the new object alone is listed");
    done(&client, "DELETE", CLUSTER, None).await?;
    ensure!(listed(&client, CLUSTER).await?.is_empty(), "a collection that was deleted is empty");

    forget().await?;
    define("Namespaced", "Journal").await?;
    ensure!(listed(&client, NAMESPACED).await? == ["Journal/x"], "what was kept is shown as what it is now");
    let got = done(&client, "GET", &format!("{NAMESPACED}/x"), None).await?;
    ensure!(got["kind"] == "Journal" && got["a"] == "1", "{got}");
    done(&client, "DELETE", &format!("{NAMESPACED}/x"), None).await?;
    ensure!(listed(&client, NAMESPACED).await?.is_empty(), "it is gone");
    Ok(())
}
