//! Both processes do all their work with the rights that `deploy/manifests` and `deploy/optional` give them.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{Accounts, ControlPlane, Kindsmith, NAMESPACE, program, wait};
use kube::Client;
use serde_json::json;

use crate::{
    credentials::{get, metrics_are_for_who_may_read_them, nothing_of_worth_is_sent},
    events,
    main_job::{apply_definitions, use_kinds},
    releases::{REDISES, RELEASES, done, served},
};

/// Their namespace, and what RBAC has of them.
const MANIFESTS: [&str; 3] =
    ["manifests/00-namespace.yaml", "manifests/20-operator-rbac.yaml", "manifests/21-apiserver-rbac.yaml"];

/// What is applied where a definition needs it.
const OPTIONAL: &str = "optional/operator-resources-rbac.yaml";

/// What is in the log until that is applied.
const MISSED: &str = "cannot watch the metadata of";

const DEFINITION: &str = "/apis/kindsmith.dev/v1alpha1/applicationdefinitions/redises.apps.example.com";

/// Lines of a log in which something was not allowed.
fn refused(log: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(log).with_context(|| format!("reading {}", log.display()))?;
    let is_refusal = |line: &&str| {
        (line.to_lowercase().contains("forbidden") || line.contains(" may not ")) && !line.contains(MISSED)
    };
    Ok(text.lines().filter(is_refusal).map(str::to_owned).collect())
}

/// Whether the apiserver's account may do something with a Lease of that name.
async fn may_with_lease(client: &Client, verb: &str, name: &str) -> Result<bool> {
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
        "user": format!("system:serviceaccount:{NAMESPACE}:kindsmith-apiserver"),
        "resourceAttributes": {"namespace": NAMESPACE, "verb": verb, "group": "coordination.k8s.io", "resource": "leases",
            "name": name}}});
    let review = done(client, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", Some(&review)).await?;
    Ok(review["status"]["allowed"] == true)
}

