//! What is to be written next: one Secret at a time, and new keys only here.

use std::{collections::BTreeSet, fmt};

use jiff::Timestamp;
use k8s_openapi::ByteString;

use super::{
    Lifetimes,
    holdings::{
        Authority, BUNDLE, BUNDLE_AUTHORITIES_MAX, CERTIFICATE, CROSS, Data, KEY, NEXT_CERTIFICATE, NEXT_KEY, pem,
    },
    issue::{CertificateError, Issued, issue_ca, issue_leaf, issue_next_ca},
    parsed::Parsed,
};

/// Why a certificate is issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There is none that can be used.
    Unusable(String),
    /// It is not valid now.
    NotValid,
    /// So much of its life is over that it is to be renewed.
    Renewal,
    /// It may sign others.
    WrongRole,
    /// It lacks a name, or has one too many.
    Names,
    /// It was signed by an authority that is not ours, or not any more.
    OtherAuthority,
    /// The successor of its authority is trusted everywhere.
    Successor,
    /// An annotation asks for it.
    Asked,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unusable(why) => return write!(formatter, "there is no usable one: {why}"),
            Self::NotValid => "it is not valid now",
            Self::Renewal => "it is time to renew it",
            Self::WrongRole => "it is of the wrong sort",
            Self::Names => "its names are not the ones wanted",
            Self::OtherAuthority => "it is not signed by the authority",
            Self::Successor => "the next authority is trusted everywhere",
            Self::Asked => "an annotation asks for it",
        })
    }
}

/// One Secret that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CertificateWork {
    /// A new authority in place of one that is lost; those in `keep` stay trusted.
    Replace {
        /// Why.
        reason: Reason,
        /// Authorities that are still valid.
        keep: Vec<Parsed>,
        /// The value of the annotation that is served with it.
        served: Option<String>,
    },
    /// A successor beside the authority in use: in the bundle, and nothing is signed by it yet.
    Stage {
        /// Why.
        reason: Reason,
        /// The authority in use.
        current: Authority,
        /// Whom the bundle trusts besides the successor.
        trusted: Vec<Parsed>,
        /// The value of the annotation that is served with it.
        served: Option<String>,
    },
    /// The successor takes over: the former authority and its key go.
    Promote {
        /// The successor.
        next: Authority,
        /// Others that stay trusted.
        keep: Vec<Parsed>,
    },
    /// The authorities stay, the bundle changes.
    Bundle {
        /// All that the Secret is to hold.
        data: Data,
    },
    /// A new serving certificate.
    Leaf {
        /// Why.
        reason: Reason,
        /// Who signs it.
        signer: Authority,
        /// Sent along with it, PEM.
        along: Option<String>,
        /// The bundle.
        bundle: ByteString,
        /// The state of the authority's Secret that this was decided on: it must still be in it when this is written.
        authority_version: Option<String>,
        /// The value of the annotation that is served with it.
        served: Option<String>,
    },
}

impl CertificateWork {
    /// Whether the Secret of the authority is the one to be written.
    pub(crate) fn is_for_authority(&self) -> bool {
        !matches!(self, Self::Leaf { .. })
    }

    /// The value of the annotation that is served by this.
    pub(crate) fn served(&self) -> Option<&str> {
        match self {
            Self::Replace { served, .. } | Self::Stage { served, .. } | Self::Leaf { served, .. } => served.as_deref(),
            Self::Promote { .. } | Self::Bundle { .. } => None,
        }
    }

    /// Whether this makes good what somebody or something has broken.
    pub(crate) fn repairs(&self) -> bool {
        match self {
            Self::Replace { .. } => true,
            Self::Leaf { reason, .. } => {
                matches!(reason, Reason::NotValid | Reason::WrongRole | Reason::OtherAuthority | Reason::Unusable(_))
            }
            Self::Stage { .. } | Self::Promote { .. } | Self::Bundle { .. } => false,
        }
    }

    /// What was done, as Events name it.
    pub(crate) fn event_reason(&self) -> &'static str {
        match self {
            Self::Replace { .. } => "AuthorityIssued",
            Self::Stage { .. } => "NextAuthorityIssued",
            Self::Promote { .. } => "AuthorityReplaced",
            Self::Bundle { .. } => "BundleWritten",
            Self::Leaf { .. } => "CertificateIssued",
        }
    }

    /// The data of the Secret that this asks for, with new keys where it asks for new ones.
    pub(crate) fn data(
        &self,
        now: Timestamp,
        lifetimes: Lifetimes,
        sans: &BTreeSet<String>,
    ) -> Result<Data, CertificateError> {
        match self {
            Self::Replace { keep, .. } => {
                let issued = issue_ca(now, lifetimes.ca())?;
                let mut bundle = issued.certificate_pem.clone().into_bytes();
                bundle.extend(pem(&keep[..keep.len().min(BUNDLE_AUTHORITIES_MAX - 1)]).0);
                Ok(data(issued, bundle))
            }
            Self::Stage { current, trusted, .. } => {
                let (next, cross) = issue_next_ca(now, lifetimes.ca(), current.signer())?;
                let own = current.certificate_pem.clone().into_bytes();
                let mut bundle = pem(std::slice::from_ref(&current.parsed)).0;
                bundle.extend(next.certificate_pem.as_bytes());
                let others: Vec<Parsed> =
                    trusted.iter().filter(|other| other.der != current.parsed.der).cloned().collect();
                bundle.extend(pem(&others[..others.len().min(BUNDLE_AUTHORITIES_MAX - 2)]).0);
                Ok(Data::from([
                    (CERTIFICATE.to_owned(), ByteString(own)),
                    (KEY.to_owned(), ByteString(current.key_pem.clone().into_bytes())),
                    (NEXT_CERTIFICATE.to_owned(), ByteString(next.certificate_pem.into_bytes())),
                    (NEXT_KEY.to_owned(), ByteString(next.key_pem.into_bytes())),
                    (CROSS.to_owned(), ByteString(cross.into_bytes())),
                    (BUNDLE.to_owned(), ByteString(bundle)),
                ]))
            }
            Self::Promote { next, keep } => {
                let issued = Issued { certificate_pem: next.certificate_pem.clone(), key_pem: next.key_pem.clone() };
                let mut bundle = pem(std::slice::from_ref(&next.parsed)).0;
                bundle.extend(pem(keep).0);
                Ok(data(issued, bundle))
            }
            Self::Bundle { data } => Ok(data.clone()),
            Self::Leaf { signer, along, bundle, .. } => {
                let mut issued = issue_leaf(now, lifetimes.leaf(), signer.signer(), sans)?;
                issued.certificate_pem.push_str(along.as_deref().unwrap_or_default());
                Ok(data(issued, bundle.0.clone()))
            }
        }
    }
}

fn data(issued: Issued, bundle: Vec<u8>) -> Data {
    Data::from([
        (CERTIFICATE.to_owned(), ByteString(issued.certificate_pem.into_bytes())),
        (KEY.to_owned(), ByteString(issued.key_pem.into_bytes())),
        (BUNDLE.to_owned(), ByteString(bundle)),
    ])
}

impl fmt::Display for CertificateWork {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replace { reason, .. } => write!(formatter, "a new authority: {reason}"),
            Self::Stage { reason, .. } => write!(formatter, "the next authority: {reason}"),
            Self::Promote { .. } => formatter.write_str("the next authority takes over and the former one is retired"),
            Self::Bundle { .. } => formatter.write_str("the bundle of authorities"),
            Self::Leaf { reason, .. } => write!(formatter, "a new serving certificate: {reason}"),
        }
    }
}
