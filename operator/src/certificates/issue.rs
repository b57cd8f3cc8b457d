//! Issues keys and certificates: ECDSA P-256, random serial numbers, valid from an hour ago.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use x509_parser::time::ASN1Time;

/// How long an authority lives: a year.
pub const CA_LIFETIME: SignedDuration = SignedDuration::from_hours(365 * 24);

/// How long a serving certificate lives: 90 days.
pub const LEAF_LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Clocks of other machines may be this far behind ours.
const BACKDATED: SignedDuration = SignedDuration::from_hours(1);

/// The bytes of a serial number; RFC 5280 allows 20.
const SERIAL_BYTES: usize = 16;

/// A new certificate with its key, both PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate_pem: String,
    /// The private key, PKCS #8.
    pub key_pem: String,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Issued").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

/// Why a certificate could not be issued.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The key could not be generated or read.
    #[error("cannot make a private key: {0}")]
    Key(#[source] rcgen::Error),
    /// The certificate could not be signed.
    #[error("cannot sign the certificate: {0}")]
    Sign(#[source] rcgen::Error),
    /// The validity cannot be written.
    #[error("validity out of range: {0}")]
    Validity(String),
}

/// Issues an authority of its own.
///
/// # Errors
/// When no key can be made, or the time is out of range.
pub fn issue_ca(now: Timestamp) -> Result<Issued, CertificateError> {
    let mut params = CertificateParams::default();
    validity(&mut params, now, CA_LIFETIME)?;
    params.serial_number = Some(serial());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    // Names of authorities differ, so that a client with old and new in its bundle finds the right one at once.
    params.distinguished_name = name(&format!("kindsmith-ca@{}", now.as_second()));
    let key = KeyPair::generate().map_err(CertificateError::Key)?;
    let certificate = params.self_signed(&key).map_err(CertificateError::Sign)?;
    Ok(Issued { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
}

/// Issues a serving certificate.
///
/// # Errors
/// When the authority is not usable, a name is no DNS name or address, or no key can be made.
pub fn issue_leaf(
    now: Timestamp,
    ca_pem: &str,
    ca_key_pem: &str,
    sans: &BTreeSet<String>,
) -> Result<Issued, CertificateError> {
    let ca_key = KeyPair::from_pem(ca_key_pem).map_err(CertificateError::Key)?;
    let issuer = Issuer::from_ca_cert_pem(ca_pem, ca_key).map_err(CertificateError::Sign)?;
    let mut params =
        CertificateParams::new(sans.iter().cloned().collect::<Vec<_>>()).map_err(CertificateError::Sign)?;
    validity(&mut params, now, LEAF_LIFETIME)?;
    params.serial_number = Some(serial());
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.distinguished_name = name("kindsmith-apiserver");
    let key = KeyPair::generate().map_err(CertificateError::Key)?;
    let certificate = params.signed_by(&key, &issuer).map_err(CertificateError::Sign)?;
    Ok(Issued { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
}

fn validity(params: &mut CertificateParams, now: Timestamp, life: SignedDuration) -> Result<(), CertificateError> {
    let range = |error: jiff::Error| CertificateError::Validity(error.to_string());
    let moment = |at: Timestamp| {
        ASN1Time::from_timestamp(at.as_second())
            .map(|time| time.to_datetime())
            .map_err(|error| CertificateError::Validity(error.to_string()))
    };
    params.not_before = moment(now.checked_sub(BACKDATED).map_err(range)?)?;
    params.not_after = moment(now.checked_add(life).map_err(range)?)?;
    Ok(())
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn serial() -> SerialNumber {
    let mut bytes: [u8; SERIAL_BYTES] = rand::random();
    // Positive and of full length: the first bit is zero, the second is one.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::{Parsed, wanted_sans};

    #[test]
    fn validity_begins_an_hour_ago() {
        let now: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
        let ca = issue_ca(now).unwrap();
        let leaf = issue_leaf(now, &ca.certificate_pem, &ca.key_pem, &wanted_sans("api", "system")).unwrap();
        let leaf = Parsed::read(leaf.certificate_pem.as_bytes(), leaf.key_pem.as_bytes()).unwrap();
        assert_eq!(leaf.not_before.to_string(), "2026-11-22T23:00:00Z");
        assert_eq!(leaf.not_after.to_string(), "2027-02-21T00:00:00Z");
        assert_eq!(leaf.sans, wanted_sans("api", "system"));
    }

    #[test]
    fn serial_numbers_are_random_and_positive() {
        let (one, two) = (serial().to_bytes(), serial().to_bytes());
        assert_ne!(one, two);
        assert!(one[0] & 0x80 == 0 && two[0] & 0x80 == 0);
    }

    #[test]
    fn a_private_key_is_never_printed() {
        let ca = issue_ca(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(2)).unwrap();
        assert!(!format!("{ca:?}").contains("PRIVATE"));
    }
}
