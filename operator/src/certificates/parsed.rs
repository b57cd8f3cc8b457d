//! Reads a certificate and its key from PEM bytes.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use rcgen::{KeyPair, PublicKeyData};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::aws_lc_rs,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use sha2::{Digest, Sha256};
use x509_parser::{extensions::GeneralName, prelude::X509Certificate};

/// The most certificates that are read from one PEM bundle.
pub(crate) const BUNDLE_CERTIFICATES_MAX: usize = 16;

/// A certificate as its bytes tell it, with a key that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The certificate alone, DER.
    pub der: CertificateDer<'static>,
    /// The first moment it is valid.
    pub not_before: Timestamp,
    /// The last moment it is valid.
    pub not_after: Timestamp,
    /// DNS names and addresses it is valid for.
    pub sans: BTreeSet<String>,
    /// What it may be used for.
    pub role: Role,
}

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It may sign others.
    Authority,
    /// It may not.
    Leaf,
}

/// Why bytes are no usable certificate.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// There is no PEM block of a certificate.
    #[error("no certificate in PEM: {0}")]
    Pem(#[source] rustls_pki_types::pem::Error),
    /// The certificate does not parse.
    #[error("not an X.509 certificate: {0}")]
    X509(String),
    /// A time of the certificate is out of range.
    #[error("validity out of range: {0}")]
    Validity(#[source] jiff::Error),
    /// The private key does not parse.
    #[error("no usable private key: {0}")]
    Key(#[source] rcgen::Error),
    /// The private key is another one's.
    #[error("the private key does not belong to the certificate")]
    ForeignKey,
}

impl Parsed {
    /// Reads the first certificate of `certificate_pem`, and checks that `key_pem` belongs to it.
    ///
    /// # Errors
    /// When either does not parse, or they do not belong together.
    pub fn read(certificate_pem: &[u8], key_pem: &[u8]) -> Result<Self, ParseError> {
        let parsed = Self::from_der(CertificateDer::from_pem_slice(certificate_pem).map_err(ParseError::Pem)?)?;
        let key = KeyPair::from_pem(&String::from_utf8_lossy(key_pem)).map_err(ParseError::Key)?;
        let (_, certificate) =
            x509_parser::parse_x509_certificate(&parsed.der).map_err(|error| ParseError::X509(error.to_string()))?;
        if certificate.public_key().raw != key.subject_public_key_info() {
            return Err(ParseError::ForeignKey);
        }
        Ok(parsed)
    }

    /// Reads a certificate without a key.
    ///
    /// # Errors
    /// When it does not parse.
    pub fn from_der(der: CertificateDer<'static>) -> Result<Self, ParseError> {
        let (not_before, not_after, sans, role) = {
            let (_, certificate) =
                x509_parser::parse_x509_certificate(&der).map_err(|error| ParseError::X509(error.to_string()))?;
            let validity = certificate.validity();
            (
                Timestamp::from_second(validity.not_before.timestamp()).map_err(ParseError::Validity)?,
                Timestamp::from_second(validity.not_after.timestamp()).map_err(ParseError::Validity)?,
                sans(&certificate)?,
                if certificate.is_ca() { Role::Authority } else { Role::Leaf },
            )
        };
        Ok(Self { der, not_before, not_after, sans, role })
    }

    /// SHA-256 of the certificate, in hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("{:x}", Sha256::digest(&self.der))
    }

    /// A number from 0 to 1 that the bytes decide, serial number included: random, and the same for everybody.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        let digest = Sha256::digest(&self.der);
        let number = digest.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        f64::from(number) / f64::from(u32::MAX)
    }

    /// All certificates of a bundle that parse; what does not is left out.
    #[must_use]
    pub fn bundle(pem: &[u8]) -> Vec<Self> {
        CertificateDer::pem_slice_iter(pem)
            .take(BUNDLE_CERTIFICATES_MAX)
            .filter_map(|der| Self::from_der(der.ok()?).ok())
            .collect()
    }

    /// Whether the moment is in its validity.
    #[must_use]
    pub fn is_valid_at(&self, moment: Timestamp) -> bool {
        self.not_before <= moment && moment < self.not_after
    }

    /// Whether a client that trusts only `authorities` accepts this certificate at that moment, under each DNS name it
    /// carries: the check that kube-aggregator makes.
    #[must_use]
    pub fn is_trusted_by<'a>(&self, authorities: impl IntoIterator<Item = &'a Self>, moment: Timestamp) -> bool {
        self.is_trusted_through(&[], authorities, moment)
    }

    /// As [`Self::is_trusted_by`], when the server sends further certificates along.
    #[must_use]
    pub fn is_trusted_through<'a>(
        &self,
        along: &[CertificateDer<'_>],
        authorities: impl IntoIterator<Item = &'a Self>,
        moment: Timestamp,
    ) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(authorities.into_iter().map(|authority| authority.der.clone()));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let Ok(verifier) = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build() else {
            return false;
        };
        let Ok(seconds) = u64::try_from(moment.as_second()) else { return false };
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let mut names = self.sans.iter().filter_map(|name| ServerName::try_from(name.as_str()).ok()).peekable();
        names.peek().is_some()
            && names.all(|name| verifier.verify_server_cert(&self.der, along, &name, &[], at).is_ok())
    }
}

