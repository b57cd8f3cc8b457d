//! What the two Secrets hold, what they should hold, and when: the order in which a new authority comes into use.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use rustls_pki_types::CertificateDer;

use super::{
    Plan, Reason,
    issue::{CertificateError, issue_ca, issue_leaf},
    parsed::{Parsed, Role},
    plan::plan,
};

/// The type of both Secrets.
pub(crate) const SECRET_TYPE: &str = "kubernetes.io/tls";

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const BUNDLE: &str = "ca.crt";

/// The most authorities in a bundle: the one in use and those it replaced.
const BUNDLE_AUTHORITIES_MAX: usize = 4;

/// The columns of base64 in PEM (RFC 7468).
const PEM_COLUMNS: usize = 64;

/// Whether every APIService of ours carries a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spread {
    /// Every one does.
    Complete,
    /// At least one does not.
    Pending,
}

/// What was found, and what is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateState {
    /// The bundle for APIServices, once a serving certificate that it trusts is there.
    pub bundle: Option<ByteString>,
    /// What is to be written next, one Secret at a time.
    pub work: Option<CertificateWork>,
}

/// One Secret that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CertificateWork {
    /// A new authority; those in `keep` stay trusted.
    Ca {
        /// Why.
        reason: Reason,
        /// Authorities that are still valid.
        keep: Vec<Parsed>,
    },
    /// The authority stays, its bundle changes.
    Bundle {
        /// All that the Secret is to hold.
        data: BTreeMap<String, ByteString>,
    },
    /// A new serving certificate.
    Leaf {
        /// Why.
        reason: Reason,
        /// The Secret of the authority: certificate, key, bundle.
        authority: BTreeMap<String, ByteString>,
    },
}

impl CertificateWork {
    /// Whether the Secret of the authority is the one to be written.
    pub(crate) fn is_for_authority(&self) -> bool {
        !matches!(self, Self::Leaf { .. })
    }
}

/// Judges both Secrets. `spread` tells whether a bundle has reached every APIService of ours.
pub(crate) fn assess(
    now: Timestamp,
    ca: Option<&Secret>,
    leaf: Option<&Secret>,
    wanted_sans: &BTreeSet<String>,
    spread: impl Fn(&ByteString) -> Spread,
) -> CertificateState {
    let authority = ca.and_then(read);
    let serving = leaf.and_then(read);
    let mut others = ca.map(|ca| trusted(now, ca)).unwrap_or_default();
    if authority.is_none() {
        // The authority is lost: the serving Secret still knows whom clients trust until they have the new bundle.
        others.extend(leaf.map(|leaf| trusted(now, leaf)).unwrap_or_default());
        others = distinct(others);
    }
    let plan = plan(now, authority.as_ref(), serving.as_ref(), wanted_sans);
    let in_use = authority.filter(|authority| authority.is_valid_at(now) && authority.role == Role::Authority);
    let Some(in_use) = in_use else {
        let reason = if let Plan::IssueCa(reason) = plan { reason } else { Reason::Missing };
        return CertificateState { bundle: None, work: Some(CertificateWork::Ca { reason, keep: others }) };
    };
    let trusted = join(in_use, others);
    let wanted_bundle = pem(&trusted);
    let works = serving.as_ref().is_some_and(|leaf| leaf.is_trusted_by(&trusted, now));
    let mut authority = ca.and_then(|ca| ca.data.clone()).unwrap_or_default();
    let bundle_is_right = authority.get(BUNDLE) == Some(&wanted_bundle);
    let work = match plan {
        Plan::IssueCa(reason) => Some(CertificateWork::Ca { reason, keep: trusted }),
        _ if !bundle_is_right => {
            authority.insert(BUNDLE.to_owned(), wanted_bundle.clone());
            Some(CertificateWork::Bundle { data: authority })
        }
        // The old certificate still works: the new one waits until whoever verifies it knows the new authority.
        Plan::IssueLeaf(_) if works && spread(&wanted_bundle) == Spread::Pending => None,
        Plan::IssueLeaf(reason) => Some(CertificateWork::Leaf { reason, authority }),
        Plan::Nothing => None,
    };
    CertificateState { bundle: (works && bundle_is_right).then_some(wanted_bundle), work }
}

