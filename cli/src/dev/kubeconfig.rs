//! The kubeconfig for kubectl: the CA pinned, the administrator's certificate inside.

use std::{net::SocketAddr, path::Path};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

use super::pki::{Pki, write_private};

/// The kubeconfig.
pub(super) fn kubeconfig(address: SocketAddr, pki: &Pki) -> Value {
    let encoded = |pem: &str| STANDARD.encode(pem);
    let host =
        if address.ip().is_unspecified() { format!("127.0.0.1:{}", address.port()) } else { address.to_string() };
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "kindsmith", "cluster": {
            "server": format!("https://{host}"), "certificate-authority-data": encoded(&pki.ca_pem)}}],
        "users": [{"name": "kindsmith-admin", "user": {
            "client-certificate-data": encoded(&pki.admin.certificate_pem),
            "client-key-data": encoded(&pki.admin.key_pem)}}],
        "contexts": [{"name": "kindsmith", "context": {
            "cluster": "kindsmith", "user": "kindsmith-admin", "namespace": "default"}}],
        "current-context": "kindsmith",
    })
}

/// Writes it, readable by its owner alone.
pub(super) fn write(kubeconfig: &Value, file: &Path) -> anyhow::Result<()> {
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory).with_context(|| format!("{} cannot be created", directory.display()))?;
    }
    write_private(file, &serde_saphyr::to_string(kubeconfig)?)
}

/// A client that uses it.
pub(super) async fn client(kubeconfig: Value) -> anyhow::Result<Client> {
    let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}
