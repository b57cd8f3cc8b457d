//! Issues keys and certificates: ECDSA P-256, random serial numbers, backdated for clocks that are behind.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use x509_parser::time::ASN1Time;

use super::{
    lifetimes::backdated,
    parsed::{ParseError, Parsed},
};

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
    /// The certificate of the authority cannot be read.
    #[error("cannot read the authority: {0}")]
    Authority(#[from] ParseError),
    /// The validity cannot be written.
    #[error("validity out of range: {0}")]
    Validity(String),
}

/// An authority that can sign: its certificate and key, both PEM.
#[derive(Clone, Copy)]
pub struct Signer<'a> {
    /// The certificate.
    pub certificate_pem: &'a str,
    /// The private key.
    pub key_pem: &'a str,
}

impl Signer<'_> {
    fn issuer(&self) -> Result<(Issuer<'static, KeyPair>, Timestamp), CertificateError> {
        let key = KeyPair::from_pem(self.key_pem).map_err(CertificateError::Key)?;
        let issuer = Issuer::from_ca_cert_pem(self.certificate_pem, key).map_err(CertificateError::Sign)?;
        let own = Parsed::read(self.certificate_pem.as_bytes(), self.key_pem.as_bytes())?;
        Ok((issuer, own.not_after))
    }
}

/// Issues an authority of its own.
///
/// # Errors
/// When no key can be made, or the time is out of range.
pub fn issue_ca(now: Timestamp, lifetime: SignedDuration) -> Result<Issued, CertificateError> {
    let (params, key) = authority(now, lifetime)?;
    let certificate = params.self_signed(&key).map_err(CertificateError::Sign)?;
    Ok(Issued { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
}

/// Issues an authority of its own, and a second certificate for the same key that the present authority has signed:
/// sent along with what the new one signs, it satisfies whoever knows the present one alone.
///
/// # Errors
/// As [`issue_ca`]; or the present authority is not usable.
pub fn issue_next_ca(
    now: Timestamp,
    lifetime: SignedDuration,
    present: Signer<'_>,
) -> Result<(Issued, String), CertificateError> {
    let (mut params, key) = authority(now, lifetime)?;
    let certificate = params.self_signed(&key).map_err(CertificateError::Sign)?;
    let (issuer, end) = present.issuer()?;
    validity(&mut params, now, lifetime, Some(end))?;
    params.serial_number = Some(serial());
    params.use_authority_key_identifier_extension = true;
    let cross = params.signed_by(&key, &issuer).map_err(CertificateError::Sign)?;
    Ok((Issued { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }, cross.pem()))
}

fn authority(now: Timestamp, lifetime: SignedDuration) -> Result<(CertificateParams, KeyPair), CertificateError> {
    let mut params = CertificateParams::default();
    validity(&mut params, now, lifetime, None)?;
    let serial = serial();
    // Names of authorities differ, so that a client with old and new in its bundle finds the right one at once.
    let unique: String = serial.to_bytes().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name = name(&format!("kindsmith-ca@{}-{unique}", now.as_second()));
    params.serial_number = Some(serial);
    // One authority below it: its successor, while both are in use.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    Ok((params, KeyPair::generate().map_err(CertificateError::Key)?))
}

/// Issues a serving certificate, which does not outlive its authority.
///
/// # Errors
/// When the authority is not usable, a name is no DNS name or address, or no key can be made.
pub fn issue_leaf(
    now: Timestamp,
    lifetime: SignedDuration,
    authority: Signer<'_>,
    sans: &BTreeSet<String>,
) -> Result<Issued, CertificateError> {
    let (issuer, end) = authority.issuer()?;
    let mut params =
        CertificateParams::new(sans.iter().cloned().collect::<Vec<_>>()).map_err(CertificateError::Sign)?;
    validity(&mut params, now, lifetime, Some(end))?;
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

fn validity(
    params: &mut CertificateParams,
    now: Timestamp,
    lifetime: SignedDuration,
    latest: Option<Timestamp>,
) -> Result<(), CertificateError> {
    let range = |error: jiff::Error| CertificateError::Validity(error.to_string());
    let moment = |at: Timestamp| {
        ASN1Time::from_timestamp(at.as_second())
            .map(|time| time.to_datetime())
            .map_err(|error| CertificateError::Validity(error.to_string()))
    };
    params.not_before = moment(now.checked_sub(backdated(lifetime)).map_err(range)?)?;
    let end = now.checked_add(lifetime).map_err(range)?;
    params.not_after = moment(latest.map_or(end, |latest| end.min(latest)))?;
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
    use crate::certificates::{Lifetimes, wanted_sans};

    fn now() -> Timestamp {
        "2026-11-23T00:00:00Z".parse().unwrap()
    }

    fn signer(issued: &Issued) -> Signer<'_> {
        Signer { certificate_pem: &issued.certificate_pem, key_pem: &issued.key_pem }
    }

    #[test]
    fn validity_begins_an_hour_ago() {
        let lives = Lifetimes::default();
        let ca = issue_ca(now(), lives.ca()).unwrap();
        let leaf = issue_leaf(now(), lives.leaf(), signer(&ca), &wanted_sans("api", "system")).unwrap();
        let leaf = Parsed::read(leaf.certificate_pem.as_bytes(), leaf.key_pem.as_bytes()).unwrap();
        assert_eq!(leaf.not_before.to_string(), "2026-11-22T23:00:00Z");
        assert_eq!(leaf.not_after.to_string(), "2027-02-21T00:00:00Z");
        assert_eq!(leaf.sans, wanted_sans("api", "system"));
    }

    #[test]
    fn what_an_authority_signs_does_not_outlive_it() {
        let ca = issue_ca(now(), SignedDuration::from_hours(1)).unwrap();
        let leaf = issue_leaf(now(), SignedDuration::from_hours(2), signer(&ca), &wanted_sans("a", "b")).unwrap();
        let ca = Parsed::read(ca.certificate_pem.as_bytes(), ca.key_pem.as_bytes()).unwrap();
        let leaf = Parsed::read(leaf.certificate_pem.as_bytes(), leaf.key_pem.as_bytes()).unwrap();
        assert_eq!(leaf.not_after, ca.not_after);
    }

    #[test]
    fn serial_numbers_are_random_and_positive() {
        let (one, two) = (serial().to_bytes(), serial().to_bytes());
        assert_ne!(one, two);
        assert!(one[0] & 0x80 == 0 && two[0] & 0x80 == 0);
    }

    #[test]
    fn a_private_key_is_never_printed() {
        let ca = issue_ca(now(), SignedDuration::from_hours(2)).unwrap();
        assert!(!format!("{ca:?}").contains("PRIVATE"));
    }
}