/// The data of the Secret that a piece of work asks for, with new keys where it asks for new ones.
pub(crate) fn secret(
    work: &CertificateWork,
    now: Timestamp,
    sans: &BTreeSet<String>,
) -> Result<BTreeMap<String, ByteString>, CertificateError> {
    let text = |data: &BTreeMap<String, ByteString>, key: &str| {
        data.get(key).map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()).unwrap_or_default()
    };
    match work {
        CertificateWork::Ca { keep, .. } => {
            let issued = issue_ca(now)?;
            let mut bundle = issued.certificate_pem.clone().into_bytes();
            bundle.extend(pem(&keep[..keep.len().min(BUNDLE_AUTHORITIES_MAX - 1)]).0);
            Ok(data(issued.certificate_pem, issued.key_pem, bundle))
        }
        CertificateWork::Bundle { data } => Ok(data.clone()),
        CertificateWork::Leaf { authority, .. } => {
            let issued = issue_leaf(now, &text(authority, CERTIFICATE), &text(authority, KEY), sans)?;
            Ok(data(issued.certificate_pem, issued.key_pem, text(authority, BUNDLE).into_bytes()))
        }
    }
}

fn data(certificate: String, key: String, bundle: Vec<u8>) -> BTreeMap<String, ByteString> {
    BTreeMap::from([
        (CERTIFICATE.to_owned(), ByteString(certificate.into_bytes())),
        (KEY.to_owned(), ByteString(key.into_bytes())),
        (BUNDLE.to_owned(), ByteString(bundle)),
    ])
}

/// The bundle that a Secret holds.
pub(crate) fn bundle(secret: &Secret) -> Option<ByteString> {
    secret.data.as_ref()?.get(BUNDLE).cloned()
}

fn read(secret: &Secret) -> Option<Parsed> {
    let data = secret.data.as_ref()?;
    match Parsed::read(&data.get(CERTIFICATE)?.0, &data.get(KEY)?.0) {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            tracing::warn!(secret = secret.metadata.name, %error, "the Secret holds no usable certificate");
            None
        }
    }
}

/// The authorities of a Secret's bundle that are valid now.
fn trusted(now: Timestamp, secret: &Secret) -> Vec<Parsed> {
    let bundle = secret.data.as_ref().and_then(|data| data.get(BUNDLE));
    let mut all = bundle.map(|bundle| Parsed::bundle(&bundle.0)).unwrap_or_default();
    all.retain(|authority| authority.role == Role::Authority && authority.is_valid_at(now));
    all
}

/// The authority in use first, then the others, each once.
fn join(in_use: Parsed, mut others: Vec<Parsed>) -> Vec<Parsed> {
    others.insert(0, in_use);
    distinct(others)
}

/// Each authority once, in the order given, no more than a bundle may hold.
fn distinct(authorities: Vec<Parsed>) -> Vec<Parsed> {
    let mut kept: Vec<Parsed> = Vec::new();
    for authority in authorities {
        if kept.len() < BUNDLE_AUTHORITIES_MAX && kept.iter().all(|other| other.der != authority.der) {
            kept.push(authority);
        }
    }
    kept
}