fn sans(certificate: &X509Certificate<'_>) -> Result<BTreeSet<String>, ParseError> {
    let extension = certificate.subject_alternative_name().map_err(|error| ParseError::X509(error.to_string()))?;
    let names = extension.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    Ok(names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
            _ => None,
        })
        .collect())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::{Issued, Lifetimes, Signer, issue_ca, issue_leaf, issue_next_ca, wanted_sans};

    fn now() -> Timestamp {
        "2026-11-23T00:00:00Z".parse().unwrap()
    }

    fn new_ca() -> Issued {
        issue_ca(now(), Lifetimes::default().ca()).unwrap()
    }

    fn signer(issued: &Issued) -> Signer<'_> {
        Signer { certificate_pem: &issued.certificate_pem, key_pem: &issued.key_pem }
    }

    fn new_leaf(ca: &Issued) -> Parsed {
        let sans = wanted_sans("api", "system");
        let leaf = issue_leaf(now(), Lifetimes::default().leaf(), signer(ca), &sans).unwrap();
        Parsed::read(leaf.certificate_pem.as_bytes(), leaf.key_pem.as_bytes()).unwrap()
    }

    #[test]
    fn a_leaf_is_trusted_by_its_authority_and_by_no_other() {
        let (ca, other) = (new_ca(), new_ca());
        let leaf = new_leaf(&ca);
        let ca = Parsed::bundle(ca.certificate_pem.as_bytes());
        let other = Parsed::bundle(other.certificate_pem.as_bytes());
        assert!(leaf.is_trusted_by(&ca, now()));
        assert!(!leaf.is_trusted_by(&other, now()));
        assert!(leaf.is_trusted_by(other.iter().chain(&ca), now()), "in a bundle of both");
        assert!(!leaf.is_trusted_by(&ca, leaf.not_after + jiff::SignedDuration::from_secs(1)), "after its end");
    }

    #[test]
    fn a_leaf_of_the_next_authority_satisfies_who_knows_the_present_one_alone() {
        let ca = new_ca();
        let (next, cross) = issue_next_ca(now(), Lifetimes::default().ca(), signer(&ca)).unwrap();
        let leaf = new_leaf(&next);
        let (ca, cross) = (Parsed::bundle(ca.certificate_pem.as_bytes()), Parsed::bundle(cross.as_bytes()));
        assert!(!leaf.is_trusted_by(&ca, now()));
        assert!(leaf.is_trusted_through(&[cross[0].der.clone()], &ca, now()));
        assert!(leaf.is_trusted_by(&Parsed::bundle(next.certificate_pem.as_bytes()), now()));
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (one, two) = (new_ca(), new_ca());
        let error = Parsed::read(one.certificate_pem.as_bytes(), two.key_pem.as_bytes()).unwrap_err();
        assert!(matches!(error, ParseError::ForeignKey), "{error}");
    }

    #[test]
    fn what_does_not_parse_is_left_out_of_a_bundle() {
        let ca = new_ca();
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let bundle = format!("{garbage}{}", ca.certificate_pem);
        assert_eq!(Parsed::bundle(bundle.as_bytes()).len(), 1);
        assert!(Parsed::bundle(b"nothing").is_empty());
    }
}
