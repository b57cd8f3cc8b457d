//! Conflicts: what somebody applies and others own.
//!
//! Follows merge/conflict.go of structured-merge-diff and managedfields/internal/conflict.go, with their texts.

use std::collections::BTreeMap;
use std::fmt;

use super::entries::{Identity, Operation};
use super::path::{PathElement, path_text};
use super::set::Set;
use kindsmith_text::print::quoted;

/// One path that somebody else owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The identifier of the manager that owns it.
    pub manager: String,
    /// The path.
    pub path: Vec<PathElement>,
}

/// All of them, by manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflicts(pub Vec<Conflict>);

/// A cause of a Status of reason `Conflict`; its reason is `FieldManagerConflict`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictCause {
    /// The path.
    pub field: String,
    /// With whom.
    pub message: String,
}

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.listed(quoted, ""))
    }
}

impl Conflicts {
    /// The paths without those of `set`.
    pub(super) fn without(&self, set: &Set) -> Self {
        Self(self.0.iter().filter(|conflict| !set.has(&conflict.path)).cloned().collect())
    }

    /// The paths.
    pub fn to_set(&self) -> Set {
        Set::of(self.0.iter().map(|conflict| conflict.path.as_slice()))
    }

    /// The message of the Status.
    pub fn message(&self) -> String {
        let count = self.0.len();
        let plural = if count == 1 { "" } else { "s" };
        self.listed(printed_manager, &format!("Apply failed with {count} conflict{plural}: "))
    }

    /// The causes of the Status.
    pub fn causes(&self) -> Vec<ConflictCause> {
        let cause = |conflict: &Conflict| ConflictCause {
            field: path_text(&conflict.path),
            message: format!("conflict with {}", printed_manager(&conflict.manager)),
        };
        self.0.iter().map(cause).collect()
    }

    fn listed(&self, print: impl Fn(&str) -> String, before: &str) -> String {
        if let [one] = self.0.as_slice() {
            return format!("{before}conflict with {}: {}", print(&one.manager), path_text(&one.path));
        }
        let mut managers: BTreeMap<&str, Vec<&Conflict>> = BTreeMap::new();
        for conflict in &self.0 {
            managers.entry(&conflict.manager).or_default().push(conflict);
        }
        let mut lines = Vec::new();
        for (manager, conflicts) in managers {
            lines.push(format!("conflicts with {}:", print(manager)));
            lines.extend(conflicts.iter().map(|conflict| format!("- {}", path_text(&conflict.path))));
        }
        format!("{before}{}", lines.join("\n"))
    }
}

/// A manager as people read it. The time is not part of an identifier, so it is never shown.
fn printed_manager(identifier: &str) -> String {
    let Some(identity) = Identity::parse(identifier) else { return quoted(identifier) };
    let mut text = quoted(&identity.manager);
    if !identity.subresource.is_empty() {
        text = format!("{text} with subresource {}", quoted(&identity.subresource));
    }
    if identity.operation == Operation::Update {
        text = format!("{text} using {}", identity.api_version);
    }
    text
}