fn pem(authorities: &[Parsed]) -> ByteString {
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

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;
    use crate::certificates::wanted_sans;

    fn now() -> Timestamp {
        "2026-11-23T00:00:00Z".parse().unwrap()
    }

    fn sans() -> BTreeSet<String> {
        wanted_sans("api", "system")
    }

    fn after_days(days: i64) -> Timestamp {
        now().checked_add((days * 24).hours()).unwrap()
    }

    /// Does all the work there is at a moment, as the controller does; returns how many writes it took.
    fn settle(now: Timestamp, ca: &mut Option<Secret>, leaf: &mut Option<Secret>, spread: Spread) -> usize {
        for writes in 0..10 {
            let Some(work) = assess(now, ca.as_ref(), leaf.as_ref(), &sans(), |_| spread).work else { return writes };
            let data = Some(secret(&work, now, &sans()).unwrap());
            let target = if matches!(work, CertificateWork::Leaf { .. }) { &mut *leaf } else { &mut *ca };
            *target = Some(Secret { data, ..Secret::default() });
        }
        panic!("certificates never settle");
    }

    fn fresh() -> (Option<Secret>, Option<Secret>) {
        let (mut ca, mut leaf) = (None, None);
        assert_eq!(settle(now(), &mut ca, &mut leaf, Spread::Complete), 2);
        (ca, leaf)
    }

    fn bundle(now: Timestamp, ca: &Option<Secret>, leaf: &Option<Secret>) -> Option<ByteString> {
        assess(now, ca.as_ref(), leaf.as_ref(), &sans(), |_| Spread::Pending).bundle
    }

    #[test]
    fn nothing_leads_to_two_secrets_and_a_bundle() {
        assert_eq!(bundle(now(), &None, &None), None);
        let (ca, leaf) = fresh();
        let found = bundle(now(), &ca, &leaf).unwrap();
        assert_eq!(&found, &ca.unwrap().data.unwrap()[CERTIFICATE]);
        assert_eq!(leaf.unwrap().data.unwrap()[BUNDLE], found);
    }

    #[test]
    fn a_new_authority_is_trusted_everywhere_before_it_is_used() {
        let (mut ca, mut leaf) = fresh();
        let day = after_days(70);
        settle(day, &mut ca, &mut leaf, Spread::Complete);
        let day = after_days(130);
        settle(day, &mut ca, &mut leaf, Spread::Complete);
        let day = after_days(200);
        settle(day, &mut ca, &mut leaf, Spread::Complete);
        let serving = leaf.clone();
        let day = after_days(250);
        assert_eq!(settle(day, &mut ca, &mut leaf, Spread::Pending), 1, "only the authority is written");
        assert_eq!(leaf, serving);
        let found = bundle(day, &ca, &leaf).unwrap();
        assert_eq!(Parsed::bundle(&found.0).len(), 2, "old and new");
        assert_eq!(settle(day, &mut ca, &mut leaf, Spread::Complete), 1);
        assert_ne!(leaf, serving);
        assert_eq!(bundle(day, &ca, &leaf).unwrap(), found, "the old one stays while it is valid");
        let day = after_days(366);
        settle(day, &mut ca, &mut leaf, Spread::Complete);
        assert_eq!(Parsed::bundle(&bundle(day, &ca, &leaf).unwrap().0).len(), 1, "and leaves when it has expired");
    }

    #[test]
    fn broken_secrets_are_repaired() {
        let garbage = |key: &str| {
            Some(Secret { data: Some([(key.to_owned(), ByteString(b"garbage".to_vec()))].into()), ..Secret::default() })
        };
        for key in [CERTIFICATE, KEY, BUNDLE, "other"] {
            let (mut ca, mut leaf) = (garbage(key), garbage(key));
            settle(now(), &mut ca, &mut leaf, Spread::Complete);
            assert!(bundle(now(), &ca, &leaf).is_some(), "{key}");
        }
    }

    #[test]
    fn an_authority_without_its_key_keeps_the_old_one_trusted() {
        let (mut ca, mut leaf) = fresh();
        ca.as_mut().unwrap().data.as_mut().unwrap().remove(KEY);
        assert_eq!(bundle(now(), &ca, &leaf), None);
        settle(now(), &mut ca, &mut leaf, Spread::Pending);
        assert_eq!(Parsed::bundle(&bundle(now(), &ca, &leaf).unwrap().0).len(), 2);
    }

    #[test]
    fn an_authority_whose_secret_is_gone_stays_trusted_for_its_leaf() {
        let (_, mut leaf) = fresh();
        let (mut ca, serving) = (None, leaf.clone());
        assert_eq!(settle(now(), &mut ca, &mut leaf, Spread::Pending), 1);
        assert_eq!(leaf, serving, "it works until every APIService has the new bundle");
        assert_eq!(Parsed::bundle(&bundle(now(), &ca, &leaf).unwrap().0).len(), 2);
    }

    #[test]
    fn a_bundle_that_somebody_changed_is_restored() {
        let (mut ca, mut leaf) = fresh();
        let before = ca.clone();
        ca.as_mut().unwrap().data.as_mut().unwrap().insert(BUNDLE.to_owned(), ByteString(Vec::new()));
        assert_eq!(settle(now(), &mut ca, &mut leaf, Spread::Complete), 1);
        assert_eq!(ca, before);
    }

    #[test]
    fn everything_expired_is_replaced_at_once() {
        let (mut ca, mut leaf) = fresh();
        let day = after_days(1000);
        assert_eq!(settle(day, &mut ca, &mut leaf, Spread::Pending), 2);
        assert!(bundle(day, &ca, &leaf).is_some());
    }
}
