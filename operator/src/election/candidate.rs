//! Who leads: a pure function of the Leases seen and of this process's own monotonic clock.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::{api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::MicroTime};

/// How long a Lease of ours lasts, in seconds as it is written (client-go's usual `leaseDuration`).
pub(super) const LEASE_SECONDS: i32 = 15;

/// A leader that could not renew for this long has stopped (client-go's usual `renewDeadline`).
pub(super) const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// The pause between attempts (client-go's usual `retryPeriod`).
pub(super) const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// How much longer than the pause a candidate may wait (client-go's `JitterFactor`).
const JITTER_FACTOR: f64 = 1.2;

/// The longest that the Lease of another is believed, whatever it claims.
const LEASE_MAX: Duration = Duration::from_secs(300);

/// What is to be written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Attempt {
    /// There is no Lease: make it.
    Create(LeaseSpec),
    /// The Lease is ours or free: replace the one that was read, and no other.
    Replace(LeaseSpec),
    /// Somebody else holds it.
    Wait,
}

/// One process that would lead, by the rules of client-go's `tools/leaderelection/leaderelection.go`.
///
/// Times in a Lease are never compared with a clock: a Lease has expired when it was not seen to change for as long as
/// it lasts.
#[derive(Debug)]
pub(super) struct Candidate {
    identity: String,
    seen: Option<(LeaseSpec, Instant)>,
    /// When the last renewal that succeeded was begun.
    renewed: Option<Instant>,
}

impl Candidate {
    /// A candidate; no other process ever has the same identity.
    pub(super) fn new(identity: String) -> Self {
        Self { identity, seen: None, renewed: None }
    }

    /// What to do about the Lease that was just read.
    pub(super) fn attempt(&mut self, found: Option<&LeaseSpec>, now: Instant, wall_clock: Timestamp) -> Attempt {
        let Some(found) = found else {
            return Attempt::Create(self.held(MicroTime(wall_clock), wall_clock, 0));
        };
        if self.seen.as_ref().is_none_or(|(seen, _)| seen != found) {
            self.seen = Some((found.clone(), now));
        }
        let transitions = found.lease_transitions.unwrap_or(0);
        if self.is_ours(found) {
            let acquired = found.acquire_time.clone().unwrap_or(MicroTime(wall_clock));
            return Attempt::Replace(self.held(acquired, wall_clock, transitions));
        }
        let held = found.holder_identity.as_deref().is_some_and(|holder| !holder.is_empty());
        let since = self.seen.as_ref().map_or(now, |(_, since)| *since);
        if held && now.saturating_duration_since(since) < duration(found) {
            return Attempt::Wait;
        }
        Attempt::Replace(self.held(MicroTime(wall_clock), wall_clock, transitions.saturating_add(1)))
    }

    /// The attempt that began then was written.
    pub(super) fn won(&mut self, began: Instant) {
        self.renewed = Some(began);
    }

    /// Another holds the Lease, or it was given up.
    pub(super) fn lost(&mut self) {
        self.renewed = None;
    }

    /// Until when it leads, when nothing more succeeds.
    ///
    /// Counted from before the renewal was sent, so that it ends earlier than the Lease does for anybody who saw it.
    pub(super) fn leads_until(&self) -> Option<Instant> {
        self.renewed.map(|renewed| renewed + RENEW_DEADLINE)
    }

    /// What to write so that another need not wait; None when the Lease is not ours.
    pub(super) fn release(&self, found: &LeaseSpec, wall_clock: Timestamp) -> Option<LeaseSpec> {
        self.is_ours(found).then(|| LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            acquire_time: Some(MicroTime(wall_clock)),
            renew_time: Some(MicroTime(wall_clock)),
            ..found.clone()
        })
    }

    fn is_ours(&self, found: &LeaseSpec) -> bool {
        found.holder_identity.as_deref() == Some(self.identity.as_str())
    }

    fn held(&self, acquired: MicroTime, wall_clock: Timestamp, transitions: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(LEASE_SECONDS),
            acquire_time: Some(acquired),
            renew_time: Some(MicroTime(wall_clock)),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }
}

/// How long a candidate waits before it tries again; `chance` is in 0..1.
pub(super) fn pause(chance: f64) -> Duration {
    RETRY_PERIOD.mul_f64(1.0 + JITTER_FACTOR * chance.clamp(0.0, 1.0))
}

fn duration(found: &LeaseSpec) -> Duration {
    let seconds = found.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
    Duration::from_secs(seconds).min(LEASE_MAX)
}