/// A file below `deploy`.
fn manifest(name: &str) -> Result<String> {
    let path = program::workspace().join("deploy").join(name);
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// The accounts of both processes, with the rights that the manifests give them.
pub(crate) async fn accounts(control_plane: &ControlPlane) -> Result<Accounts> {
    for name in MANIFESTS {
        control_plane.apply(&manifest(name)?).await?;
    }
    Ok(Accounts {
        operator: control_plane.kubeconfig_of_account(NAMESPACE, "kindsmith-operator").await?,
        // As the kubelet puts it into the pod.
        replica_token: control_plane.token_of_account(NAMESPACE, "kindsmith-operator", "kindsmith-apiserver").await?,
        apiserver: control_plane.kubeconfig_of_account(NAMESPACE, "kindsmith-apiserver").await?,
    })
}

#[tokio::test]
async fn the_manifests_grant_all_that_is_needed() -> Result<()> {
    // The role to read instances is filled in by a controller of Kubernetes.
    let control_plane = ControlPlane::builder().controller_manager().start().await?;
    control_plane.install_flux_crds().await?;
    let accounts = accounts(&control_plane).await?;
    let client = control_plane.client().await?;
    for (name, wanted) in [("kindsmith-apiserver-0", true), ("kindsmith-operator", false), ("other", false)] {
        for verb in ["get", "patch", "update", "delete"] {
            let may = may_with_lease(&client, verb, name).await?;
            ensure!(may == (wanted && verb != "update"), "the apiserver may {verb} the Lease {name}: {may}");
        }
    }
    let kindsmith = Kindsmith::start_as(&control_plane, accounts).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    apply_definitions(&call).await?;
    // Kinds, as tenants use them: everything that the apiserver does.
    use_kinds(&call).await?;

    // What the operator does besides: it waits for all conditions, rolls settings out, refers to Secrets, rotates.
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
    let said = async |status: &str, part: &str| {
        wait::until(&format!("ResourcesVisible to be {status}"), Duration::from_secs(30), || async {
            let definition = done(&client, "GET", DEFINITION, None).await?;
            let conditions = definition["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let found = conditions.iter().find(|it| it["type"] == "ResourcesVisible").context("it is not said")?;
            let is_said = found["status"] == status && found["message"].to_string().contains(part);
            ensure!(is_said, "it says {found}");
            Ok(())
        })
        .await
    };
    said("False", "apply deploy/optional/operator-resources-rbac.yaml").await?;
    control_plane.apply(&manifest(OPTIONAL)?).await?;
    said("True", "").await?;
    wait::until("the Secret to be referred to", Duration::from_secs(30), || async {
        let redis = done(&client, "GET", &format!("{REDISES}/kept"), None).await?;
        let resources = &redis["status"]["resources"];
        ensure!(resources.to_string().contains("redis-kept-login"), "the status refers to {resources}");
        Ok(())
    })
    .await?;
    events::are_those_of_the_release(&control_plane, &kindsmith, "kept").await?;
    let digest = "jsonpath={.metadata.annotations.kindsmith\\.dev/kinds-digest}";
    let digest = call(&["get", "crd", "applicationdefinitions.kindsmith.dev", "-o", digest]).ok().await?;
    ensure!(digest.len() == 16, "the kinds are not announced: {digest:?}");
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
    metrics_are_for_who_may_read_them(&control_plane, &kindsmith).await?;
    nothing_of_worth_is_sent(&control_plane, &kindsmith).await?;
    let mut refused = [refused(&kindsmith.operator_log())?, refused(&kindsmith.apiserver_log())?].concat();
    // What only the optional manifest lets the operator do, it was told so above.
    let optional = ["secrets", "services"].map(|resource| format!("cannot list resource \\\"{resource}\\\""));
    refused.retain(|line| !optional.iter().any(|words| line.contains(words)));
    ensure!(refused.is_empty(), "something was not allowed:\n{}", refused.join("\n"));
    missing_rights_are_told(&control_plane, &kindsmith).await
}

/// As where a package manager did not bring every Role: each process says what it misses, goes on trying, and is ready once it
/// has it.
async fn missing_rights_are_told(control_plane: &ControlPlane, kindsmith: &Kindsmith) -> Result<()> {
    let unbind = async |namespace: &str, name: &str| {
        control_plane.kubectl(["delete", "rolebinding", name, "--namespace", namespace]).ok().await.map(drop)
    };
    let said = async |log: &Path, port: u16, probe: &str, sentence: &str| {
        wait::until(&format!("{sentence:?} to be said"), Duration::from_secs(30), || async {
            let (code, body) = get(port, probe, &[]).await?;
            ensure!(code == 500 && body.contains(sentence), "{probe} answers {code}: {body}");
            let log = fs::read_to_string(log)?;
            // In the log, quotes of a message are quoted.
            ensure!(log.replace('\\', "").contains(sentence), "the log does not have it");
            Ok(())
        })
        .await
    };
    let account = |name: &str| format!("system:serviceaccount:{NAMESPACE}:{name}");

    kindsmith.stop_operator()?;
    unbind(NAMESPACE, "kindsmith-operator").await?;
    kindsmith.start_operator()?;
    let sentence = format!(
        "{} may not list controllerrevisions.apps in the namespace {NAMESPACE}; a Role in {NAMESPACE} that is bound to it needs \
         the rule {{apiGroups: [\"apps\"], resources: [\"controllerrevisions\"], verbs: [list]}}",
        account("kindsmith-operator")
    );
    said(&kindsmith.operator_log(), kindsmith.operator_port(), "/readyz", &sentence).await?;
    control_plane.apply(&manifest(MANIFESTS[1])?).await?;
    wait::until("the operator to be ready", Duration::from_secs(30), || async {
        let (code, body) = get(kindsmith.operator_port(), "/readyz", &[]).await?;
        ensure!((code, body.as_str()) == (200, "ok"), "it answers {code}: {body}");
        Ok(())
    })
    .await?;

    unbind("kube-system", "kindsmith-apiserver:extension-apiserver-authentication-reader").await?;
    kindsmith.stop_apiserver()?;
    let mended = async {
        let sentence = format!(
            "{} may not list configmaps \"extension-apiserver-authentication\" in the namespace kube-system",
            account("kindsmith-apiserver")
        );
        said(&kindsmith.apiserver_log(), kindsmith.port(), "/readyz/authentication", &sentence).await?;
        control_plane.apply(&manifest(MANIFESTS[2])?).await
    };
    let (started, mended) = tokio::join!(kindsmith.start_apiserver(), mended);
    mended?;
    started
}
