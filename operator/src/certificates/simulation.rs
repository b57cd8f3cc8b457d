//! Rotations simulated: two operators that see everything late and crash at any step, clocks that are wrong, replicas
//! that come and go, kube-aggregators that follow slowly.
//!
//! The invariant at every moment: what each replica serves is believed under every bundle in use.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::ResourceExt;
use proptest::prelude::*;
use rustls_pki_types::{CertificateDer, pem::PemObject};

use super::{holdings::CERTIFICATE, *};

const API_SERVICES: usize = 2;

/// Clocks of operators are ahead or behind by so much.
const SKEW: SignedDuration = SignedDuration::from_mins(20);

#[derive(Clone, Debug)]
enum Step {
    /// Time passes.
    Days(i64),
    /// An operator's watch of a Secret, or of APIServices, or its questions to replicas, come up to date.
    Sees(usize, Watch),
    /// An operator looks, decides, and does the first so many of its writes before it crashes, or all of them.
    Acts(usize, usize),
    /// It starts anew.
    Restarts(usize),
    /// A replica loads the Secret.
    Loads(u8),
    /// A replica starts, or ends if it runs.
    ComesOrGoes(u8),
    /// A kube-aggregator takes over what APIServices say.
    Follows,
    /// Somebody asks for a new authority or serving certificate.
    Asks(Watch),
}

#[derive(Clone, Copy, Debug)]
enum Watch {
    Authority,
    Serving,
    ApiServices,
    Replicas,
}

fn step() -> impl Strategy<Value = Step> {
    let watch =
        prop_oneof![Just(Watch::Authority), Just(Watch::Serving), Just(Watch::ApiServices), Just(Watch::Replicas)];
    let asked = prop_oneof![3 => Just(Watch::Authority), 1 => Just(Watch::Serving)];
    prop_oneof![
        2 => (1_i64..12).prop_map(Step::Days),
        9 => (0_usize..2, watch).prop_map(|(operator, watch)| Step::Sees(operator, watch)),
        12 => (0_usize..2, 0_usize..6).prop_map(|(operator, writes)| Step::Acts(operator, writes)),
        1 => (0_usize..2).prop_map(Step::Restarts),
        5 => (0_u8..3).prop_map(Step::Loads),
        1 => (0_u8..3).prop_map(Step::ComesOrGoes),
        2 => Just(Step::Follows),
        2 => asked.prop_map(Step::Asks),
    ]
}

type Versioned<T> = (T, u64);

#[derive(Clone, Default)]
struct Objects {
    authority: Option<Secret>,
    serving: Option<Secret>,
    api_services: Vec<Versioned<ByteString>>,
}

#[derive(Clone, Default)]
struct Operator {
    seen: Objects,
    replicas: Vec<Option<Parsed>>,
    round_trip: Option<String>,
    skew: SignedDuration,
}

/// Whether a reader of a bundle may need the successor's cross-signed certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Help {
    None,
    SentAlong,
}

type Chain = Vec<CertificateDer<'static>>;

struct World {
    now: Timestamp,
    objects: Objects,
    /// What kube-aggregators go by: at most one change behind.
    followed: Vec<ByteString>,
    replicas: BTreeMap<u8, Chain>,
    operators: Vec<Operator>,
    versions: u64,
    asked: u64,
    promoted: usize,
}

fn sans() -> BTreeSet<String> {
    ["api.system.svc".to_owned()].into()
}

impl World {
    fn new() -> Self {
        let now = "2026-11-23T00:00:00Z".parse().unwrap();
        let objects = Objects { api_services: vec![(ByteString(Vec::new()), 0); API_SERVICES], ..Objects::default() };
        let operator = |skew| Operator { seen: objects.clone(), skew, ..Operator::default() };
        let operators = vec![operator(SKEW), operator(-SKEW)];
        let followed = vec![ByteString(Vec::new()); API_SERVICES];
        let mut world =
            Self { now, objects, followed, replicas: BTreeMap::new(), operators, versions: 0, asked: 0, promoted: 0 };
        world.settle();
        world.replicas = (0..2).map(|id| (id, world.chain())).collect();
        world.settle();
        world
    }

