//! Where the serving certificate comes from, followed while we serve: a Secret, or two files.

use kindsmith_backoff::patience;
use std::{io, path::PathBuf, sync::Arc, time::Duration};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use kube_runtime::{WatchStreamExt as _, watcher};
use tokio_util::sync::CancellationToken;

use crate::{rights::Rights, server::ServingCertificate};

/// How often files are read. Mounted ones change by a link that is renamed, which a watch of the file does not tell.
const FILES_EVERY: Duration = Duration::from_secs(2);

/// What is said to be watched.
const WATCHED: &str = "the Secret of the serving certificate";

/// The largest file of a certificate or key.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where the serving certificate comes from.
#[derive(Clone, Debug)]
pub enum CertificateSource {
    /// A Secret of our namespace, with `tls.crt` and `tls.key`: the operator's, or somebody else's.
    Secret(String),
    /// Two files.
    Files {
        /// The certificate and what is sent along with it, PEM.
        certificate: PathBuf,
        /// Its key, PEM.
        key: PathBuf,
    },
}

/// Loads the serving certificate whenever its source changes, until `shutdown`.
pub async fn follow(
    source: CertificateSource,
    client: Client,
    namespace: String,
    certificate: Arc<ServingCertificate>,
    rights: Arc<Rights>,
    shutdown: CancellationToken,
) {
    let followed = async {
        match source {
            CertificateSource::Secret(name) => {
                follow_secret(Api::namespaced(client, &namespace), &name, &certificate, &rights).await;
            }
            CertificateSource::Files { certificate: chain, key } => follow_files(chain, key, &certificate).await,
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = followed => {}
    }
}

fn load(certificate: &ServingCertificate, chain: &[u8], key: &[u8]) {
    match certificate.load(chain, key) {
        Ok(()) => {
            tracing::info!(fingerprint = certificate.fingerprint().unwrap_or_default(), "certificate loaded");
        }
        Err(error) => tracing::error!(%error, "the new certificate cannot be used; the present one stays"),
    }
}

async fn follow_secret(secrets: Api<Secret>, name: &str, certificate: &ServingCertificate, rights: &Rights) {
    let settings = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = watcher(secrets, settings).backoff(patience()).boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Apply(secret) | watcher::Event::InitApply(secret)) => {
                let data = secret.data.unwrap_or_default();
                match (data.get("tls.crt"), data.get("tls.key")) {
                    (Some(chain), Some(key)) => load(certificate, &chain.0, &key.0),
                    _ => {
                        tracing::warn!(name, "the Secret has no tls.crt and tls.key; the present certificate stays");
                    }
                }
            }
            Ok(watcher::Event::Delete(_)) => tracing::warn!("the Secret is gone; the present certificate stays"),
            Ok(watcher::Event::Init) => {}
            Ok(watcher::Event::InitDone) => rights.went_well(WATCHED),
            Err(error) => rights.failed(WATCHED, &error),
        }
    }
}

async fn follow_files(chain: PathBuf, key: PathBuf, certificate: &ServingCertificate) {
    let mut held = None;
    let mut failed = None;
    loop {
        match read_both(&chain, &key).await {
            // While both are replaced, one may be new and the other old: what does not fit is read again.
            Ok(read) if held.as_ref() != Some(&read) => {
                load(certificate, &read.0, &read.1);
                held = Some(read);
                failed = None;
            }
            Ok(_) => {}
            Err(error) => {
                let error = error.to_string();
                if failed.as_ref() != Some(&error) {
                    tracing::error!(error, "the files of the certificate cannot be read; the present one stays");
                    failed = Some(error);
                }
            }
        }
        tokio::time::sleep(FILES_EVERY).await;
    }
}

async fn read_both(chain: &PathBuf, key: &PathBuf) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let read = async |path: &PathBuf| {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        if tokio::fs::metadata(path).await.map_err(named)?.len() > FILE_BYTES_MAX {
            return Err(named(io::Error::other("it is too large")));
        }
        tokio::fs::read(path).await.map_err(named)
    };
    Ok((read(chain).await?, read(key).await?))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn write(folder: &std::path::Path) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["api".to_owned()]).unwrap().self_signed(&key).unwrap();
        fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
        fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn files_that_change_are_loaded_and_broken_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = ServingCertificate::default();
        let followed = follow_files(folder.path().join("tls.crt"), folder.path().join("tls.key"), &certificate);
        let changed = async {
            let until = async |changes: &dyn Fn(Option<String>) -> bool| {
                while !changes(certificate.fingerprint()) {
                    tokio::time::sleep(FILES_EVERY).await;
                }
            };
            tokio::time::sleep(3 * FILES_EVERY).await;
            assert!(!certificate.is_loaded(), "there are no files yet");
            write(folder.path());
            until(&|fingerprint| fingerprint.is_some()).await;
            let first = certificate.fingerprint();
            fs::write(folder.path().join("tls.crt"), "broken").unwrap();
            tokio::time::sleep(3 * FILES_EVERY).await;
            assert_eq!(certificate.fingerprint(), first);
            write(folder.path());
            until(&|fingerprint| fingerprint != first).await;
        };
        tokio::select! {
            () = followed => panic!("it never ends"),
            () = changed => {}
        }
    }
}
