//! The chart of `deploy/helm/kindsmith`, rendered by the helm library, and what is generated from it.
//!
//! # Flow
//! [`rendered`] → the text of each template → [`plain_manifests`] and [`crate::bundle`], which the repository holds as files.

use std::{collections::BTreeMap, path::PathBuf, process::Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{NAMESPACE, binary, helm, program};

/// Where the image is in everything that is generated: on the node itself, so that no registry is asked.
pub const IMAGE: &str = "image.repository=localhost/kindsmith";

/// How each document begins that helm renders.
const SOURCE: &str = "# Source: kindsmith/templates/";

/// Labels that say which release of Helm an object belongs to.
const OF_HELM: [&str; 4] =
    ["app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart"];

/// Returns the folder of the chart.
pub fn folder() -> PathBuf {
    program::workspace().join("deploy/helm/kindsmith")
}

/// Returns what `helm template` prints for values, as `--set` takes them, or the error that it ends with.
///
/// # Errors
/// helm cannot be run, or refuses the values.
pub fn template(args: &[&str]) -> Result<String> {
    let home = tempfile::tempdir().context("creating a folder for helm")?;
    let mut command = binary::obtain()?.command("helm");
    command.envs(helm::folders(home.path())).stdin(Stdio::null());
    command.args(["template", "kindsmith"]).arg(folder()).args(["--namespace", NAMESPACE]).args(args);
    let output = command.output().context("running helm")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).context("what helm printed is not UTF-8")
}

/// Returns the documents of each template that renders any, by the name of the template, in the order of helm.
///
/// # Errors
/// As [`template`].
pub fn rendered(args: &[&str]) -> Result<BTreeMap<String, Vec<String>>> {
    let text = template(args)?;
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for document in documents(&text) {
        let Some((source, body)) = document.strip_prefix(SOURCE).and_then(|rest| rest.split_once('\n')) else {
            bail!("helm printed a document without its source:\n{document}");
        };
        found.entry(source.to_owned()).or_default().push(body.trim_matches('\n').to_owned() + "\n");
    }
    Ok(found)
}

/// Takes a text of several YAML documents apart.
fn documents(text: &str) -> impl Iterator<Item = &str> {
    text.split("---\n").map(str::trim).filter(|document| !document.is_empty())
}

/// Returns the account that a hook of a template runs as, with all that it may do, and without what runs.
///
/// # Errors
/// As [`template`], or the template renders nothing.
pub fn account(template: &str) -> Result<String> {
    let mut documents =
        rendered(&["--set", IMAGE])?.remove(template).with_context(|| format!("{template} renders nothing"))?;
    let runs = |document: &String| document.lines().any(|line| line == "kind: Job" || line == "kind: Pod");
    documents.retain(|document| !runs(document));
    Ok(documents.join("---\n"))
}

/// Returns all objects that are rendered for values.
///
/// # Errors
/// As [`template`], or what was rendered is not YAML.
pub fn objects(args: &[&str]) -> Result<Vec<Value>> {
    let texts: Vec<String> = rendered(args)?.into_values().flatten().collect();
    texts.iter().map(|text| serde_saphyr::from_str(text).with_context(|| format!("not YAML:\n{text}"))).collect()
}

/// Returns the files of `deploy/manifests` and `deploy/optional`, by their path below `deploy`.
///
/// # Errors
/// As [`template`].
pub fn plain_manifests() -> Result<BTreeMap<String, String>> {
    let namespace = "apiVersion: v1
kind: Namespace
metadata:
  name: {{ .Release.Namespace }}
  labels:
    app.kubernetes.io/name: kindsmith
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/audit: restricted
    pod-security.kubernetes.io/warn: restricted
";
    let namespace = format!(
        "extraObjects={}",
        serde_json::json!([format!("# The namespace of Kindsmith's own parts.\n{namespace}")])
    );
    let set = ["--set", IMAGE, "--set-json", &namespace, "--no-hooks"];
    let mut templates = rendered(&[&set[..], &["--set", "crds.enabled=false,rbac.resourceReferences=true"]].concat())?;
    let mut files = BTreeMap::new();
    for (file, sources) in [
        ("manifests/00-namespace.yaml", &["extra-objects.yaml", "critical-pods.yaml"][..]),
        ("manifests/20-operator-rbac.yaml", &["operator/rbac.yaml", "operator/anchor.yaml"]),
        ("manifests/21-apiserver-rbac.yaml", &["apiserver/rbac.yaml"]),
        ("manifests/30-operator.yaml", &["operator/deployment.yaml"]),
        ("manifests/31-apiserver.yaml", &["apiserver/deployment.yaml"]),
        ("optional/operator-resources-rbac.yaml", &["operator/resource-references.yaml"]),
    ] {
        let mut texts = Vec::new();
        for source in sources {
            texts.extend(templates.remove(*source).with_context(|| format!("{source} rendered nothing"))?);
        }
        files.insert(file.to_owned(), without_release(&texts.join("---\n")));
    }
    ensure!(templates.is_empty(), "these templates are in no file: {:?}", templates.keys());
    Ok(files)
}

/// Reports whether a label says which release of Helm an object belongs to.
pub(crate) fn is_of_helm(label: &str) -> bool {
    OF_HELM.contains(&label)
}

/// Leaves out the lines of labels that say which release of Helm an object belongs to.
fn without_release(text: &str) -> String {
    let of_helm = |line: &str| line.trim_start().split_once(": ").is_some_and(|(label, _)| is_of_helm(label));
    text.split_inclusive('\n').filter(|line| !of_helm(line)).collect()
}
