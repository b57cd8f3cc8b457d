//! An instance and its release, two ways, while others write to the release.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::{AsyncBufReadExt as _, StreamExt as _, stream::BoxStream};
use kindsmith_tests::{ControlPlane, Kindsmith, wait};
use kube::{Client, client::Body};
use serde_json::{Value, json};

use crate::{main_job::apply_definitions, release_status::the_status_is_told_and_written};

pub(crate) const REDISES: &str = "/apis/apps.example.com/v1alpha1/namespaces/default/redises";
pub(crate) const RELEASES: &str = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/default/helmreleases";

/// A kind whose values may be null, on a chart of its own.
const LOOSE: &str = "
apiVersion: kindsmith.dev/v1alpha1
kind: ApplicationDefinition
metadata: {name: looses.apps.example.com}
spec:
  group: apps.example.com
  scope: Namespaced
  names: {kind: Loose, plural: looses}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            x-kubernetes-preserve-unknown-fields: true
            properties: {a: {type: string, nullable: true}}
  backend:
    helmRelease:
      chartRef: {kind: OCIRepository, name: loose, namespace: charts}
      prefix: loose-
      status:
      - {name: place, expression: release.metadata.namespace + '/' + release.metadata.name}
";

pub(crate) async fn ask(client: &Client, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
    let content_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let request = http::Request::builder().method(method).uri(path).header("content-type", content_type);
    let request = request.body(Body::from(body.map(|body| body.to_string().into_bytes()).unwrap_or_default()))?;
    let answer = client.send(request).await?;
    let code = answer.status().as_u16();
    let body = answer.into_body().collect_bytes().await?;
    Ok((code, serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body)))))
}

pub(crate) async fn done(client: &Client, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let (code, answer) = ask(client, method, path, body).await?;
    ensure!((200..300).contains(&code), "{method} {path} answers {code}: {answer}");
    Ok(answer)
}

pub(crate) async fn served(client: &Client, path: &str) -> Result<()> {
    wait::until("the kind", Duration::from_secs(30), || async { done(client, "GET", path, None).await.map(drop) }).await
}

/// A control plane with Flux' kinds where Redises are served by Kindsmith, and its administrator.
pub(crate) async fn with_redises() -> Result<(ControlPlane, Kindsmith, Client)> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Kindsmith::start(&control_plane).await?;
    apply_definitions(&|args: &[&str]| control_plane.kubectl(args.iter().copied())).await?;
    let client = control_plane.client().await?;
    served(&client, REDISES).await?;
    Ok((control_plane, kindsmith, client))
}

