//! What `kindsmith uninstall` writes into definitions that stay: a kind that nobody serves is not said to be.

use jiff::Timestamp;
use kindsmith_crds::{
    ApplicationDefinitionStatus, CONDITION_DISCOVERABLE, CONDITION_READY, CONDITION_REGISTERED, CONDITION_SERVED,
};

use super::{conditions, reasons::UNINSTALLED};
use crate::finding::{Finding, Truth};

/// The conditions that do not hold any more.
const ENDED: [&str; 4] = [CONDITION_REGISTERED, CONDITION_SERVED, CONDITION_DISCOVERABLE, CONDITION_READY];

/// Returns the status of a definition of that generation once Kindsmith is uninstalled. What else was found stays said.
#[must_use]
pub fn status_after_uninstall(
    status: &ApplicationDefinitionStatus,
    generation: Option<i64>,
    now: Timestamp,
) -> ApplicationDefinitionStatus {
    let message = "Kindsmith was uninstalled: the kind is not served until it is installed again";
    let found = Finding::new(Truth::False, UNINSTALLED, message);
    let mut status = status.clone();
    for condition in ENDED {
        conditions::set(&mut status.conditions, condition, &found, generation, now);
    }
    status
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_ended_is_said_once_and_the_rest_stays() {
        let condition = |kind: &str, status: &str| {
            json!({"type": kind, "status": status, "reason": kind, "message": "", "observedGeneration": 3,
                "lastTransitionTime": "2026-01-01T00:00:00Z"})
        };
        let status = json!({"observedGeneration": 3, "lastConfirmedTime": "2026-01-02T00:00:00Z",
            "conditions": [condition("Accepted", "True"), condition("Ready", "True"), condition("Served", "False")]});
        let before: ApplicationDefinitionStatus = serde_json::from_value(status).unwrap();
        let now = "2026-01-03T00:00:00Z".parse().unwrap();
        let after = status_after_uninstall(&before, Some(3), now);
        let told: Vec<String> = after
            .conditions
            .iter()
            .map(|it| format!("{} {} {} {}", it.type_, it.status, it.reason, it.last_transition_time.0))
            .collect();
        assert_eq!(
            told,
            [
                "Accepted True Accepted 2026-01-01T00:00:00Z",
                "Ready False Uninstalled 2026-01-03T00:00:00Z",
                "Served False Uninstalled 2026-01-01T00:00:00Z",
                "Registered False Uninstalled 2026-01-03T00:00:00Z",
                "Discoverable False Uninstalled 2026-01-03T00:00:00Z",
            ]
        );
        assert_eq!(after.last_confirmed_time, before.last_confirmed_time);
        assert_eq!(status_after_uninstall(&after, Some(3), "2026-02-01T00:00:00Z".parse().unwrap()), after);
    }
}
