//! The serving certificate, replaced while we serve: the next handshake has the new one, open connections go on.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use sha2::{Digest as _, Sha256};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It is no PEM.
    #[error("the certificate or its key is not PEM")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// There is none in the PEM.
    #[error("there is no certificate in the PEM")]
    Empty,
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("the certificate and its key cannot be used")]
    Key(#[from] rustls::Error),
}

/// The serving certificate. Without one, handshakes fail.
#[derive(Debug, Default)]
pub struct ServingCertificate {
    current: ArcSwapOption<CertifiedKey>,
}

impl ServingCertificate {
    /// Makes a certificate the current one. On an error the present one stays.
    ///
    /// # Errors
    /// When the certificate cannot be used with its key.
    pub fn load(&self, chain_pem: &[u8], key_pem: &[u8]) -> Result<(), CertificateError> {
        let chain = CertificateDer::pem_slice_iter(chain_pem).collect::<Result<Vec<_>, _>>()?;
        if chain.is_empty() {
            return Err(CertificateError::Empty);
        }
        let key = PrivateKeyDer::from_pem_slice(key_pem)?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let certified = CertifiedKey::from_der(chain, key, &provider)?;
        certified.keys_match()?;
        self.current.store(Some(Arc::new(certified)));
        Ok(())
    }

    /// Whether there is a certificate.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.current.load().is_some()
    }

    /// When the certificate that is served ends, in seconds of Unix time.
    #[must_use]
    pub fn not_after(&self) -> Option<f64> {
        let current = self.current.load();
        let (_, own) = X509Certificate::from_der(current.as_ref()?.cert.first()?).ok()?;
        Some(own.validity().not_after.timestamp() as f64)
    }

    /// SHA-256 of the certificate that is served, in hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> Option<String> {
        let current = self.current.load();
        let own = current.as_ref()?.cert.first()?;
        Some(Sha256::digest(own).iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }
}
