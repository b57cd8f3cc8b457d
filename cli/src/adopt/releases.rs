//! The releases there are: of a cluster, or in files.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};
use serde_json::{Value, json};

use crate::manifests;

/// How many releases are read at a time.
const PAGE_OBJECTS_MAX: u32 = 200;

/// How long the cluster may take for them.
const PAGE_DEADLINE: Duration = Duration::from_secs(60);

/// How deep directories are looked into, and how many files they may have.
const DIRECTORIES_DEEP_MAX: usize = 32;
const FILES_MAX: usize = 100_000;

/// The group of releases.
const GROUP: &str = "helm.toolkit.fluxcd.io";

/// Each release of a cluster.
pub(super) async fn of_cluster(client: &Client, mut each: impl FnMut(Value)) -> anyhow::Result<()> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, "v2", "HelmRelease"));
    let releases: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let mut page = ListParams::default().limit(PAGE_OBJECTS_MAX);
    loop {
        let listed = tokio::time::timeout(PAGE_DEADLINE, releases.list(&page)).await;
        let listed = listed.context("the cluster does not answer")?.context("HelmReleases cannot be listed")?;
        for release in listed.items {
            each(serde_json::to_value(release)?);
        }
        match listed.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(()),
        }
    }
}

/// Each release in files, and below directories. What names no namespace is in `namespace`.
pub(super) fn of_files(paths: &[PathBuf], namespace: &str, mut each: impl FnMut(Value)) -> anyhow::Result<()> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            below(path, 0, &mut files)?;
        } else {
            files.extend(manifests::files(path)?);
        }
    }
    for file in files {
        let named = || format!("{} cannot be read", file.display());
        for mut object in manifests::parse(&manifests::text(&file).with_context(named)?).with_context(named)? {
            if is_release(&object) {
                let held = &mut object["metadata"]["namespace"];
                if held.as_str().is_none_or(str::is_empty) {
                    *held = json!(namespace);
                }
                each(object);
            }
        }
    }
    Ok(())
}

fn is_release(object: &Value) -> bool {
    let group = object["apiVersion"].as_str().and_then(|version| version.split_once('/')).map(|(group, _)| group);
    group == Some(GROUP) && object["kind"] == "HelmRelease" && object["metadata"].is_object()
}

/// The manifests in a directory and in those inside of it, in the order of their names. What begins with a dot is none.
fn below(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if depth > DIRECTORIES_DEEP_MAX {
        bail!("{} is too deep", directory.display());
    }
    let named = || format!("{} cannot be read", directory.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).with_context(named)? {
        let entry = entry.with_context(named)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push((entry.path(), entry.file_type().with_context(named)?.is_dir()));
        }
    }
    paths.sort();
    for (path, is_directory) in paths {
        let extension = path.extension().and_then(|extension| extension.to_str());
        if is_directory {
            below(&path, depth + 1, files)?;
        } else if matches!(extension, Some("yaml" | "yml" | "json")) && path.is_file() {
            if files.len() >= FILES_MAX {
                bail!("there are more than {FILES_MAX} files");
            }
            files.push(path);
        }
    }
    Ok(())
}