/// The events of a watch.
struct Events(BoxStream<'static, std::io::Result<String>>);

impl Events {
    /// Of the object of a name in a collection.
    async fn of(client: &Client, collection: &str, name: &str) -> Result<Events> {
        let watch = http::Request::get(format!("{collection}?watch=true&fieldSelector=metadata.name={name}"));
        Ok(Events(client.request_stream(watch.body(Vec::new())?).await?.lines().boxed()))
    }

    async fn next(&mut self) -> Result<Value> {
        let line = tokio::time::timeout(Duration::from_secs(10), self.0.next()).await.context("no event")?;
        Ok(serde_json::from_str(&line.context("the watch ended")??)?)
    }
}

fn ready(observed: u64) -> Value {
    let condition = json!({"type": "Ready", "status": "True", "reason": "Done", "message": "done",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": observed});
    json!({"status": {"observedGeneration": observed, "conditions": [condition]}})
}

#[tokio::test]
async fn what_others_write_to_a_release_is_seen_kept_and_no_conflict() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let _kindsmith = Kindsmith::start(&control_plane).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    apply_definitions(&call).await?;
    call(&["apply", "-f", "-"]).stdin(LOOSE).ok().await?;
    let client = control_plane.client().await?;
    let redis = json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": "cache"}});
    served(&client, REDISES).await?;
    done(&client, "POST", REDISES, Some(&redis)).await?;
    only_a_change_is_a_conflict(&client).await.context("a status that moves")?;
    the_status_is_told_and_written(&control_plane, &client).await.context("a status that is told and written")?;
    nobodys_change_is_lost(&client).await.context("many writers")?;
    hand_made_releases_come_and_go(&client).await.context("a release made by hand")?;
    values_arrive_as_they_are(&client).await.context("values of any kind")?;
    what_is_adopted_is_told_before_it_is_served(&client).await.context("a definition that adopts")?;
    labels_alone_make_an_instance(&client).await.context("adopted by labels")?;
    overlapping_prefixes_are_told(&client).await.context("two definitions of one chart")?;
    settings_are_rolled_out(&client).await.context("settings of a definition that changed")
}

async fn only_a_change_is_a_conflict(client: &Client) -> Result<()> {
    let (one, release) = (format!("{REDISES}/cache"), format!("{RELEASES}/redis-cache"));
    let mut read = done(client, "GET", &one, None).await?;
    done(client, "PATCH", &format!("{release}/status"), Some(&ready(1))).await?;
    read["spec"]["replicas"] = json!(5);
    let written = done(client, "PUT", &one, Some(&read)).await.context("after the status alone moved")?;
    let condition = &written["status"]["conditions"][0];
    ensure!(condition["status"] == "Unknown" && condition["reason"] == "NotYetObserved", "{condition}");
    done(client, "PATCH", &format!("{release}/status"), Some(&ready(2))).await?;
    let seen = done(client, "GET", &one, None).await?;
    ensure!(seen["status"]["conditions"][0]["status"] == "True", "{}", seen["status"]);
    // Made from the first revision, which is not what is there.
    read["spec"]["replicas"] = json!(7);
    let (code, answer) = ask(client, "PUT", &one, Some(&read)).await?;
    let message = "Operation cannot be fulfilled on redises.apps.example.com \"cache\": the object has been modified; \
        please apply your changes to the latest version and try again";
    ensure!(code == 409 && answer["message"] == message, "{code}: {answer}");
    let revision = &written["metadata"]["resourceVersion"];
    let stale = json!({"dryRun": ["All"], "preconditions": {"resourceVersion": revision}});
    done(client, "DELETE", &one, Some(&stale)).await.context("a precondition that only the status moved past")?;
    Ok(())
}

async fn nobodys_change_is_lost(client: &Client) -> Result<()> {
    let one = format!("{REDISES}/cache");
    let writes = (0..8).map(|writer| {
        let one = &one;
        async move {
            let label = json!({"metadata": {"labels": {format!("writer-{writer}"): "was-here"}}});
            for attempt in 0.. {
                match ask(client, "PATCH", one, Some(&label)).await? {
                    (200, _) => return Ok(()),
                    (409, _) if attempt < 5 => {}
                    (code, answer) => anyhow::bail!("{code}: {answer}"),
                }
            }
            Ok(())
        }
    });
    futures::future::try_join_all(writes).await?;
    let labels = done(client, "GET", &one, None).await?["metadata"]["labels"].clone();
    ensure!(labels.as_object().is_some_and(|labels| labels.len() == 8), "there are {labels}");
    Ok(())
}

async fn hand_made_releases_come_and_go(client: &Client) -> Result<()> {
    let mut events = Events::of(client, REDISES, "hand").await?;
    let source = done(client, "GET", &format!("{RELEASES}/redis-cache"), None).await?;
    let spec = json!({"interval": "5m", "chartRef": source["spec"]["chartRef"],
        "values": {"replicas": 50, "unknown": "kept"}});
    let release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "redis-hand"}, "spec": spec});
    done(client, "POST", RELEASES, Some(&release)).await?;
    let event = events.next().await?;
    ensure!(event["type"] == "ADDED" && event["object"]["spec"]["unknown"] == "kept", "{event}");
    let conditions = event["object"]["status"]["conditions"].as_array().into_iter().flatten();
    let told: Vec<_> = conditions.map(|it| format!("{}={}", it["type"], it["status"]).replace('"', "")).collect();
    ensure!(told == ["Ready=Unknown", "ValuesValid=False"], "the conditions are {told:?}");
    // Another chart: it is no Redis any more.
    let path = format!("{RELEASES}/redis-hand");
    done(client, "PATCH", &path, Some(&json!({"spec": {"chartRef": {"name": "other"}}}))).await?;
    let event = events.next().await?;
    ensure!(event["type"] == "DELETED" && event["object"]["metadata"]["name"] == "hand", "{event}");
    let (code, _) = ask(client, "GET", &format!("{REDISES}/hand"), None).await?;
    ensure!(code == 404, "it is found with {code}");
    // Its own chart again, and a change of a label alone: the values stay as somebody wrote them.
    done(client, "PATCH", &path, Some(&json!({"spec": {"chartRef": source["spec"]["chartRef"]}}))).await?;
    ensure!(events.next().await?["type"] == "ADDED", "it did not come back");
    let change = json!({"metadata": {"labels": {"l": "1"}}});
    done(client, "PATCH", &format!("{REDISES}/hand"), Some(&change)).await?;
    let held = done(client, "GET", &path, None).await?;
    ensure!(held["spec"]["values"] == json!({"replicas": 50, "unknown": "kept"}), "{}", held["spec"]["values"]);
    ensure!(events.next().await?["type"] == "MODIFIED", "the label was not told");
    // Labels of another kind: it is that one's. Without any, its chart counts again.
    let marks = |kind: Value, group: Value| json!({"metadata": {"labels": {"kindsmith.dev/kind": kind, "kindsmith.dev/group": group}}});
    done(client, "PATCH", &path, Some(&marks(json!("Other"), json!("apps.example.com")))).await?;
    ensure!(events.next().await?["type"] == "DELETED", "it is still told of");
    done(client, "PATCH", &path, Some(&marks(Value::Null, Value::Null))).await?;
    let event = events.next().await?;
    ensure!(event["type"] == "ADDED" && event["object"]["metadata"]["labels"] == json!({"l": "1"}), "{event}");
    Ok(())
}

