//! When an action may start: one at a time on each subject, not before its outcome was seen, later after a failure.
//!
//! Pure: it is told the time.

use std::{
    collections::{BTreeMap, HashMap, HashSet, btree_map::Entry},
    ops::Bound,
    time::{Duration, Instant},
};

use crate::decide::Subject;

/// The pause after the first failure.
const BACKOFF_MIN: Duration = Duration::from_millis(200);

/// The longest pause after failures.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// How long the outcome of a write may take to be seen by our watch before it is tried again.
const OUTCOME_SEEN_MAX: Duration = Duration::from_secs(20);

#[derive(Debug)]
enum Phase {
    Running,
    /// Written on this state of the object: a decision on the same state would be the same again.
    Written(Option<String>),
    Failed,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    failures: u32,
    until: Instant,
}

/// The pace of all subjects.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    subjects: HashMap<Subject, State>,
    /// The subjects on which nothing runs, by the time until which they wait.
    waiting: BTreeMap<Instant, HashSet<Subject>>,
}

impl Pace {
    fn set(&mut self, subject: &Subject, state: State) {
        self.stopped(subject);
        if !matches!(state.phase, Phase::Running) {
            self.waiting.entry(state.until).or_default().insert(subject.clone());
        }
        self.subjects.insert(subject.clone(), state);
    }

    /// Whether an action on a subject, decided on that state of it, may start.
    pub(crate) fn may_start(&self, subject: &Subject, basis: Option<&str>, now: Instant) -> bool {
        self.subjects.get(subject).is_none_or(|state| match &state.phase {
            Phase::Running => false,
            Phase::Written(before) => before.as_deref() != basis || state.until <= now,
            Phase::Failed => state.until <= now,
        })
    }

    /// An action has started.
    pub(crate) fn started(&mut self, subject: &Subject, now: Instant) {
        let failures = self.subjects.get(subject).map_or(0, |state| state.failures);
        self.set(subject, State { phase: Phase::Running, failures, until: now });
    }

    /// It was stopped before its end.
    pub(crate) fn stopped(&mut self, subject: &Subject) {
        let Some(state) = self.subjects.remove(subject) else { return };
        if let Entry::Occupied(mut waiting) = self.waiting.entry(state.until) {
            waiting.get_mut().remove(subject);
            if waiting.get().is_empty() {
                waiting.remove();
            }
        }
    }

    /// It has succeeded.
    pub(crate) fn succeeded(&mut self, subject: &Subject, basis: Option<String>, now: Instant) {
        let state = State { phase: Phase::Written(basis), failures: 0, until: now + OUTCOME_SEEN_MAX };
        self.set(subject, state);
    }

    /// It has failed. `jitter` is between 0 and 1. Returns the pause.
    pub(crate) fn failed(&mut self, subject: &Subject, now: Instant, jitter: f64) -> Duration {
        let failures = self.subjects.get(subject).map_or(0, |state| state.failures).saturating_add(1);
        let pause = BACKOFF_MIN.saturating_mul(2_u32.saturating_pow(failures - 1)).min(BACKOFF_MAX);
        // Between half and all of it, so that what failed together does not come back together.
        let pause = pause.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        self.set(subject, State { phase: Phase::Failed, failures, until: now + pause });
        pause
    }

    /// It was refused, as its object had changed since it was seen: that state of it is not worth another try.
    pub(crate) fn outdated(&mut self, subject: &Subject, basis: Option<String>, now: Instant) {
        let failures = self.subjects.get(subject).map_or(0, |state| state.failures);
        self.set(subject, State { phase: Phase::Written(basis), failures, until: now + OUTCOME_SEEN_MAX });
    }

    /// Forgets what no longer matters, and tells when to look again.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Instant> {
        while let Some(first) = self.waiting.first_entry().filter(|first| *first.key() + 2 * BACKOFF_MAX <= now) {
            for subject in first.remove() {
                self.subjects.remove(&subject);
            }
        }
        self.waiting.range((Bound::Excluded(now), Bound::Unbounded)).next().map(|(until, _)| *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        Subject::Status("redises".to_owned())
    }

    #[test]
    fn one_action_at_a_time_works_on_a_subject() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert!(pace.may_start(&subject(), None, now));
        pace.started(&subject(), now);
        assert!(!pace.may_start(&subject(), Some("7"), now + BACKOFF_MAX));
        assert!(pace.may_start(&Subject::Status("other".to_owned()), None, now));
    }

    #[test]
    fn a_write_is_not_repeated_before_its_outcome_is_seen() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.started(&subject(), now);
        pace.succeeded(&subject(), Some("7".to_owned()), now);
        assert!(!pace.may_start(&subject(), Some("7"), now));
        assert!(pace.may_start(&subject(), Some("8"), now), "its outcome is seen");
        assert_eq!(pace.next(now), Some(now + OUTCOME_SEEN_MAX));
        assert!(pace.may_start(&subject(), Some("7"), now + OUTCOME_SEEN_MAX), "it never came");
    }

    #[test]
    fn a_write_that_came_too_late_waits_for_the_state_that_it_missed() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.started(&subject(), now);
        pace.outdated(&subject(), Some("7".to_owned()), now);
        assert!(!pace.may_start(&subject(), Some("7"), now + BACKOFF_MIN));
        assert!(pace.may_start(&subject(), Some("8"), now), "it is seen");
    }

    #[test]
    fn failures_make_the_pauses_longer_up_to_a_limit() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..12 {
            pace.started(&subject(), now);
            pauses.push(pace.failed(&subject(), now, 1.0));
        }
        assert_eq!((pauses[0], pauses[1], pauses[11]), (BACKOFF_MIN, 2 * BACKOFF_MIN, BACKOFF_MAX));
        assert!(!pace.may_start(&subject(), None, now + BACKOFF_MAX / 2));
        assert!(pace.may_start(&subject(), None, now + BACKOFF_MAX));
        pace.succeeded(&subject(), None, now);
        assert_eq!(pace.failed(&subject(), now, 0.0), BACKOFF_MIN / 2, "a success forgives them");
    }

    #[test]
    fn what_is_long_over_is_forgotten() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.succeeded(&subject(), None, now);
        assert_eq!(pace.next(now + 10 * BACKOFF_MAX), None);
        assert!(pace.subjects.is_empty());
    }
}
