//! What the two Secrets hold, read from their bytes.
//!
//! | key | the authority's Secret | the serving certificate's Secret |
//! |---|---|---|
//! | `tls.crt`, `tls.key` | the authority in use | the serving certificate; the successor's cross-signed certificate |
//! | `ca.crt` | the bundle: who is to be trusted | the bundle, at the time of issue |
//! | `next.crt`, `next.key` | its successor, while it is brought in | |
//! | `cross.crt` | the successor's key, signed by the authority in use | |

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::ResourceExt;
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::{
    issue::Signer,
    parsed::{BUNDLE_CERTIFICATES_MAX, Parsed, Role},
};

/// The type of both Secrets.
pub(crate) const SECRET_TYPE: &str = "kubernetes.io/tls";

/// The annotation that asks for a new certificate: any value that was not served yet.
pub const ROTATE_ANNOTATION: &str = "kindsmith.dev/rotate";

/// The annotation with the value that was served last.
pub(crate) const ROTATED_ANNOTATION: &str = "kindsmith.dev/rotated";

pub(super) const CERTIFICATE: &str = "tls.crt";
pub(super) const KEY: &str = "tls.key";
pub(super) const BUNDLE: &str = "ca.crt";
pub(super) const NEXT_CERTIFICATE: &str = "next.crt";
pub(super) const NEXT_KEY: &str = "next.key";
pub(super) const CROSS: &str = "cross.crt";

/// The most authorities in a bundle.
pub(super) const BUNDLE_AUTHORITIES_MAX: usize = 4;

/// The columns of base64 in PEM (RFC 7468).
const PEM_COLUMNS: usize = 64;

/// What a Secret holds.
pub(crate) type Data = BTreeMap<String, ByteString>;

/// An authority with its key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Authority {
    /// What its certificate says.
    pub parsed: Parsed,
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// The key, PEM.
    pub key_pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Authority").field("parsed", &self.parsed).finish_non_exhaustive()
    }
}

impl Authority {
    pub(super) fn signer(&self) -> Signer<'_> {
        Signer { certificate_pem: &self.certificate_pem, key_pem: &self.key_pem }
    }

    /// One that can be used: it parses, its key belongs to it, it may sign, and it is valid now.
    fn read(secret: &Secret, certificate: &str, key: &str, now: Timestamp) -> Result<Self, String> {
        let data = secret.data.as_ref().ok_or("it is empty")?;
        let bytes = |key: &str| data.get(key).ok_or_else(|| format!("it has no {key}"));
        let (certificate, key) = (bytes(certificate)?, bytes(key)?);
        let parsed = Parsed::read(&certificate.0, &key.0).map_err(|error| error.to_string())?;
        if parsed.role != Role::Authority {
            return Err("its certificate may not sign others".to_owned());
        }
        if !parsed.is_valid_at(now) {
            let (from, to) = (parsed.not_before, parsed.not_after);
            return Err(format!("its certificate is valid from {from} to {to} and not now"));
        }
        let text = |bytes: &ByteString| String::from_utf8_lossy(&bytes.0).into_owned();
        Ok(Self { parsed, certificate_pem: text(certificate), key_pem: text(key) })
    }
}

/// The serving certificate, and what is sent along with it.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    /// What it says.
    pub parsed: Parsed,
    /// Further certificates of the chain.
    pub along: Vec<CertificateDer<'static>>,
}

/// What both Secrets hold.
pub(crate) struct Holdings {
    /// The authority in use; or why there is none.
    pub current: Result<Authority, String>,
    /// Its successor.
    pub next: Option<Authority>,
    /// The successor's key, signed by the authority in use, PEM.
    pub cross_pem: Option<String>,
    /// The bundle as it stands there.
    pub bundle: Option<ByteString>,
    /// Whom the bundle trusts and who is valid now.
    pub trusted: Vec<Parsed>,
    /// The serving certificate; or why there is none.
    pub leaf: Result<Leaf, String>,
    /// Whom the serving certificate's Secret trusts and who is valid now.
    pub trusted_by_leaf: Vec<Parsed>,
    /// The value that asks for a new authority.
    pub rotate_ca: Option<String>,
    /// The value that asks for a new serving certificate.
    pub rotate_leaf: Option<String>,
}

