//! Cozystack's definitions, taken as they are: all of the folder `COZYSTACK_DEFINITIONS`, on a real control plane.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{ControlPlane, Dev, Kindsmith, wait};
use kube::{Client, client::Body};
use serde_json::{Value, json};

/// The names of Cozystack's CustomResourceDefinition, with a schema that keeps everything.
pub(crate) const CRD: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: applicationdefinitions.cozystack.io}
spec:
  group: cozystack.io
  scope: Cluster
  names: {kind: ApplicationDefinition, plural: applicationdefinitions, singular: applicationdefinition}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

const NAMESPACE: &str = "tenant-test";

/// The folder, if there is one, and the definitions in it.
pub(crate) fn definitions() -> Result<Option<(PathBuf, Vec<Value>)>> {
    let Some(folder) = std::env::var_os("COZYSTACK_DEFINITIONS").map(PathBuf::from) else {
        eprintln!("NOT CHECKED: set COZYSTACK_DEFINITIONS to a folder of ApplicationDefinitions to serve them");
        return Ok(None);
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).context("listing the definitions")? {
        let text = std::fs::read_to_string(entry?.path())?;
        found.push(serde_saphyr::from_str(&text)?);
    }
    ensure!(!found.is_empty(), "there is no definition in {}", folder.display());
    Ok(Some((folder, found)))
}

/// Asks kube-apiserver; an answer that is no success is one all the same.
async fn ask(client: &Client, method: &str, path: &str, body: Option<Value>) -> Result<(u16, Value)> {
    let content_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let request = http::Request::builder().method(method).uri(path).header("content-type", content_type);
    let request = request.body(Body::from(body.map(|body| body.to_string().into_bytes()).unwrap_or_default()))?;
    let answer = client.send(request).await?;
    let code = answer.status().as_u16();
    let body = answer.into_body().collect_bytes().await?;
    Ok((code, serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body)))))
}

async fn done(client: &Client, method: &str, path: &str, body: Option<Value>) -> Result<Value> {
    let (code, answer) = ask(client, method, path, body).await?;
    ensure!((200..300).contains(&code), "{method} {path} answers {code}: {answer}");
    Ok(answer)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn collection(definition: &Value) -> String {
    let plural = text(definition, "/spec/application/plural");
    format!("/apis/apps.cozystack.io/v1alpha1/namespaces/{NAMESPACE}/{plural}")
}

fn releases() -> String {
    format!("/apis/helm.toolkit.fluxcd.io/v2/namespaces/{NAMESPACE}/helmreleases")
}

/// What the definition says about the `spec` of a release, but for its values.
fn wanted_spec(definition: &Value) -> Value {
    let annotation = |name: &str| {
        let annotations = definition.pointer("/metadata/annotations");
        annotations.and_then(|held| held.get(format!("release.cozystack.io/{name}"))).and_then(Value::as_str)
    };
    let timeout = annotation("helm-install-timeout").unwrap_or("10m").replace('m', "m0s");
    let mut action = json!({"timeout": timeout, "strategy": {"name": "RetryOnFailure", "retryInterval": "30s"}});
    if annotation("helm-install-disable-wait") == Some("true") {
        action["disableWait"] = json!(true);
    }
    let mut spec = json!({
        "chartRef": definition["spec"]["release"]["chartRef"], "interval": "5m0s", "maxHistory": 5,
        "install": action, "upgrade": action, "valuesFrom": [{"kind": "Secret", "name": "cozystack-values"}]});
    let checks = &definition["spec"]["release"]["healthCheckExprs"];
    if checks.is_array() {
        spec["healthCheckExprs"] = checks.clone();
        spec["waitStrategy"] = json!({"name": "poller"});
    }
    spec
}

fn wanted_labels(definition: &Value, name: &str) -> Value {
    let mut labels = definition["spec"]["release"]["labels"].clone();
    labels["apps.cozystack.io/application.kind"] = definition["spec"]["application"]["kind"].clone();
    labels["apps.cozystack.io/application.group"] = json!("apps.cozystack.io");
    labels["apps.cozystack.io/application.name"] = json!(name);
    labels["apps.cozystack.io-tier"] = json!("gold");
    labels
}

/// What of an instance was changed while others had written to its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Touched {
    Values,
    /// There is no value of which another one is known.
    MetadataAlone,
}

