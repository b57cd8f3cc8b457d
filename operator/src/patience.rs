//! How long to wait before a watch that failed is opened again.
//!
//! client-go waits up to half a minute. Who serves or registers kinds must not be blind for so long after
//! kube-apiserver is back, and there are few of them.

use std::time::Duration;

use backon::ExponentialBuilder;
use kube_runtime::watcher::ExponentialBackoff;

/// The first pause.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Pauses that grow, with jitter, and begin anew once something was heard.
pub(crate) fn patience() -> ExponentialBackoff {
    let pauses = ExponentialBuilder::default().with_min_delay(PAUSE_MIN).with_max_delay(PAUSE_MAX);
    pauses.with_factor(2.0).without_max_times().with_jitter().into()
}
