//! The bundle for the Operator Lifecycle Manager as an image: the files of `deploy/olm`, with labels that say what they are.
//!
//! Source: github.com/operator-framework/operator-registry (docs/design/operator-bundle.md).

use std::{collections::BTreeMap, fs};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::json;

use crate::{
    arch::Arch,
    image::{self, Image},
    layer::{self, Entry},
    source,
};

/// The folders of a bundle.
const FOLDERS: [&str; 2] = ["manifests", "metadata"];

/// Where the labels of the image are written down.
const ANNOTATIONS: &str = "metadata/annotations.yaml";

#[derive(Deserialize)]
struct Annotations {
    annotations: BTreeMap<String, String>,
}

/// Returns the name by which the bundle is loaded if no other is said.
pub(crate) fn default_name() -> String {
    format!("localhost/kindsmith-bundle:{}", env!("CARGO_PKG_VERSION"))
}

/// Makes the image of the bundle, for an image of Kindsmith.
///
/// # Errors
/// A file cannot be read, or the bundle names no image.
pub(crate) fn image(kindsmith: &str, created: &str) -> anyhow::Result<Image> {
    let files = files(kindsmith)?;
    let mut entries = Vec::new();
    for folder in FOLDERS {
        entries.push((folder, Entry::Folder(0o755)));
        let inside = files.iter().filter(|(path, _)| path.starts_with(folder));
        entries.extend(inside.map(|(path, text)| (path.as_str(), Entry::File(0o644, text.as_bytes()))));
    }
    let layer = layer::pack(&entries)?;
    let annotations = files.get(ANNOTATIONS).with_context(|| format!("the bundle has no {ANNOTATIONS}"))?;
    let labels: Annotations =
        serde_saphyr::from_str(annotations).with_context(|| format!("{ANNOTATIONS} cannot be read"))?;
    let run = json!({"Labels": labels.annotations});
    // It is not run: the processor is any.
    Ok(Image::assemble(Arch::Amd64, layer, &run, &json!(labels.annotations), created))
}

/// Returns the files of the bundle by their paths, with the image named.
fn files(kindsmith: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    let mut named = 0;
    for folder in FOLDERS {
        let path = source::workspace().join("deploy/olm").join(folder);
        for entry in fs::read_dir(&path).with_context(|| format!("{} cannot be read", path.display()))? {
            let file = entry?.path();
            let text = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
            let name = file.file_name().and_then(|name| name.to_str()).context("a file's name is not UTF-8")?;
            named += text.matches(&image::default_name()).count();
            files.insert(format!("{folder}/{name}"), text.replace(&image::default_name(), kindsmith));
        }
    }
    anyhow::ensure!(named > 0, "deploy/olm does not name {}", image::default_name());
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_names_the_image_and_is_the_same_each_time() {
        let named = "registry.example.com/kindsmith@sha256:0";
        let files = files(named).unwrap();
        let texts: String = files.values().map(String::as_str).collect();
        assert!(texts.contains(named) && !texts.contains(&image::default_name()));
        let digest = || image(named, "2026-01-01T00:00:00Z").unwrap().digest();
        assert_eq!(digest(), digest());
    }
}
