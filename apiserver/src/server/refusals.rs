//! Connections that cannot be accepted: how long to wait before the next try, and when to say so.

use std::time::Duration;

use tokio::time::Instant;

/// How long to wait after the first failure; twice as long after each further one.
///
/// Source: net/http/server.go (Serve).
const PAUSE_MIN: Duration = Duration::from_millis(5);

/// How long to wait at most.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// After how long without a failure the next one is worth saying again.
const BURST_END: Duration = Duration::from_secs(60);

/// Failures to accept connections.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    last: Option<Instant>,
    pause: Duration,
}

/// A failure among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Burst {
    /// It is the first for a while.
    Begins,
    /// There was one shortly before.
    GoesOn,
}

impl Refusals {
    /// Notes a failure. Returns how long to wait, and whether it is worth saying.
    pub(super) fn failed(&mut self, now: Instant) -> (Duration, Burst) {
        let begins = self.last.is_none_or(|last| now.duration_since(last) > BURST_END);
        self.last = Some(now);
        self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        (self.pause, if begins { Burst::Begins } else { Burst::GoesOn })
    }

    /// Notes that a connection was accepted.
    pub(super) fn accepted(&mut self) {
        self.pause = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_said_once_and_tries_become_rarer() {
        let (mut refusals, began) = (Refusals::default(), Instant::now());
        assert_eq!(refusals.failed(began), (PAUSE_MIN, Burst::Begins));
        for _ in 0..20 {
            assert_eq!(refusals.failed(began).1, Burst::GoesOn);
        }
        assert_eq!(refusals.failed(began), (PAUSE_MAX, Burst::GoesOn));
        refusals.accepted();
        assert_eq!(refusals.failed(began + Duration::from_secs(1)), (PAUSE_MIN, Burst::GoesOn));
        assert_eq!(refusals.failed(began + Duration::from_secs(62)).1, Burst::Begins);
    }
}
