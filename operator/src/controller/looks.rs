//! When the world is looked at.

use std::time::{Duration, Instant};

/// Changes that come this close together are looked at once.
pub(super) const COALESCE: Duration = Duration::from_millis(10);

/// Looking at the world takes at most one part in so many of the time: where there is much to look at, more changes are
/// looked at together.
const LOOK_SHARE: u32 = 5;

/// The next look at the world, and whether anything changed since the last.
pub(super) struct Looks {
    changed: bool,
    earliest: Instant,
    latest: Instant,
}

impl Looks {
    /// At once, at first.
    pub(super) fn new(now: Instant) -> Self {
        Self { changed: true, earliest: now, latest: now }
    }

    /// Something changed.
    pub(super) fn changed(&mut self, now: Instant) {
        if !self.changed {
            self.changed = true;
            self.earliest = self.earliest.max(now + COALESCE);
        }
    }

    /// It was looked at.
    pub(super) fn looked(&mut self, began: Instant, ended: Instant, latest: Instant) {
        let pause = COALESCE.max((ended - began).saturating_mul(LOOK_SHARE - 1));
        *self = Self { changed: false, earliest: ended + pause, latest };
    }

    /// When it is looked at next.
    pub(super) fn next(&self) -> Instant {
        if self.changed { self.earliest } else { self.latest.max(self.earliest) }
    }
}
