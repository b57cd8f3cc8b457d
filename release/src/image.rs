//! An image for one processor: a layer, what runs in it, and the manifest of both.
//!
//! Source: github.com/opencontainers/image-spec (config.md, manifest.md, annotations.md).

use serde_json::{Value, json};

use crate::{
    arch::Arch,
    layer::{self, Entry, Layer},
    layout::Blob,
};

/// Who runs the binary: nobody that a node knows.
const USER: u32 = 65532;

/// What an image is made of.
pub(crate) struct Contents {
    /// The binary.
    pub(crate) binary: Vec<u8>,
    /// Our own licence.
    pub(crate) licence: Vec<u8>,
    /// The licences of everybody else.
    pub(crate) notices: String,
    /// The bill of materials.
    pub(crate) bill: String,
}

/// An image.
pub(crate) struct Image {
    /// For whom it is.
    pub(crate) arch: Arch,
    /// The manifest.
    pub(crate) manifest: Blob,
    /// What the manifest names.
    pub(crate) blobs: Vec<Blob>,
}

/// The name by which an image is loaded if no other is said. `localhost` is no registry of anybody.
pub(crate) fn default_name() -> String {
    format!("localhost/kindsmith:{}", env!("CARGO_PKG_VERSION"))
}

impl Image {
    /// Puts an image together, as of the time of the commit that it is made of.
    ///
    /// # Errors
    /// It cannot be packed.
    pub(crate) fn new(arch: Arch, contents: &Contents, created: &str) -> anyhow::Result<Self> {
        let passwd = format!("root:x:0:0:root:/:/sbin/nologin\nkindsmith:x:{USER}:{USER}:kindsmith:/:/sbin/nologin\n");
        let group = format!("root:x:0:\nkindsmith:x:{USER}:\n");
        let layer = layer::pack(&[
            ("etc", Entry::Folder(0o755)),
            ("etc/group", Entry::File(0o644, group.as_bytes())),
            ("etc/passwd", Entry::File(0o644, passwd.as_bytes())),
            ("kindsmith", Entry::File(0o755, &contents.binary)),
            ("licenses", Entry::Folder(0o755)),
            ("licenses/LICENSE", Entry::File(0o644, &contents.licence)),
            ("licenses/THIRD-PARTY", Entry::File(0o644, contents.notices.as_bytes())),
            ("sbom", Entry::Folder(0o755)),
            ("sbom/kindsmith.cdx.json", Entry::File(0o644, contents.bill.as_bytes())),
            ("tmp", Entry::Folder(0o1777)),
        ])?;
        let described = json!({
            "org.opencontainers.image.title": "kindsmith",
            "org.opencontainers.image.description": "Serves Kubernetes kinds that are defined by applying a manifest",
            "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
            "org.opencontainers.image.licenses": "Apache-2.0",
            "org.opencontainers.image.created": created,
        });
        let run = json!({
            "User": format!("{USER}:{USER}"),
            "Entrypoint": ["/kindsmith"],
            "WorkingDir": "/",
            "Labels": described,
        });
        Ok(Self::assemble(arch, layer, &run, &described, created))
    }

    /// Puts an image of one layer together: how it is run, and what is said of it.
    pub(crate) fn assemble(arch: Arch, layer: Layer, run: &Value, described: &Value, created: &str) -> Self {
        let config = Blob::json(
            "application/vnd.oci.image.config.v1+json",
            &json!({
                "architecture": arch.name(),
                "os": "linux",
                "created": created,
                "config": run,
                "rootfs": {"type": "layers", "diff_ids": [crate::layout::digest(&layer.tar)]},
                "history": [{"created": created, "created_by": "cargo run -p release"}],
            }),
        );
        let layer = Blob::new("application/vnd.oci.image.layer.v1.tar+gzip", layer.gzip);
        let manifest: Value = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor(),
            "layers": [layer.descriptor()],
            "annotations": described,
        });
        Self { arch, manifest: Blob::json(MANIFEST, &manifest), blobs: vec![config, layer] }
    }

    /// The bytes that a node takes for it.
    pub(crate) fn layer_bytes(&self) -> usize {
        self.blobs.iter().map(|blob| blob.bytes.len()).sum()
    }

    /// The digest of the manifest.
    pub(crate) fn digest(&self) -> String {
        self.manifest.digest()
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
