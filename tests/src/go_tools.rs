//! What Go programs make of public modules for tests of the chart: definitions of cert-manager and of the operator of Prometheus, and
//! the check of bundles. Each is built once, and kept in the cache.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{binary, cache};

/// The Go packages whose types the chart can use where a cluster has them.
const CHART_TYPES: [&str; 2] = [
    "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1",
    "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1",
];

/// The kinds of them that the chart uses.
const CHART_KINDS: [&str; 4] = [
    "cert-manager.io_certificates.yaml",
    "cert-manager.io_issuers.yaml",
    "monitoring.coreos.com_prometheusrules.yaml",
    "monitoring.coreos.com_servicemonitors.yaml",
];

/// Returns a folder with the CustomResourceDefinitions of what the chart can use where a cluster has it.
///
/// # Errors
/// There is no Go, the modules cannot be had, or they do not build.
pub fn chart_crds() -> Result<PathBuf> {
    obtain(
        "chart-crds",
        &CHART_KINDS.join("-"),
        "making the definitions of cert-manager and of the operator of Prometheus: once",
        |go, sources, into| {
            let all = tempfile::tempdir()?;
            let mut generator = Command::new(go);
            generator.args(["tool", "controller-gen", "crd:allowDangerousTypes=true,maxDescLen=0"]);
            generator.args(CHART_TYPES.map(|package| format!("paths={package}")));
            binary::run(generator.arg(format!("output:crd:dir={}", all.path().display())).current_dir(sources))?;
            for kind in CHART_KINDS {
                std::fs::copy(all.path().join(kind), into.join(kind))?;
            }
            Ok(())
        },
    )
}

/// Returns the program `operator-verify` of the Operator Framework, which checks bundles.
///
/// # Errors
/// As [`chart_crds`].
pub fn operator_verify() -> Result<PathBuf> {
    let message = "building operator-verify of the Operator Framework for a test: once, about a minute on 2 cores";
    let folder = obtain("operator-verify", "", message, |go, sources, into| {
        let mut build = Command::new(go);
        build.args(["build", "-buildvcs=false", "-ldflags", "-s -w", "-o"]).arg(into.join("operator-verify"));
        binary::run(build.arg("github.com/operator-framework/api/cmd/operator-verify").current_dir(sources))
    })?;
    Ok(folder.join("operator-verify"))
}

/// Makes something of a Go module, once for its sources and for what is made of them.
fn obtain(
    module: &str,
    what: &str,
    message: &str,
    build: impl FnOnce(&Path, &Path, &Path) -> Result<()>,
) -> Result<PathBuf> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join(module);
    let key = format!("{}-{what}", binary::hash(&[&sources])?);
    cache::obtain(&binary::cache_folder()?.join(module), &key, message, |into| {
        build(&binary::find_go()?, &sources, into)
    })
}
