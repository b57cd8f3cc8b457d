//! The plain manifests of `deploy/manifests/` agree with the code: names, rights, and the generated definition.
//!
//! `UPDATE_MANIFESTS=1 cargo test -p kindsmith-operator` writes what is generated.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use kindsmith_operator::{ANCHOR, DEFAULT_CA_SECRET, DEFAULT_SERVING_SECRET, OPERATOR_ACCOUNT, REPLICA_AUDIENCE};
use serde_json::Value;

/// Where the generated definition is, seen from the manifests.
const CRD: &str = "../crds/applicationdefinitions.yaml";

/// Where the same definition is in the chart, seen from the manifests. A chart takes no files from beside it.
const CRD_TEMPLATE: &str = "../helm/kindsmith/templates/crd.yaml";

/// Where the table of all rights is.
const SECURITY: &str = "../../docs/security.md";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/manifests")
}

fn documents(file: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder().join(file)).unwrap();
    text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

fn all() -> Vec<Value> {
    all_in(".")
}

/// All objects of a folder, seen from the manifests.
fn all_in(place: &str) -> Vec<Value> {
    let mut files: Vec<String> = fs::read_dir(folder().join(place))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    files.sort();
    files.iter().flat_map(|file| documents(&format!("{place}/{file}"))).collect()
}

fn find<'a>(all: &'a [Value], kind: &str, name: &str) -> &'a Value {
    all.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name).unwrap()
}

#[test]
fn the_custom_resource_definition_is_fresh() {
    let generated = kindsmith_crds::custom_resource_definition().unwrap();
    let path = folder().join(CRD);
    let yaml = serde_saphyr::to_string(&generated).unwrap();
    let template = crd_template(&yaml);
    if std::env::var_os("UPDATE_MANIFESTS").is_some() {
        fs::write(&path, &yaml).unwrap();
        fs::write(folder().join(CRD_TEMPLATE), &template).unwrap();
    }
    assert_eq!(documents(CRD), [generated], "run with UPDATE_MANIFESTS=1 to write it anew");
    let there = fs::read_to_string(folder().join(CRD_TEMPLATE)).unwrap();
    assert!(there == template, "{CRD_TEMPLATE} is stale: run with UPDATE_MANIFESTS=1 to write it anew");
}

