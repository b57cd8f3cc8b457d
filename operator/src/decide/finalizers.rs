//! Definitions that keep our finalizer until kube-aggregator no longer routes to their kind.
//!
//! So the APIService of a group goes before its last kind, and no group is registered that nothing serves.

use std::collections::BTreeSet;

use kindsmith_crds::FINALIZER;

use super::{Action, Considered, Surroundings, World, api_services};
use crate::{finding::Finding, installation::Installation, judge::Deletion};

/// The actions on what is considered, which all that are being deleted are; `names` are those of all definitions.
pub(super) fn actions(world: &World, names: &[Finding], considered: &[Considered<'_>]) -> Vec<(usize, Action)> {
    let leaving = considered.iter().any(|it| it.definition.deletion == Deletion::LetGo);
    let kept = if leaving { api_services::kept(&world.definitions, names) } else { BTreeSet::new() };
    let action = |Considered { index, definition, .. }: &Considered<'_>| {
        let has = definition.finalizers.iter().any(|finalizer| finalizer == FINALIZER);
        let others = || definition.finalizers.iter().filter(|finalizer| *finalizer != FINALIZER).cloned();
        let finalizers: Vec<String> = match (&world.surroundings, &definition.deletion) {
            // Without a cluster there is nothing to be unregistered.
            (Surroundings::StandAlone, Deletion::NotAsked | Deletion::Held(_)) | (_, Deletion::Held(_)) => return None,
            // Nobody would be there to remove it.
            (Surroundings::Registered(cluster), Deletion::NotAsked)
                if cluster.installation == Installation::NamespaceTerminating =>
            {
                if !has {
                    return None;
                }
                others().collect()
            }
            (Surroundings::Registered(_), Deletion::NotAsked) => {
                if has || definition.verdict.kind.is_none() {
                    return None;
                }
                others().chain([FINALIZER.to_owned()]).collect()
            }
            (Surroundings::StandAlone, Deletion::LetGo) => others().collect(),
            (Surroundings::Registered(cluster), Deletion::LetGo) => {
                if api_services::is_registered(definition, &kept, cluster) {
                    return None;
                }
                others().collect()
            }
        };
        let action = Action::SetFinalizers {
            name: definition.name.clone(),
            basis: definition.resource_version.clone(),
            finalizers,
        };
        Some((*index, action))
    };
    considered.iter().filter(|it| it.definition.form.has_status()).filter_map(action).collect()
}
