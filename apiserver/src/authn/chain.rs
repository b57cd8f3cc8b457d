//! Chains of certificates: whether a peer's certificate was issued, directly or not, by a CA of a pool.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, UnixTime, pem::PemObject as _},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::server::Peer;

/// How many chains are remembered; kube-apiserver comes with one.
const REMEMBERED_MAX: usize = 16;

/// CAs that certificates are checked against.
#[derive(Clone, Debug)]
pub(crate) struct CaPool {
    verifier: Arc<dyn ClientCertVerifier>,
    /// Chains that were believed in the present second. Time is counted in seconds, so they would be again; to check the
    /// signatures takes longer than to answer a request.
    believed: Arc<Mutex<Believed>>,
}

#[derive(Debug)]
struct Believed {
    at: UnixTime,
    /// With the common names.
    chains: Vec<(Vec<CertificateDer<'static>>, String)>,
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
        let believed = Believed { at: UnixTime::now(), chains: Vec::new() };
        Ok(Self { verifier, believed: Arc::new(Mutex::new(believed)) })
    }

    /// Checks the peer's certificate and returns its common name.
    pub(super) fn verify(&self, peer: &Peer) -> Result<String, String> {
        self.verify_at(peer, UnixTime::now())
    }

    fn verify_at(&self, peer: &Peer, now: UnixTime) -> Result<String, String> {
        if let Some(name) = self.remembered(&peer.certificates, now) {
            return Ok(name);
        }
        let Some((own, intermediates)) = peer.certificates.split_first() else {
            return Err("no client certificate".to_owned());
        };
        self.verifier
            .verify_client_cert(own, intermediates, now)
            .map_err(|error| format!("the client certificate is not believed: {error}"))?;
        let (_, parsed) = X509Certificate::from_der(own).map_err(|error| error.to_string())?;
        let name = common_name(&parsed);
        let mut believed = self.believed();
        if believed.at == now && believed.chains.len() < REMEMBERED_MAX {
            believed.chains.push((peer.certificates.clone(), name.clone()));
        }
        Ok(name)
    }

    /// The common name of a chain that was believed in this second.
    fn remembered(&self, chain: &[CertificateDer<'static>], now: UnixTime) -> Option<String> {
        let mut believed = self.believed();
        if believed.at != now {
            *believed = Believed { at: now, chains: Vec::new() };
        }
        believed.chains.iter().find(|(held, _)| held == chain).map(|(_, name)| name.clone())
    }

    fn believed(&self) -> MutexGuard<'_, Believed> {
        self.believed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The common name of a certificate's subject; empty when it has none.
pub(super) fn common_name(certificate: &X509Certificate<'_>) -> String {
    let mut names = certificate.subject().iter_common_name();
    names.next().and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        date_time_ymd,
    };

    use super::*;

    #[test]
    fn what_was_believed_is_not_when_it_has_expired_or_under_another_ca() {
        let ca = || {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        };
        let (ours, other) = (ca(), ca());
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "bob");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let end = date_time_ymd(2030, 1, 1);
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), end);
        let shown = params.signed_by(&KeyPair::generate().unwrap(), &ours).unwrap().der().clone();
        let peer = |certificates| Peer { address: ([127, 0, 0, 1], 1).into(), certificates };
        let bob = peer(vec![shown]);
        let second = |offset: i64| {
            let seconds = u64::try_from(end.unix_timestamp() + offset).unwrap();
            UnixTime::since_unix_epoch(Duration::from_secs(seconds))
        };
        let (pool, others) = (CaPool::from_pem(&ours.pem()).unwrap(), CaPool::from_pem(&other.pem()).unwrap());
        for _ in 0..2 {
            assert_eq!(pool.verify_at(&bob, second(-1)), Ok("bob".to_owned()));
            assert!(others.verify_at(&bob, second(-1)).is_err());
            assert!(pool.verify_at(&peer(Vec::new()), second(-1)).is_err());
        }
        assert!(pool.remembered(&bob.certificates, second(-1)).is_some());
        assert!(pool.verify_at(&bob, second(1)).is_err());
        assert!(pool.remembered(&bob.certificates, second(1)).is_none());
    }
}