    /// What the Secret holds.
    fn chain(&self) -> Chain {
        let data = self.objects.serving.as_ref().and_then(|serving| serving.data.as_ref());
        let pem = data.map(|data| data[CERTIFICATE].0.clone()).unwrap_or_default();
        CertificateDer::pem_slice_iter(&pem).map(Result::unwrap).collect()
    }

    fn sees(&mut self, operator: usize, watch: Watch) {
        let served = |chain: &Chain| chain.first().map(|der| Parsed::from_der(der.clone()).unwrap());
        let replicas = self.replicas.values().map(served).collect();
        let operator = &mut self.operators[operator];
        match watch {
            Watch::Authority => operator.seen.authority.clone_from(&self.objects.authority),
            Watch::Serving => operator.seen.serving.clone_from(&self.objects.serving),
            Watch::ApiServices => operator.seen.api_services.clone_from(&self.objects.api_services),
            Watch::Replicas => operator.replicas = replicas,
        }
    }

    fn sees_all(&mut self, operator: usize) {
        for watch in [Watch::Authority, Watch::Serving, Watch::ApiServices, Watch::Replicas] {
            self.sees(operator, watch);
        }
    }

    fn assess(&self, operator: &Operator) -> CertificateState {
        let carried = |bundle: &ByteString| operator.seen.api_services.iter().all(|(held, _)| held == bundle);
        let served = Served::Replicas(operator.replicas.clone());
        let observed = Observed {
            spread: &|bundle| if carried(bundle) { Spread::Complete } else { Spread::Pending },
            served: &served,
            round_trip: &|key| operator.round_trip.as_deref() == Some(key),
        };
        let seen = &operator.seen;
        let now = self.now + operator.skew;
        super::assess(now, seen.authority.as_ref(), seen.serving.as_ref(), &sans(), &observed)
    }

    /// An operator decides on what it has seen; its writes are conditional on that. Returns whether it had work.
    fn acts(&mut self, index: usize, writes_max: usize) -> bool {
        let operator = self.operators[index].clone();
        let state = self.assess(&operator);
        let mut left = writes_max;
        let mut worked = state.work.is_some();
        if let Some(work) = &state.work
            && left > 0
        {
            left -= 1;
            self.write(&operator, work);
        }
        for (at, (held, version)) in operator.seen.api_services.iter().enumerate() {
            let Some(bundle) = state.bundle.as_ref().filter(|bundle| *bundle != held) else { continue };
            worked = true;
            let object = &mut self.objects.api_services[at];
            let current = self.objects.authority.as_ref().and_then(super::bundle);
            if left > 0 && object.1 == *version && current.as_ref() == Some(bundle) {
                left -= 1;
                self.versions += 1;
                self.followed[at] = std::mem::replace(object, (bundle.clone(), self.versions)).0;
            }
        }
        if let Some(key) = state.round_trip
            && left > 0
        {
            worked = true;
            self.operators[index].round_trip = Some(key);
        }
        worked
    }