/// Returns the definition as a template of the chart: kept when the release goes, and with what the values add.
fn crd_template(yaml: &str) -> String {
    let name = "metadata:\n  name: applicationdefinitions.kindsmith.dev\n";
    let (before, after) = yaml.split_once(name).unwrap();
    let escaped = |text: &str| text.replace("{{", "{{ \"{{\" }}");
    let metadata = r#"  labels:
    {{- include "kindsmith.labels" (dict "root" $) | nindent 4 }}
  {{- if or .Values.crds.keep .Values.crds.annotations }}
  annotations:
    {{- if .Values.crds.keep }}
    helm.sh/resource-policy: keep
    {{- end }}
    {{- with .Values.crds.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
"#;
    let note = "{{- /* Generated from crds/: see the test `manifests` of the operator. */ -}}\n";
    format!(
        "{note}{{{{- if .Values.crds.enabled }}}}\n{}{name}{metadata}{}{{{{- end }}}}\n",
        escaped(before),
        escaped(after)
    )
}

#[test]
fn rights_name_the_secrets_that_the_operator_keeps() {
    let all = all();
    let operator = find(&all, "Role", "kindsmith-operator");
    assert_eq!(operator["rules"][0]["resourceNames"], serde_json::json!([DEFAULT_CA_SECRET, DEFAULT_SERVING_SECRET]));
    let apiserver = find(&all, "Role", "kindsmith-apiserver");
    assert_eq!(
        apiserver["rules"][0]["resourceNames"],
        serde_json::json!([DEFAULT_SERVING_SECRET]),
        "never the CA's key"
    );
}

#[test]
fn the_anchor_grants_nothing_to_nobody_and_what_is_filled_in_has_no_rules() {
    let all = all();
    let anchor = find(&all, "ClusterRole", ANCHOR).as_object().unwrap();
    let members: Vec<&str> = anchor.keys().map(String::as_str).collect();
    assert_eq!(members, ["apiVersion", "kind", "metadata"]);
    assert!(all.iter().all(|object| object["roleRef"]["name"] != ANCHOR));
    for object in all.iter().filter(|object| object.get("aggregationRule").is_some()) {
        assert!(object.get("rules").is_none(), "a second server-side apply would be a conflict: {object}");
    }
}

#[test]
fn nobody_is_granted_everything() {
    for object in all() {
        for rule in object["rules"].as_array().into_iter().flatten() {
            for part in ["apiGroups", "resources", "verbs", "nonResourceURLs"] {
                let everything = |granted: &Value| granted.as_str().is_none_or(|it| it.contains('*'));
                assert!(!rule[part].as_array().into_iter().flatten().any(everything), "{object}");
            }
        }
    }
}

#[test]
fn the_service_reaches_the_api_server() {
    let all = all();
    let service = find(&all, "Service", "kindsmith-apiserver");
    let pods = &find(&all, "Deployment", "kindsmith-apiserver")["spec"]["template"];
    assert_eq!(service["spec"]["selector"], pods["metadata"]["labels"]);
    let port = &service["spec"]["ports"][0];
    assert_eq!(port["targetPort"], pods["spec"]["containers"][0]["ports"][0]["name"]);
    let args =
        find(&all, "Deployment", "kindsmith-operator")["spec"]["template"]["spec"]["containers"][0]["args"].clone();
    let args: Vec<String> = serde_json::from_value(args).unwrap();
    assert!(args.contains(&format!("--service-port={}", port["port"])), "{args:?}");
    assert!(args.contains(&format!("--service={}", service["metadata"]["name"].as_str().unwrap())), "{args:?}");
}

#[test]
fn the_operator_asks_replicas_with_a_token_that_nobody_else_takes() {
    let all = all();
    let pod = &find(&all, "Deployment", "kindsmith-operator")["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], OPERATOR_ACCOUNT);
    let volume = &pod["volumes"][0];
    let token = &volume["projected"]["sources"][0]["serviceAccountToken"];
    assert_eq!(token["audience"], REPLICA_AUDIENCE);
    let mount = &pod["containers"][0]["volumeMounts"][0];
    assert_eq!(mount["name"], volume["name"]);
    let file = format!("{}/{}", mount["mountPath"].as_str().unwrap(), token["path"].as_str().unwrap());
    let args: Vec<String> = serde_json::from_value(pod["containers"][0]["args"].clone()).unwrap();
    assert!(args.contains(&format!("--replica-token-file={file}")), "{args:?}");
}

/// The part of an object, as its label says.
fn component(object: &Value) -> &Value {
    &object["metadata"]["labels"]["app.kubernetes.io/component"]
}

#[test]
fn both_parts_outlive_drains_and_pressure() {
    let all = all();
    for deployment in all.iter().filter(|object| object["kind"] == "Deployment") {
        let (template, name) = (&deployment["spec"]["template"], &deployment["metadata"]["name"]);
        let labels = &template["metadata"]["labels"];
        let budget =
            all.iter().find(|it| it["kind"] == "PodDisruptionBudget" && component(it) == component(deployment));
        let budget = &budget.unwrap()["spec"];
        assert_eq!(budget["selector"]["matchLabels"], *labels, "{name}");
        assert_eq!(
            (&budget["maxUnavailable"], &budget["unhealthyPodEvictionPolicy"]),
            (&1.into(), &"AlwaysAllow".into())
        );
        let spread =
            &template["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
        let term = &spread[0]["podAffinityTerm"];
        assert_eq!(term["labelSelector"]["matchLabels"], *labels, "{name}");
        assert_eq!(term["topologyKey"], "kubernetes.io/hostname");
        assert_eq!(template["spec"]["priorityClassName"], "system-cluster-critical", "{name}");
        for probe in ["livenessProbe", "readinessProbe"] {
            assert!(template["spec"]["containers"][0][probe].is_object(), "{name} has no {probe}");
        }
    }
    let critical = find(&all, "ResourceQuota", "kindsmith-critical-pods");
    let scope = &critical["spec"]["scopeSelector"]["matchExpressions"][0];
    assert_eq!(
        (&scope["scopeName"], &scope["values"][0]),
        (&"PriorityClass".into(), &"system-cluster-critical".into())
    );
}

#[test]
fn no_registry_is_asked_for_an_image_that_nobody_named() {
    for object in all().iter().filter(|object| object["kind"] == "Deployment") {
        let image = object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
        assert!(image.starts_with("localhost/"), "{image}");
    }
}

#[test]
fn containers_run_with_least_privilege() {
    for object in all().iter().filter(|object| object["kind"] == "Deployment") {
        let pod = &object["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        for container in pod["containers"].as_array().unwrap() {
            assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
            assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
            assert_eq!(container["securityContext"]["capabilities"]["drop"], serde_json::json!(["ALL"]));
        }
    }
}

#[test]
fn the_default_install_grants_no_secrets_beyond_our_own() {
    let reads_secrets = |rule: &Value| {
        let has = |member: &str, wanted: &[&str]| {
            rule[member].as_array().is_some_and(|held| held.iter().any(|it| wanted.iter().any(|wanted| it == wanted)))
        };
        has("resources", &["secrets", "*"])
            && has("verbs", &["get", "list", "watch", "*"])
            && rule["resourceNames"].as_array().is_none_or(Vec::is_empty)
    };
    for object in all().iter().filter(|object| object["kind"] == "ClusterRole" || object["kind"] == "Role") {
        let rules = object["rules"].as_array().into_iter().flatten();
        assert_eq!(rules.filter(|rule| reads_secrets(rule)).count(), 0, "{}", object["metadata"]["name"]);
    }
}

/// A right: who has it, where, what it is about, and the verbs; as a row of the table in docs/security.md begins.
type Right = [String; 4];

/// Names of a rule: of numbered ones the first and the last.
fn names(rule: &Value) -> String {
    let names: Vec<&str> =
        rule["resourceNames"].as_array().into_iter().flatten().map(|it| it.as_str().unwrap()).collect();
    let base = |name: &str| name.trim_end_matches(|letter: char| letter.is_ascii_digit()).to_owned();
    match &names[..] {
        [first, .., last] if names.iter().enumerate().all(|(at, name)| *name == format!("{}{at}", base(first))) => {
            format!(" named {first} to {last}")
        }
        [] => String::new(),
        names => format!(" named {}", names.join(", ")),
    }
}

/// The rights that objects give: those of rules, of roles that are filled in, and of roles of others that are bound.
fn rights(objects: &[Value], place: &str) -> BTreeSet<Right> {
    let list = |value: &Value| {
        let texts = value.as_array().into_iter().flatten().map(|it| it.as_str().unwrap());
        texts.map(|it| if it.is_empty() { "core" } else { it }).collect::<Vec<_>>().join(", ")
    };
    let ours =
        |role: &Value| objects.iter().any(|it| it["kind"] == role["kind"] && it["metadata"]["name"] == role["name"]);
    let mut found = BTreeSet::new();
    for object in objects {
        let who = object["metadata"]["labels"]["app.kubernetes.io/component"].as_str().unwrap_or_default().to_owned();
        let scope = match object["metadata"]["namespace"].as_str() {
            Some(namespace) => format!("namespace {namespace}{place}"),
            None => format!("cluster{place}"),
        };
        let mut add = |what: String, verbs: String| found.insert([who.clone(), scope.clone(), what, verbs]);
        for rule in object["rules"].as_array().into_iter().flatten() {
            let what = match &rule["nonResourceURLs"] {
                Value::Null => {
                    format!("{}: {}{}", list(&rule["apiGroups"]), list(&rule["resources"]), names(rule))
                }
                paths => list(paths),
            };
            assert!(add(what, list(&rule["verbs"])), "a rule stands twice in {}", object["metadata"]["name"]);
        }
        for selector in object["aggregationRule"]["clusterRoleSelectors"].as_array().into_iter().flatten() {
            let labels = selector["matchLabels"].as_object().unwrap();
            let labels: Vec<String> =
                labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap())).collect();
            add(format!("what roles with {} grant", labels.join(", ")), "theirs".to_owned());
        }
        let role = &object["roleRef"];
        if role.is_object() && !ours(role) {
            add(
                format!("what {} {} grants", role["kind"].as_str().unwrap(), role["name"].as_str().unwrap()),
                "its".to_owned(),
            );
        }
    }
    found
}

#[test]
fn each_right_has_a_row_with_its_reason_and_each_row_is_a_right() {
    let mut wanted = rights(&all(), "");
    wanted.extend(rights(&all_in("../optional"), ", optional"));
    let text = fs::read_to_string(folder().join(SECURITY)).unwrap();
    let (_, section) = text.split_once("\n## Rights\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let mut told = BTreeSet::new();
    // The first is the heading.
    for row in rows.skip(1) {
        let cells: Vec<String> = row.split(" | ").map(|cell| cell.replace('`', "")).collect();
        let [who, scope, what, verbs, why] = <[String; 5]>::try_from(cells).unwrap();
        assert!(why.len() > 10, "{row}: why?");
        assert!(told.insert([who, scope, what, verbs]), "{row} stands twice");
    }
    let lines =
        |rights: BTreeSet<&Right>| rights.iter().map(|right| format!("| {} |", right.join(" | "))).collect::<Vec<_>>();
    let missing = lines(wanted.difference(&told).collect());
    let surplus = lines(told.difference(&wanted).collect());
    assert!(missing.is_empty() && surplus.is_empty(), "without a row: {missing:#?}; rows without a rule: {surplus:#?}");
    assert!(wanted.len() > 20, "{wanted:?}");
}
