//! Chains of certificates: whether a peer's certificate was issued, directly or not, by a CA of a pool.

use std::sync::Arc;

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, UnixTime, pem::PemObject as _},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::server::Peer;

/// CAs that certificates are checked against.
#[derive(Clone, Debug)]
pub(crate) struct CaPool {
    verifier: Arc<dyn ClientCertVerifier>,
}

impl CaPool {
    /// The CAs of a PEM bundle.
    pub(super) fn from_pem(pem: &str) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| error.to_string())?;
            roots.add(certificate).map_err(|error| error.to_string())?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { verifier })
    }

    /// Checks the peer's certificate and returns its common name.
    pub(super) fn verify(&self, peer: &Peer) -> Result<String, String> {
        let Some((own, intermediates)) = peer.certificates.split_first() else {
            return Err("no client certificate".to_owned());
        };
        self.verifier
            .verify_client_cert(own, intermediates, UnixTime::now())
            .map_err(|error| format!("the client certificate is not believed: {error}"))?;
        let (_, parsed) = X509Certificate::from_der(own).map_err(|error| error.to_string())?;
        Ok(common_name(&parsed))
    }
}

/// The common name of a certificate's subject; empty when it has none.
pub(super) fn common_name(certificate: &X509Certificate<'_>) -> String {
    let mut names = certificate.subject().iter_common_name();
    names.next().and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned()
}