    fn write(&mut self, operator: &Operator, work: &CertificateWork) {
        let version = |secret: &Option<Secret>| secret.as_ref().and_then(ResourceExt::resource_version);
        if let CertificateWork::Leaf { authority_version, .. } = work
            && version(&self.objects.authority) != *authority_version
        {
            return;
        }
        let (target, seen) = if work.is_for_authority() {
            (&mut self.objects.authority, &operator.seen.authority)
        } else {
            (&mut self.objects.serving, &operator.seen.serving)
        };
        if version(target) != version(seen) {
            return;
        }
        self.promoted += usize::from(matches!(work, CertificateWork::Promote { .. }));
        let data = Some(work.data(self.now + operator.skew, Lifetimes::default(), &sans()).unwrap());
        let mut metadata = seen.as_ref().map(|secret| secret.metadata.clone()).unwrap_or_default();
        self.versions += 1;
        metadata.resource_version = Some(self.versions.to_string());
        if let Some(served) = work.served() {
            metadata.annotations.get_or_insert_default().insert(ROTATED_ANNOTATION.to_owned(), served.to_owned());
        }
        *target = Some(Secret { data, metadata, ..Secret::default() });
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Days(days) => self.now += SignedDuration::from_hours(24 * days),
            Step::Sees(operator, watch) => self.sees(operator, watch),
            Step::Acts(operator, writes) => drop(self.acts(operator, writes)),
            Step::Restarts(operator) => {
                self.operators[operator].round_trip = None;
                self.sees_all(operator);
            }
            Step::Loads(id) => {
                let chain = self.chain();
                self.replicas.entry(id).and_modify(|served| *served = chain);
            }
            Step::ComesOrGoes(id) => {
                if self.replicas.remove(&id).is_none() {
                    let chain = self.chain();
                    self.replicas.insert(id, chain);
                }
            }
            Step::Follows => self.followed = self.objects.api_services.iter().map(|(held, _)| held.clone()).collect(),
            Step::Asks(watch) => {
                self.asked += 1;
                self.versions += 1;
                let (asked, version) = (self.asked.to_string(), self.versions.to_string());
                let target = match watch {
                    Watch::Authority => &mut self.objects.authority,
                    _ => &mut self.objects.serving,
                };
                if let Some(secret) = target {
                    secret.annotations_mut().insert(ROTATE_ANNOTATION.to_owned(), asked);
                    secret.metadata.resource_version = Some(version);
                }
            }
        }
    }

    /// What breaks the invariant. Time that nobody used to renew anything breaks nothing.
    fn broken(&self) -> Option<String> {
        // What APIServices say now needs no help of the certificate that is sent along.
        let carried = self.objects.api_services.iter().map(|(held, _)| (held.0.as_slice(), Help::None));
        let followed = self.followed.iter().map(|held| (held.0.as_slice(), Help::SentAlong));
        let bundles: BTreeSet<(&[u8], Help)> = carried.chain(followed).collect();
        for (bundle, help) in bundles {
            let mut authorities = Parsed::bundle(bundle);
            authorities.retain(|authority| authority.is_valid_at(self.now));
            if authorities.is_empty() {
                continue;
            }
            for (id, chain) in &self.replicas {
                let Some((own, along)) = chain.split_first() else { continue };
                let own = Parsed::from_der(own.clone()).unwrap();
                let along = if help == Help::None { &[] } else { along };
                if own.is_valid_at(self.now) && !own.is_trusted_through(along, &authorities, self.now) {
                    return Some(format!("replica {id} is not believed under a bundle of {}", authorities.len()));
                }
            }
        }
        None
    }

    /// Everybody sees everything and works until nobody has work.
    fn settle(&mut self) {
        for _ in 0..60 {
            let mut worked = false;
            for operator in 0..self.operators.len() {
                self.sees_all(operator);
                worked |= self.acts(operator, usize::MAX);
                let chain = self.chain();
                self.replicas.values_mut().for_each(|served| served.clone_from(&chain));
                self.take(&Step::Follows);
            }
            if !worked {
                return;
            }
        }
        panic!("rotations never end");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_replica_is_believed_and_rotations_end(
        steps in proptest::collection::vec(step(), 20..140),
    ) {
        let mut world = World::new();
        for (at, step) in steps.iter().enumerate() {
            world.take(step);
            let broken = world.broken();
            prop_assert!(broken.is_none(), "after step {at}, {step:?}: {}", broken.unwrap());
        }
        if world.replicas.is_empty() {
            world.take(&Step::ComesOrGoes(0));
        }
        world.settle();
        world.sees_all(0);
        let stage = world.assess(&world.operators[0]).stage;
        prop_assert_eq!(stage, Stage::Settled);
        let promoted = world.promoted;
        world.take(&Step::Asks(Watch::Authority));
        world.settle();
        prop_assert!(world.promoted > promoted, "a rotation that is asked for comes to its end");
        prop_assert_eq!(world.broken(), None);
    }
}

/// A crash after each write of a rotation: whoever starts next brings it to the same end.
#[test]
fn a_crash_at_any_step_only_delays_a_rotation() {
    for crashes_after in 0..12 {
        let mut world = World::new();
        world.take(&Step::Asks(Watch::Authority));
        for _ in 0..crashes_after {
            world.take(&Step::Restarts(0));
            world.acts(0, 1);
            for id in 0..2 {
                world.take(&Step::Loads(id));
            }
            assert_eq!(world.broken(), None, "crashes after {crashes_after} writes");
        }
        world.take(&Step::Restarts(0));
        world.settle();
        assert_eq!(world.promoted, 1, "crashes after {crashes_after} writes");
        assert_eq!(world.broken(), None);
    }
}
