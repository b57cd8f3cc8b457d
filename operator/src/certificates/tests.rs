//! What is repaired, what waits for what, and when: single steps, on Secrets as they are in a cluster.

use std::{cell::RefCell, collections::BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::ResourceExt;
use rstest::rstest;

use super::{
    holdings::{BUNDLE, CERTIFICATE, KEY},
    *,
};

fn start() -> Timestamp {
    "2026-11-23T00:00:00Z".parse().unwrap()
}

fn sans() -> BTreeSet<String> {
    wanted_sans("api", "system")
}

/// Two Secrets and what is around them.
struct Cluster {
    now: Timestamp,
    ca: Option<Secret>,
    leaf: Option<Secret>,
    spread: Spread,
    served: Served,
    round_trips: RefCell<Vec<String>>,
}

impl Cluster {
    fn fresh() -> Self {
        let mut cluster = Self::empty();
        assert_eq!(cluster.settle(), 2);
        cluster.serve();
        cluster
    }

    fn empty() -> Self {
        Self {
            now: start(),
            ca: None,
            leaf: None,
            spread: Spread::Complete,
            served: Served::Unasked,
            round_trips: RefCell::default(),
        }
    }

    fn assess(&self) -> CertificateState {
        let observed = Observed {
            spread: &|_| self.spread,
            served: &self.served,
            round_trip: &|key| {
                self.round_trips.borrow_mut().push(key.to_owned());
                true
            },
        };
        super::assess(self.now, self.ca.as_ref(), self.leaf.as_ref(), &sans(), &observed)
    }

    fn step(&mut self) -> Option<CertificateWork> {
        let work = self.assess().work?;
        let data = Some(work.data(self.now, Lifetimes::default(), &sans()).unwrap());
        let target = if work.is_for_authority() { &mut self.ca } else { &mut self.leaf };
        let mut metadata = target.take().map(|secret| secret.metadata).unwrap_or_default();
        if let Some(served) = work.served() {
            metadata.annotations.get_or_insert_default().insert(ROTATED_ANNOTATION.to_owned(), served.to_owned());
        }
        *target = Some(Secret { data, metadata, ..Secret::default() });
        Some(work)
    }

    /// Does all the work there is; returns how many writes it took.
    fn settle(&mut self) -> usize {
        (0..10).find(|_| self.step().is_none()).expect("certificates never settle")
    }

    /// Two replicas serve what the Secret holds.
    fn serve(&mut self) {
        let leaf = Parsed::bundle(&self.leaf.as_ref().unwrap().data.as_ref().unwrap()[CERTIFICATE].0).remove(0);
        self.served = Served::Replicas(vec![Some(leaf.clone()), Some(leaf)]);
    }

    fn after_days(&mut self, days: i64) -> &mut Self {
        self.now = start() + SignedDuration::from_hours(days * 24);
        self
    }

    fn bundle_len(&self) -> usize {
        Parsed::bundle(&self.assess().bundle.unwrap().0).len()
    }
}

fn annotate(secret: &mut Option<Secret>, value: &str) {
    secret.as_mut().unwrap().annotations_mut().insert(ROTATE_ANNOTATION.to_owned(), value.to_owned());
}

#[test]
fn nothing_leads_to_two_secrets_and_a_bundle() {
    let cluster = Cluster::fresh();
    let found = cluster.assess().bundle.unwrap();
    assert_eq!(&found, &cluster.ca.as_ref().unwrap().data.as_ref().unwrap()[CERTIFICATE]);
    assert_eq!(cluster.leaf.as_ref().unwrap().data.as_ref().unwrap()[BUNDLE], found);
    assert_eq!(cluster.assess().stage, Stage::Settled);
}

#[rstest]
#[case::new(0, None)]
#[case::shortly_before(55, None)]
#[case::two_thirds(61, Some("a new serving certificate: it is time to renew it"))]
#[case::expired(91, Some("a new serving certificate: it is not valid now"))]
#[case::half_of_the_authority(183, Some("a new serving certificate: it is not valid now"))]
fn age_is_judged_by_the_certificates(#[case] days: i64, #[case] expected: Option<&str>) {
    let mut cluster = Cluster::fresh();
    let work = cluster.after_days(days).assess().work;
    assert_eq!(work.map(|work| work.to_string()).as_deref(), expected);
}

#[test]
fn operators_agree_on_when_and_certificates_differ() {
    let at = |ca: &Issued| renew_at(&Parsed::bundle(ca.certificate_pem.as_bytes())[0]);
    let issue = || issue_ca(start(), CA_LIFETIME).unwrap();
    let cas: Vec<Issued> = (0..20).map(|_| issue()).collect();
    assert_eq!(at(&cas[0]), at(&cas[0]));
    let moments: BTreeSet<Timestamp> = cas.iter().map(at).collect();
    assert!(moments.len() > 10);
    let (half, part) = (CA_LIFETIME / 2, CA_LIFETIME / 20);
    let bounds = start() + half - part - SignedDuration::from_hours(1)..=start() + half;
    assert!(moments.iter().all(|moment| bounds.contains(moment)), "{moments:?}");
}

#[test]
fn a_rotation_goes_through_its_stages_and_no_step_is_taken_early() {
    let mut cluster = Cluster::fresh();
    cluster.after_days(59);
    cluster.settle();
    cluster.serve();
    annotate(&mut cluster.ca, "today");
    let old = cluster.leaf.clone();
    assert_eq!(cluster.step().unwrap().to_string(), "the next authority: an annotation asks for it");
    cluster.spread = Spread::Pending;
    assert_eq!(cluster.assess().stage, Stage::Staged);
    assert_eq!(cluster.bundle_len(), 2, "old and new");
    assert_eq!(cluster.settle(), 0, "nobody signs before everybody trusts");
    cluster.spread = Spread::Complete;
    assert_eq!(cluster.assess().stage, Stage::Trusted);
    let issued = cluster.step().unwrap();
    assert_eq!(issued.to_string(), "a new serving certificate: the next authority is trusted everywhere");
    assert_ne!(cluster.leaf, old);
    assert_eq!(cluster.assess().stage, Stage::Issued);
    let Served::Replicas(replicas) = cluster.served.clone() else { panic!("replicas are asked") };
    let before = replicas[0].clone();
    cluster.serve();
    let Served::Replicas(replicas) = &mut cluster.served else { panic!("replicas are asked") };
    replicas[1] = before;
    assert_eq!(cluster.assess().stage, Stage::Serving { served: 1, replicas: 2 });
    assert_eq!(cluster.settle(), 0, "the former authority stays for the last replica");
    let Served::Replicas(replicas) = &mut cluster.served else { panic!("replicas are asked") };
    replicas[1] = None;
    assert_eq!(cluster.settle(), 0, "and for one that does not answer");
    cluster.serve();
    assert!(matches!(cluster.step(), Some(CertificateWork::Promote { .. })));
    cluster.spread = Spread::Pending;
    assert_eq!(cluster.assess().stage, Stage::Retired);
    assert_eq!(cluster.bundle_len(), 1);
    cluster.spread = Spread::Complete;
    assert_eq!((cluster.assess().stage, cluster.settle()), (Stage::Settled, 0), "the annotation was served");
}

#[test]
fn a_leaf_is_renewed_by_the_authority_in_use_while_its_successor_waits() {
    let mut cluster = Cluster::fresh();
    annotate(&mut cluster.ca, "x");
    cluster.step();
    cluster.spread = Spread::Pending;
    cluster.after_days(61);
    assert_eq!(cluster.step().unwrap().to_string(), "a new serving certificate: it is time to renew it");
    assert_eq!(cluster.assess().stage, Stage::Staged);
}

#[test]
fn an_annotation_asks_for_a_new_leaf_once() {
    let mut cluster = Cluster::fresh();
    annotate(&mut cluster.leaf, "1");
    assert_eq!((cluster.settle(), cluster.settle()), (1, 0));
    annotate(&mut cluster.leaf, "2");
    assert_eq!(cluster.settle(), 1);
}

#[test]
fn broken_secrets_are_repaired() {
    for key in [CERTIFICATE, KEY, BUNDLE, "other"] {
        let data = Some(Data::from([(key.to_owned(), ByteString(b"garbage".to_vec()))]));
        let garbage = Some(Secret { data, ..Secret::default() });
        let mut cluster = Cluster { ca: garbage.clone(), leaf: garbage, ..Cluster::empty() };
        cluster.settle();
        assert!(cluster.assess().bundle.is_some(), "{key}");
    }
}

#[rstest]
#[case::without_its_key(Some(KEY))]
#[case::gone(None)]
fn a_lost_authority_stays_trusted_for_what_it_signed(#[case] lost: Option<&str>) {
    let mut cluster = Cluster::fresh();
    let serving = cluster.leaf.clone();
    match lost {
        Some(key) => drop(cluster.ca.as_mut().unwrap().data.as_mut().unwrap().remove(key)),
        None => cluster.ca = None,
    }
    assert_eq!((cluster.assess().bundle, cluster.assess().stage), (None, Stage::Missing));
    cluster.spread = Spread::Pending;
    assert_eq!(cluster.settle(), 1);
    assert_eq!(cluster.leaf, serving, "it works until every APIService has the new bundle");
    assert_eq!(cluster.bundle_len(), 2);
    cluster.spread = Spread::Complete;
    assert_eq!(cluster.settle(), 1);
    assert_eq!(cluster.bundle_len(), 2, "replicas serve the old one");
    cluster.serve();
    assert_eq!((cluster.settle(), cluster.bundle_len()), (1, 1));
}

#[test]
fn a_bundle_that_somebody_changed_is_restored() {
    let mut cluster = Cluster::fresh();
    let before = cluster.ca.clone();
    cluster.ca.as_mut().unwrap().data.as_mut().unwrap().insert(BUNDLE.to_owned(), ByteString(Vec::new()));
    assert_eq!(cluster.settle(), 1);
    assert_eq!(cluster.ca, before);
}

#[test]
fn everything_expired_is_replaced_at_once() {
    let mut cluster = Cluster::fresh();
    cluster.spread = Spread::Pending;
    assert_eq!(cluster.after_days(1000).settle(), 2);
    assert!(cluster.assess().bundle.is_some());
}

#[test]
fn a_successor_takes_over_from_an_authority_that_expires() {
    let mut cluster = Cluster::fresh();
    cluster.after_days(180);
    cluster.settle();
    annotate(&mut cluster.ca, "x");
    cluster.step();
    cluster.spread = Spread::Pending;
    cluster.after_days(366);
    assert!(matches!(cluster.step(), Some(CertificateWork::Promote { .. })));
    cluster.settle();
    assert!(cluster.assess().bundle.is_some());
}

#[test]
fn what_nobody_looks_at_stays_trusted_until_it_expires() {
    let mut cluster = Cluster::fresh();
    cluster.served = Served::Unasked;
    annotate(&mut cluster.ca, "x");
    assert_eq!(cluster.settle(), 3, "staged, issued, promoted");
    assert_eq!(cluster.bundle_len(), 2);
    for day in [61, 122, 183, 244, 305, 366] {
        cluster.after_days(day).settle();
    }
    assert!(cluster.bundle_len() <= 2);
}

#[test]
fn other_names_ask_for_a_new_leaf() {
    let cluster = Cluster::fresh();
    let elsewhere = wanted_sans("api", "elsewhere");
    let observed = Observed { spread: &|_| Spread::Complete, served: &cluster.served, round_trip: &|_| true };
    let state = super::assess(cluster.now, cluster.ca.as_ref(), cluster.leaf.as_ref(), &elsewhere, &observed);
    assert_eq!(state.work.unwrap().to_string(), "a new serving certificate: its names are not the ones wanted");
}

#[test]
fn a_leaf_cannot_be_the_authority() {
    let mut cluster = Cluster::fresh();
    cluster.ca = cluster.leaf.clone();
    let work = cluster.assess().work.unwrap().to_string();
    assert_eq!(work, "a new authority: there is no usable one: its certificate may not sign others");
}

#[test]
fn what_there_is_to_say_is_what_there_is_to_do() {
    let mut cluster = Cluster::fresh();
    let say = |cluster: &Cluster| summarize(cluster.now, cluster.ca.as_ref(), cluster.leaf.as_ref(), &sans(), &[]);
    let purposes = |summary: &Summary| summary.certificates.iter().map(|one| one.purpose).collect::<Vec<_>>();
    let ours = cluster.leaf.as_mut().unwrap();
    ours.labels_mut().insert("app.kubernetes.io/managed-by".to_owned(), "kindsmith".to_owned());
    let summary = say(&cluster);
    assert_eq!((summary.stage, purposes(&summary)), (Stage::Settled, vec!["serving", "ca"]));
    assert!(summary.faults.is_empty() && summary.next_step.starts_with("serving is renewed at"), "{summary:?}");
    annotate(&mut cluster.ca, "x");
    cluster.step();
    assert_eq!(purposes(&say(&cluster)), ["serving", "ca", "next-ca"]);
    cluster.ca = None;
    let summary = say(&cluster);
    assert_eq!(summary.stage, Stage::Missing);
    assert_eq!(summary.faults[0], "the Secret of the CA: there is none");
}

#[test]
fn certificates_of_somebody_else_are_described_and_not_renewed() {
    let mut cluster = Cluster::fresh();
    cluster.ca = None;
    let summary = summarize(cluster.now, None, cluster.leaf.as_ref(), &sans(), &[]);
    assert_eq!((summary.stage, summary.faults.len(), summary.certificates.len()), (Stage::External, 0, 1));
    assert_eq!(summary.certificates[0].renew_at, None);
    let state = external(cluster.now, cluster.leaf.as_ref(), bundle(cluster.leaf.as_ref().unwrap()));
    assert!(state.bundle.is_some() && state.work.is_none() && state.next.is_none());
    assert_eq!(external(cluster.now, None, Some(ByteString(b"garbage".to_vec()))).bundle, None);
    cluster.after_days(100);
    let expired = summarize(cluster.now, None, cluster.leaf.as_ref(), &sans(), &[]);
    assert_eq!(expired.faults, ["the serving certificate is not valid now"]);
}
