//! The bundle of `deploy/olm` for the Operator Lifecycle Manager, made of what the chart renders.
//!
//! The format is registry+v1: a ClusterServiceVersion, and objects beside it. What a bundle cannot do decides its shape:
//! objects with a namespace all go into the namespace of the installation, so nothing of it is in `kube-system` or `default`;
//! `permissions` of a ClusterServiceVersion become cluster-wide for an operator of all namespaces, so rights in our own namespace
//! are Roles beside it; APIServices are the operator's, which knows the kinds.
//!
//! Source: github.com/operator-framework/operator-registry (docs/design/operator-bundle.md, pkg/lib/bundle/supported_resources.go);
//! github.com/operator-framework/api (pkg/operators/v1alpha1/clusterserviceversion_types.go).

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{NAMESPACE, chart, program};

/// What the chart is rendered with.
const VALUES: &str = "uninstall.hook=false,rbac.authReader=ClusterRole,crds.enabled=false";

/// The accounts of both parts.
const ACCOUNTS: [&str; 2] = ["kindsmith-operator", "kindsmith-apiserver"];

/// The file of the ClusterServiceVersion.
pub const SERVICE_VERSION: &str = "manifests/kindsmith.clusterserviceversion.yaml";

/// Rules of the built-in role `system:auth-delegator`, which a ClusterServiceVersion cannot bind.
fn auth_delegator() -> [Value; 2] {
    [
        json!({"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}),
        json!({"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]}),
    ]
}

/// Returns the folder of the bundle.
pub fn folder() -> PathBuf {
    program::workspace().join("deploy/olm")
}

/// Returns the files of the bundle, by their path below its folder.
///
/// # Errors
/// The chart cannot be rendered, or lacks what a bundle needs.
pub fn files() -> Result<BTreeMap<String, String>> {
    let objects = chart::objects(&["--set", chart::IMAGE, "--set", VALUES, "--no-hooks"])?;
    let mut files = BTreeMap::new();
    let (mut deployments, mut rules) = (Vec::new(), BTreeMap::<&str, Vec<Value>>::new());
    for object in objects {
        let object = without_release(object);
        let name = object["metadata"]["name"].as_str().context("an object has no name")?.to_owned();
        let kind = object["kind"].as_str().context("an object has no kind")?.to_owned();
        let account = ACCOUNTS.into_iter().find(|account| name.starts_with(account));
        match kind.as_str() {
            // Accounts are made by the ClusterServiceVersion. A bundle may have no quota: where a provider asks for one, the
            // namespace needs it.
            "ServiceAccount" | "ResourceQuota" => {}
            "Deployment" => {
                deployments.push(json!({"name": name, "label": object["metadata"]["labels"], "spec": object["spec"]}))
            }
            "ClusterRole" if ACCOUNTS.contains(&name.as_str()) => {
                let given = object["rules"].as_array().context("a role without rules")?;
                rules.entry(account.context("a role of nobody")?).or_default().extend(given.iter().cloned());
            }
            "ClusterRoleBinding" if ACCOUNTS.contains(&name.as_str()) => {}
            "ClusterRoleBinding" if object["roleRef"]["name"] == "system:auth-delegator" => {
                rules.entry(account.context("a binding of nobody")?).or_default().extend(auth_delegator());
            }
            // Nothing of a bundle is in the namespace default: the right is cluster-wide.
            "Role" if object["metadata"]["namespace"] == "default" => {
                let given = object["rules"].as_array().context("a role without rules")?;
                rules.entry(account.context("a role of nobody")?).or_default().extend(given.iter().cloned());
            }
            "RoleBinding" if object["metadata"]["namespace"] == "default" => {}
            _ => {
                let file = format!("{}_{}.yaml", name.replace(':', "-"), kind.to_lowercase());
                files.insert(format!("manifests/{file}"), yaml(&without_namespace(object))?);
            }
        }
    }
    let crd = fs::read_to_string(program::workspace().join("deploy/crds/applicationdefinitions.yaml"));
    files.insert(
        "manifests/kindsmith.dev_applicationdefinitions.yaml".to_owned(),
        crd.context("reading the definition")?,
    );
    let permissions: Vec<Value> =
        rules.into_iter().map(|(account, rules)| json!({"serviceAccountName": account, "rules": rules})).collect();
    files.insert(SERVICE_VERSION.to_owned(), yaml(&service_version(&deployments, &permissions)?)?);
    files.insert("metadata/annotations.yaml".to_owned(), yaml(&annotations())?);
    Ok(files)
}

fn yaml(value: &Value) -> Result<String> {
    serde_saphyr::to_string(value).context("writing YAML")
}

/// Leaves out the labels that say which release of Helm an object belongs to.
fn without_release(mut object: Value) -> Value {
    if let Some(labels) = object.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.retain(|label, _| !chart::is_of_helm(label));
    }
    object
}

/// Leaves the namespace out: each object goes into that of the installation.
fn without_namespace(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("namespace");
    }
    object
}

fn annotations() -> Value {
    json!({"annotations": {
        "operators.operatorframework.io.bundle.mediatype.v1": "registry+v1",
        "operators.operatorframework.io.bundle.manifests.v1": "manifests/",
        "operators.operatorframework.io.bundle.metadata.v1": "metadata/",
        "operators.operatorframework.io.bundle.package.v1": "kindsmith",
        "operators.operatorframework.io.bundle.channels.v1": "alpha",
        "operators.operatorframework.io.bundle.channel.default.v1": "alpha",
    }})
}

/// The text that catalogs show.
const DESCRIPTION: &str = "\
**Before you remove this operator, run `kindsmith uninstall`.** The Operator Lifecycle Manager deletes the
CustomResourceDefinition of definitions with it, and with that all definitions; they have a finalizer that only the operator or this
command removes. The HelmReleases of instances, and what Flux made of them, are left and go on working.

Kindsmith turns an ApplicationDefinition into a served Kubernetes kind, without a CustomResourceDefinition for each kind and without
a database of its own. A platform team describes an application once; tenants use it with kubectl, client-go and GitOps as any
other API. What a tenant creates becomes the Flux HelmRelease that does the work, and what Flux says of it becomes its status.

### What is needed

- Flux, at least its CustomResourceDefinition of HelmRelease (`helm.toolkit.fluxcd.io/v2`).
- The aggregation layer, as nearly all clusters have it.
- The namespace `kindsmith-system`: rights in it are given to accounts of it.

There is nothing to configure: the operator issues certificates and registers the kinds.
";

/// A K in a hexagon.
const ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><path d="M32 3 57 17.5v29L32 61 7 46.5v-29z" fill="#23395b"/><path d="M23 18v28M43 18 24 33l19 13" fill="none" stroke="#fff" stroke-width="6" stroke-linecap="round" stroke-linejoin="round"/></svg>"##;

fn service_version(deployments: &[Value], permissions: &[Value]) -> Result<Value> {
    let example = fs::read_to_string(program::workspace().join("deploy/examples/redis.yaml"));
    let example: Value =
        serde_saphyr::from_str(&example.context("reading an example")?).context("an example is not YAML")?;
    let image = deployments
        .first()
        .and_then(|it| it.pointer("/spec/template/spec/containers/0/image"))
        .context("no Deployment names an image")?;
    let version = env!("CARGO_PKG_VERSION");
    Ok(json!({
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "ClusterServiceVersion",
        "metadata": {
            "name": format!("kindsmith.v{version}"),
            "namespace": "placeholder",
            "labels": {
                "operatorframework.io/arch.amd64": "supported",
                "operatorframework.io/arch.arm64": "supported",
                "operatorframework.io/os.linux": "supported",
            },
            "annotations": {
                "alm-examples": serde_json::to_string_pretty(&json!([example])).context("writing an example")?,
                "capabilities": "Seamless Upgrades",
                "categories": "Developer Tools, Application Runtime",
                "containerImage": image,
                "createdAt": "2026-11-30T00:00:00Z",
                "description": "Serves Kubernetes kinds from ApplicationDefinitions, with Flux HelmReleases behind them.",
                "operatorframework.io/suggested-namespace": NAMESPACE,
                "repository": "https://kindsmith.dev",
                "support": "Kindsmith",
            },
        },
        "spec": {
            "displayName": "Kindsmith",
            "description": DESCRIPTION,
            "version": version,
            "maturity": "alpha",
            "minKubeVersion": "1.30.0",
            "keywords": ["api", "aggregation", "flux", "helm", "platform"],
            "maintainers": [{"name": "Kindsmith", "email": "maintainers@kindsmith.dev"}],
            "provider": {"name": "Kindsmith", "url": "https://kindsmith.dev"},
            "links": [{"name": "Documentation", "url": "https://kindsmith.dev"}],
            "icon": [{"base64data": STANDARD.encode(ICON), "mediatype": "image/svg+xml"}],
            "installModes": [
                {"type": "OwnNamespace", "supported": false},
                {"type": "SingleNamespace", "supported": false},
                {"type": "MultiNamespace", "supported": false},
                {"type": "AllNamespaces", "supported": true},
            ],
            "customresourcedefinitions": {"owned": [{
                "name": "applicationdefinitions.kindsmith.dev",
                "kind": "ApplicationDefinition",
                "version": "v1alpha1",
                "displayName": "Application definition",
                "description": "Describes a kind that tenants use, and the Helm chart behind it.",
            }]},
            "install": {"strategy": "deployment", "spec": {"clusterPermissions": permissions, "deployments": deployments}},
            "relatedImages": [{"name": "kindsmith", "image": image}],
        },
    }))
}
