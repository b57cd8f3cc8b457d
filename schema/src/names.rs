//! Which definition holds a name: the older keeps it, the newer is told.
//!
//! Source: k8s.io/apiextensions-apiserver/pkg/controller/status/naming_controller.go. Names are unique within a group.

use std::collections::HashMap;

use crate::kind::Claim;

/// A name that an older definition of the same group holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {name:?} is already in use by ApplicationDefinition {holder:?}, which is older")]
pub struct NameConflict {
    /// The field that asks for the name, for example `spec.names.plural`.
    pub field: &'static str,
    /// The name.
    pub name: String,
    /// The definition that holds it.
    pub holder: String,
}

/// Judges the names of all definitions together. The answer has one entry a kind, in the order given: empty when the
/// kind may have all its names.
#[must_use]
pub fn conflicts<'k, K: Copy + Into<Claim<'k>>>(kinds: &[K]) -> Vec<Vec<NameConflict>> {
    let kinds: Vec<Claim<'k>> = kinds.iter().map(|kind| (*kind).into()).collect();
    let mut order: Vec<usize> = (0..kinds.len()).collect();
    order.sort_by(|&left, &right| {
        let key = |index: usize| (&kinds[index].origin.created, &kinds[index].origin.name);
        key(left).cmp(&key(right))
    });
    // Resources (plural, singular, short names) share one space, kinds (kind, list kind) another.
    let mut resources: HashMap<(&str, &str), &str> = HashMap::new();
    let mut kind_names: HashMap<(&str, &str), &str> = HashMap::new();
    let mut found = vec![Vec::new(); kinds.len()];
    for index in order {
        let kind = kinds[index];
        let names = kind.names;
        let group = kind.group;
        let wanted_resources = [("spec.names.plural", &names.plural), ("spec.names.singular", &names.singular)]
            .into_iter()
            .chain(names.short_names.iter().map(|short| ("spec.names.shortNames", short)));
        let wanted_kinds = [("spec.names.kind", &names.kind), ("spec.names.listKind", &names.list_kind)];
        let mut conflict = |field, name: &String, holder: Option<&&str>| {
            if let Some(holder) = holder {
                found[index].push(NameConflict { field, name: name.clone(), holder: (*holder).to_owned() });
            }
        };
        for (field, name) in wanted_resources.clone() {
            conflict(field, name, resources.get(&(group, name.as_str())));
        }
        for (field, name) in wanted_kinds {
            conflict(field, name, kind_names.get(&(group, name.as_str())));
        }
        if found[index].is_empty() {
            resources.extend(wanted_resources.map(|(_, name)| ((group, name.as_str()), kind.origin.name.as_str())));
            kind_names.extend(wanted_kinds.map(|(_, name)| ((group, name.as_str()), kind.origin.name.as_str())));
        }
    }
    found
}
