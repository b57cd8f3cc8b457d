//! What is said with Events when conditions of a definition change: what to act on, and when all is well.
//!
//! Pure. An Event goes with the write of a status and with no other, so there are never more of them than of these.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kindsmith_crds::{
    CONDITION_ACCEPTED, CONDITION_NAMES_ACCEPTED, CONDITION_READY, CONDITION_RESOURCES_VISIBLE, CONDITION_ROLLED_OUT,
    CONDITION_SERVED, CONDITION_TERMINATING,
};
use kindsmith_text::print::control_escape;

use super::status::RELEASES_REFUSED;

/// The most bytes of a note, as events.k8s.io/v1 allows.
const NOTE_BYTES_MAX: usize = 1_024;

/// Whether an Event asks for attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// It does not.
    Normal,
    /// It does.
    Warning,
}

/// A change of a condition that is said with an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transition {
    /// Whether it asks for attention.
    pub severity: Severity,
    /// The reason of the condition.
    pub reason: String,
    /// The condition, and its message.
    pub note: String,
}

/// What is said when one list of conditions follows another.
pub(super) fn transitions(before: &[Condition], after: &[Condition]) -> Vec<Transition> {
    after
        .iter()
        .filter_map(|condition| {
            let held = before.iter().find(|held| held.type_ == condition.type_);
            let severity = severity(held, condition)?;
            let message = in_one_line(&condition.message);
            let mut note = format!("{}={}: {message}", condition.type_, condition.status);
            note.truncate(note.floor_char_boundary(NOTE_BYTES_MAX));
            Some(Transition { severity, reason: condition.reason.clone(), note })
        })
        .collect()
}

/// A message in one line and without what moves a cursor: it may quote what tenants wrote, and people read Events in terminals.
fn in_one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for character in message.chars() {
        match control_escape(character) {
            Some(escape) => line.extend(escape),
            None => line.push(character),
        }
    }
    line
}

fn severity(before: Option<&Condition>, after: &Condition) -> Option<Severity> {
    let moved = before.is_none_or(|before| before.status != after.status);
    // Another reason for the same refusal is news to whoever mends it.
    let other = before.is_some_and(|before| before.reason != after.reason);
    match (after.type_.as_str(), after.status.as_str()) {
        (CONDITION_ACCEPTED | CONDITION_NAMES_ACCEPTED | CONDITION_RESOURCES_VISIBLE, "False") if moved || other => {
            Some(Severity::Warning)
        }
        // One that is new is not served yet, which is no fault.
        (CONDITION_SERVED, "False") if before.is_some_and(|before| before.status == "True") => Some(Severity::Warning),
        // While settings are brought to releases there is nothing to act on.
        (CONDITION_ROLLED_OUT, "False") if (moved || other) && after.reason == RELEASES_REFUSED => {
            Some(Severity::Warning)
        }
        (CONDITION_READY, "True") if moved => Some(Severity::Normal),
        (CONDITION_TERMINATING, "True") if moved || other => Some(Severity::Normal),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use rstest::rstest;

    use super::*;

    fn condition(type_: &str, status: &str, reason: &str) -> Condition {
        Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: format!("because of {reason}"),
            observed_generation: None,
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn what_tenants_wrote_stays_in_its_line() {
        let mut refused = condition("Accepted", "False", "BreaksInstances");
        refused.message = "a/\n\u{1b}[31mFAKE \"it's\" ".to_owned() + &"é".repeat(NOTE_BYTES_MAX);
        let said = transitions(&[], &[refused]);
        assert!(said[0].note.starts_with("Accepted=False: a/\\n\\u{1b}[31mFAKE \"it's\" éé"), "{}", said[0].note);
        assert!(said[0].note.len() <= NOTE_BYTES_MAX);
    }

    #[rstest]
    #[case::refused_at_first("Accepted", None, ("False", "InvalidDefinition"), Some(Severity::Warning))]
    #[case::refused_now("Accepted", Some(("True", "Accepted")), ("False", "BreaksInstances"), Some(Severity::Warning))]
    #[case::refused_otherwise("Accepted", Some(("False", "A")), ("False", "B"), Some(Severity::Warning))]
    #[case::refused_still("Accepted", Some(("False", "A")), ("False", "A"), None)]
    #[case::looked_into("Accepted", Some(("True", "Accepted")), ("Unknown", "InspectingInstances"), None)]
    #[case::name_taken("NamesAccepted", None, ("False", "NameConflict"), Some(Severity::Warning))]
    #[case::not_served_yet("Served", None, ("False", "APIServiceMissing"), None)]
    #[case::served_no_more("Served", Some(("True", "Served")), ("False", "ReplicaSilent"), Some(Severity::Warning))]
    #[case::ready("Ready", Some(("False", "APIServiceMissing")), ("True", "Ready"), Some(Severity::Normal))]
    #[case::ready_still("Ready", Some(("True", "Ready")), ("True", "Ready"), None)]
    #[case::rolling_out("RolledOut", Some(("True", "Complete")), ("False", "Progressing"), None)]
    #[case::release_refused("RolledOut", Some(("False", "Progressing")), ("False", "ReleasesRefused"), Some(Severity::Warning))]
    #[case::release_refused_still("RolledOut", Some(("False", "ReleasesRefused")), ("False", "ReleasesRefused"), None)]
    #[case::held("Terminating", None, ("True", "InstancesExist"), Some(Severity::Normal))]
    #[case::theirs("Theirs", None, ("False", "Whatever"), None)]
    fn what_somebody_may_act_on_is_said_once(
        #[case] kind: &str,
        #[case] before: Option<(&str, &str)>,
        #[case] after: (&str, &str),
        #[case] wanted: Option<Severity>,
    ) {
        let before: Vec<Condition> =
            before.into_iter().map(|(status, reason)| condition(kind, status, reason)).collect();
        let said = transitions(&before, &[condition(kind, after.0, after.1)]);
        assert_eq!(said.first().map(|it| it.severity), wanted);
        if let Some(said) = said.first() {
            assert_eq!(said.note, format!("{kind}={}: because of {}", after.0, after.1));
        }
    }
}
