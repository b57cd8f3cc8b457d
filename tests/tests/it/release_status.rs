//! The status of an instance as readers see it and operators write it, and what is told about a suspended one.

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::ControlPlane;
use kube::{Client, client::Body};
use serde_json::{Value, json};

use crate::releases::{REDISES, RELEASES, ask, done};

const ONE: &str = "/apis/apps.example.com/v1alpha1/namespaces/default/redises/told";
const RELEASE: &str = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/default/helmreleases/redis-told";

/// Everything about one instance.
pub(crate) async fn the_status_is_told_and_written(control_plane: &ControlPlane, client: &Client) -> Result<()> {
    let redis = json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": "told"},
        "spec": {"replicas": 3}});
    let dry = done(client, "POST", &format!("{REDISES}?dryRun=All"), Some(&redis)).await?;
    ensure!(dry.get("status").is_none(), "a dry run has {}", dry["status"]);
    let made = done(client, "POST", REDISES, Some(&redis)).await?;
    ensure!(ready(&made) == ("Unknown", "NotYetObserved"), "it was made with {}", made["status"]);
    ensure!(made["status"].get("observedGeneration").is_none(), "it was made with {}", made["status"]);
    // Flux has installed it.
    installed(client, 1).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    call(&["wait", "--for=condition=Ready", "redis/told", "--timeout=5s"]).ok().await?;
    a_dry_run_leaves_the_status(client).await.context("a dry run")?;
    operators_write_beside_flux(client).await.context("an operator that writes the status")?;
    tenants_ask_flux(control_plane, client).await.context("annotations for Flux")?;
    suspended_instances_warn(control_plane, client).await.context("a suspended instance")
}

/// Status and reason of `Ready`.
fn ready(instance: &Value) -> (&str, &str) {
    let conditions = instance["status"]["conditions"].as_array().into_iter().flatten();
    let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap_or(&Value::Null);
    (ready["status"].as_str().unwrap_or_default(), ready["reason"].as_str().unwrap_or_default())
}

