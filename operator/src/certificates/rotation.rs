//! The order in which certificates come into use and go: a pure function of two Secrets and of what was observed.
//!
//! ```text
//! Settled ─▶ Staged ─▶ Trusted ─▶ Issued ─▶ Serving(k/n) ─▶ Retired ─▶ Settled
//!      successor   every APIService  leaf by    each replica     former
//!      in bundle   carries it        successor  serves one       authority gone
//! ```
//!
//! # Guarantees
//! - Nothing is signed by an authority before every APIService of ours was seen with it in its bundle, unless what is
//!   served works no more anyway.
//! - An authority leaves the bundle when each replica was seen to serve what the others trust; or when it expires.
//! - Each step is one conditional write of one Secret. After a crash the next look goes on from what was written.
//! - What the successor signs is sent along with its cross-signed certificate, so that a reader of an old bundle, which
//!   we cannot see, accepts it too.
//!
//! # Assumptions
//! A replica whose Lease is gone is not reached any more: that of one which was killed or cut off is removed only a
//! minute after it has expired. A replica that starts reads the Secret as it is then.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use super::{
    holdings::{Authority, BUNDLE, BUNDLE_AUTHORITIES_MAX, Holdings, Leaf, distinct, pem},
    lifetimes::renew_at,
    parsed::{Parsed, Role},
    stage::Stage,
    summary::{Described, described},
    work::{CertificateWork, Reason},
};

/// Whether every APIService of ours carries a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spread {
    /// Every one does.
    Complete,
    /// At least one does not.
    Pending,
}

/// What replicas were seen to serve.
#[derive(Clone, Debug)]
pub(crate) enum Served {
    /// Nobody asks them: authorities stay trusted until they expire.
    Unasked,
    /// What each replica that lives showed in a handshake; none when it showed nothing.
    Replicas(Vec<Option<Parsed>>),
}

/// What was seen of the cluster beyond the Secrets.
pub(crate) struct Observed<'a> {
    /// How far a bundle has come.
    pub spread: &'a dyn Fn(&ByteString) -> Spread,
    /// What replicas serve.
    pub served: &'a Served,
    /// Whether a request came through kube-aggregator since this key, of bundle and serving certificate, was in force.
    pub round_trip: &'a dyn Fn(&str) -> bool,
}

/// What was found, and what is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateState {
    /// How far a rotation has come.
    pub stage: Stage,
    /// The bundle for APIServices, once a serving certificate that it trusts is there.
    pub bundle: Option<ByteString>,
    /// What is to be written next, one Secret at a time.
    pub work: Option<CertificateWork>,
    /// The round trip that is waited for.
    pub round_trip: Option<String>,
    /// When to look again, if nothing changes before.
    pub next: Option<Timestamp>,
    /// The certificates there are.
    pub described: Vec<Described>,
}

/// Certificates that somebody else keeps: the bundle is given, and nothing is ever written.
pub(crate) fn external(now: Timestamp, serving: Option<&Secret>, bundle: Option<ByteString>) -> CertificateState {
    let bundle = bundle.filter(|bundle| !Parsed::bundle(&bundle.0).is_empty());
    let mut described = described(&Holdings::read(now, None, serving));
    described.iter_mut().for_each(|one| one.renew_at = None);
    let stage = Stage::External;
    CertificateState { stage, bundle, work: None, round_trip: None, next: None, described }
}

/// Judges both Secrets.
pub(crate) fn assess(
    now: Timestamp,
    ca: Option<&Secret>,
    serving: Option<&Secret>,
    wanted_sans: &BTreeSet<String>,
    observed: &Observed<'_>,
) -> CertificateState {
    let held = Holdings::read(now, ca, serving);
    let missing = |work| CertificateState {
        stage: Stage::Missing,
        bundle: None,
        work: Some(work),
        round_trip: None,
        next: None,
        described: described(&held),
    };
    let current = match (&held.current, &held.next) {
        (Ok(current), _) => current.clone(),
        // The authority has expired or is lost while its successor was brought in.
        (Err(_), Some(next)) => {
            let others: Vec<Parsed> =
                held.trusted.iter().filter(|other| other.der != next.parsed.der).cloned().collect();
            let keep = distinct(others.iter().take(BUNDLE_AUTHORITIES_MAX - 1));
            return missing(CertificateWork::Promote { next: next.clone(), keep });
        }
        // The serving Secret still knows whom clients trust until they have the new bundle.
        (Err(why), None) => {
            let keep = distinct(held.trusted.iter().chain(&held.trusted_by_leaf));
            let reason = Reason::Unusable(why.clone());
            return missing(CertificateWork::Replace { reason, keep, served: held.rotate_ca.clone() });
        }
    };
    let authority_version = ca.and_then(ResourceExt::resource_version);
    Rotation { now, held, current, wanted_sans, observed }.state(ca, authority_version)
}

/// Two Secrets with an authority that can be used, and the world around them.
struct Rotation<'a> {
    now: Timestamp,
    held: Holdings,
    current: Authority,
    wanted_sans: &'a BTreeSet<String>,
    observed: &'a Observed<'a>,
}

