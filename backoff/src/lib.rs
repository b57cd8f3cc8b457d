//! How long to wait before a watch that failed is opened again.
//!
//! client-go waits up to half a minute. Who serves or registers kinds must not be blind for so long after
//! kube-apiserver is back, and there are few of them.

use std::time::{Duration, Instant};

use backon::ExponentialBuilder;
use kube_runtime::{utils::Backoff, watcher::ExponentialBackoff};

/// The first pause.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How long a watch must have gone on for pauses to be short again.
const LIVED_MIN: Duration = Duration::from_millis(300);

/// Pauses that grow, with jitter, and begin anew once a watch has gone on for a while.
///
/// A watcher says that it begins to list, which is no failure, before each list that fails. What begins anew with that never grows.
pub struct Patience {
    pauses: ExponentialBackoff,
    /// Since when nothing has failed.
    since: Option<Instant>,
}

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.since.take().is_some_and(|since| since.elapsed() > LIVED_MIN) {
            self.pauses.reset();
        }
        self.pauses.next()
    }
}

impl Backoff for Patience {
    fn reset(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }
}

/// Returns pauses between tries.
#[must_use]
pub fn patience() -> Patience {
    let pauses = ExponentialBuilder::default().with_min_delay(PAUSE_MIN).with_max_delay(PAUSE_MAX);
    Patience { pauses: pauses.with_factor(2.0).without_max_times().with_jitter().into(), since: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_each_list_fails_and_begin_anew_after_a_watch_that_went_on() {
        let mut patience = patience();
        let mut last = Duration::ZERO;
        for _ in 0..20 {
            patience.reset();
            last = patience.next().unwrap();
        }
        assert!(last >= PAUSE_MAX, "{last:?}");
        patience.reset();
        std::thread::sleep(LIVED_MIN + Duration::from_millis(20));
        patience.reset();
        assert!(patience.next().unwrap() <= 3 * PAUSE_MIN);
    }
}
