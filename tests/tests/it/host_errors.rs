//! What the cluster refuses is told as it was said, of the object that the user knows.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::wait;
use kube::Client;
use serde_json::{Value, json};

use crate::releases::{REDISES, RELEASES, ask, done, with_redises};

const DEFINITION: &str = "/apis/kindsmith.dev/v1alpha1/applicationdefinitions/redises.apps.example.com";

/// A policy of the cluster about HelmReleases, and a namespace where there may be none.
const LIMITS: &str = "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: small}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {apiGroups: [helm.toolkit.fluxcd.io], apiVersions: ['*'], operations: [CREATE, UPDATE], resources: [helmreleases]}
  validations:
  - expression: '!has(object.spec.values) || !has(object.spec.values.replicas) || object.spec.values.replicas <= 5'
    message: at most 5 replicas here
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: small}
spec: {policyName: small, validationActions: [Deny]}
---
apiVersion: v1
kind: Namespace
metadata: {name: full}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: none, namespace: full}
spec: {hard: {count/helmreleases.helm.toolkit.fluxcd.io: '0'}}
";

fn redis(name: &str, replicas: usize) -> Value {
    json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": name},
        "spec": {"replicas": replicas}})
}

fn release(name: &str, replicas: usize) -> Value {
    json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": format!("redis-{name}")},
        "spec": {"interval": "5m", "values": {"replicas": replicas},
            "chartRef": {"kind": "OCIRepository", "name": "redis", "namespace": "charts"}}})
}

/// The answer about a release, as it would be about its instance.
fn as_ours(answer: &Value, name: &str) -> Value {
    let text = answer["message"].as_str().unwrap_or_default();
    let (theirs, ours) = (
        format!("helmreleases.helm.toolkit.fluxcd.io \"redis-{name}\""),
        format!("redises.apps.example.com \"{name}\""),
    );
    let mut told = answer.clone();
    told["message"] = json!(text.replace(&theirs, &ours));
    told["details"]["name"] = json!(name);
    told["details"]["group"] = json!("apps.example.com");
    told["details"]["kind"] = json!("redises");
    told
}

/// Asks for both: the cluster's answer about the release must be ours about the instance.
async fn refused_alike(client: &Client, namespace: &str, name: &str, replicas: usize) -> Result<Value> {
    // Nothing is kept, so that it can be asked again when a limit was not known yet.
    let within = |path: &str| format!("{path}?dryRun=All").replace("/default/", &format!("/{namespace}/"));
    let (theirs, told) = ask(client, "POST", &within(RELEASES), Some(&release(name, replicas))).await?;
    let (ours, answer) = ask(client, "POST", &within(REDISES), Some(&redis(name, replicas))).await?;
    let wanted = as_ours(&told, name);
    ensure!(theirs >= 400 && ours == theirs && answer == wanted, "{ours} {answer}, the cluster said {theirs} {told}");
    Ok(answer)
}

#[tokio::test]
async fn what_the_cluster_refuses_is_told_in_its_words_about_our_object() -> Result<()> {
    let (control_plane, _kindsmith, client) = with_redises().await?;
    done(&client, "POST", REDISES, Some(&redis("big", 7))).await?;
    control_plane.apply(LIMITS).await?;
    let quota = "/api/v1/namespaces/full/resourcequotas/none/status";
    let count = json!({"count/helmreleases.helm.toolkit.fluxcd.io": "0"});
    done(&client, "PATCH", quota, Some(&json!({"status": {"hard": count, "used": count}}))).await?;

    // A policy becomes active some time after it was made.
    let probe = format!("{RELEASES}?dryRun=All");
    wait::until("the policy", Duration::from_secs(60), || async {
        let (code, _) = ask(&client, "POST", &probe, Some(&release("probe", 9))).await?;
        ensure!(code == 422, "a release is answered {code}");
        Ok(())
    })
    .await?;
    let denied = refused_alike(&client, "default", "new", 9).await.context("a policy")?;
    ensure!(
        denied["message"].as_str().is_some_and(|text| text.contains("denied request: at most 5 replicas here")),
        "{denied}"
    );
    let (code, answer) =
        ask(&client, "PATCH", &format!("{REDISES}/big"), Some(&json!({"spec": {"replicas": 8}}))).await?;
    ensure!(
        code == 422
            && answer["message"] == denied["message"].as_str().unwrap_or_default().replace("\"new\"", "\"big\""),
        "{code} {answer}"
    );
    let exceeded = wait::until("the quota", Duration::from_secs(30), || async {
        refused_alike(&client, "full", "one", 1).await.context("a quota")
    })
    .await?;
    ensure!(exceeded["code"] == 403 && exceeded["reason"] == "Forbidden", "{exceeded}");

    // Settings that cannot be brought to a release are told with the reason.
    let settings = json!({"spec": {"backend": {"helmRelease": {"timeout": "7m"}}}});
    done(&client, "PATCH", DEFINITION, Some(&settings)).await?;
    wait::until("the rollout to tell why", Duration::from_secs(30), || async {
        let held = done(&client, "GET", DEFINITION, None).await?;
        let told = held["status"]["conditions"].as_array().into_iter().flatten().find(|it| it["type"] == "RolledOut");
        let told = told.cloned().unwrap_or_default();
        let text = told["message"].as_str().unwrap_or_default();
        ensure!(
            told["status"] == "False" && text.contains("default/redis-big") && text.contains("at most 5 replicas here"),
            "the condition is {told}"
        );
        Ok(())
    })
    .await
}