/// The administrator hears which releases made by hand a kind shows, no later than that the kind is served.
async fn what_is_adopted_is_told_before_it_is_served(client: &Client) -> Result<()> {
    let definitions = "/apis/kindsmith.dev/v1alpha1/applicationdefinitions";
    let chart = json!({"kind": "OCIRepository", "name": "early", "namespace": "charts"});
    let release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "early-hand"}, "spec": {"interval": "5m", "chartRef": chart, "values": {"a": "secret"}}});
    done(client, "POST", RELEASES, Some(&release)).await?;
    let loose = done(client, "GET", &format!("{definitions}/looses.apps.example.com"), None).await?;
    let mut early = json!({"apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": "earlies.apps.example.com"}, "spec": loose["spec"]});
    early["spec"]["names"] = json!({"kind": "Early", "plural": "earlies"});
    early["spec"]["backend"]["helmRelease"]["prefix"] = json!("early-");
    early["spec"]["backend"]["helmRelease"]["chartRef"] = chart;
    let mut events = Events::of(client, definitions, "earlies.apps.example.com").await?;
    done(client, "POST", definitions, Some(&early)).await?;
    let condition = |event: &Value, kind: &str| {
        let conditions = event["object"]["status"]["conditions"].as_array().into_iter().flatten();
        conditions.clone().find(|it| it["type"] == kind).cloned().unwrap_or_default()
    };
    loop {
        let event = events.next().await?;
        if condition(&event, "Served")["status"] == "True" {
            let told = condition(&event, "Adopts");
            let names = told["message"].as_str().unwrap_or_default();
            ensure!(told["status"] == "True" && told["reason"] == "MadeByHand", "{told}");
            ensure!(names.starts_with("1 release ") && names.contains(" default/early-hand;"), "{names}");
            break;
        }
    }
    let instance = "/apis/apps.example.com/v1alpha1/namespaces/default/earlies/hand";
    served(client, instance).await?;
    let path = format!("{definitions}/earlies.apps.example.com");
    let adopt = json!({"spec": {"backend": {"helmRelease": {"adopt": "Labels"}}}});
    done(client, "PATCH", &path, Some(&adopt)).await?;
    loop {
        let event = events.next().await?;
        let told = condition(&event, "Adopts");
        if told["reason"] == "LabelsOnly" {
            ensure!(told["status"] == "False", "{told}");
            break;
        }
    }
    wait::until("the release to be hidden", Duration::from_secs(10), || async {
        let (code, answer) = ask(client, "GET", instance, None).await?;
        ensure!(code == 404, "{code}: {answer}");
        Ok(())
    })
    .await?;
    done(client, "DELETE", &path, None).await?;
    done(client, "DELETE", &format!("{RELEASES}/early-hand"), None).await.map(drop)
}

