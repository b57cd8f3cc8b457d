//! All conditions of definitions, with their reasons: what docs/status.md tells of, and no other is ever set.

use kindsmith_crds::{
    CONDITION_ACCEPTED, CONDITION_ADOPTS, CONDITION_DISCOVERABLE, CONDITION_NAMES_ACCEPTED, CONDITION_READY,
    CONDITION_REGISTERED, CONDITION_RESOURCES_VISIBLE, CONDITION_ROLLED_OUT, CONDITION_SERVED, CONDITION_TERMINATING,
};

use crate::finding::{Finding, Truth};

/// The reason of the conditions that `kindsmith uninstall` leaves behind.
pub(super) const UNINSTALLED: &str = "Uninstalled";

/// What a condition may say.
pub(super) struct Told {
    /// The type of the condition.
    pub condition: &'static str,
    /// Its own reasons.
    pub reasons: &'static [(Truth, &'static str)],
    /// Conditions whose reasons it passes on, as False.
    pub passes_on: &'static [&'static str],
    /// Whose reasons it passes on besides.
    pub others: Others,
}

/// Whose reasons a condition passes on, besides those of other conditions of ours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// Nobody's.
    Nobody,
    /// Those of the condition `Available` of an APIService, as False.
    KubeAggregator,
}

use Truth::{False, True, Unknown};

/// All of them, in the order in which they depend on each other.
pub(super) const TOLD: [Told; 10] = [
    Told {
        condition: CONDITION_ACCEPTED,
        reasons: &[
            (True, "Accepted"),
            (False, "InvalidDefinition"),
            (Unknown, "InspectingInstances"),
            (Unknown, "InstancesUnreadable"),
            (False, "BreaksInstances"),
        ],
        passes_on: &[],
        others: Others::Nobody,
    },
    Told {
        condition: CONDITION_NAMES_ACCEPTED,
        reasons: &[
            (True, "NoConflicts"),
            (False, "NameConflict"),
            (False, "ServedByOther"),
            (Unknown, "InvalidDefinition"),
        ],
        passes_on: &[],
        others: Others::Nobody,
    },
    Told {
        condition: CONDITION_REGISTERED,
        reasons: &[
            (True, "Available"),
            (False, "NotAccepted"),
            (False, "CertificatePending"),
            (False, "CountingAdopted"),
            (False, "APIServiceMissing"),
            (False, "CABundlePending"),
            (False, "APIServicePending"),
            (False, "APIServiceUnavailable"),
            (False, "AnchorDeleted"),
            (False, "NamespaceTerminating"),
            (False, UNINSTALLED),
        ],
        passes_on: &[],
        others: Others::KubeAggregator,
    },
    Told {
        condition: CONDITION_SERVED,
        reasons: &[
            (True, "Served"),
            (True, "LastGoodGeneration"),
            (False, "NoReplica"),
            (False, "ReplicaSilent"),
            (False, "ReplicasBehind"),
            (Unknown, "AskingReplicas"),
            (False, "BackendNotServed"),
            (False, UNINSTALLED),
        ],
        passes_on: &[CONDITION_ACCEPTED, CONDITION_NAMES_ACCEPTED, CONDITION_REGISTERED],
        others: Others::Nobody,
    },
    Told {
        condition: CONDITION_DISCOVERABLE,
        reasons: &[
            (True, "Discoverable"),
            (False, "NotInDiscovery"),
            (False, "NotInOpenAPI"),
            (False, "OpenAPIUnreadable"),
            (False, "DiscoveryUnreadable"),
            (False, UNINSTALLED),
        ],
        passes_on: &[CONDITION_SERVED],
        others: Others::Nobody,
    },
    Told {
        condition: CONDITION_READY,
        reasons: &[(True, "Ready"), (False, UNINSTALLED)],
        passes_on: &[CONDITION_ACCEPTED, CONDITION_SERVED, CONDITION_DISCOVERABLE],
        others: Others::Nobody,
    },
    Told {
        condition: CONDITION_TERMINATING,
        reasons: &[(True, "InstancesExist"), (True, "CountingInstances"), (True, "InstancesUnreadable")],
        passes_on: &[],
        others: Others::Nobody,
    },
    Told {
        condition: CONDITION_ROLLED_OUT,
        reasons: &[
            (True, "Complete"),
            (False, "Progressing"),
            (False, "ReleasesRefused"),
            (False, "NotAccepted"),
            (Unknown, "NotAccepted"),
        ],
        passes_on: &[],
        others: Others::Nobody,
    },
    Told {
        condition: CONDITION_ADOPTS,
        reasons: &[(True, "MadeByHand"), (False, "NothingToAdopt"), (False, "LabelsOnly")],
        passes_on: &[],
        others: Others::Nobody,
    },
    Told {
        condition: CONDITION_RESOURCES_VISIBLE,
        reasons: &[(True, "Visible"), (False, "Forbidden")],
        passes_on: &[],
        others: Others::Nobody,
    },
];

