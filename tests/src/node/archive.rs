//! Images as archives: OCI's layout, as `ctr images import` and every registry's tool read it.
//!
//! Source: github.com/opencontainers/image-spec (image-layout.md, config.md, manifest.md).

use std::{
    fmt,
    fs::File,
    io::{BufReader, BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Archive, Builder, EntryType, Header};

/// Who runs what is in an image made here: nobody that a node knows.
const USER: u32 = 65532;

/// The annotation by which containerd names an image of an archive.
const NAME: &str = "io.containerd.image.name";

/// How an image is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The name in front of the tag.
    pub repository: String,
    /// The tag.
    pub tag: String,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

impl Reference {
    /// Reads `REPOSITORY:TAG`.
    pub(super) fn parse(text: &str) -> Result<Reference> {
        let (repository, tag) = text.rsplit_once(':').with_context(|| format!("the image {text:?} has no tag"))?;
        Ok(Reference { repository: repository.to_owned(), tag: tag.to_owned() })
    }

    /// The name of the first image of an archive, OCI's or docker's.
    pub(super) fn of(archive: &Path) -> Result<Reference> {
        let file = File::open(archive).with_context(|| format!("opening {}", archive.display()))?;
        for entry in Archive::new(BufReader::new(file)).entries().context("reading an archive")? {
            let mut entry = entry.with_context(|| format!("reading {}", archive.display()))?;
            let path = entry.path().context("reading the path of an entry")?.into_owned();
            let pointer = match path.to_str() {
                Some("index.json") => format!("/manifests/0/annotations/{NAME}"),
                Some("manifest.json") => "/0/RepoTags/0".to_owned(),
                _ => continue,
            };
            let mut text = String::new();
            entry.read_to_string(&mut text).context("reading an archive")?;
            let index: Value = serde_json::from_str(&text).context("parsing an archive's index")?;
            if let Some(name) = index.pointer(&pointer).and_then(Value::as_str) {
                return Reference::parse(name);
            }
        }
        anyhow::bail!("no image of {} has a name", archive.display())
    }
}

/// A file of an image: where it comes from, and its path there.
pub(super) type Entry = (PathBuf, String);

/// Writes an image with a name and an entry point, of one layer with these files.
pub(super) fn write(archive: &Path, name: &Reference, entry_point: &str, files: &[Entry]) -> Result<()> {
    let layer = layer(files)?;
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": {"User": format!("{USER}:{USER}"), "Entrypoint": [entry_point], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
    });
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    });
    let manifest = manifest.to_string().into_bytes();
    let mut named = descriptor(MANIFEST, &manifest);
    named["annotations"] = json!({NAME: name.to_string(), "org.opencontainers.image.ref.name": name.tag});
    let index = json!({"schemaVersion": 2, "manifests": [named]}).to_string().into_bytes();
    let file = File::create(archive).with_context(|| format!("creating {}", archive.display()))?;
    let mut out = Builder::new(BufWriter::new(file));
    for blob in [&config, &manifest, &layer] {
        append(&mut out, &format!("blobs/{}", digest(blob).replace(':', "/")), EntryType::Regular, blob)?;
    }
    append(&mut out, "oci-layout", EntryType::Regular, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    append(&mut out, "index.json", EntryType::Regular, &index)?;
    out.into_inner().and_then(|mut file| file.flush()).context("writing an image")
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

/// The files, each after the folders that it is in.
fn layer(files: &[Entry]) -> Result<Vec<u8>> {
    let mut layer = Builder::new(Vec::new());
    let mut folders = std::collections::BTreeSet::new();
    for (source, path) in files {
        let path = path.trim_start_matches('/');
        for (at, _) in path.match_indices('/') {
            if folders.insert(&path[..at]) {
                append(&mut layer, &path[..at], EntryType::Directory, &[])?;
            }
        }
        let bytes = std::fs::read(source).with_context(|| format!("reading {}", source.display()))?;
        append(&mut layer, path, EntryType::Regular, &bytes)?;
    }
    layer.into_inner().context("packing a layer")
}

fn append(archive: &mut Builder<impl std::io::Write>, path: &str, kind: EntryType, bytes: &[u8]) -> Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_size(u64::try_from(bytes.len()).context("packing a file")?);
    archive.append_data(&mut header, path, bytes).with_context(|| format!("packing {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_by_its_name() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (archive, file) = (folder.path().join("image.tar"), folder.path().join("file"));
        std::fs::write(&file, "x")?;
        let name = Reference::parse("localhost:5000/a/b:1.2")?;
        write(&archive, &name, "/a/b/file", &[(file, "/a/b/file".to_owned())])?;
        assert_eq!(Reference::of(&archive)?, name);
        assert_eq!((name.repository.as_str(), name.tag.as_str()), ("localhost:5000/a/b", "1.2"));
        Ok(())
    }
}