/// With `adopt: Labels` a release is an instance as long as it has the labels, whatever its chart.
async fn labels_alone_make_an_instance(client: &Client) -> Result<()> {
    let looses = "/apis/apps.example.com/v1alpha1/namespaces/default/looses";
    let definition = "/apis/kindsmith.dev/v1alpha1/applicationdefinitions/looses.apps.example.com";
    let adopt = json!({"spec": {"backend": {"helmRelease": {"adopt": "Labels"}}}});
    done(client, "PATCH", definition, Some(&adopt)).await?;
    wait::until("the definition", Duration::from_secs(30), || async {
        let held = done(client, "GET", definition, None).await?;
        let ready = held["status"]["conditions"].as_array().into_iter().flatten().find(|it| it["type"] == "Ready");
        let ready = ready.cloned().unwrap_or_default();
        ensure!(ready["status"] == "True" && ready["observedGeneration"] == held["metadata"]["generation"], "{ready}");
        Ok(())
    })
    .await?;
    let mut events = Events::of(client, looses, "hand").await?;
    let chart = json!({"kind": "OCIRepository", "name": "loose", "namespace": "charts"});
    let release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
        "metadata": {"name": "loose-hand"}, "spec": {"interval": "5m", "chartRef": chart, "values": {"a": "1"}}});
    done(client, "POST", RELEASES, Some(&release)).await?;
    let (code, answer) = ask(client, "GET", &format!("{looses}/hand"), None).await?;
    ensure!(code == 404 && answer["message"] == "looses.apps.example.com \"hand\" not found", "{code}: {answer}");
    let path = format!("{RELEASES}/loose-hand");
    let marks = |kind: Value| json!({"metadata": {"labels": {"kindsmith.dev/kind": kind, "kindsmith.dev/group": "apps.example.com"}}});
    done(client, "PATCH", &path, Some(&marks(json!("Loose")))).await?;
    let event = events.next().await?;
    ensure!(event["type"] == "ADDED" && event["object"]["spec"] == json!({"a": "1"}), "{event}");
    done(client, "PATCH", &path, Some(&json!({"spec": {"chartRef": {"name": "another"}}}))).await?;
    ensure!(events.next().await?["type"] == "MODIFIED", "its chart is of no account");
    done(client, "PATCH", &path, Some(&marks(Value::Null))).await?;
    let event = events.next().await?;
    ensure!(event["type"] == "DELETED" && event["object"]["metadata"]["name"] == "hand", "{event}");
    Ok(())
}