/// Creates an instance from its defaults, and checks the release, the round trip, and what a foreign controller writes.
async fn check_kind(client: &Client, index: usize, definition: &Value) -> Result<Touched> {
    let kind = text(definition, "/spec/application/kind");
    let name = format!("test{index}");
    let instance = json!({"apiVersion": "apps.cozystack.io/v1alpha1", "kind": kind,
        "metadata": {"name": name, "labels": {"tier": "gold"}}, "spec": {}});
    let created = done(client, "POST", &collection(definition), Some(instance)).await?;
    let one = format!("{}/{name}", collection(definition));
    let release_name = format!("{}{name}", text(definition, "/spec/release/prefix"));
    let release_path = format!("{}/{release_name}", releases());
    let release = done(client, "GET", &release_path, None).await?;
    let mut spec = release["spec"].clone();
    let values = spec.as_object_mut().and_then(|spec| spec.remove("values")).unwrap_or_default();
    ensure!(spec == wanted_spec(definition), "the release has {spec}");
    ensure!(values == created["spec"], "the release has the values {values}, the instance {}", created["spec"]);
    let labels = &release["metadata"]["labels"];
    ensure!(*labels == wanted_labels(definition, &name), "the release has the labels {labels}");
    ensure!(created["metadata"]["uid"] == release["metadata"]["uid"], "the uid is {}", created["metadata"]["uid"]);

    // Put back as it was got: nothing is written.
    let got = done(client, "GET", &one, None).await?;
    ensure!(got == created, "created {created}, got {got}");
    let put = done(client, "PUT", &one, Some(got.clone())).await?;
    ensure!(put["spec"] == got["spec"], "got {}, put back {}", got["spec"], put["spec"]);
    ensure!(put == got, "got {}, put back {}", got["metadata"], put["metadata"]);

    // Flux, and somebody else, write to the release.
    let foreign = json!({"metadata": {"finalizers": ["finalizers.fluxcd.io", "example.com/hold"],
            "labels": {"sharding.fluxcd.io/key": "shard-3", "their": "label"}, "annotations": {"their": "annotation"}},
        "spec": {"suspend": true, "values": {"_cluster": {"host": "example.org"}}}});
    done(client, "PATCH", &release_path, Some(foreign)).await?;
    let status = json!({"status": {"observedGeneration": 2, "lastAttemptedRevision": "1.2.3+abc", "conditions": [
        {"type": "Ready", "status": "True", "reason": "InstallSucceeded", "message": "done", "observedGeneration": 2,
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    done(client, "PATCH", &format!("{release_path}/status"), Some(status)).await?;
    let before = done(client, "GET", &release_path, None).await?;
    let change = json!({"metadata": {"labels": {"tier": "silver"}, "annotations": {"note": "x"}}});
    let changed = done(client, "PATCH", &one, Some(change)).await?;
    ensure!(text(&changed, "/status/version") == "1.2.3+abc", "the status is {}", changed["status"]);
    ensure!(changed["spec"] == created["spec"], "reserved values are shown: {}", changed["spec"]);
    let after = done(client, "GET", &release_path, None).await?;
    let mut wanted = before.clone();
    wanted["metadata"]["labels"]["apps.cozystack.io-tier"] = json!("silver");
    wanted["metadata"]["annotations"]["apps.cozystack.io-note"] = json!("x");
    let owners = "kindsmith.dev/managed-fields";
    wanted["metadata"]["annotations"][owners] = after["metadata"]["annotations"][owners].clone();
    for changing in ["resourceVersion", "managedFields"] {
        wanted["metadata"][changing] = after["metadata"][changing].clone();
    }
    ensure!(after == wanted, "the release was {before} and is {after}");

    // A change of the values leaves the platform's own, and all else.
    let switch =
        created["spec"].as_object().into_iter().flatten().find_map(|(key, value)| Some((key, value.as_bool()?)));
    let Some((key, on)) = switch else { return Ok(Touched::MetadataAlone) };
    done(client, "PATCH", &one, Some(json!({"spec": {key: !on}}))).await?;
    let release = done(client, "GET", &release_path, None).await?;
    let mut wanted = after["spec"].clone();
    wanted["values"][key] = json!(!on);
    ensure!(release["spec"] == wanted, "the release had {} and has {}", after["spec"], release["spec"]);
    for kept in ["finalizers", "labels"] {
        ensure!(release["metadata"][kept] == after["metadata"][kept], "{kept} were {after} and are {release}");
    }
    Ok(Touched::Values)
}

/// The fields of a schema that say they cannot change, wherever they are, with the messages of their rules.
fn immutable_fields(schema: &Value, path: &[&str], found: &mut Vec<(Vec<String>, String)>) {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    let own = rules.filter(|rule| rule["rule"] == "self == oldSelf" && schema["type"] == "string");
    found.extend(
        own.map(|rule| (path.iter().map(|&name| name.to_owned()).collect(), text(rule, "/message").to_owned())),
    );
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        immutable_fields(inner, &[path, &[name]].concat(), found);
    }
}

/// Rules of the schema hold when a field changes. How many such fields there are.
async fn check_immutable(client: &Client, index: usize, definition: &Value) -> Result<usize> {
    let schema: Value = serde_json::from_str(text(definition, "/spec/application/openAPISchema"))?;
    let mut fields = Vec::new();
    immutable_fields(&schema, &[], &mut fields);
    let one = format!("{}/test{index}", collection(definition));
    for (path, message) in &fields {
        let nested = |value: &str| path.iter().rev().fold(json!(value), |inner, name| json!({name: inner}));
        // From one value to another: what is absent may be set once.
        ask(client, "PATCH", &one, Some(json!({"spec": nested("")}))).await?;
        let (code, answer) = ask(client, "PATCH", &one, Some(json!({"spec": nested("another")}))).await?;
        let field = format!("spec.{}", path.join("."));
        ensure!(code == 422 && text(&answer, "/message").contains(message), "{field}: {code}: {answer}");
        ensure!(text(&answer, "/details/causes/0/field") == field, "{answer}");
    }
    Ok(fields.len())
}

#[tokio::test]
async fn all_definitions_are_served_as_they_are() -> Result<()> {
    let Some((folder, definitions)) = definitions()? else { return Ok(()) };
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    control_plane.apply(CRD).await?;
    let _kindsmith = Kindsmith::start_with(&control_plane, &["--definitions", "cozystack"]).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    call(&["create", "namespace", NAMESPACE]).ok().await?;
    call(&["apply", "--server-side", "-f", &folder.to_string_lossy()]).ok().await?;
    let client = control_plane.client().await?;
    wait::until("all kinds", Duration::from_secs(60), || async {
        let listed = done(&client, "GET", "/apis/apps.cozystack.io/v1alpha1", None).await?;
        let kinds: Vec<&str> = listed["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|resource| !text(resource, "/name").contains('/'))
            .map(|resource| text(resource, "/kind"))
            .collect();
        ensure!(kinds.len() == definitions.len(), "there are {kinds:?}");
        Ok(())
    })
    .await?;
    let (mut served, mut changed, mut immutable) = (0, 0, 0);
    for (index, definition) in definitions.iter().enumerate() {
        let kind = || format!("kind {}", text(definition, "/spec/application/kind"));
        let touched = check_kind(&client, index, definition).await.with_context(kind)?;
        changed += usize::from(touched == Touched::Values);
        immutable += check_immutable(&client, index, definition).await.with_context(kind)?;
        served += 1;
    }
    println!("{served} kinds served, values of {changed} changed, {immutable} fields that cannot change");
    ensure!(served == definitions.len() && changed > 0 && immutable > 0, "{served}, {changed}, {immutable}");

    let bucket = |name: &str, spec: &str| {
        format!(
            "{{apiVersion: apps.cozystack.io/v1alpha1, kind: Bucket, \
             metadata: {{name: {name}, namespace: {NAMESPACE}}}, spec: {spec}}}"
        )
    };
    let refused = call(&["create", "-f", "-"]).stdin(&bucket("a", "{_cluster: {}}")).fails().await?;
    let wanted = "values key \"_cluster\" is reserved (keys starting with '_' are not allowed)";
    ensure!(refused.contains(wanted), "{refused}");
    let refused = call(&["create", "-f", "-"]).stdin(&bucket("1a", "{}")).fails().await?;
    ensure!(refused.contains("a DNS-1035 label must consist of"), "{refused}");
    let refused = call(&["create", "-f", "-"]).stdin(&bucket(&"a".repeat(47), "{}")).fails().await?;
    ensure!(refused.contains("must be no more than 46 characters (release prefix \"bucket-\")"), "{refused}");

    // A release without the labels is nobody's, whatever its chart.
    let by_hand = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "bucket-hand"},
        "spec": {"interval": "5m", "chartRef": {"kind": "ExternalArtifact", "namespace": "cozy-system",
            "name": "cozystack-bucket-application-default-bucket"}}});
    done(&client, "POST", &releases(), Some(by_hand)).await?;
    let path = format!("/apis/apps.cozystack.io/v1alpha1/namespaces/{NAMESPACE}/buckets/hand");
    let (code, answer) = ask(&client, "GET", &path, None).await?;
    ensure!(code == 404 && text(&answer, "/message") == "buckets.apps.cozystack.io \"hand\" not found", "{answer}");
    let labels = json!({"metadata": {"labels": {"apps.cozystack.io/application.kind": "Bucket",
        "apps.cozystack.io/application.group": "apps.cozystack.io", "apps.cozystack.io/application.name": "hand"}}});
    done(&client, "PATCH", &format!("{}/bucket-hand", releases()), Some(labels)).await?;
    let table = call(&["get", "buckets", "-n", NAMESPACE]).ok().await?;
    ensure!(table.contains("hand") && table.contains("Unknown") && table.contains("<unknown>"), "{table}");
    let table = call(&["get", "kuberneteses", "-n", NAMESPACE]).ok().await?;
    ensure!(table.lines().nth(1).is_some_and(|row| row.contains("True") && row.ends_with("abc")), "{table}");
    Ok(())
}

#[tokio::test]
async fn all_definitions_are_served_without_a_cluster() -> Result<()> {
    let Some((folder, definitions)) = definitions()? else { return Ok(()) };
    let dev = Dev::start(["--definitions", "cozystack", &folder.to_string_lossy()]).await?;
    let client = dev.client().await?;
    let listed = done(&client, "GET", "/apis/apps.cozystack.io/v1alpha1", None).await?;
    let plurals: Vec<&str> =
        listed["resources"].as_array().into_iter().flatten().map(|resource| text(resource, "/name")).collect();
    let missing = definitions.iter().map(|it| text(it, "/spec/application/plural")).find(|it| !plurals.contains(it));
    ensure!(missing.is_none(), "{missing:?} is not among {plurals:?}");
    dev.kubectl(["create", "namespace", NAMESPACE]).ok().await?;
    for (index, definition) in definitions.iter().enumerate() {
        let kind = text(definition, "/spec/application/kind");
        let (name, prefix) = (format!("test{index}"), text(definition, "/spec/release/prefix"));
        let instance = json!({"apiVersion": "apps.cozystack.io/v1alpha1", "kind": kind, "metadata": {"name": name}});
        let created =
            done(&client, "POST", &collection(definition), Some(instance)).await.with_context(|| name.clone())?;
        let release = done(&client, "GET", &format!("{}/{prefix}{name}", releases()), None).await?;
        ensure!(release["spec"]["chartRef"] == definition["spec"]["release"]["chartRef"], "the release has {release}");
        ensure!(created["metadata"]["uid"] == release["metadata"]["uid"], "{kind}: {created}, {release}");
    }
    Ok(())
}
