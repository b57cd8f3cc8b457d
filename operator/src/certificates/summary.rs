//! What there is to say about the certificates: for people, and for metrics.

use std::collections::BTreeSet;

use jiff::{Timestamp, Unit};
use k8s_openapi::{ByteString, api::core::v1::Secret, kube_aggregator::pkg::apis::apiregistration::v1::APIService};

use kube::ResourceExt;

use super::{
    holdings::Holdings,
    lifetimes::renew_at,
    parsed::Parsed,
    rotation::{Observed, Served, Spread, assess},
    stage::Stage,
};
use crate::ours::{MANAGED_BY_LABEL, MANAGED_BY_VALUE, carries, is_ours};

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// What it is for: `serving`, `ca`, `next-ca`, `trusted-ca`.
    pub purpose: &'static str,
    /// SHA-256, in hexadecimal.
    pub fingerprint: String,
    /// The first moment it is valid.
    pub not_before: Timestamp,
    /// The last moment it is valid.
    pub not_after: Timestamp,
    /// When it is renewed; none for one that only is trusted still.
    pub renew_at: Option<Timestamp>,
    /// The names it is valid for.
    pub names: Vec<String>,
}

/// How the certificates stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How far a rotation has come.
    pub stage: Stage,
    /// The certificates there are.
    pub certificates: Vec<Described>,
    /// What cannot be used, and why.
    pub faults: Vec<String>,
    /// What happens next.
    pub next_step: String,
}

impl Described {
    fn new(purpose: &'static str, certificate: &Parsed) -> Self {
        Self {
            purpose,
            fingerprint: certificate.fingerprint(),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            renew_at: (purpose != TRUSTED).then(|| whole_second(renew_at(certificate))),
            names: certificate.sans.iter().cloned().collect(),
        }
    }
}

fn whole_second(moment: Timestamp) -> Timestamp {
    moment.round(Unit::Second).unwrap_or(moment)
}

const TRUSTED: &str = "trusted-ca";

/// The certificates of both Secrets: what is served, who signed it, who is to sign, who is trusted besides.
pub(super) fn described(held: &Holdings) -> Vec<Described> {
    let mut all = Vec::new();
    all.extend(held.leaf.iter().map(|leaf| Described::new("serving", &leaf.parsed)));
    all.extend(held.current.iter().map(|current| Described::new("ca", &current.parsed)));
    all.extend(held.next.iter().map(|next| Described::new("next-ca", &next.parsed)));
    let known: BTreeSet<String> = all.iter().map(|one| one.fingerprint.clone()).collect();
    let others = held.trusted.iter().map(|other| Described::new(TRUSTED, other));
    all.extend(others.filter(|other| !known.contains(&other.fingerprint)));
    all
}

/// How the certificates stand, as far as objects of the cluster tell: what replicas serve they do not tell.
#[must_use]
pub fn summarize(
    now: Timestamp,
    ca: Option<&Secret>,
    serving: Option<&Secret>,
    wanted_names: &BTreeSet<String>,
    api_services: &[APIService],
) -> Summary {
    let held = Holdings::read(now, ca, serving);
    let foreign = |serving: &Secret| serving.labels().get(MANAGED_BY_LABEL).is_none_or(|by| by != MANAGED_BY_VALUE);
    if ca.is_none() && serving.is_some_and(foreign) {
        return kept_by_somebody_else(now, &held);
    }
    let ours: Vec<&APIService> = api_services.iter().filter(|found| is_ours(found)).collect();
    let carrying = |bundle: &ByteString| ours.iter().filter(|found| carries(found, bundle)).count();
    let observed = Observed {
        spread: &|bundle| if carrying(bundle) == ours.len() { Spread::Complete } else { Spread::Pending },
        served: &Served::Unasked,
        round_trip: &|_| true,
    };
    let state = assess(now, ca, serving, wanted_names, &observed);
    let mut faults = Vec::new();
    faults.extend(held.current.as_ref().err().map(|why| format!("the Secret of the CA: {why}")));
    faults.extend(held.leaf.as_ref().err().map(|why| format!("the Secret of the serving certificate: {why}")));
    if let Ok(leaf) = &held.leaf
        && !leaf.parsed.is_trusted_through(&leaf.along, &held.trusted, now)
    {
        faults.push("the serving certificate is not believed under the bundle".to_owned());
    }
    let carried = held.bundle.as_ref().map_or(0, carrying);
    let spread = format!("{carried} of {} APIServices carry the bundle", ours.len());
    let next_step = match state.stage {
        Stage::Missing => "the operator issues a CA and a serving certificate".to_owned(),
        Stage::External => "nothing: somebody else keeps the certificates".to_owned(),
        Stage::Staged => format!("the next CA signs once every APIService trusts it: {spread}"),
        Stage::Trusted => "the next CA signs a serving certificate".to_owned(),
        Stage::Issued | Stage::Serving { .. } => {
            "the former CA leaves once each replica serves what its successor has signed; the operator asks them"
                .to_owned()
        }
        Stage::Retired => format!("the former CA leaves the APIServices: {spread}"),
        Stage::Settled => {
            let due = state.described.iter().filter_map(|one| Some((one.renew_at?, one.purpose))).min();
            due.map_or_else(
                || "nothing is known to be due".to_owned(),
                |(at, purpose)| format!("{purpose} is renewed at {at}; {spread}"),
            )
        }
    };
    Summary { stage: state.stage, certificates: state.described, faults, next_step }
}

fn kept_by_somebody_else(now: Timestamp, held: &Holdings) -> Summary {
    let fault = match &held.leaf {
        Err(why) => Some(format!("the Secret of the serving certificate: {why}")),
        Ok(leaf) if !leaf.parsed.is_valid_at(now) => Some("the serving certificate is not valid now".to_owned()),
        Ok(leaf) if !leaf.parsed.is_trusted_through(&leaf.along, &held.trusted_by_leaf, now) => {
            Some("the serving certificate is not believed under the ca.crt beside it".to_owned())
        }
        Ok(_) => None,
    };
    let mut certificates = described(held);
    // Whoever keeps it knows when it is renewed.
    certificates.iter_mut().for_each(|one| one.renew_at = None);
    let next_step = "nothing: somebody else keeps the certificates".to_owned();
    Summary { stage: Stage::External, certificates, faults: fault.into_iter().collect(), next_step }
}