impl Holdings {
    /// Reads both Secrets.
    pub(crate) fn read(now: Timestamp, ca: Option<&Secret>, serving: Option<&Secret>) -> Self {
        let missing = || "there is none".to_owned();
        let cross = ca.and_then(|ca| ca.data.as_ref()?.get(CROSS));
        Self {
            current: ca.ok_or_else(missing).and_then(|ca| Authority::read(ca, CERTIFICATE, KEY, now)),
            next: ca.and_then(|ca| Authority::read(ca, NEXT_CERTIFICATE, NEXT_KEY, now).ok()),
            cross_pem: cross.map(|pem| String::from_utf8_lossy(&pem.0).into_owned()),
            bundle: ca.and_then(bundle),
            trusted: ca.map(|ca| trusted(now, ca)).unwrap_or_default(),
            leaf: serving.ok_or_else(missing).and_then(leaf),
            trusted_by_leaf: serving.map(|serving| trusted(now, serving)).unwrap_or_default(),
            rotate_ca: ca.and_then(rotation_asked),
            rotate_leaf: serving.and_then(rotation_asked),
        }
    }
}

/// The bundle that a Secret holds.
pub(crate) fn bundle(secret: &Secret) -> Option<ByteString> {
    secret.data.as_ref()?.get(BUNDLE).cloned()
}

fn leaf(secret: &Secret) -> Result<Leaf, String> {
    let data = secret.data.as_ref().ok_or("it is empty")?;
    let bytes = |key: &str| data.get(key).ok_or_else(|| format!("it has no {key}"));
    let (chain, key) = (bytes(CERTIFICATE)?, bytes(KEY)?);
    let parsed = Parsed::read(&chain.0, &key.0).map_err(|error| error.to_string())?;
    let along = CertificateDer::pem_slice_iter(&chain.0).skip(1).take(BUNDLE_CERTIFICATES_MAX);
    Ok(Leaf { parsed, along: along.filter_map(Result::ok).collect() })
}

/// The authorities of a Secret's bundle that are valid now.
fn trusted(now: Timestamp, secret: &Secret) -> Vec<Parsed> {
    let mut all = bundle(secret).map(|bundle| Parsed::bundle(&bundle.0)).unwrap_or_default();
    all.retain(|authority| authority.role == Role::Authority && authority.is_valid_at(now));
    all
}

fn rotation_asked(secret: &Secret) -> Option<String> {
    let asked = secret.annotations().get(ROTATE_ANNOTATION).filter(|value| !value.is_empty())?;
    (secret.annotations().get(ROTATED_ANNOTATION) != Some(asked)).then(|| asked.clone())
}

/// Each authority once, in the order given, no more than a bundle may hold.
pub(super) fn distinct<'a>(authorities: impl IntoIterator<Item = &'a Parsed>) -> Vec<Parsed> {
    let mut kept: Vec<Parsed> = Vec::new();
    for authority in authorities {
        if kept.len() < BUNDLE_AUTHORITIES_MAX && kept.iter().all(|other| other.der != authority.der) {
            kept.push(authority.clone());
        }
    }
    kept
}

/// A bundle of authorities.
pub(super) fn pem(authorities: &[Parsed]) -> ByteString {
    ByteString(authorities.iter().map(|authority| encode(&authority.der)).collect::<String>().into_bytes())
}

/// PEM as rcgen writes it, so that what was issued compares equal to what is written again.
fn encode(der: &CertificateDer<'_>) -> String {
    let encoded = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in encoded.as_bytes().chunks(PEM_COLUMNS) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}
