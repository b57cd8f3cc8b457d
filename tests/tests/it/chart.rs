//! The chart: what it renders is accepted, complete, and the same when it is applied again; what is generated from it is fresh.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};
use kindsmith_tests::{ControlPlane, NAMESPACE, bundle, chart, go_tools, program};
use serde_json::{Value, json};

/// Writes what is generated, where the variable is set; else demands that the files are as wanted, and no others are there.
fn fresh(folder: &Path, wanted: &BTreeMap<String, String>) -> Result<()> {
    let write = std::env::var_os("UPDATE_MANIFESTS").is_some();
    for (name, text) in wanted {
        let path = folder.join(name);
        if write {
            fs::create_dir_all(path.parent().context("a file without a folder")?)?;
            fs::write(&path, text)?;
        }
        let there = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        ensure!(there == *text, "{} is stale: run with UPDATE_MANIFESTS=1 to write it anew", path.display());
    }
    let parents: BTreeSet<&Path> = wanted.keys().filter_map(|name| Path::new(name).parent()).collect();
    for parent in parents {
        for entry in fs::read_dir(folder.join(parent))? {
            let name = parent.join(entry?.file_name());
            let name = name.to_str().context("a name is not UTF-8")?;
            ensure!(wanted.contains_key(name) || !name.ends_with(".yaml"), "{name} is not generated: delete it");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_manifests_are_those_of_the_chart() -> Result<()> {
    fresh(&program::workspace().join("deploy"), &chart::plain_manifests()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_image_the_chart_says_what_to_do() -> Result<()> {
    let refused = |args: &[&str]| match chart::template(args) {
        Ok(_) => bail!("{args:?} is rendered"),
        Err(error) => Ok(error.to_string()),
    };
    let error = refused(&[])?;
    ensure!(
        error.contains("--set image.repository=localhost/kindsmith") && error.contains("cargo run -p release"),
        "{error}"
    );
    let error = refused(&["--set", chart::IMAGE, "--set", "operator.replica=3"])?;
    ensure!(error.contains("replica"), "{error}");
    let error = refused(&["--set", chart::IMAGE, "--set", "apiserver.hostNetwork=true"])?;
    ensure!(error.contains("apiserver.port"), "{error}");
    Ok(())
}

/// Values, each setting some that the others leave alone; together all that the schema has.
fn cases() -> Vec<Value> {
    let part = json!({
        "replicas": 3,
        "resources": {"requests": {"cpu": "20m"}},
        "logLevel": "debug",
        "extraArgs": ["--ca-lifetime=9000h"],
        "extraEnv": [{"name": "NO_COLOR", "value": "1"}],
        "podLabels": {"team": "platform"},
        "podAnnotations": {"example.com/note": "true"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]}]}}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "kindsmith"}}}],
        "priorityClassName": "system-node-critical",
        "podDisruptionBudget": {"enabled": true, "maxUnavailable": "50%"},
        "podSecurityContext": {"fsGroup": 65532},
        "securityContext": {"runAsNonRoot": true},
        "hostUsers": false,
        "revisionHistoryLimit": 3,
    });
    let mut apiserver = part.clone();
    apiserver["port"] = json!(6444);
    apiserver["hostNetwork"] = json!(true);
    apiserver["shutdown"] = json!({"delaySeconds": 20, "watchesSeconds": 5, "drainSeconds": 60});
    apiserver["extraArgs"] = json!([]);
    // Users of its own and the network of the node exclude each other.
    apiserver["hostUsers"] = json!(true);
    vec![
        json!({}),
        json!({"global": {"imageRegistry": "registry.example.com"}, "image": {"tag": "1.2.3", "pullPolicy": "Always"},
            "imagePullSecrets": [{"name": "registry"}], "definitions": ["kindsmith", "cozystack"],
            "commonLabels": {"example.com/team": "platform"}, "serviceAccount": {"annotations": {"example.com/role": "reader"}}}),
        json!({"operator": part, "apiserver": apiserver}),
        json!({"image": {"digest": format!("sha256:{}", "0".repeat(64))}, "operator": {"podDisruptionBudget": {"enabled": false}},
            "apiserver": {"podDisruptionBudget": {"enabled": false}, "hostUsers": false},
            "crds": {"enabled": true, "keep": false, "annotations": {"example.com/note": "here"}}}),
        json!({"crds": {"enabled": false}, "certificates": {"mode": "operator", "secret": "serving", "lifetime": "240h",
            "caLifetime": "4800h"}}),
        json!({"certificates": {"mode": "certManager"}}),
        json!({"certificates": {"mode": "certManager", "secret": "serving", "lifetime": "240h", "certManager": {"issuerRef":
            {"name": "ours", "kind": "ClusterIssuer", "group": "cert-manager.io"}}}}),
        json!({"certificates": {"mode": "existingSecret", "secret": "serving"}}),
        json!({"certificates": {"mode": "files", "secret": "serving"}}),
        json!({"rbac": {"create": false}}),
        json!({"rbac": {"create": true, "resourceReferences": true, "authReader": "ClusterRole",
            "aggregateDefinitionsToAdmin": true}}),
        json!({"uninstall": {"hook": false}}),
        json!({"uninstall": {"hook": true, "instances": "Refuse", "deadlineSeconds": 60}}),
        json!({"networkPolicy": {"enabled": true}}),
        json!({"networkPolicy": {"enabled": true, "kubeAPIServerCIDRs": ["10.0.0.0/24"],
            "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]}}),
        json!({"metrics": {"serviceMonitor": {"enabled": true, "interval": "15s", "labels": {"release": "prometheus"}},
            "prometheusRule": {"enabled": true, "labels": {"release": "prometheus"}},
            "readers": [{"name": "prometheus", "namespace": "monitoring"}]}}),
        json!({"extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more",
            "namespace": "{{ .Release.Namespace }}"}}]}),
    ]
}

