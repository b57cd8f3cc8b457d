//! Certificates of this server and of its administrator: made once and kept with the data, so that a kubeconfig stays good.

use std::{fs, net::IpAddr, os::unix::fs::OpenOptionsExt as _, path::Path};

use anyhow::Context as _;
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
    fs::create_dir_all(directory).with_context(|| format!("{} cannot be created", directory.display()))?;
    let (ca_file, key_file) = (directory.join("ca.crt"), directory.join("ca.key"));
    if !ca_file.exists() || !key_file.exists() {
        let key = KeyPair::generate()?;
        let certificate = ca_params().self_signed(&key)?;
        write_private(&key_file, &key.serialize_pem())?;
        fs::write(&ca_file, certificate.pem()).with_context(|| format!("{} cannot be written", ca_file.display()))?;
    }
    let read = |file: &Path| fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()));
    let (ca_pem, key_pem) = (read(&ca_file)?, read(&key_file)?);
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
    Ok(Pair { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
}

/// Writes a file that only its owner can read.
pub(super) fn write_private(file: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut opened| opened.write_all(text.as_bytes()));
    written.with_context(|| format!("{} cannot be written", file.display()))
}
