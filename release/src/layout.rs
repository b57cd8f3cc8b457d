//! An archive in the layout of the Open Container Initiative: blobs by their digests, and an index of images.
//!
//! Source: github.com/opencontainers/image-spec (image-layout.md, image-index.md, descriptor.md).

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::Context as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::Builder;

use crate::{
    image::Image,
    layer::{self, Entry},
};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Bytes that are known by their digest.
pub(crate) struct Blob {
    media_type: &'static str,
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
}

impl Blob {
    /// Bytes of a media type.
    pub(crate) fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { media_type, bytes }
    }

    /// JSON of a media type.
    pub(crate) fn json(media_type: &'static str, value: &Value) -> Self {
        Self::new(media_type, value.to_string().into_bytes())
    }

    /// The digest.
    pub(crate) fn digest(&self) -> String {
        digest(&self.bytes)
    }

    /// What names it in other documents.
    pub(crate) fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest(), "size": self.bytes.len()})
    }
}

/// The digest of bytes, as descriptors have it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

/// An archive.
pub(crate) struct Layout {
    digest: String,
    /// Files by their paths.
    files: BTreeMap<String, Vec<u8>>,
}

impl Layout {
    /// Images that are one, each for its processor, with a name.
    ///
    /// # Errors
    /// There is no image, or the name has no tag.
    pub(crate) fn new(images: &[Image], name: &str) -> anyhow::Result<Self> {
        anyhow::ensure!(!images.is_empty(), "name a processor with --arch");
        let tag = name.rsplit_once('/').map_or(name, |(_, last)| last);
        let (_, tag) = tag.split_once(':').with_context(|| format!("{name:?} has no tag; write NAME:TAG"))?;
        let mut files = BTreeMap::new();
        let mut put = |blob: &Blob| {
            let path = format!("blobs/{}", blob.digest().replace(':', "/"));
            files.insert(path, blob.bytes.clone());
        };
        let mut manifests = Vec::new();
        for image in images {
            image.blobs.iter().for_each(&mut put);
            put(&image.manifest);
            let mut descriptor = image.manifest.descriptor();
            descriptor["platform"] = json!({"architecture": image.arch.name(), "os": "linux"});
            manifests.push(descriptor);
        }
        let index = Blob::json(INDEX, &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}));
        put(&index);
        let mut named = index.descriptor();
        // containerd knows an image by the first, everybody else by the second.
        named["annotations"] = json!({"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag});
        let outer = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]});
        files.insert("index.json".to_owned(), outer.to_string().into_bytes());
        files.insert("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
        Ok(Self { digest: index.digest(), files })
    }

    /// The digest of the index of images.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// Writes the archive, beside and then in its place.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let failed = || format!("{} cannot be written", file.display());
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(failed)?;
        }
        let beside = file.with_extension("part");
        let mut archive = Builder::new(BufWriter::new(File::create(&beside).with_context(failed)?));
        for (path, bytes) in &self.files {
            layer::append(&mut archive, path, &Entry::File(0o644, bytes)).with_context(failed)?;
        }
        let mut written = archive.into_inner().with_context(failed)?;
        written.flush().with_context(failed)?;
        fs::rename(&beside, file).with_context(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, io::Read as _};

    use super::*;
    use crate::{arch::Arch, image::Contents};

    const CREATED: &str = "2026-11-30T00:00:00Z";

    fn images() -> Vec<Image> {
        [Arch::Amd64, Arch::Arm64]
            .into_iter()
            .map(|arch| {
                let contents = Contents {
                    binary: format!("a binary for {arch}").into_bytes(),
                    licence: b"ours".to_vec(),
                    notices: "theirs".to_owned(),
                    bill: "{}".to_owned(),
                };
                Image::new(arch, &contents, CREATED).unwrap()
            })
            .collect()
    }

    /// The files of an archive.
    fn unpacked(file: &Path) -> HashMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(File::open(file).unwrap());
        let read = |entry: std::io::Result<tar::Entry<'_, File>>| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.path().unwrap().display().to_string(), bytes)
        };
        archive.entries().unwrap().map(read).collect()
    }

    #[test]
    fn everything_that_is_named_is_there_and_has_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/image.tar");
        Layout::new(&images(), "localhost/kindsmith:1").unwrap().write(&file).unwrap();
        let files = unpacked(&file);
        let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        let blob = |descriptor: &Value| {
            let named = descriptor["digest"].as_str().unwrap();
            let bytes = &files[&format!("blobs/{}", named.replace(':', "/"))];
            assert_eq!(digest(bytes), named);
            assert_eq!(descriptor["size"], bytes.len());
            bytes.clone()
        };
        assert_eq!(json(&files["oci-layout"])["imageLayoutVersion"], "1.0.0");
        let outer = json(&files["index.json"]);
        assert_eq!(outer["manifests"][0]["annotations"]["io.containerd.image.name"], "localhost/kindsmith:1");
        assert_eq!(outer["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "1");
        let index = json(&blob(&outer["manifests"][0]));
        let mut found = Vec::new();
        for descriptor in index["manifests"].as_array().unwrap() {
            let manifest = json(&blob(descriptor));
            let config = json(&blob(&manifest["config"]));
            assert_eq!(config["architecture"], descriptor["platform"]["architecture"]);
            assert_eq!(config["config"]["User"], "65532:65532");
            let mut layer = Vec::new();
            flate2::read::GzDecoder::new(&blob(&manifest["layers"][0])[..]).read_to_end(&mut layer).unwrap();
            assert_eq!(config["rootfs"]["diff_ids"][0], digest(&layer));
            let mut archive = tar::Archive::new(&layer[..]);
            let paths: Vec<String> =
                archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
            assert!(
                ["kindsmith", "licenses/LICENSE", "sbom/kindsmith.cdx.json"]
                    .iter()
                    .all(|it| paths.contains(&(*it).to_owned()))
            );
            found.push(config["architecture"].as_str().unwrap().to_owned());
        }
        assert_eq!(found, ["amd64", "arm64"]);
    }

    #[test]
    fn an_archive_is_the_same_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["1.tar", "2.tar"].map(|name| {
            let file = folder.path().join(name);
            Layout::new(&images(), "localhost/kindsmith:1").unwrap().write(&file).unwrap();
            fs::read(file).unwrap()
        });
        assert!(first == second, "two archives of the same differ");
    }

    #[test]
    fn a_name_needs_a_tag() {
        assert!(Layout::new(&images(), "localhost:5000/kindsmith").is_err());
        assert!(Layout::new(&images(), "localhost:5000/kindsmith:1").is_ok());
    }
}