/// The paths that a schema of values names, down to where it leaves the rest to Kubernetes.
fn paths(schema: &Value, at: &str, into: &mut BTreeSet<String>) {
    let Some(properties) = schema["properties"].as_object() else {
        into.insert(at.to_owned());
        return;
    };
    for (name, property) in properties {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        paths(property, &path, into);
    }
}

/// Reports whether a value is there at a path with dots.
fn has(values: &Value, path: &str) -> bool {
    path.split('.').try_fold(values, |value, name| value.get(name)).is_some()
}

/// Whether anything in a value is null, and where.
fn null(value: &Value, at: &str) -> Option<String> {
    match value {
        Value::Null => Some(at.to_owned()),
        Value::Object(map) => map.iter().find_map(|(name, value)| null(value, &format!("{at}.{name}"))),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, value)| null(value, &format!("{at}[{index}]")))
        }
        _ => None,
    }
}

/// Renders values, with the objects of hooks.
fn rendered(values: &Value) -> Result<Vec<Value>> {
    let file = tempfile::Builder::new().suffix(".json").tempfile()?;
    fs::write(file.path(), values.to_string())?;
    chart::objects(&["--set", chart::IMAGE, "--values", &file.path().to_string_lossy()])
}

fn manifest(objects: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_is_in_the_schema_with_a_default_and_tried() -> Result<()> {
    let schema: Value = serde_json::from_str(&fs::read_to_string(chart::folder().join("values.schema.json"))?)?;
    let values: Value = serde_saphyr::from_str(&fs::read_to_string(chart::folder().join("values.yaml"))?)?;
    let mut named = BTreeSet::new();
    paths(&schema, "", &mut named);
    // An issuer has no default: its members are named where it is given.
    let without: Vec<&String> =
        named.iter().filter(|path| !has(&values, path) && !path.contains("issuerRef.")).collect();
    ensure!(without.is_empty(), "values.yaml has no {without:?}");
    let cases = cases();
    let untried: Vec<&String> =
        named.iter().filter(|path| *path != "image.repository" && !cases.iter().any(|case| has(case, path))).collect();
    ensure!(untried.is_empty(), "no case sets {untried:?}");
    let closed = |schema: &Value| schema["additionalProperties"] == false;
    ensure!(closed(&schema), "the schema is open");
    for (name, property) in schema["properties"].as_object().context("no properties")? {
        let is_map = property["properties"].is_object() && name != "global";
        ensure!(!is_map || closed(property), "{name} is open");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_value_is_accepted_strictly_and_applying_it_again_changes_nothing() -> Result<()> {
    let control_plane = ControlPlane::builder().controller_manager().start().await?;
    let crds = tokio::task::spawn_blocking(go_tools::chart_crds).await??;
    control_plane.install_crds(&crds).await?;
    control_plane.kubectl(["create", "namespace", NAMESPACE]).ok().await?;
    // A Pod is refused whose account is not there, and a dry run makes none.
    control_plane.kubectl(["create", "serviceaccount", "kindsmith-test", "-n", NAMESPACE]).ok().await?;
    let began = Instant::now();
    let cases = cases();
    for (number, case) in cases.iter().enumerate() {
        let objects = rendered(case).with_context(|| format!("case {number}: {case}"))?;
        for object in &objects {
            if let Some(at) = null(object, "") {
                bail!("case {number}: {} {} has a null at {at}", object["kind"], object["metadata"]["name"]);
            }
        }
        let args = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "-f", "-"];
        let applied = control_plane.kubectl(args).stdin(&manifest(&objects)).ok().await;
        applied.with_context(|| format!("case {number}: {case}"))?;
    }
    println!("{} cases of values accepted in {} ms", cases.len(), began.elapsed().as_millis());

    // As a GitOps tool does, again and again.
    let mut objects = rendered(&json!({"rbac": {"resourceReferences": true}}))?;
    objects.retain(|object| object["metadata"]["annotations"]["helm.sh/hook"].is_null());
    let objects = manifest(&objects);
    let apply = async || control_plane.kubectl(["apply", "--server-side", "-f", "-"]).stdin(&objects).ok().await;
    let versions = async || {
        let args = [
            "get",
            "-f",
            "-",
            "-o",
            "jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.generation}{\"\\n\"}{end}",
        ];
        control_plane.kubectl(args).stdin(&objects).ok().await
    };
    apply().await?;
    // The controllers of the cluster fill in the aggregated roles.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let first = versions().await?;
    let again = apply().await.context("applying the same again")?;
    ensure!(!again.is_empty() && versions().await? == first, "applying the same again changed something: {again}");
    Ok(())
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?
        } else {
            fs::copy(entry.path(), target).map(drop)?
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_upgraded_with_its_kinds_and_leaves_definitions_to_the_next_one() -> Result<()> {
    let control_plane = ControlPlane::builder().controller_manager().start().await?;
    let here = chart::folder().to_string_lossy().into_owned();
    let helm = |args: &[&str]| control_plane.helm(args.iter().copied());
    let set = ["--namespace", NAMESPACE, "--set", chart::IMAGE];

    // Over plain manifests, as an administrator has them.
    for folder in ["deploy/manifests", "deploy/crds"] {
        let folder = program::workspace().join(folder).to_string_lossy().into_owned();
        control_plane.kubectl(["apply", "--server-side", "-f", &folder]).ok().await?;
    }
    let refused = helm(&[&["install", "kindsmith", &here], &set[..]].concat()).fails().await?;
    ensure!(refused.contains("invalid ownership metadata"), "{refused}");
    let former = tempfile::tempdir()?;
    copy(&chart::folder(), former.path())?;
    let crd = former.path().join("templates/crd.yaml");
    let text = fs::read_to_string(&crd)?;
    ensure!(text.contains("\n    - appdef\n"), "the definition has another short name");
    fs::write(&crd, text.replace("\n    - appdef\n", "\n    - appdef\n    - formerly\n"))?;
    let old = former.path().to_string_lossy().into_owned();
    helm(&[&["install", "kindsmith", &here, "--take-ownership"], &set[..]].concat()).ok().await?;
    // What kubectl applied is kubectl's too, until it is changed by force.
    let upgrade = [&["upgrade", "kindsmith", &old], &set[..]].concat();
    let refused = helm(&upgrade).fails().await?;
    ensure!(refused.contains("conflict with \"kubectl\""), "{refused}");
    helm(&[&upgrade[..], &["--force-conflicts"]].concat()).ok().await?;
    let short_names = async || {
        let args = ["get", "crd", "applicationdefinitions.kindsmith.dev", "-o", "jsonpath={.spec.names.shortNames}"];
        control_plane.kubectl(args).ok().await
    };
    ensure!(short_names().await?.contains("formerly"), "the definition of the kind is not the release's");

    // The definition of the kind is upgraded with the release, and rolled back with it.
    helm(&[&["upgrade", "kindsmith", &here], &set[..]].concat()).ok().await?;
    ensure!(!short_names().await?.contains("formerly"), "the definition of the kind is not upgraded");
    helm(&["rollback", "kindsmith", "--namespace", NAMESPACE]).ok().await?;
    ensure!(short_names().await?.contains("formerly"), "the definition of the kind is not rolled back");
    helm(&[&["upgrade", "kindsmith", &here, "--set", "rbac.resourceReferences=true"], &set[..]].concat()).ok().await?;

    // Definitions outlive the release, and the next one has them.
    let definition = program::workspace().join("deploy/examples/redis.yaml").to_string_lossy().into_owned();
    control_plane.kubectl(["apply", "-f", &definition]).ok().await?;
    helm(&["uninstall", "kindsmith", "--no-hooks", "--namespace", NAMESPACE]).ok().await?;
    let definitions = async || control_plane.kubectl(["get", "appdef", "-o", "name"]).ok().await;
    let kept = definitions().await?;
    ensure!(kept.contains("redises.apps.example.com"), "{kept}");
    let left = control_plane.kubectl(["get", "clusterroles,clusterrolebindings", "-o", "name"]).ok().await?;
    ensure!(!left.contains("kindsmith-"), "left: {left}");
    let refused = helm(&[&["install", "other", &here], &set[..]].concat()).fails().await?;
    ensure!(refused.contains("invalid ownership metadata"), "{refused}");
    helm(&[&["install", "kindsmith", &here], &set[..]].concat()).ok().await?;
    ensure!(definitions().await? == kept, "the definitions are gone");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_alert_is_about_metrics_that_there_are_and_has_a_place_in_the_runbooks() -> Result<()> {
    let objects = rendered(&json!({"metrics": {"prometheusRule": {"enabled": true}}}))?;
    let rules = objects.iter().find(|object| object["kind"] == "PrometheusRule").context("no rules")?;
    let rules = rules["spec"]["groups"][0]["rules"].as_array().context("no rules")?;
    let read = |path: &str| fs::read_to_string(program::workspace().join(path));
    let sources = ["operator/src/metrics.rs", "apiserver/src/metrics/state.rs", "apiserver/src/metrics/mod.rs"]
        .map(|path| read(path).with_context(|| format!("reading {path}")));
    let sources: String = sources.into_iter().collect::<Result<Vec<_>>>()?.concat();
    let runbooks = read("docs/runbooks.md")?;
    for rule in rules {
        let (alert, expression) =
            (rule["alert"].as_str().context("no name")?, rule["expr"].as_str().context("no expression")?);
        ensure!(runbooks.contains(&format!("\n## {alert}\n")), "docs/runbooks.md has no {alert}");
        let words = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let metrics: Vec<&str> =
            words.filter(|word| word.starts_with("kindsmith_") || word.starts_with("apiserver_")).collect();
        ensure!(!metrics.is_empty(), "{alert} looks at nothing");
        for metric in metrics {
            // A counter has a suffix where it is told.
            let name = format!("\"{}\"", metric.trim_end_matches("_total"));
            ensure!(sources.contains(&name), "{alert}: nobody tells {metric}");
        }
    }
    Ok(())
}

/// What can never change: Deployments cannot be upgraded otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn selectors_stay_what_they_were_in_every_version() -> Result<()> {
    for object in rendered(&json!({"commonLabels": {"example.com/team": "platform"}}))? {
        if object["kind"] == "Deployment" {
            let component = object["metadata"]["name"].as_str().and_then(|name| name.strip_prefix("kindsmith-"));
            let wanted = json!({"app.kubernetes.io/name": "kindsmith", "app.kubernetes.io/component": component});
            ensure!(object["spec"]["selector"]["matchLabels"] == wanted, "{}", object["spec"]["selector"]);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn times_of_a_shutdown_fit_into_the_grace_period() -> Result<()> {
    let objects =
        rendered(&json!({"apiserver": {"shutdown": {"delaySeconds": 21, "watchesSeconds": 7, "drainSeconds": 33}}}))?;
    let apiserver =
        objects.iter().find(|it| it["kind"] == "Deployment" && it["metadata"]["name"] == "kindsmith-apiserver");
    let pod = &apiserver.context("no API server")?["spec"]["template"]["spec"];
    ensure!(pod["terminationGracePeriodSeconds"] == 21 + 7 + 33 + 10, "{}", pod["terminationGracePeriodSeconds"]);
    Ok(())
}

/// Kinds that a bundle may have beside its ClusterServiceVersion.
const BUNDLED: [&str; 9] = [
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "ConfigMap",
    "PodDisruptionBudget",
    "PriorityClass",
];

/// How large a bundle may be, compressed: it becomes an object.
const BUNDLE_BYTES_MAX: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn the_bundle_is_that_of_the_chart_and_what_the_lifecycle_manager_takes() -> Result<()> {
    let files = bundle::files()?;
    fresh(&bundle::folder(), &files)?;
    let mut texts = Vec::new();
    for (name, text) in &files {
        texts.extend_from_slice(text.as_bytes());
        ensure!(name.matches('/').count() == 1, "{name} is in a folder of a folder");
        if !name.starts_with("manifests/") || name == bundle::SERVICE_VERSION {
            continue;
        }
        let object: Value = serde_saphyr::from_str(text)?;
        let kind = object["kind"].as_str().context("no kind")?;
        ensure!(BUNDLED.contains(&kind), "a bundle cannot have a {kind}: {name}");
        ensure!(object["metadata"].get("namespace").is_none(), "{name} names a namespace");
    }
    let mut compressed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut compressed, &texts)?;
    let bytes = compressed.finish()?.len();
    println!("bundle: {} files, {bytes} bytes compressed", files.len());
    ensure!(bytes < BUNDLE_BYTES_MAX, "{bytes} bytes");

    let service_version: Value = serde_saphyr::from_str(&files[bundle::SERVICE_VERSION])?;
    let spec = &service_version["spec"];
    ensure!(spec["apiservicedefinitions"].is_null(), "APIServices are the operator's");
    ensure!(spec["install"]["spec"]["permissions"].is_null(), "permissions would be cluster-wide");
    for mode in spec["installModes"].as_array().context("no install modes")? {
        ensure!(mode["supported"] == (mode["type"] == "AllNamespaces"), "{mode}");
    }
    for deployment in spec["install"]["spec"]["deployments"].as_array().context("no Deployments")? {
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        ensure!(container["resources"]["requests"]["memory"].is_string(), "no requests: {container}");
        let account = &deployment["spec"]["template"]["spec"]["serviceAccountName"];
        let permissions = spec["install"]["spec"]["clusterPermissions"].as_array().context("no permissions")?;
        ensure!(
            permissions.iter().any(|it| it["serviceAccountName"] == *account),
            "nobody makes the account {account}"
        );
    }
    let examples: Value =
        serde_json::from_str(service_version["metadata"]["annotations"]["alm-examples"].as_str().unwrap_or(""))?;
    for owned in spec["customresourcedefinitions"]["owned"].as_array().context("owns nothing")? {
        let has = examples.as_array().is_some_and(|all| all.iter().any(|it| it["kind"] == owned["kind"]));
        ensure!(has, "no example of {}", owned["kind"]);
        ensure!(owned["description"].as_str().is_some_and(|text| !text.is_empty()), "{owned}");
    }

    let verify = tokio::task::spawn_blocking(go_tools::operator_verify).await??;
    let manifests = bundle::folder().join("manifests");
    let mut check = tokio::process::Command::new(verify);
    check.arg("manifests").arg("--operatorhub_validate").arg("--object_validate").arg(&manifests);
    let output = check.output().await.context("running operator-verify")?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "operator-verify: {said}");
    Ok(())
}