/// Two definitions that could both own a release: the newer one is told, and the older one goes on.
async fn overlapping_prefixes_are_told(client: &Client) -> Result<()> {
    let definitions = "/apis/kindsmith.dev/v1alpha1/applicationdefinitions";
    let redis = done(client, "GET", &format!("{definitions}/redises.apps.example.com"), None).await?;
    let mut second = json!({"apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": "clusters.apps.example.com"}, "spec": redis["spec"]});
    second["spec"]["names"] = json!({"kind": "Cluster", "plural": "clusters"});
    second["spec"]["backend"]["helmRelease"]["prefix"] = json!("redis-cluster-");
    done(client, "POST", definitions, Some(&second)).await?;
    wait::until("the overlap to be told", Duration::from_secs(30), || async {
        let held = done(client, "GET", &format!("{definitions}/clusters.apps.example.com"), None).await?;
        let told =
            held["status"]["conditions"].as_array().into_iter().flatten().find(|it| it["type"] == "NamesAccepted");
        let told = told.cloned().unwrap_or_default();
        let text = told["message"].as_str().unwrap_or_default();
        let wanted =
            "\"redis-cluster-\" overlaps with \"redis-\" of ApplicationDefinition \"redises.apps.example.com\"";
        ensure!(told["status"] == "False" && text.contains(wanted), "the condition is {told}");
        Ok(())
    })
    .await?;
    let clusters = "/apis/apps.example.com/v1alpha1/namespaces/default/clusters";
    let (code, _) = ask(client, "GET", clusters, None).await?;
    ensure!(code == 404, "the newer kind answers {code}");
    done(client, "GET", REDISES, None).await?;
    done(client, "DELETE", &format!("{definitions}/clusters.apps.example.com"), None).await.map(drop)
}

async fn values_arrive_as_they_are(client: &Client) -> Result<()> {
    let looses = "/apis/apps.example.com/v1alpha1/namespaces/default/looses";
    let loose = json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Loose", "metadata": {"name": "x"},
        "spec": {"a": "b"}});
    served(client, looses).await?;
    let mut made = done(client, "POST", looses, Some(&loose)).await?;
    ensure!(made["status"]["place"] == "default/loose-x", "the status is {}", made["status"]);
    made["spec"] = json!({"a": null, "deep": {"b": null, "c": [null, 1.5]}});
    let written = done(client, "PUT", &format!("{looses}/x"), Some(&made)).await?;
    ensure!(written["spec"] == made["spec"], "it is {}", written["spec"]);
    let release = done(client, "GET", &format!("{RELEASES}/loose-x"), None).await?;
    ensure!(release["spec"]["values"] == made["spec"], "the values are {}", release["spec"]["values"]);
    Ok(())
}

async fn settings_are_rolled_out(client: &Client) -> Result<()> {
    let definition = "/apis/kindsmith.dev/v1alpha1/applicationdefinitions/redises.apps.example.com";
    let release = format!("{RELEASES}/redis-cache");
    done(client, "PATCH", &release, Some(&json!({"spec": {"install": {"disableHooks": true}}}))).await?;
    let before = done(client, "GET", &release, None).await?;
    let settings = json!({"spec": {"backend": {"helmRelease": {"timeout": "7m", "labels": {"rolled": "out"}}}}});
    done(client, "PATCH", definition, Some(&settings)).await?;
    wait::until("the settings", Duration::from_secs(30), || async {
        let held = done(client, "GET", definition, None).await?;
        ensure!(held["status"]["rollout"] == json!({"updated": 1, "total": 1}), "the status is {}", held["status"]);
        let release = done(client, "GET", &release, None).await?;
        ensure!(release["spec"]["timeout"] == "7m", "the release has {}", release["spec"]);
        Ok(())
    })
    .await?;
    let after = done(client, "GET", &release, None).await?;
    ensure!(after["metadata"]["labels"]["rolled"] == "out", "the labels are {}", after["metadata"]["labels"]);
    for kept in ["values", "install"] {
        ensure!(after["spec"][kept] == before["spec"][kept], "{kept} was {} and is {}", before["spec"], after["spec"]);
    }
    // A release made by hand is nobody's to change.
    let by_hand = done(client, "GET", &format!("{RELEASES}/redis-hand"), None).await?;
    ensure!(by_hand["spec"].get("timeout").is_none(), "it has {}", by_hand["spec"]);
    Ok(())
}
