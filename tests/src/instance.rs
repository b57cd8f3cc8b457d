//! The folder that one running control plane lives in: certificates, data, logs and kubeconfigs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{
    binary::say,
    pki::{self, Authority},
};

/// The user that the harness itself is; its group may do everything.
pub const ADMIN: (&str, &[&str]) = ("admin", &["system:masters"]);

/// The name in the front proxy's client certificate, which kube-apiserver shows to extension API servers.
pub const FRONT_PROXY: &str = "front-proxy-client";

/// If this variable is set, every folder is kept.
pub const KEEP_VARIABLE: &str = "KINDSMITH_KEEP";

/// Names that kube-apiserver's serving certificate is for; pods know it by the first address of Services.
const SERVER_NAMES: [&str; 5] = ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default.svc", "10.0.0.1"];

/// An instance's folder. A temporary one is removed at the end, unless a test failed in it.
#[derive(Debug)]
pub struct Instance {
    folder: PathBuf,
    temporary: Option<TempDir>,
    keep: bool,
    /// Signs clients and kube-apiserver's own certificate.
    pub cluster: Authority,
    /// Signs the front proxy's client certificate, and nothing else.
    pub front_proxy: Authority,
    /// The front proxy's client certificate.
    pub front_proxy_client: pki::Credential,
}

impl Instance {
    /// A new instance in a folder of its own, temporary unless one is given.
    ///
    /// # Errors
    /// The given folder holds something else, or a file cannot be written.
    pub fn create(folder: Option<&Path>) -> Result<Instance> {
        let (folder, temporary) = match folder {
            Some(folder) => (claim(folder)?, None),
            None => {
                let temporary = tempfile::Builder::new().prefix("kindsmith-test-").tempdir();
                let temporary = temporary.context("creating a temporary folder")?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        for name in ["pki", "logs", "home"] {
            fs::create_dir_all(folder.join(name)).with_context(|| format!("creating {name}"))?;
        }
        let cluster = Authority::new("kindsmith-test-cluster")?;
        let front_proxy = Authority::new("kindsmith-test-front-proxy")?;
        let front_proxy_client = front_proxy.client(FRONT_PROXY, &[])?;
        let pki = folder.join("pki");
        front_proxy_client.write(&pki, "front-proxy-client")?;
        cluster.server(&SERVER_NAMES)?.write(&pki, "kube-apiserver")?;
        let (private, public) = pki::signing_key()?;
        for (name, text) in [
            ("cluster-ca.crt", cluster.certificate()),
            ("front-proxy-ca.crt", front_proxy.certificate()),
            ("service-accounts.key", private),
            ("service-accounts.pub", public),
        ] {
            fs::write(pki.join(name), text).with_context(|| format!("writing {name}"))?;
        }
        Ok(Instance { folder, temporary, keep: false, cluster, front_proxy, front_proxy_client })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// A file of the certificates' folder.
    pub fn pki(&self, file: &str) -> PathBuf {
        self.folder.join("pki").join(file)
    }

    /// A server's log.
    pub fn log(&self, server: &str) -> PathBuf {
        self.folder.join("logs").join(server).with_extension("log")
    }

    /// Leaves the folder where it is, for a person to read.
    pub fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary.take()
            && (self.keep || std::thread::panicking() || std::env::var_os(KEEP_VARIABLE).is_some())
        {
            say(&format!("the control plane's logs and data are kept: {}", temporary.keep().display()));
        }
    }
}

/// Takes a folder for an instance that a person wants to find again: it is new, empty, or has held an instance before.
fn claim(folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let folder = fs::canonicalize(folder).with_context(|| format!("finding {}", folder.display()))?;
    let empty = fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?.next().is_none();
    if !empty && !folder.join("pki/service-accounts.key").is_file() {
        bail!("{} holds something else; name an empty folder", folder.display());
    }
    for name in ["etcd", "pki", "logs", "home"] {
        match fs::remove_dir_all(folder.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("emptying {}", folder.display()));
            }
            _ => {}
        }
    }
    Ok(folder)
}
