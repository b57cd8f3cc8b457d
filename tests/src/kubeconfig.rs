//! Kubeconfig files, and clients made from them.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

use crate::pki::Credential;

/// A kubeconfig with one cluster and one user, who has a client certificate.
///
/// # Errors
/// It cannot be written as YAML.
pub fn render(url: &str, authority: &str, credential: &Credential) -> Result<String> {
    let user = json!({
        "client-certificate-data": base64(&credential.certificate),
        "client-key-data": base64(&credential.key),
    });
    render_user(url, authority, &user)
}

/// A kubeconfig with one cluster and one user, who has a token.
///
/// # Errors
/// It cannot be written as YAML.
pub fn render_token(url: &str, authority: &str, token: &str) -> Result<String> {
    render_user(url, authority, &json!({"token": token}))
}

fn render_user(url: &str, authority: &str, user: &Value) -> Result<String> {
    // Through base64 of the PEM texts, as kubectl itself writes embedded files: one file that can be moved.
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority-data": base64(authority)}}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    });
    serde_saphyr::to_string(&config).context("writing a kubeconfig")
}

/// A client as a kubeconfig file says.
///
/// # Errors
/// The file cannot be read, or does not say enough.
pub async fn client(path: &Path) -> Result<Client> {
    Client::try_from(config(path).await?).with_context(|| format!("making a client of {}", path.display()))
}

/// A client configuration as a kubeconfig file says, with the TLS provider installed that every client needs.
///
/// # Errors
/// The file cannot be read, or does not say enough.
pub async fn config(path: &Path) -> Result<Config> {
    install_tls_provider();
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let kubeconfig = Kubeconfig::from_yaml(&text).with_context(|| format!("parsing {}", path.display()))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.with_context(|| format!("understanding {}", path.display()))?;
    // A test sees what the server answers the first time.
    config.default_retry = false;
    Ok(config)
}

/// Asks a server's `/readyz`.
///
/// # Errors
/// It does not answer, or not with 200.
pub async fn ready(client: &Client) -> Result<()> {
    let request = http_get("/readyz")?;
    client.request_text(request).await.context("asking /readyz")?;
    Ok(())
}

fn http_get(path: &str) -> Result<http::Request<Vec<u8>>> {
    http::Request::get(path).body(Vec::new()).context("making a request")
}

/// Makes aws-lc-rs the process's TLS provider, once.
pub fn install_tls_provider() {
    // An error says that there is one already: ours, of an earlier call.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn base64(text: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(text)
}
