//! Manifests of files and directories, definitions first.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use kindsmith_schema::yaml;
use serde_json::Value;

/// The examples, which are used when nothing is named.
const EXAMPLES: [&str; 4] = [
    include_str!("../../deploy/examples/redis.yaml"),
    include_str!("../../deploy/examples/postgres.yaml"),
    include_str!("../../deploy/examples/bucket.yaml"),
    include_str!("../../deploy/examples/instances.yaml"),
];

/// How large one file may be, in bytes; Kubernetes takes objects of 1.5 MiB at most, and a file may have many.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Reads all manifests of the paths; those of the examples when there is no path.
pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<Value>> {
    let mut manifests = Vec::new();
    if paths.is_empty() {
        for text in EXAMPLES {
            manifests.extend(parse(text).context("an example cannot be read")?);
        }
    }
    for file in paths.iter().map(|path| files(path)).collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten() {
        let text = text(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        manifests.extend(parse(&text).with_context(|| format!("{} cannot be read", file.display()))?);
    }
    // An instance can only be applied when its kind is served.
    manifests.sort_by_key(|manifest| match manifest["kind"].as_str() {
        Some("ApplicationDefinition") => 0,
        Some("Namespace") => 1,
        _ => 2,
    });
    Ok(manifests)
}

/// The text of a file; of the standard input for `-`.
pub(crate) fn text(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?
    } else {
        fs::File::open(file)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?
    };
    if u64::try_from(read).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        bail!("it is larger than {} MiB", FILE_BYTES_MAX >> 20);
    }
    Ok(text)
}

/// The file itself, or the manifests directly in a directory, sorted by name.
pub(crate) fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        if path != Path::new("-") && !path.exists() {
            bail!("{} does not exist", path.display());
        }
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).with_context(|| format!("{} cannot be read", path.display()))? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The objects of a text with any number of documents; lists are taken apart.
pub(crate) fn parse(text: &str) -> anyhow::Result<Vec<Value>> {
    let mut manifests = Vec::new();
    for document in yaml::read_all(text.as_bytes())? {
        match document.value {
            Value::Null => {}
            Value::Object(mut list) if list.get("kind").and_then(Value::as_str) == Some("List") => {
                if let Some(Value::Array(items)) = list.remove("items") {
                    manifests.extend(items);
                }
            }
            object @ Value::Object(_) => manifests.push(object),
            _ => bail!("a document is not an object"),
        }
    }
    Ok(manifests)
}
