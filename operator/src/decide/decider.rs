//! Decides, and leaves out what it decided before: a definition that had nothing to be done about it, and to which the
//! world is the same.
//!
//! What can be seen of a world is compared, not what changed is listed: nothing has to be told here, so nothing can be
//! forgotten. Of what is not compared with certainty everything is decided again.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;

use super::{
    Action, Announcement, Cluster, Considered, Replica, World, announcement,
    api_services::{self, Registrations},
    finalizers, holders, records,
    replicas::Said,
    roles, status,
};
use crate::{
    discoverable::Visible,
    finding::Finding,
    judge::{Definition, Deletion},
    listed::{self, List, differing},
};

/// Whether two definitions, with what was found about their names, are the same in some respect.
type AreSame = fn((&Definition, &Finding), (&Definition, &Finding)) -> bool;

/// Decides what is to be done in one world after the other.
#[derive(Default)]
pub(crate) struct Decider {
    last: Option<Look>,
    announced: Option<Announced>,
}

/// What was announced in a world, and what of the world it follows from.
struct Announced {
    definitions: List<Definition>,
    visible: Option<Arc<Visible>>,
    api_services: Vec<Arc<APIService>>,
    announcement: Option<Announcement>,
}

/// A world that was decided about.
struct Look {
    world: World,
    names: Arc<Vec<Finding>>,
    /// Where each definition is in the world, by its uid.
    places: Arc<HashMap<String, usize>>,
    /// The definitions, by their index, about which there was something to do.
    busy: BTreeSet<usize>,
    /// Those that are being deleted: whether they may go depends on all others.
    leaving: BTreeSet<usize>,
    /// How often the records had changed.
    records: Option<u64>,
    registrations: Arc<Registrations>,
    /// Whether there was something to do about ClusterRoles.
    roles_busy: bool,
}

impl Decider {
    /// Decides what is to be done.
    pub(crate) fn decide(&mut self, world: World) -> Vec<Action> {
        let last = self.last.take();
        // Before anything is read: what changes meanwhile is seen at the next look.
        let recorded = world.cluster().map(|cluster| cluster.records.changes());
        let again = last.as_ref().and_then(|last| Some((last, last.to_be_decided_again(&world)?)));
        let (names, places, indices) = match &again {
            None => {
                let uids = world.definitions.iter().enumerate().map(|(index, it)| (it.uid.clone(), index));
                let indices: BTreeSet<usize> = (0..world.definitions.len()).collect();
                (Arc::new(holders::all_names(&world)), Arc::new(uids.collect()), indices)
            }
            Some((last, indices)) => {
                let mut names = Arc::clone(&last.names);
                for (index, definition) in indices.iter().filter_map(|at| Some((*at, world.definitions.get(*at)?))) {
                    let found = holders::names(definition, &world.surroundings);
                    if names.get(index) != Some(&found)
                        && let Some(names) = Arc::make_mut(&mut names).get_mut(index)
                    {
                        *names = found;
                    }
                }
                (names, Arc::clone(&last.places), indices.clone())
            }
        };
        let considered = |index: &usize| {
            let (definition, names) = (world.definitions.get(*index)?, names.get(*index)?);
            Some(Considered { index: *index, definition, names })
        };
        let considered: Vec<Considered<'_>> = indices.iter().filter_map(considered).collect();
        // Whether something is as it was in the last world for each definition that is decided about again.
        let as_before = |same: AreSame| {
            again.as_ref().map(|(last, _)| *last).filter(|last| {
                considered.iter().all(|now| {
                    let before = last.world.definitions.get(now.index).zip(last.names.get(now.index));
                    before.is_some_and(|(definition, names)| {
                        same((definition.as_ref(), names), (now.definition, now.names))
                    })
                })
            })
        };
        let mut told = finalizers::actions(&world, &names, &considered);
        let mut actions = Vec::new();
        let mut registrations = Arc::new(Registrations::default());
        let mut role_actions = Vec::new();
        if let Some(cluster) = world.cluster() {
            let seen = again.as_ref().and_then(|(last, _)| last.records);
            let to_record = match seen.and_then(|seen| cluster.records.changed_since(seen)) {
                Some(uids) => &indices | &uids.iter().filter_map(|uid| places.get(uid).copied()).collect(),
                None => (0..world.definitions.len()).collect(),
            };
            let to_record = to_record.iter().filter_map(|at| Some((*at, world.definitions.get(*at)?.as_ref())));
            told.extend(records::actions(to_record, &cluster.records));
            registrations = match as_before(Registrations::are_same) {
                Some(last) => Arc::clone(&last.registrations),
                None => Arc::new(Registrations::of(&world.definitions, &names)),
            };
            actions = api_services::actions(&registrations, cluster);
            let settled = as_before(roles::are_same).is_some_and(|last| {
                !last.roles_busy && last.world.cluster().is_some_and(|it| listed::are_same(&it.roles, &cluster.roles))
            });
            if !settled {
                role_actions = roles::actions(&world.definitions, &names, cluster);
            }
        }
        let statuses = status::actions(&world, &considered);
        let busy = told.iter().chain(&statuses).map(|(index, _)| *index).collect();
        let leaving = considered.iter().filter(|it| it.definition.deletion != Deletion::NotAsked);
        let leaving = leaving.map(|it| it.index).collect();
        let roles_busy = !role_actions.is_empty();
        // The roles come last: nobody waits for them, and of 1,000 definitions they are the most.
        let actions = told
            .into_iter()
            .map(|(_, action)| action)
            .chain(actions)
            .chain(statuses.into_iter().map(|(_, action)| action))
            .chain(role_actions)
            .collect();
        self.last = Some(Look { names, places, busy, leaving, records: recorded, registrations, roles_busy, world });
        actions
    }
}

