//! Who lives and who is asked when: a pure function of the Leases seen, the answers, and the time it is told.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;

use super::{ADDRESS_ANNOTATION, Answer, Fault, ReplicaState};

/// The most replicas that are followed; further Leases are not read.
const REPLICAS_MAX: usize = 256;

/// Questions under way at a time.
const QUESTIONS_MAX: usize = 8;

/// The pause after something changed; it doubles with each question that shows nothing new.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause; a replica that was killed is noticed within this and the deadline of a question.
const PAUSE_MAX: Duration = Duration::from_millis(1_500);

/// The longest duration that a Lease may claim.
const LEASE_MAX: Duration = Duration::from_secs(300);

/// The duration of a Lease that names none.
const LEASE_DEFAULT: Duration = Duration::from_secs(15);

/// A Lease is removed when it was expired for this many of its durations.
const REMOVED_AFTER_DURATIONS: u32 = 4;

/// A question that is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// The name of the Lease.
    pub lease: String,
    /// The process that should answer.
    pub identity: String,
    /// Where.
    pub address: SocketAddr,
    /// What it answered last.
    pub last: Option<Answer>,
}

/// A Lease that nobody has renewed for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dead {
    /// Its name.
    pub lease: String,
    /// Its uid.
    pub uid: Option<String>,
    /// The state in which it was seen.
    pub resource_version: Option<String>,
}

/// Whether an answer tells anything new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It does.
    Changed,
    /// It is what was known.
    Same,
}

#[derive(Debug)]
struct Known {
    identity: String,
    address: SocketAddr,
    renewed: Option<Timestamp>,
    renewed_seen: Instant,
    duration: Duration,
    dead: Dead,
    removal_asked: Option<Instant>,
    asking: bool,
    /// Something changed while it was asked: the answer may be of before.
    nudged: bool,
    pause: Duration,
    ask_at: Instant,
    answer: Option<Result<Answer, Fault>>,
    asked_at: Option<Timestamp>,
}

impl Known {
    fn lives(&self, now: Instant) -> bool {
        now < self.renewed_seen + self.duration
    }

    fn removable_at(&self) -> Instant {
        self.renewed_seen.max(self.removal_asked.unwrap_or(self.renewed_seen)) + self.duration * REMOVED_AFTER_DURATIONS
    }
}

/// The replicas that Leases tell of.
#[derive(Debug, Default)]
pub(super) struct Roster {
    known: BTreeMap<String, Known>,
}