fn told(condition: &str) -> Option<&'static Told> {
    TOLD.iter().find(|told| told.condition == condition)
}

/// Reports whether a condition may say what was found.
pub(super) fn may_say(condition: &str, finding: &Finding) -> bool {
    let said = |truth: Truth, reason: &str| truth == finding.truth && reason == finding.reason;
    told(condition).is_some_and(|told| {
        let own = told.reasons.iter().any(|(truth, reason)| said(*truth, reason));
        own || finding.truth == False && (passes_on(told, &finding.reason) || told.others == Others::KubeAggregator)
    })
}

/// Reports whether a condition passes on a reason, whatever status the condition with that reason has.
fn passes_on(told: &Told, reason: &str) -> bool {
    told.passes_on.iter().filter_map(|condition| self::told(condition)).any(|source| {
        let own = source.reasons.iter().any(|(_, held)| *held == reason);
        own || source.others == Others::KubeAggregator || passes_on(source, reason)
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::PathBuf};

    use kindsmith_crds::REASON_NOT_YET_OBSERVED;

    use super::*;

    /// A condition, its status and a reason, or a condition whose reasons are passed on.
    type Line = (String, &'static str, String);

    /// What the table of definitions in docs/status.md tells of.
    fn documented() -> BTreeSet<Line> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/status.md");
        let text = fs::read_to_string(path).unwrap();
        let (_, section) = text.split_once("\n## Definitions\n").unwrap();
        let section = section.split("\n## ").next().unwrap();
        let (mut condition, mut told) = (String::new(), BTreeSet::new());
        for row in section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")) {
            let cells: Vec<&str> = row.split(" | ").collect();
            let [name, said, when, advice] = cells[..] else { panic!("{row}") };
            assert!(!when.is_empty() && !advice.is_empty(), "{row}");
            if let Some(name) = name.strip_prefix('`') {
                condition = name.trim_end_matches('`').to_owned();
            }
            let mut truth = "";
            // Between backticks is a reason, outside of them the status.
            for (at, part) in said.split('`').enumerate() {
                if at % 2 == 1 {
                    assert!(
                        told.insert((condition.clone(), truth, part.to_owned())),
                        "{condition} {part} stands twice"
                    );
                } else if let Some(found) = ["True", "False", "Unknown"].into_iter().find(|it| part.contains(it)) {
                    truth = found;
                }
            }
        }
        told
    }

    #[test]
    fn every_condition_and_reason_is_documented_and_nothing_else() {
        let own = TOLD.iter().flat_map(|told| {
            let reasons = told.reasons.iter().map(|(truth, reason)| (truth.as_str(), *reason));
            let passed = told.passes_on.iter().map(|condition| ("False", *condition));
            reasons.chain(passed).map(|(truth, reason)| (told.condition.to_owned(), truth, reason.to_owned()))
        });
        // The default of the CustomResourceDefinition.
        let never = [CONDITION_ACCEPTED, CONDITION_SERVED, CONDITION_READY]
            .map(|condition| (condition.to_owned(), "Unknown", REASON_NOT_YET_OBSERVED.to_owned()));
        let wanted: BTreeSet<Line> = own.chain(never).collect();
        let told = documented();
        let (missing, surplus): (Vec<_>, Vec<_>) =
            (wanted.difference(&told).collect(), told.difference(&wanted).collect());
        assert!(missing.is_empty() && surplus.is_empty(), "not documented: {missing:#?}; not said: {surplus:#?}");
    }

    #[test]
    fn reasons_are_passed_on_as_false_and_others_are_not_said() {
        let found = |truth, reason: &str| Finding::new(truth, reason, "");
        assert!(may_say("Registered", &found(False, "FailedDiscoveryCheck")));
        assert!(may_say("Ready", &found(False, "FailedDiscoveryCheck")));
        assert!(may_say("Ready", &found(False, "InspectingInstances")));
        assert!(may_say("Discoverable", &found(False, "AskingReplicas")));
        assert!(!may_say("Ready", &found(True, "Served")));
        assert!(!may_say("RolledOut", &found(False, "Whatever")));
        assert!(!may_say("Theirs", &found(True, "Accepted")));
    }
}