impl Decider {
    /// What is to be announced of the world that was decided about last; none where there is nothing that is certain.
    pub(crate) fn announcement(&mut self) -> Option<Announcement> {
        let last = self.last.as_ref()?;
        let cluster = last.world.cluster()?;
        let is_same = |held: &&Announced| {
            let visible = match (&held.visible, &cluster.visible) {
                (None, None) => true,
                (Some(before), Some(now)) => Arc::ptr_eq(before, now),
                _ => false,
            };
            let pairs = held.api_services.iter().zip(&cluster.api_services);
            visible
                && Arc::ptr_eq(&held.definitions, &last.world.definitions)
                && held.api_services.len() == cluster.api_services.len()
                && pairs.into_iter().all(|(before, now)| Arc::ptr_eq(before, now))
        };
        if let Some(held) = self.announced.as_ref().filter(is_same) {
            return held.announcement.clone();
        }
        let announcement =
            announcement::announcement(&last.world.definitions, &last.names, &last.registrations, cluster);
        self.announced = Some(Announced {
            definitions: Arc::clone(&last.world.definitions),
            visible: cluster.visible.clone(),
            api_services: cluster.api_services.clone(),
            announcement: announcement.clone(),
        });
        announcement
    }
}

impl Look {
    /// The definitions, by their index, about which something else may be decided in another world; none where that may
    /// be all of them.
    fn to_be_decided_again(&self, next: &World) -> Option<BTreeSet<usize>> {
        let mut again = &self.busy | &self.leaving;
        if !Arc::ptr_eq(&self.world.definitions, &next.definitions) {
            for (index, before, now) in differing(&self.world.definitions, &next.definitions)? {
                if before.uid != now.uid {
                    return None;
                }
                again.insert(index);
            }
        }
        match (self.world.cluster(), next.cluster()) {
            (None, None) => {}
            (Some(before), Some(now)) => {
                if !same_to_all(before, now) {
                    return None;
                }
                let heard_of = differently_served(before.replicas.as_deref(), now.replicas.as_deref())?;
                again.extend(heard_of.iter().filter_map(|uid| self.places.get(*uid).copied()));
            }
            _ => return None,
        }
        Some(again)
    }
}

/// Whether a cluster says the same to every definition, as far as it does not speak of a single one.
fn same_to_all(before: &Cluster, now: &Cluster) -> bool {
    let visible = match (&before.visible, &now.visible) {
        (None, None) => true,
        (Some(before), Some(now)) => Arc::ptr_eq(before, now) || before == now,
        _ => false,
    };
    visible
        && before.bundle == now.bundle
        && before.service == now.service
        && before.crds == now.crds
        && before.releases == now.releases
        && before.sights == now.sights
        && before.installation == now.installation
        && api_services::are_same(&before.api_services, &now.api_services)
}

/// The definitions of which replicas serve another generation than before; none where something else is said too.
fn differently_served<'r>(before: Option<&'r [Replica]>, now: Option<&'r [Replica]>) -> Option<BTreeSet<&'r str>> {
    let (before, now) = match (before, now) {
        (None, None) => return Some(BTreeSet::new()),
        (Some(before), Some(now)) if before.len() == now.len() => (before, now),
        _ => return None,
    };
    let mut found = BTreeSet::new();
    for (before, now) in before.iter().zip(now) {
        match (&before.said, &now.said) {
            _ if before.identity != now.identity => return None,
            (Said::NotYet, Said::NotYet) => {}
            (Said::Nothing(before), Said::Nothing(now)) if before == now => {}
            (Said::Serves(before), Said::Serves(now)) if Arc::ptr_eq(before, now) => {}
            (Said::Serves(before), Said::Serves(now)) if before.keys().eq(now.keys()) => {
                let generations = before.values().zip(now.iter());
                let others = generations.filter(|(before, (_, now))| before != now);
                found.extend(others.map(|(_, (uid, _))| uid.as_str()));
            }
            _ => return None,
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests;
