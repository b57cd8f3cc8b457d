//! Conditions: the time of a transition is kept while the status stays, and the conditions of others are left alone.
//!
//! Source: k8s.io/apimachinery/pkg/api/meta/conditions.go.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::reasons;
use crate::finding::Finding;

/// The most bytes of a message, as the API rules of `Condition` allow.
const MESSAGE_BYTES_MAX: usize = 32_768;

/// Sets a condition.
pub(super) fn set(
    conditions: &mut Vec<Condition>,
    kind: &str,
    finding: &Finding,
    generation: Option<i64>,
    now: Timestamp,
) {
    debug_assert!(reasons::may_say(kind, finding), "{kind} says {finding:?}, which docs/status.md does not tell of");
    let existing = conditions.iter_mut().find(|condition| condition.type_ == kind);
    let mut message = finding.message.clone();
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
    let wanted = Condition {
        type_: kind.to_owned(),
        status: finding.truth.as_str().to_owned(),
        reason: finding.reason.clone(),
        message,
        observed_generation: generation,
        last_transition_time: existing
            .as_ref()
            .filter(|existing| existing.status == finding.truth.as_str())
            .map_or_else(|| Time(seconds(now)), |existing| existing.last_transition_time.clone()),
    };
    match existing {
        Some(existing) => *existing = wanted,
        None => conditions.push(wanted),
    }
}

/// Times in Kubernetes have whole seconds.
pub(super) fn seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Truth;

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn the_time_moves_only_with_the_status() {
        let mut conditions = Vec::new();
        let refused = Finding::new(Truth::False, "InvalidDefinition", "one");
        set(&mut conditions, "Accepted", &refused, Some(1), at("2026-01-01T00:00:00.5Z"));
        let other_reason = Finding::new(Truth::False, "InvalidDefinition", "two");
        set(&mut conditions, "Accepted", &other_reason, Some(2), at("2026-01-02T00:00:00Z"));
        assert_eq!(conditions.len(), 1);
        assert_eq!(conditions[0].last_transition_time.0, at("2026-01-01T00:00:00Z"));
        assert_eq!((conditions[0].message.as_str(), conditions[0].observed_generation), ("two", Some(2)));
        let accepted = Finding::new(Truth::True, "Accepted", "");
        set(&mut conditions, "Accepted", &accepted, Some(3), at("2026-01-03T00:00:00Z"));
        assert_eq!(conditions[0].last_transition_time.0, at("2026-01-03T00:00:00Z"));
    }

    #[test]
    fn conditions_of_others_stay() {
        let mut conditions = vec![Condition {
            type_: "Theirs".to_owned(),
            status: "True".to_owned(),
            reason: "R".to_owned(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: Time(at("2026-01-01T00:00:00Z")),
        }];
        set(&mut conditions, "Accepted", &Finding::new(Truth::True, "Accepted", ""), None, at("2026-01-02T00:00:00Z"));
        assert_eq!(conditions.iter().map(|it| it.type_.as_str()).collect::<Vec<_>>(), ["Theirs", "Accepted"]);
    }

    #[test]
    fn messages_are_cut_between_characters() {
        let mut conditions = Vec::new();
        let long = Finding::new(Truth::False, "InvalidDefinition", "ü".repeat(MESSAGE_BYTES_MAX));
        set(&mut conditions, "Accepted", &long, None, at("2026-01-02T00:00:00Z"));
        assert!(conditions[0].message.len() <= MESSAGE_BYTES_MAX);
    }
}
