//! Faults: of a definition, of the host, of Flux. The other kinds go on, and the error says what to do.

use std::time::Duration;

use anyhow::{Result, ensure};
use kindsmith_tests::{ControlPlane, Kindsmith, wait};
use serde_json::{Value, json};

use crate::{
    main_job::apply_definitions,
    releases::{REDISES, RELEASES, ask, done, with_redises},
};

const BROKEN: &str = "
apiVersion: kindsmith.dev/v1alpha1
kind: ApplicationDefinition
metadata: {name: broken.apps.example.com}
spec:
  group: apps.example.com
  scope: Namespaced
  names: {kind: Broken, plural: broken}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {a: {type: strin}}}}}}
  backend: {helmRelease: {chartRef: {kind: OCIRepository, name: x, namespace: charts}, prefix: broken-}}
";

/// What needs the host.
const UNREACHABLE: [(&str, &str, &str); 8] = [
    ("GET", "/apis/apps.example.com/v1alpha1/namespaces/default/redises/kept", ""),
    ("GET", "/apis/apps.example.com/v1alpha1/namespaces/default/redises", ""),
    ("GET", "/apis/apps.example.com/v1alpha1/redises", ""),
    (
        "PUT",
        "/apis/apps.example.com/v1alpha1/namespaces/default/redises/kept",
        r#"{"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": "kept"}}"#,
    ),
    ("PATCH", "/apis/apps.example.com/v1alpha1/namespaces/default/redises/kept", r#"{"spec": {"replicas": 3}}"#),
    (
        "POST",
        "/apis/apps.example.com/v1alpha1/namespaces/default/redises",
        r#"{"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": "new"}}"#,
    ),
    ("DELETE", "/apis/apps.example.com/v1alpha1/namespaces/default/redises/kept", ""),
    ("DELETE", "/apis/apps.example.com/v1alpha1/namespaces/default/redises", ""),
];

/// Lets more replicas of a Redis be asked for: nothing that is stored can be hurt by it.
const MORE_REPLICAS: &str = r#"[{"op": "replace", "value": 20,
    "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/replicas/maximum"}]"#;

fn redis(name: &str, namespace: &str) -> String {
    format!(
        "{{apiVersion: apps.example.com/v1alpha1, kind: Redis, metadata: {{name: {name}, namespace: {namespace}}}}}"
    )
}

#[tokio::test]
async fn a_namespace_with_instances_can_be_deleted() -> Result<()> {
    let control_plane = ControlPlane::builder().controller_manager().start().await?;
    control_plane.install_flux_crds().await?;
    let _kindsmith = Kindsmith::start(&control_plane).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    apply_definitions(&call).await?;
    call(&["create", "namespace", "team"]).ok().await?;
    for name in ["one", "two"] {
        call(&["create", "-f", "-"]).stdin(&redis(name, "team")).ok().await?;
    }
    call(&["delete", "namespace", "team", "--timeout=90s"]).ok().await?;
    let left = call(&["get", "redises,helmreleases", "-A", "-o", "name"]).ok().await?;
    ensure!(left.is_empty(), "left behind: {left}");
    Ok(())
}