impl Rotation<'_> {
    fn state(&self, ca: Option<&Secret>, authority_version: Option<String>) -> CertificateState {
        let trusted = self.trusted();
        let bundle = pem(&trusted);
        let bundle_is_right = self.held.bundle.as_ref() == Some(&bundle);
        let leaf = match self.leaf() {
            Some(leaf) if leaf.parsed.is_trusted_through(&leaf.along, &trusted, self.now) => Believed::Yes,
            _ => Believed::No,
        };
        let spread = (self.observed.spread)(&bundle);
        let key = self.round_trip_key(&bundle);
        let round_trip = if (self.observed.round_trip)(&key) { RoundTrip::Done } else { RoundTrip::Awaited };
        let next_signs = self.next_signs();
        let signer = if next_signs || self.next_is_trusted(spread, round_trip) { By::Next } else { By::Current };
        let everywhere = self.served_by(&self.next_alone()) == Everywhere::Yes;
        let work = if !bundle_is_right {
            let mut data = ca.and_then(|ca| ca.data.clone()).unwrap_or_default();
            data.insert(BUNDLE.to_owned(), bundle.clone());
            Some(CertificateWork::Bundle { data })
        } else {
            self.leaf_work(signer, leaf, spread, &bundle, authority_version)
                .or_else(|| self.promotion(spread, round_trip))
                .or_else(|| self.retirement(ca))
                .or_else(|| self.staging(spread, &trusted))
        };
        let stage = self.stage(spread, round_trip);
        let waits = match stage {
            Stage::Staged => spread == Spread::Complete,
            Stage::Issued | Stage::Serving { .. } => next_signs && everywhere,
            _ => false,
        };
        CertificateState {
            stage,
            bundle: (leaf == Believed::Yes && bundle_is_right).then_some(bundle),
            work,
            round_trip: (waits && round_trip == RoundTrip::Awaited).then_some(key),
            next: self.next(),
            described: described(&self.held),
        }
    }

    fn leaf(&self) -> Option<&Leaf> {
        self.held.leaf.as_ref().ok()
    }

    fn next_alone(&self) -> Vec<Parsed> {
        self.held.next.iter().map(|next| next.parsed.clone()).collect()
    }

    /// The authorities that sign: the one in use and its successor.
    fn own(&self) -> Vec<Parsed> {
        let mut own = vec![self.current.parsed.clone()];
        own.extend(self.next_alone());
        own
    }

    /// All that are to be trusted: those that sign first.
    fn trusted(&self) -> Vec<Parsed> {
        let own = self.own();
        distinct(own.iter().chain(&self.held.trusted))
    }

    /// Whether there is a successor, and all who verify what is served trust it.
    fn next_is_trusted(&self, spread: Spread, round_trip: RoundTrip) -> bool {
        self.held.next.is_some() && spread == Spread::Complete && round_trip == RoundTrip::Done
    }

    /// Whether the serving certificate is signed by the successor.
    fn next_signs(&self) -> bool {
        let next = self.next_alone();
        !next.is_empty() && self.leaf().is_some_and(|leaf| leaf.parsed.is_trusted_by(&next, self.now))
    }

    fn round_trip_key(&self, bundle: &ByteString) -> String {
        let leaf = self.leaf().map(|leaf| leaf.parsed.fingerprint()).unwrap_or_default();
        format!("{:x}/{leaf}", Sha256::digest(&bundle.0))
    }

    /// Whether all that is served, and what is to be served, is trusted by these authorities alone.
    fn served_by(&self, authorities: &[Parsed]) -> Everywhere {
        if authorities.is_empty() || !self.leaf().is_some_and(|it| it.parsed.is_trusted_by(authorities, self.now)) {
            return Everywhere::No;
        }
        match &self.observed.served {
            Served::Unasked => Everywhere::Unknown,
            Served::Replicas(replicas) => {
                let trusted =
                    |leaf: &Option<Parsed>| leaf.as_ref().is_some_and(|leaf| leaf.is_trusted_by(authorities, self.now));
                if !replicas.is_empty() && replicas.iter().all(trusted) { Everywhere::Yes } else { Everywhere::No }
            }
        }
    }

    fn leaf_work(
        &self,
        signer: By,
        leaf: Believed,
        spread: Spread,
        bundle: &ByteString,
        authority_version: Option<String>,
    ) -> Option<CertificateWork> {
        let reason = self.leaf_reason(signer)?;
        // What is served still works: the new one waits until whoever verifies it knows its authority.
        if reason == Reason::OtherAuthority && leaf == Believed::Yes && spread == Spread::Pending {
            return None;
        }
        let (signer, along) = match (signer, &self.held.next) {
            (By::Next, Some(next)) => (next.clone(), self.held.cross_pem.clone()),
            (By::Current, _) | (By::Next, None) => (self.current.clone(), None),
        };
        let (bundle, served) = (bundle.clone(), self.held.rotate_leaf.clone());
        Some(CertificateWork::Leaf { reason, signer, along, bundle, authority_version, served })
    }

    /// Why a new serving certificate is to be issued, if it is.
    fn leaf_reason(&self, signer: By) -> Option<Reason> {
        let leaf = match &self.held.leaf {
            Ok(leaf) => &leaf.parsed,
            Err(why) => return Some(Reason::Unusable(why.clone())),
        };
        if !leaf.is_valid_at(self.now) {
            return Some(Reason::NotValid);
        }
        if leaf.role != Role::Leaf {
            return Some(Reason::WrongRole);
        }
        if leaf.sans != *self.wanted_sans {
            return Some(Reason::Names);
        }
        if !leaf.is_trusted_by(&self.own(), self.now) {
            return Some(Reason::OtherAuthority);
        }
        if signer == By::Next && !self.next_signs() && self.held.next.is_some() {
            return Some(Reason::Successor);
        }
        if renew_at(leaf) <= self.now {
            return Some(Reason::Renewal);
        }
        self.held.rotate_leaf.is_some().then_some(Reason::Asked)
    }

    fn promotion(&self, spread: Spread, round_trip: RoundTrip) -> Option<CertificateWork> {
        let next = self.held.next.clone()?;
        match self.served_by(&self.next_alone()) {
            Everywhere::Yes if round_trip == RoundTrip::Done => {
                Some(CertificateWork::Promote { next, keep: Vec::new() })
            }
            // Nobody knows what is served: the former authority stays trusted until it expires.
            Everywhere::Unknown if spread == Spread::Complete => {
                let others: Vec<Parsed> =
                    self.trusted().into_iter().filter(|other| other.der != next.parsed.der).collect();
                Some(CertificateWork::Promote { next, keep: others })
            }
            _ => None,
        }
    }

    /// Those in the bundle that sign nothing go once nothing that is served needs them.
    fn retirement(&self, ca: Option<&Secret>) -> Option<CertificateWork> {
        let own = self.own();
        if self.trusted().len() <= own.len() || self.served_by(&own) != Everywhere::Yes {
            return None;
        }
        let mut data = ca.and_then(|ca| ca.data.clone()).unwrap_or_default();
        data.insert(BUNDLE.to_owned(), pem(&own));
        Some(CertificateWork::Bundle { data })
    }

    /// A successor is made when the authority is old enough or somebody asks, and the last rotation is over.
    fn staging(&self, spread: Spread, trusted: &[Parsed]) -> Option<CertificateWork> {
        let reason = match &self.held.rotate_ca {
            Some(_) => Reason::Asked,
            None if renew_at(&self.current.parsed) <= self.now => Reason::Renewal,
            None => return None,
        };
        let room = trusted.len() < BUNDLE_AUTHORITIES_MAX;
        (self.held.next.is_none() && spread == Spread::Complete && room).then(|| CertificateWork::Stage {
            reason,
            current: self.current.clone(),
            trusted: trusted.to_vec(),
            served: self.held.rotate_ca.clone(),
        })
    }

    fn stage(&self, spread: Spread, round_trip: RoundTrip) -> Stage {
        let serving = |authorities: &[Parsed]| match &self.observed.served {
            Served::Unasked => Stage::Issued,
            Served::Replicas(replicas) => {
                let trusted = |leaf: &&Option<Parsed>| {
                    leaf.as_ref().is_some_and(|leaf| leaf.is_trusted_by(authorities, self.now))
                };
                match replicas.iter().filter(trusted).count() {
                    0 => Stage::Issued,
                    served => Stage::Serving { served, replicas: replicas.len() },
                }
            }
        };
        match (&self.held.next, spread) {
            (Some(_), _) if self.next_signs() => serving(&self.next_alone()),
            (Some(_), _) if self.next_is_trusted(spread, round_trip) => Stage::Trusted,
            (Some(_), _) => Stage::Staged,
            (None, _) if self.trusted().len() > 1 => serving(&self.own()),
            (None, Spread::Pending) => Stage::Retired,
            (None, Spread::Complete) => Stage::Settled,
        }
    }

    /// The next moment at which the time alone asks for something.
    fn next(&self) -> Option<Timestamp> {
        let mut moments = vec![renew_at(&self.current.parsed)];
        moments.extend(self.leaf().map(|leaf| renew_at(&leaf.parsed)));
        moments.extend(self.leaf().map(|leaf| leaf.parsed.not_after));
        moments.extend(self.trusted().iter().map(|authority| authority.not_after));
        moments.into_iter().filter(|moment| *moment > self.now).min()
    }
}

/// Whose turn it is to sign a serving certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The authority in use.
    Current,
    /// Its successor.
    Next,
}

/// Whether the serving certificate is believed under the bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Believed {
    Yes,
    No,
}

/// Whether a request came through kube-aggregator with the bundle and the serving certificate that are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RoundTrip {
    Done,
    Awaited,
}

/// Whether something is served everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Everywhere {
    Yes,
    No,
    Unknown,
}
