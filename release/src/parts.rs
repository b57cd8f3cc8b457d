//! What the binary is made of, as cargo resolves it for a processor.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use serde_json::Value;

use crate::{arch::Arch, source};

/// The crate that the binary is.
const ROOT: &str = "kindsmith";

/// A crate.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Its licence, as an expression of SPDX.
    pub(crate) licence: Option<String>,
    /// Whether it is one of ours.
    pub(crate) is_ours: bool,
    /// Where its files are.
    pub(crate) folder: PathBuf,
    /// The crates that it needs, as [`Part::key`] names them.
    pub(crate) needs: BTreeSet<String>,
}

impl Part {
    /// Its name and version.
    pub(crate) fn key(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

/// The crates of the binary, by their keys: those that it needs to run, and no tools of its build.
///
/// # Errors
/// cargo does not tell.
pub(crate) fn of_binary(arch: Arch) -> anyhow::Result<BTreeMap<String, Part>> {
    let told = metadata(arch).context("cargo does not tell what the binary is made of")?;
    let list = |of: &Value| of.as_array().cloned().unwrap_or_default();
    let (packages, nodes) = (list(&told["packages"]), list(&told["resolve"]["nodes"]));
    let by_id = |all: &[Value]| -> HashMap<String, Value> {
        all.iter().filter_map(|one| Some((one["id"].as_str()?.to_owned(), one.clone()))).collect()
    };
    let root = packages.iter().find(|package| package["name"] == ROOT).and_then(|package| package["id"].as_str());
    let mut waiting = vec![root.context("there is no kindsmith")?.to_owned()];
    let (packages, nodes) = (by_id(&packages), by_id(&nodes));
    let text = |package: &Value, member: &str| package[member].as_str().unwrap_or_default().to_owned();
    let key = |id: &String| packages.get(id).map(|it| format!("{}@{}", text(it, "name"), text(it, "version")));
    let mut parts = BTreeMap::new();
    while let Some(id) = waiting.pop() {
        let (Some(package), Some(node), Some(own)) = (packages.get(&id), nodes.get(&id), key(&id)) else { continue };
        if parts.contains_key(&own) {
            continue;
        }
        // Tools of the build, and what tests alone need, have a kind.
        let is_linked = |needed: &&Value| list(&needed["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
        let needs: Vec<String> =
            list(&node["deps"]).iter().filter(is_linked).map(|needed| text(needed, "pkg")).collect();
        let part = Part {
            name: text(package, "name"),
            version: text(package, "version"),
            licence: package["license"].as_str().map(str::to_owned),
            is_ours: package["source"].is_null(),
            folder: Path::new(&text(package, "manifest_path")).parent().map(PathBuf::from).unwrap_or_default(),
            needs: needs.iter().filter_map(key).collect(),
        };
        waiting.extend(needs);
        parts.insert(own, part);
    }
    Ok(parts)
}

/// What cargo says of the workspace.
fn metadata(arch: Arch) -> anyhow::Result<Value> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", arch.target()])
        .current_dir(source::workspace())
        .output()
        .context("cargo cannot be started")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    serde_json::from_slice(&output.stdout).context("cargo says no JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_made_of_what_it_needs_to_run() {
        let parts = of_binary(Arch::Amd64).unwrap();
        let names: BTreeSet<&str> = parts.values().map(|part| part.name.as_str()).collect();
        for wanted in ["kindsmith", "kindsmith-schema", "tokio", "rustls", "aws-lc-sys"] {
            assert!(names.contains(wanted), "{wanted} is missing");
        }
        for unwanted in ["kindsmith-tests", "criterion", "proptest", "release"] {
            assert!(!names.contains(unwanted), "{unwanted} is no part of it");
        }
        assert!(parts.values().all(|part| part.needs.iter().all(|needed| parts.contains_key(needed))));
    }
}