async fn installed(client: &Client, generation: i64) -> Result<()> {
    let condition = json!({"type": "Ready", "status": "True", "reason": "InstallSucceeded", "message": "Helm says so",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": generation});
    let status = json!({"status": {"observedGeneration": generation, "lastAttemptedGeneration": generation,
        "lastAttemptedRevision": "1.2.3", "conditions": [condition]}});
    done(client, "PATCH", &format!("{RELEASE}/status"), Some(&status)).await.map(drop)
}

async fn a_dry_run_leaves_the_status(client: &Client) -> Result<()> {
    let before = done(client, "GET", ONE, None).await?;
    let change = json!({"spec": {"replicas": 5}});
    let dry = done(client, "PATCH", &format!("{ONE}?dryRun=All"), Some(&change)).await?;
    let mut wanted = before.clone();
    wanted["spec"]["replicas"] = json!(5);
    wanted["metadata"]["generation"] = json!(2);
    for moving in ["managedFields", "resourceVersion"] {
        wanted["metadata"][moving] = dry["metadata"][moving].clone();
    }
    ensure!(dry == wanted, "it was {before}, and the dry run answers {dry}");
    Ok(())
}

/// Sends a body of a content type, and returns the answer with its warnings.
async fn send(
    client: &Client,
    method: &str,
    path: &str,
    content_type: &str,
    body: &Value,
) -> Result<(u16, Value, String)> {
    let request = http::Request::builder().method(method).uri(path).header("content-type", content_type);
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let answer = client.send(request.body(Body::from(body))?).await?;
    let code = answer.status().as_u16();
    let warnings = answer.headers().get_all("warning").iter().filter_map(|it| it.to_str().ok());
    let warnings = warnings.collect::<Vec<_>>().join("\n");
    let body = answer.into_body().collect_bytes().await?;
    Ok((code, serde_json::from_slice(&body).unwrap_or_default(), warnings))
}

const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STEPS: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

async fn operators_write_beside_flux(client: &Client) -> Result<()> {
    let status = &format!("{ONE}/status");
    let group = done(client, "GET", "/apis/apps.example.com/v1alpha1", None).await?;
    let resources = group["resources"].as_array().into_iter().flatten();
    let verbs: Vec<&Value> = resources.filter(|it| it["name"] == "redises/status").map(|it| &it["verbs"]).collect();
    ensure!(verbs == [&json!(["get", "patch", "update"])], "discovery has {verbs:?}");
    let reported = done(client, "GET", ONE, None).await?["status"].clone();
    let mut wanted = reported.clone();
    let mut object = done(client, "GET", status, None).await?;
    object["status"]["backups"] = json!({"last": "monday"});
    object["status"]["version"] = json!("9.9.9");
    object["spec"]["replicas"] = json!(9);
    let applied = json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": "told"},
        "status": {"applied": {"by": "operator"}, "observedGeneration": 7,
            "conditions": [{"type": "BackedUp", "status": "True"}, {"type": "Ready", "status": "False"}]}});
    let backed_up = json!({"type": "BackedUp", "status": "True"});
    for (method, query, content_type, body, written) in [
        ("PUT", "?fieldManager=putter", JSON, object, json!({"backups": {"last": "monday"}})),
        (
            "PATCH",
            "?fieldManager=merger",
            MERGE,
            json!({"status": {"kopf": {"progress": {"a": 1}}, "version": null}}),
            json!({"kopf": {"progress": {"a": 1}}}),
        ),
        (
            "PATCH",
            "?fieldManager=stepper",
            STEPS,
            json!([{"op": "add", "path": "/status/step", "value": 1}]),
            json!({"step": 1}),
        ),
        ("PATCH", "?fieldManager=applier", APPLY, applied, json!({"applied": {"by": "operator"}})),
    ] {
        let (code, answer, _) = send(client, method, &format!("{status}{query}"), content_type, &body).await?;
        ensure!(code == 200, "{method} {content_type} answers {code}: {answer}");
        wanted.as_object_mut().context("no status")?.extend(written.as_object().cloned().unwrap_or_default());
        if content_type == APPLY {
            wanted["conditions"].as_array_mut().context("no conditions")?.push(backed_up.clone());
        }
        let held = done(client, "GET", ONE, None).await?;
        ensure!(held["status"] == wanted && answer["status"] == wanted, "wanted {wanted}, it is {}", held["status"]);
        ensure!(held["metadata"]["generation"] == 1 && held["spec"]["replicas"] == 3, "it is {held}");
        let owners = held["metadata"]["managedFields"].as_array().into_iter().flatten();
        let manager = query.trim_start_matches("?fieldManager=");
        let own = owners.into_iter().find(|it| it["manager"] == manager).context("it is not among the owners")?;
        ensure!(own["subresource"] == "status", "{own}");
        let fields: Vec<&String> =
            own["fieldsV1"]["f:status"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
        let owned: Vec<String> =
            written.as_object().into_iter().flatten().map(|(name, _)| format!("f:{name}")).collect();
        let reports = ["f:version", "f:observedGeneration"];
        ensure!(
            owned.iter().all(|it| fields.contains(&it)) && !fields.iter().any(|it| reports.contains(&it.as_str())),
            "{own}"
        );
        let release = done(client, "GET", RELEASE, None).await?;
        ensure!(release["status"]["lastAttemptedRevision"] == "1.2.3", "the release has {}", release["status"]);
    }
    // Another manager that applies is in conflict, as with a custom resource.
    let other = json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": "told"},
        "status": {"applied": {"by": "another"}}});
    let (code, answer, _) = send(client, "PATCH", &format!("{status}?fieldManager=other"), APPLY, &other).await?;
    ensure!(code == 409 && answer["details"]["causes"][0]["field"] == ".status.applied.by", "{code}: {answer}");
    // It outlives a change of the rest, and writes of Flux.
    done(client, "PATCH", ONE, Some(&json!({"spec": {"replicas": 4}, "status": {"step": 9}}))).await?;
    installed(client, 2).await?;
    let held = done(client, "GET", ONE, None).await?;
    ensure!(held["status"]["step"] == 1 && held["status"]["kopf"]["progress"]["a"] == 1, "it is {}", held["status"]);
    ensure!(ready(&held) == ("True", "InstallSucceeded"), "it is {}", held["status"]);
    // A write that was made before another one is a conflict.
    let mut late = held.clone();
    done(client, "PATCH", status, Some(&json!({"status": {"step": 2}}))).await?;
    late["status"]["step"] = json!(3);
    let (code, answer) = ask(client, "PUT", status, Some(&late)).await?;
    ensure!(code == 409, "{code}: {answer}");
    // There is a bound, and what is over it changes nothing.
    let noise: Vec<String> =
        (0..20_000_u64).map(|at| format!("{:x}", at.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let (code, answer) = ask(client, "PATCH", status, Some(&json!({"status": {"noise": noise}}))).await?;
    let cause = &answer["details"]["causes"][0];
    ensure!(code == 422 && cause["field"] == "status" && cause["reason"] == "FieldValueTooLong", "{code}: {answer}");
    // An empty status is what Flux reports.
    let mut bare = done(client, "GET", ONE, None).await?;
    bare["status"] = json!({});
    let bare = done(client, "PUT", status, Some(&bare)).await?;
    ensure!(bare["status"].get("step").is_none() && ready(&bare).0 == "True", "it is {}", bare["status"]);
    let release = done(client, "GET", RELEASE, None).await?;
    ensure!(release["metadata"]["annotations"].get("kindsmith.dev/status").is_none(), "{}", release["metadata"]);
    Ok(())
}

async fn tenants_ask_flux(control_plane: &ControlPlane, client: &Client) -> Result<()> {
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    let key = "reconcile.fluxcd.io/requestedAt";
    call(&["annotate", "redis", "told", &format!("{key}=now"), "example.com/x=1"]).ok().await?;
    let release = done(client, "GET", RELEASE, None).await?;
    let held = &release["metadata"]["annotations"];
    ensure!(held[key] == "now" && held["apps.example.com-example.com/x"] == "1", "the release has {held}");
    done(client, "PATCH", RELEASE, Some(&json!({"metadata": {"annotations": {key: "later"}}}))).await?;
    let shown = done(client, "GET", ONE, None).await?["metadata"]["annotations"].clone();
    ensure!(shown == json!({key: "later", "example.com/x": "1"}), "the instance has {shown}");
    call(&["annotate", "redis", "told", &format!("{key}-"), "example.com/x-"]).ok().await?;
    let release = done(client, "GET", RELEASE, None).await?;
    ensure!(release["metadata"]["annotations"].get(key).is_none(), "the release has {}", release["metadata"]);
    let generation = &release["metadata"]["generation"];
    ensure!(*generation == 2, "annotations made generation {generation}");
    Ok(())
}

async fn suspended_instances_warn(control_plane: &ControlPlane, client: &Client) -> Result<()> {
    done(client, "PATCH", RELEASE, Some(&json!({"spec": {"suspend": true}}))).await?;
    let held = done(client, "GET", ONE, None).await?;
    ensure!(ready(&held).0 == "True", "it is {}", held["status"]);
    let suspended = held["status"]["conditions"].as_array().into_iter().flatten().any(|it| it["type"] == "Suspended");
    ensure!(suspended, "it is {}", held["status"]);
    let apply = |replicas: i64| {
        json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": "told"},
            "spec": {"replicas": replicas}})
    };
    let mut put = held.clone();
    put["spec"]["replicas"] = json!(8);
    let waits = "Redis \\\"told\\\" is suspended: the change is kept and will not be applied until HelmRelease \
        \\\"redis-told\\\" is resumed";
    for (method, query, content_type, body, is_change) in [
        ("PUT", "", JSON, put, true),
        ("PATCH", "?dryRun=All", MERGE, json!({"spec": {"replicas": 6}}), true),
        ("PATCH", "", MERGE, json!({"spec": {"replicas": 6}}), true),
        ("PATCH", "", MERGE, json!({"spec": {"replicas": 6}}), false),
        ("PATCH", "", MERGE, json!({"metadata": {"labels": {"x": "y"}}}), false),
        ("PATCH", "", STEPS, json!([{"op": "replace", "path": "/spec/replicas", "value": 7}]), true),
        ("PATCH", "?fieldManager=m&force=true", APPLY, apply(5), true),
        ("PATCH", "?fieldManager=m&force=true", APPLY, apply(5), false),
    ] {
        let (code, answer, warnings) = send(client, method, &format!("{ONE}{query}"), content_type, &body).await?;
        ensure!(code == 200, "{method} {body} answers {code}: {answer}");
        ensure!(warnings.contains(waits) == is_change, "{method} {query} {body} warns {warnings:?}");
    }
    // Flux moves its own generation, and has looked at nothing.
    let now = done(client, "GET", ONE, None).await?;
    let observed = json!({"status": {"observedGeneration": now["metadata"]["generation"]}});
    done(client, "PATCH", &format!("{RELEASE}/status"), Some(&observed)).await?;
    let now = done(client, "GET", ONE, None).await?;
    ensure!(ready(&now) == ("Unknown", "Suspended"), "it is {}", now["status"]);
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    call(&["wait", "--for=condition=Ready", "redis/told", "--timeout=1s"]).fails().await?;
    let leaves = "is suspended: Flux does not uninstall what is suspended";
    for path in [
        format!("{REDISES}?dryRun=All&fieldSelector=metadata.name%3Dtold"),
        format!("{ONE}?dryRun=All"),
        ONE.to_owned(),
    ] {
        let (code, answer, warnings) = send(client, "DELETE", &path, JSON, &Value::Null).await?;
        ensure!(code == 200 && warnings.contains(leaves), "DELETE {path} answers {code}, {warnings:?}: {answer}");
    }
    let (code, _) = ask(client, "GET", &format!("{RELEASES}/redis-told"), None).await?;
    ensure!(code == 404, "the release is there: {code}");
    Ok(())
}
