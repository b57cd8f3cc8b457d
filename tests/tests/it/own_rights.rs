//! Both processes do all their work with the rights that `deploy/manifests` and `deploy/optional` give them.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{Accounts, ControlPlane, Kindsmith, NAMESPACE, program, wait};
use serde_json::json;

use crate::{
    main_job::{apply_definitions, use_kinds},
    releases::{REDISES, RELEASES, done, served},
};

/// Their namespace, and what RBAC has of them.
const MANIFESTS: [&str; 4] = [
    "manifests/00-namespace.yaml",
    "manifests/20-operator-rbac.yaml",
    "manifests/21-apiserver-rbac.yaml",
    "optional/operator-resources-rbac.yaml",
];

const DEFINITION: &str = "/apis/kindsmith.dev/v1alpha1/applicationdefinitions/redises.apps.example.com";

/// Lines of a log in which something was not allowed.
fn refused(log: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(log).with_context(|| format!("reading {}", log.display()))?;
    Ok(text.lines().filter(|line| line.to_lowercase().contains("forbidden")).map(str::to_owned).collect())
}

#[tokio::test]
async fn the_manifests_grant_all_that_is_needed() -> Result<()> {
    // The role to read instances is filled in by a controller of Kubernetes.
    let control_plane = ControlPlane::builder().controller_manager().start().await?;
    control_plane.install_flux_crds().await?;
    for name in MANIFESTS {
        let path = program::workspace().join("deploy").join(name);
        control_plane.apply(&fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?).await?;
    }
    let accounts = Accounts {
        operator: control_plane.kubeconfig_of_account(NAMESPACE, "kindsmith-operator").await?,
        apiserver: control_plane.kubeconfig_of_account(NAMESPACE, "kindsmith-apiserver").await?,
    };
    let kindsmith = Kindsmith::start_as(&control_plane, accounts).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    apply_definitions(&call).await?;
    // Kinds, as tenants use them: everything that the apiserver does.
    use_kinds(&call).await?;

    // What the operator does besides: it waits for all conditions, rolls settings out, refers to Secrets, rotates.
    let client = control_plane.client().await?;
    served(&client, REDISES).await?;
    call(&["wait", "--for=condition=Ready", "--timeout=60s", "applicationdefinitions", "--all"]).ok().await?;
    let redis = json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis",
        "metadata": {"name": "kept"}, "spec": {"replicas": 5}});
    done(&client, "POST", REDISES, Some(&redis)).await?;
    let secret = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "redis-kept-login", "namespace": "default", "labels": {"login": "kept"}}});
    done(&client, "POST", "/api/v1/namespaces/default/secrets", Some(&secret)).await?;
    let settings = json!({"spec": {"backend": {"helmRelease": {"timeout": "7m",
        "resources": {"secrets": {"include": [{"matchLabels": {"login": "{{ .name }}"}}]}}}}}});
    done(&client, "PATCH", DEFINITION, Some(&settings)).await?;
    wait::until("the settings to be rolled out", Duration::from_secs(30), || async {
        let release = done(&client, "GET", &format!("{RELEASES}/redis-kept"), None).await?;
        ensure!(release["spec"]["timeout"] == "7m", "the release has {}", release["spec"]["timeout"]);
        Ok(())
    })
    .await?;
    wait::until("the Secret to be referred to", Duration::from_secs(30), || async {
        let redis = done(&client, "GET", &format!("{REDISES}/kept"), None).await?;
        let resources = &redis["status"]["resources"];
        ensure!(resources.to_string().contains("redis-kept-login"), "the status refers to {resources}");
        Ok(())
    })
    .await?;
    let secret = ["secret", "kindsmith-ca", "--namespace", NAMESPACE];
    let certificate =
        || async { call(&[&["get"], &secret[..], &["-o", "jsonpath={.data.tls\\.crt}"]].concat()).ok().await };
    let before = certificate().await?;
    call(&[&["annotate"], &secret[..], &["kindsmith.dev/rotate=now"]].concat()).ok().await?;
    wait::until("a new authority", Duration::from_secs(90), || async {
        ensure!(certificate().await? != before, "it is the old one");
        Ok(())
    })
    .await?;

    // What breaks an instance is found out by reading it; a definition goes when its instances are gone.
    let narrower = json!([{"op": "replace",
        "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/replicas/maximum", "value": 3}]);
    call(&["patch", "applicationdefinition", "redises.apps.example.com", "--type=json", "-p", &narrower.to_string()])
        .ok()
        .await?;
    wait::until("the change to be held back", Duration::from_secs(30), || async {
        let definition = done(&client, "GET", DEFINITION, None).await?;
        let conditions = definition["status"]["conditions"].to_string();
        ensure!(conditions.contains("default/kept"), "the conditions are {conditions}");
        Ok(())
    })
    .await?;
    call(&["delete", "redises", "--all", "--timeout=20s"]).ok().await?;
    call(&["delete", "applicationdefinitions", "--all", "--timeout=60s"]).ok().await?;
    let events = call(&["get", "events", "--all-namespaces", "-o", "jsonpath={.items[*].reason}"]).ok().await?;
    for reason in ["Ready", "CertificateIssued"] {
        ensure!(events.split_whitespace().any(|held| held == reason), "the Events say {events}");
    }
    let refused = [refused(&kindsmith.operator_log())?, refused(&kindsmith.apiserver_log())?].concat();
    ensure!(refused.is_empty(), "something was not allowed:\n{}", refused.join("\n"));
    Ok(())
}