impl Roster {
    /// The Leases are now these.
    pub(super) fn observe<'a>(&mut self, leases: impl IntoIterator<Item = &'a Lease>, now: Instant) {
        let mut gone = std::mem::take(&mut self.known);
        for lease in leases.into_iter().take(REPLICAS_MAX) {
            let name = lease.name_any();
            let spec = lease.spec.as_ref();
            let identity = spec.and_then(|spec| spec.holder_identity.clone()).unwrap_or_default();
            let address = lease.annotations().get(ADDRESS_ANNOTATION).and_then(|text| text.parse().ok());
            let Some(address) = address.filter(|_| !identity.is_empty()) else { continue };
            let renewed = spec.and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0);
            let seconds = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|it| u64::try_from(it).ok());
            let duration = seconds.map_or(LEASE_DEFAULT, Duration::from_secs).min(LEASE_MAX);
            let dead = Dead { lease: name.clone(), uid: lease.uid(), resource_version: lease.resource_version() };
            let known = match gone.remove(&name) {
                Some(mut known) if known.identity == identity && known.address == address => {
                    if known.renewed != renewed {
                        known.renewed_seen = now;
                    }
                    Known { renewed, duration, dead, ..known }
                }
                _ => Known {
                    identity,
                    address,
                    renewed,
                    renewed_seen: now,
                    duration,
                    dead,
                    removal_asked: None,
                    asking: false,
                    nudged: false,
                    pause: PAUSE_MIN,
                    ask_at: now,
                    answer: None,
                    asked_at: None,
                },
            };
            self.known.insert(name, known);
        }
    }

    /// Something changed that answers may depend on: all are asked soon.
    pub(super) fn nudge(&mut self, now: Instant) {
        for known in self.known.values_mut() {
            known.pause = PAUSE_MIN;
            known.ask_at = known.ask_at.min(now);
            known.nudged = known.asking;
        }
    }

    /// The questions to ask now; each is under way until [`Roster::answered`].
    pub(super) fn due(&mut self, now: Instant) -> Vec<Question> {
        let room = QUESTIONS_MAX.saturating_sub(self.known.values().filter(|known| known.asking).count());
        let due = self.known.iter_mut().filter(|(_, known)| !known.asking && known.lives(now) && known.ask_at <= now);
        let mut due: Vec<_> = due.collect();
        due.sort_by_key(|(_, known)| known.ask_at);
        let question = |(name, known): (&String, &mut Known)| {
            known.asking = true;
            known.nudged = false;
            Question {
                lease: name.clone(),
                identity: known.identity.clone(),
                address: known.address,
                last: known.answer.clone().and_then(Result::ok),
            }
        };
        due.into_iter().take(room).map(question).collect()
    }

    /// A question was answered. `jitter` is between 0 and 1.
    pub(super) fn answered(
        &mut self,
        question: &Question,
        answer: Result<Answer, Fault>,
        (now, wall_clock): (Instant, Timestamp),
        jitter: f64,
    ) -> News {
        let known = self.known.get_mut(&question.lease);
        let Some(known) = known.filter(|known| known.identity == question.identity && known.asking) else {
            return News::Same;
        };
        known.asking = false;
        known.asked_at = Some(wall_clock);
        let answer = Some(answer);
        let news = if known.answer == answer { News::Same } else { News::Changed };
        known.answer = answer;
        known.pause = match news {
            News::Changed => PAUSE_MIN,
            News::Same => (known.pause * 2).min(PAUSE_MAX),
        };
        let pause = if known.nudged { Duration::ZERO } else { known.pause };
        known.ask_at = now + pause.mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0);
        news
    }

    /// Those that live, with what they said last.
    pub(super) fn living(&self, now: Instant) -> Vec<ReplicaState> {
        let living = self.known.values().filter(|known| known.lives(now));
        living
            .map(|known| ReplicaState {
                identity: known.identity.clone(),
                address: known.address,
                answer: known.answer.clone(),
                asked_at: known.asked_at,
            })
            .collect()
    }

    /// How many have a Lease that has expired and is there still: they are cut off from the cluster or dead, and it is
    /// not known which.
    pub(super) fn lost(&self, now: Instant) -> usize {
        self.known.values().filter(|known| !known.lives(now)).count()
    }

    /// Leases to remove now: nobody has renewed them for long. Each is told again only much later.
    pub(super) fn dead(&mut self, now: Instant) -> Vec<Dead> {
        let dead = self.known.values_mut().filter(|known| !known.lives(now) && known.removable_at() <= now);
        dead.map(|known| {
            known.removal_asked = Some(now);
            known.dead.clone()
        })
        .collect()
    }

    /// When there is something to do next without a change.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        // Who finds no room among the questions is woken by an answer.
        let full = self.known.values().filter(|known| known.asking).count() >= QUESTIONS_MAX;
        let next = |known: &Known| match (known.lives(now), known.asking || full) {
            (true, true) => known.renewed_seen + known.duration,
            (true, false) => known.ask_at.min(known.renewed_seen + known.duration),
            (false, _) => known.removable_at(),
        };
        self.known.values().map(next).min()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::MicroTime};
    use kube::api::ObjectMeta;

    use std::sync::{Arc, LazyLock};

    use super::*;
    use crate::certificates::{Parsed, issue_ca};

    const DURATION: Duration = Duration::from_secs(15);

    fn lease(name: &str, identity: &str, renewed: i64) -> Lease {
        Lease {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                annotations: Some([(ADDRESS_ANNOTATION.to_owned(), "10.0.0.7:8443".to_owned())].into()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(identity.to_owned()),
                lease_duration_seconds: Some(15),
                renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
                ..LeaseSpec::default()
            }),
        }
    }

    fn answer(digest: &str) -> Answer {
        static CERTIFICATE: LazyLock<Arc<Parsed>> = LazyLock::new(|| {
            let life = jiff::SignedDuration::from_hours(1);
            let issued = issue_ca(Timestamp::UNIX_EPOCH + life, life).unwrap();
            Arc::new(Parsed::bundle(issued.certificate_pem.as_bytes()).remove(0))
        });
        let certificate = Arc::clone(&CERTIFICATE);
        Answer { synced: true, digest: digest.to_owned(), definitions: Arc::default(), certificate }
    }

    fn names(states: &[ReplicaState]) -> Vec<&str> {
        states.iter().map(|state| state.identity.as_str()).collect()
    }

    #[test]
    fn a_lease_counts_as_long_as_it_is_renewed_whatever_the_clocks_say() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        // Its clock is years behind ours.
        roster.observe(&[lease("a", "one", 7)], now);
        assert_eq!(names(&roster.living(now + DURATION / 2)), ["one"]);
        roster.observe(&[lease("a", "one", 12)], now + DURATION / 2);
        assert_eq!(names(&roster.living(now + DURATION)), ["one"]);
        roster.observe(&[lease("a", "one", 12)], now + DURATION);
        let end = now + DURATION / 2 + DURATION;
        assert!(roster.living(end).is_empty(), "it was only seen again, not renewed");
        assert!(roster.due(end).is_empty());
        assert!(roster.dead(end).is_empty());
        assert_eq!(roster.lost(end), 1, "it may be there still");
        let late = end + DURATION * REMOVED_AFTER_DURATIONS;
        assert_eq!(roster.dead(late)[0].lease, "a");
        assert!(roster.dead(late).is_empty(), "not at once again");
    }

    #[test]
    fn another_process_on_the_address_is_asked_anew() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        roster.observe(&[lease("a", "one", 7)], now);
        let before = roster.due(now).remove(0);
        roster.observe(&[lease("a", "two", 8)], now);
        assert_eq!(roster.answered(&before, Ok(answer("x")), (now, Timestamp::MIN), 0.5), News::Same);
        assert_eq!(roster.living(now)[0].answer, None);
        assert_eq!(roster.due(now)[0].identity, "two");
    }

    #[test]
    fn pauses_grow_until_something_changes() {
        let (mut roster, mut now) = (Roster::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            roster.observe(&[lease("a", "one", 7)], now);
            let question = roster.due(now).remove(0);
            assert!(roster.due(now).is_empty(), "it is under way");
            roster.answered(&question, Ok(answer("x")), (now, Timestamp::MIN), 0.5);
            let next = roster.next(now).unwrap();
            pauses.push(next - now);
            now = next;
        }
        assert_eq!((pauses[0], pauses[1], pauses[7]), (PAUSE_MIN, PAUSE_MIN * 2, PAUSE_MAX));
        let question = roster.due(now).remove(0);
        assert_eq!(roster.answered(&question, Ok(answer("y")), (now, Timestamp::MIN), 0.5), News::Changed);
        assert_eq!(roster.next(now), Some(now + PAUSE_MIN));
        roster.nudge(now);
        assert_eq!(roster.due(now).len(), 1, "at once");
    }

    #[test]
    fn a_change_during_a_question_is_asked_for_again() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        roster.observe(&[lease("a", "one", 7)], now);
        let question = roster.due(now).remove(0);
        roster.nudge(now);
        roster.answered(&question, Ok(answer("x")), (now, Timestamp::MIN), 0.5);
        assert_eq!(roster.due(now).len(), 1);
    }

    #[test]
    fn only_so_many_are_asked_at_a_time() {
        let (mut roster, now) = (Roster::default(), Instant::now());
        let leases: Vec<Lease> = (0..300).map(|it| lease(&format!("l{it}"), &format!("i{it}"), 1)).collect();
        roster.observe(&leases, now);
        assert_eq!(roster.living(now).len(), REPLICAS_MAX);
        assert_eq!(roster.due(now).len(), QUESTIONS_MAX);
        assert!(roster.due(now).is_empty());
        assert!(roster.next(now).is_some_and(|next| next > now), "nobody looks again before something happens");
    }
}