#[tokio::test]
async fn a_bad_definition_and_a_missing_flux_leave_the_rest_serving() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    let _kindsmith = Kindsmith::start(&control_plane).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    apply_definitions(&call).await?;

    // Flux is not there: the kinds are in discovery, their use says what is missing.
    let missing = call(&["create", "-f", "-"]).stdin(&redis("early", "default")).fails().await?;
    ensure!(
        missing.contains("the cluster does not serve helmreleases.helm.toolkit.fluxcd.io"),
        "kubectl complained {missing}"
    );
    call(&["explain", "redises.spec"]).ok().await?;
    // A definition that changes meanwhile has changed for the instances that come later.
    call(&["patch", "appdef", "redises.apps.example.com", "--type=json", "-p", MORE_REPLICAS]).ok().await?;
    control_plane.install_flux_crds().await?;
    wait::until("the kind to work", Duration::from_secs(30), || async {
        call(&["create", "-f", "-"]).stdin(&redis("late", "default")).ok().await.map(drop)
    })
    .await?;
    wait::until("the list from the cache", Duration::from_secs(30), || async {
        let raw = "/apis/apps.example.com/v1alpha1/redises?resourceVersion=0";
        let listed = call(&["get", "--raw", raw]).ok().await?;
        ensure!(listed.contains("\"late\""), "the cache has {listed}");
        Ok(())
    })
    .await?;

    call(&["patch", "redis", "late", "--type=merge", "-p", r#"{"spec": {"replicas": 15}}"#]).ok().await?;
    let refused =
        call(&["patch", "redis", "late", "--type=merge", "-p", r#"{"spec": {"replicas": 21}}"#]).fails().await?;
    ensure!(refused.contains("less than or equal to 20"), "kubectl complained {refused}");

    call(&["apply", "-f", "-"]).stdin(BROKEN).ok().await?;
    call(&["wait", "--for=condition=Accepted=False", "appdef/broken.apps.example.com", "--timeout=20s"]).ok().await?;
    let message = "jsonpath={.status.conditions[?(@.type==\"Accepted\")].message}";
    let message = call(&["get", "appdef", "broken.apps.example.com", "-o", message]).ok().await?;
    ensure!(
        message.contains("spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[a].type"),
        "it says {message}"
    );
    call(&["get", "redises"]).ok().await?;
    Ok(())
}

#[tokio::test]
async fn an_unreachable_host_is_said_and_discovery_goes_on() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Kindsmith::start(&control_plane).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    apply_definitions(&call).await?;
    call(&["create", "-f", "-"]).stdin(&redis("kept", "default")).ok().await?;
    let own = kindsmith.client().await?;
    let stranger = kindsmith.client_as(&control_plane.kubeconfig_as("stranger", &[])?).await?;
    let send = |method: &'static str, path: &'static str, body: &'static str| {
        let own = own.clone();
        async move {
            let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
            let request = http::Request::builder().method(method).uri(path).header("content-type", kind);
            let answer = own.send(request.body(kube::client::Body::from(body.as_bytes().to_vec()))?).await?;
            let (code, retry) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
            let body = answer.into_body().collect_bytes().await?;
            anyhow::Ok((code, retry, String::from_utf8_lossy(&body).into_owned()))
        }
    };
    let ask = |path: &'static str| send("GET", path, "");
    let cached = "/apis/apps.example.com/v1alpha1/redises?resourceVersion=0";
    wait::until("the cache", Duration::from_secs(10), || async {
        let (_, _, body) = ask(cached).await?;
        ensure!(body.contains("\"kept\""), "the cache has {body}");
        Ok(())
    })
    .await?;

    control_plane.stop_api_server()?;
    let (code, _, body) = ask("/apis/apps.example.com/v1alpha1").await?;
    ensure!(code == 200 && body.contains("redises"), "discovery answers {code} {body}");
    let (code, _, body) = ask(cached).await?;
    ensure!(code == 200 && body.contains("\"kept\""), "a list from the cache answers {code} {body}");
    for (method, path, body) in UNREACHABLE {
        let (code, retry, answer) = send(method, path, body).await?;
        ensure!(
            code == 503 && retry && answer.contains("cannot be reached") && answer.contains("ServiceUnavailable"),
            "{method} {path} answers {code}, Retry-After {retry}: {answer}"
        );
    }
    for path in ["/apis", "/apis/apps.example.com", "/openapi/v3/apis/apps.example.com/v1alpha1", "/livez"] {
        let (code, _, body) = ask(path).await?;
        ensure!(code == 200, "{path} answers {code} {body}");
    }

    // Whether somebody may is for the cluster to say: they are told to come back, and not that something is broken.
    let listing = http::Request::get(cached).body(kube::client::Body::empty())?;
    let answer = stranger.send(listing).await?;
    ensure!(
        answer.status() == 503 && answer.headers().contains_key("retry-after"),
        "a user of whom nothing is known is answered {} {:?}",
        answer.status(),
        answer.headers()
    );
    // Who follows the instances goes on from memory.
    let watch = format!("{cached}&watch=true&timeoutSeconds=1");
    let events = own.request_text(http::Request::get(watch).body(Vec::new())?).await?;
    ensure!(events.contains("ADDED") && events.contains("\"kept\""), "a watch from the cache tells {events:?}");

    control_plane.start_api_server().await?;
    wait::until("the kind to work again", Duration::from_secs(60), || async {
        call(&["get", "redis", "kept"]).ok().await.map(drop)
    })
    .await
}

/// The conditions that say that values do not fit.
fn unfit(instance: &Value) -> Vec<&Value> {
    let conditions = instance["status"]["conditions"].as_array().into_iter().flatten();
    conditions.filter(|it| it["type"] == "ValuesValid" && it["status"] == "False").collect()
}

#[tokio::test]
async fn values_that_do_not_fit_are_served_with_a_condition_and_left_as_they_are() -> Result<()> {
    let (_control_plane, _kindsmith, client) = with_redises().await?;
    let values = json!({"replicas": 50, "persistence": "tape", "config": {"a": 1}, "unknown": {"deep": null}});
    let release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "redis-odd"}, "spec": {"interval": "5m", "values": values,
        "chartRef": {"kind": "OCIRepository", "name": "redis", "namespace": "charts"}}});
    let made = done(&client, "POST", RELEASES, Some(&release)).await?;
    let (one, behind) = (format!("{REDISES}/odd"), format!("{RELEASES}/redis-odd"));

    // However it is read, it is there, as it is; and nothing was written.
    let listed = |list: &Value| list["items"].as_array().and_then(|items| items.first().cloned()).unwrap_or_default();
    let got = done(&client, "GET", &one, None).await?;
    let all = listed(&done(&client, "GET", REDISES, None).await?);
    let cached = wait::until("the cache", Duration::from_secs(10), || async {
        let cached = listed(&done(&client, "GET", &format!("{REDISES}?resourceVersion=0"), None).await?);
        ensure!(cached["metadata"]["name"] == "odd", "the cache has {cached}");
        Ok(cached)
    })
    .await?;
    for seen in [&got, &all, &cached] {
        for (key, value) in values.as_object().into_iter().flatten() {
            ensure!(seen["spec"][key] == *value, "{key} was {value}: {}", seen["spec"]);
        }
        let [condition] = unfit(seen)[..] else { anyhow::bail!("the status is {}", seen["status"]) };
        let message = condition["message"].as_str().unwrap_or_default();
        ensure!(message.contains("spec.replicas") && condition["reason"].is_string(), "{condition}");
    }
    ensure!(done(&client, "GET", &behind, None).await? == made, "reading wrote to the release");

    // A write that leaves them is let through; one that makes another fault is not; one that mends them ends it.
    let keep = json!({"spec": {"size": "2Gi"}});
    let kept = done(&client, "PATCH", &one, Some(&keep)).await?;
    ensure!(kept["spec"]["replicas"] == 50 && unfit(&kept).len() == 1, "it is {kept}");
    let (code, answer) = ask(&client, "PATCH", &one, Some(&json!({"spec": {"size": "much"}}))).await?;
    ensure!(code == 422, "{code}: {answer}");
    let mend = json!({"spec": {"replicas": 5, "persistence": "aof", "config": {"a": "1"}, "unknown": null}});
    let mended = done(&client, "PATCH", &one, Some(&mend)).await?;
    ensure!(unfit(&mended).is_empty(), "the status is {}", mended["status"]);
    Ok(())
}
