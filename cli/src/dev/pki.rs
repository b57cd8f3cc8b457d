//! Certificates of this server and of its administrator: made once and kept with the data, so that a kubeconfig stays good.

use std::{fs, net::IpAddr, path::Path};

use anyhow::Context as _;
use aws_lc_rs::{
    encoding::{AsDer as _, EcPrivateKeyRfc5915Der},
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use kindsmith_apiserver::storage::private;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};

/// A certificate and its key.
pub(super) struct Pair {
    /// The certificate, PEM.
    pub(super) certificate_pem: String,
    /// The key, PEM.
    pub(super) key_pem: String,
}

/// All certificates.
pub(super) struct Pki {
    /// The CA, PEM.
    pub(super) ca_pem: String,
    /// The server's.
    pub(super) serving: Pair,
    /// The administrator's, of the group `system:masters`.
    pub(super) admin: Pair,
}

/// How long certificates are good, in days. The server's and the administrator's are made anew at each start.
const CA_DAYS: i64 = 3650;
const LEAF_DAYS: i64 = 365;

/// Reads the CA of a directory, or makes one there, and issues certificates.
pub(super) fn load_or_create(directory: &Path, address: IpAddr) -> anyhow::Result<Pki> {
    let shown = directory.display();
    private::folder(directory).with_context(|| format!("{shown} cannot be created and kept private"))?;
    let write = |file: &Path, text: &str| {
        private::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
    };
    let (ca_file, key_file) = (directory.join("ca.crt"), directory.join("ca.key"));
    if !ca_file.exists() || !key_file.exists() {
        let key = KeyPair::generate()?;
        let certificate = ca_params().self_signed(&key)?;
        write(&key_file, &key.serialize_pem())?;
        write(&ca_file, &certificate.pem())?;
    }
    let read = |file: &Path| fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()));
    let (ca_pem, key_pem) = (read(&ca_file)?, read(&key_file)?);
    // Files of former starts may be open to others.
    for (file, text) in [(&ca_file, &ca_pem), (&key_file, &key_pem)] {
        write(file, text)?;
    }
    let key = KeyPair::from_pem(&key_pem).with_context(|| format!("{} is no key", key_file.display()))?;
    let issuer = Issuer::from_ca_cert_pem(&ca_pem, key).with_context(|| format!("{} is no CA", ca_file.display()))?;
    Ok(Pki { serving: serving(&issuer, address)?, admin: admin(&issuer)?, ca_pem })
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "kindsmith dev CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for(&mut params, CA_DAYS);
    params
}

fn valid_for(params: &mut CertificateParams, days: i64) {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let date = |days: i64| {
        let day = now.checked_add(jiff::Span::new().days(days)).unwrap_or_else(|_| now.clone());
        rcgen::date_time_ymd(i32::from(day.year()), day.month().unsigned_abs(), day.day().unsigned_abs())
    };
    params.not_before = date(-1);
    params.not_after = date(days);
}

fn serving(issuer: &Issuer<'_, KeyPair>, address: IpAddr) -> anyhow::Result<Pair> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, "kindsmith dev");
    for address in [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16]), address] {
        params.subject_alt_names.push(SanType::IpAddress(address));
    }
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    issue(params, issuer)
}

fn admin(issuer: &Issuer<'_, KeyPair>) -> anyhow::Result<Pair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "kindsmith-admin");
    params.distinguished_name.push(DnType::OrganizationName, "system:masters");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    issue(params, issuer)
}

fn issue(mut params: CertificateParams, issuer: &Issuer<'_, KeyPair>) -> anyhow::Result<Pair> {
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    valid_for(&mut params, LEAF_DAYS);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    Ok(Pair { certificate_pem: certificate.pem(), key_pem: sec1_pem(&key)? })
}

/// The most characters in a line of PEM.
const PEM_LINE_CHARACTERS: usize = 64;

/// A key on P-256 in the form of SEC 1 (RFC 5915): there are clients in Java that take each `PRIVATE KEY` for one of RSA.
fn sec1_pem(key: &KeyPair) -> anyhow::Result<String> {
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key.serialize_der());
    let pair = pair.context("a key that was made here is not on P-256")?;
    let der: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().context("a key cannot be written as SEC 1")?;
    let mut pem = "-----BEGIN EC PRIVATE KEY-----\n".to_owned();
    for line in STANDARD.encode(der.as_ref()).as_bytes().chunks(PEM_LINE_CHARACTERS) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END EC PRIVATE KEY-----\n");
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use rustls::{
        crypto::aws_lc_rs::sign::any_ecdsa_type,
        pki_types::{PrivateKeyDer, pem::PemObject as _},
    };

    use super::*;

    #[test]
    fn keys_are_written_as_sec1_and_mean_the_same() {
        let pair = KeyPair::generate().unwrap();
        let pem = sec1_pem(&pair).unwrap();
        assert!(pem.starts_with("-----BEGIN EC PRIVATE KEY-----\n"), "{pem}");
        let read = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        assert!(matches!(read, PrivateKeyDer::Sec1(_)));
        let signing = any_ecdsa_type(&read).unwrap();
        assert!(signing.public_key().unwrap().as_ref().ends_with(pair.public_key_raw()));
    }

    #[test]
    fn a_ca_that_was_there_goes_on_and_is_taken_from_others() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("pki");
        let first = load_or_create(&directory, [127, 0, 0, 1].into()).unwrap();
        for (file, mode) in [("", 0o755), ("ca.crt", 0o644), ("ca.key", 0o644)] {
            fs::set_permissions(directory.join(file), fs::Permissions::from_mode(mode)).unwrap();
        }
        let second = load_or_create(&directory, [127, 0, 0, 1].into()).unwrap();
        assert_eq!(first.ca_pem, second.ca_pem);
        for (file, mode) in [("", 0o700), ("ca.crt", 0o600), ("ca.key", 0o600)] {
            let found = fs::metadata(directory.join(file)).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{file}");
        }
    }
}
