//! Two candidates and one Lease in simulated time, with clocks that disagree and connections that are cut.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use proptest::prelude::*;

use super::candidate::{Attempt, Candidate, LEASE_SECONDS, RETRY_PERIOD, pause};

/// One step of simulated time.
const STEP: Duration = Duration::from_millis(100);

struct Node {
    candidate: Candidate,
    /// Thousandths by which its clock is fast.
    rate: u32,
    /// Seconds by which its wall clock is wrong.
    wall: i64,
    /// The answer of the cluster takes this long.
    delay: Duration,
    next: Duration,
    cut: Vec<(u64, u64)>,
    pending: Option<(Duration, Instant, Attempt, u64)>,
}

impl Node {
    fn new(name: &str, rate: u32, wall: i64, delay: u64, cut: Vec<(u64, u64)>) -> Self {
        let delay = Duration::from_millis(delay);
        let candidate = Candidate::new(name.to_owned());
        Self { candidate, rate, wall, delay, next: Duration::ZERO, cut, pending: None }
    }

    fn clock(&self, base: Instant, at: Duration) -> Instant {
        base + at * (1_000 + self.rate) / 1_000
    }

    fn is_cut(&self, at: Duration) -> bool {
        self.cut.iter().any(|(from, length)| (*from..from + length).contains(&at.as_secs()))
    }

    fn leads(&self, base: Instant, at: Duration) -> bool {
        self.candidate.leads_until().is_some_and(|until| self.clock(base, at) < until)
    }
}

#[derive(Default)]
struct Store {
    lease: Option<LeaseSpec>,
    version: u64,
}

fn step(node: &mut Node, store: &mut Store, base: Instant, at: Duration) {
    if let Some((due, began, attempt, version)) = node.pending.take() {
        if at < due {
            node.pending = Some((due, began, attempt, version));
        } else if !node.is_cut(at)
            && version == store.version
            && let Attempt::Create(spec) | Attempt::Replace(spec) = attempt
        {
            store.lease = Some(spec);
            store.version += 1;
            node.candidate.won(began);
        }
        return;
    }
    if at < node.next || node.is_cut(at) {
        return;
    }
    let chance = f64::from(u32::try_from(at.as_millis() % 100).unwrap()) / 100.0;
    node.next = at + if node.leads(base, at) { RETRY_PERIOD } else { pause(chance) };
    let now = node.clock(base, at);
    let wall = Timestamp::from_second(1_700_000_000 + node.wall + i64::try_from(at.as_secs()).unwrap()).unwrap();
    match node.candidate.attempt(store.lease.as_ref(), now, wall) {
        Attempt::Wait => node.candidate.lost(),
        attempt => node.pending = Some((at + node.delay, now, attempt, store.version)),
    }
}

fn cuts() -> impl Strategy<Value = Vec<(u64, u64)>> {
    proptest::collection::vec((0_u64..200, 1_u64..40), 0..5)
}

proptest! {
    #[test]
    fn two_never_lead_at_a_time(
        rates in (0_u32..50, 0_u32..50), walls in (-9_000_i64..9_000, -9_000_i64..9_000),
        delays in (0_u64..4_000, 0_u64..4_000), cut in (cuts(), cuts()),
    ) {
        let base = Instant::now();
        let mut store = Store::default();
        let mut nodes = [
            Node::new("a", rates.0, walls.0, delays.0, cut.0),
            Node::new("b", rates.1, walls.1, delays.1, cut.1),
        ];
        for tick in 0..3_000_u32 {
            let at = STEP * tick;
            for node in &mut nodes {
                step(node, &mut store, base, at);
            }
            prop_assert!(!nodes.iter().all(|node| node.leads(base, at)), "both lead at {at:?}");
        }
    }
}

#[test]
fn another_takes_over_within_the_lease_and_a_pause_when_the_leader_is_gone() {
    let base = Instant::now();
    let mut store = Store::default();
    let mut first = Node::new("a", 0, 0, 0, Vec::new());
    let mut second = Node::new("b", 0, 3_600, 0, Vec::new());
    let killed = 300_u32;
    let mut taken = None;
    for tick in 0..900_u32 {
        let at = STEP * tick;
        if tick < killed {
            step(&mut first, &mut store, base, at);
        }
        step(&mut second, &mut store, base, at);
        if tick >= killed && second.leads(base, at) {
            taken = Some(at.saturating_sub(STEP * killed));
            break;
        }
    }
    let taken = taken.expect("the second leads in the end");
    let longest = Duration::from_secs(LEASE_SECONDS.unsigned_abs().into()) + pause(1.0) * 2 + STEP * 2;
    assert!(taken <= longest, "{taken:?} is longer than {longest:?}");
    assert_eq!(store.lease.unwrap().lease_transitions, Some(1));
}

#[test]
fn a_lease_that_was_released_is_taken_at_once() {
    let now = Instant::now();
    let wall = Timestamp::from_second(1_700_000_000).unwrap();
    let mut first = Candidate::new("a".to_owned());
    let mut second = Candidate::new("b".to_owned());
    let Attempt::Create(held) = first.attempt(None, now, wall) else { panic!("nobody holds it") };
    assert_eq!(second.attempt(Some(&held), now, wall), Attempt::Wait);
    assert_eq!(second.release(&held, wall), None, "it is not the second's to release");
    let released = first.release(&held, wall).expect("it is the first's");
    let Attempt::Replace(taken) = second.attempt(Some(&released), now, wall) else { panic!("it is free") };
    assert_eq!(taken.holder_identity.as_deref(), Some("b"));
    assert_eq!(taken.lease_transitions, Some(1));
}

#[test]
fn a_renewal_keeps_the_time_of_acquisition_and_the_number_of_transitions() {
    let now = Instant::now();
    let (begin, later) =
        (Timestamp::from_second(1_700_000_000).unwrap(), Timestamp::from_second(1_700_000_002).unwrap());
    let mut candidate = Candidate::new("a".to_owned());
    let Attempt::Create(held) = candidate.attempt(None, now, begin) else { panic!("nobody holds it") };
    let Attempt::Replace(renewed) = candidate.attempt(Some(&held), now, later) else { panic!("it is ours") };
    assert_eq!(renewed.acquire_time, held.acquire_time);
    assert_eq!(renewed.lease_transitions, held.lease_transitions);
    assert_ne!(renewed.renew_time, held.renew_time);
}
