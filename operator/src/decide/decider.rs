//! Decides, and leaves out what it decided before: a definition that had nothing to be done about it, and to which the world
//! is the same.
//!
//! What can be seen of a world is compared, not what changed is listed: nothing has to be told here, so nothing can be
//! forgotten. Of what is not compared with certainty everything is decided again.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    Action, Cluster, Considered, Finding, Replica, World,
    api_services::{self, Registrations},
    finalizers, holders, records,
    replicas::Said,
    roles, status,
};
use crate::{
    judge::{Definition, Deletion},
    listed::{self, differing},
};

/// Whether two definitions, with what was found about their names, are the same in some respect.
type AreSame = fn((&Definition, &Finding), (&Definition, &Finding)) -> bool;

/// Decides what is to be done in one world after the other.
#[derive(Default)]
pub(crate) struct Decider {
    last: Option<Look>,
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

impl Look {
    /// The definitions, by their index, about which something else may be decided in another world; none where that may be
    /// all of them.
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
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use k8s_openapi::ByteString;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        decide::{
            CrdClaim,
            testing::{WorldBuilder, api_service, definition, set_available},
        },
        discoverable::Visible,
        group_version::GroupVersion,
        inspection::{Answer, DELETION},
    };

    /// What happens to a world. Definitions are told apart by small numbers.
    #[derive(Clone, Debug)]
    enum Event {
        Define(usize, u8),
        /// One goes and another comes between two looks.
        Replace(usize, usize, u8),
        Change(usize, u8),
        Break(usize),
        Delete(usize),
        Vanish(usize),
        Annotate(usize),
        Answer(usize, bool),
        ForgetRecord(usize),
        LoseRole(usize),
        ApiService(usize, u8),
        Crd(usize),
        Bundle(u8),
        Replicas(Vec<Option<u8>>),
        Visible(u8),
        /// Some of what was decided is done.
        Act(u64),
    }

    fn event() -> impl Strategy<Value = Event> {
        let of = 0..5_usize;
        prop_oneof![
            3 => (of.clone(), any::<u8>()).prop_map(|(at, how)| Event::Define(at, how)),
            1 => (of.clone(), of.clone(), any::<u8>()).prop_map(|(at, with, how)| Event::Replace(at, with, how)),
            3 => (of.clone(), any::<u8>()).prop_map(|(at, how)| Event::Change(at, how)),
            1 => of.clone().prop_map(Event::Break),
            1 => of.clone().prop_map(Event::Delete),
            1 => of.clone().prop_map(Event::Vanish),
            1 => of.clone().prop_map(Event::Annotate),
            1 => (of.clone(), any::<bool>()).prop_map(|(at, harmless)| Event::Answer(at, harmless)),
            1 => of.clone().prop_map(Event::ForgetRecord),
            1 => of.clone().prop_map(Event::LoseRole),
            2 => (of.clone(), any::<u8>()).prop_map(|(at, how)| Event::ApiService(at, how)),
            1 => of.prop_map(Event::Crd),
            1 => (0..3_u8).prop_map(Event::Bundle),
            2 => proptest::collection::vec(proptest::option::weighted(0.9, any::<u8>()), 0..3).prop_map(Event::Replicas),
            2 => any::<u8>().prop_map(Event::Visible),
            12 => prop_oneof![Just(u64::MAX), any::<u64>()].prop_map(Event::Act),
        ]
    }

    /// Some ask for a kind that others have, or for a prefix.
    fn defined(at: usize, how: u8) -> serde_json::Value {
        let kind = if how.is_multiple_of(3) { "Same".to_owned() } else { format!("Thing{at}") };
        let mut object = definition(&plural(at), &kind);
        object["metadata"]["name"] = json!(name(at));
        object["metadata"]["creationTimestamp"] = json!(format!("2026-01-0{}T00:00:00Z", 1 + how % 4));
        object["spec"]["group"] = json!(group(at));
        if how.is_multiple_of(2) {
            object["spec"]["backend"]["helmRelease"]["chartRef"]["name"] = json!("one-for-all");
        }
        object
    }

    fn plural(at: usize) -> String {
        format!("things{at}")
    }

    fn group(at: usize) -> String {
        format!("g{}.example.com", at % 2)
    }

    fn name(at: usize) -> String {
        format!("{}.{}", plural(at), group(at))
    }

    fn uid(at: usize) -> String {
        format!("uid-of-{}", plural(at))
    }

    fn position(world: &WorldBuilder, at: usize) -> Option<usize> {
        world.objects.iter().position(|object| object["metadata"]["name"] == name(at))
    }

    /// Changes an object as a client would.
    fn write(world: &mut WorldBuilder, at: usize, change: impl FnOnce(&mut serde_json::Value)) {
        let Some(position) = position(world, at) else { return };
        let object = &mut world.objects[position];
        change(object);
        let generation = object["metadata"]["generation"].as_i64().unwrap() + 1;
        object["metadata"]["generation"] = json!(generation);
        object["metadata"]["resourceVersion"] = json!(format!("written-{generation}"));
    }

    fn happen(world: &mut WorldBuilder, event: &Event, decided: &[Action]) {
        match event {
            Event::Define(at, how) if position(world, *at).is_none() => world.objects.push(defined(*at, *how)),
            Event::Define(..) => {}
            Event::Replace(at, with, how) => {
                if let (Some(position), None) = (position(world, *at), position(world, *with)) {
                    world.objects[position] = defined(*with, *how);
                }
            }
            Event::Change(at, how) => write(world, *at, |object| {
                let versions = if how % 3 == 0 { vec!["v1"] } else { vec!["v1", "v2"] };
                let versions: Vec<_> = versions
                    .into_iter()
                    .map(|version| {
                        json!({"name": version, "served": true, "storage": version == "v1",
                        "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                            format!("p{}", how % 4): {"type": "string"}}}}})
                    })
                    .collect();
                object["spec"]["versions"] = json!(versions);
                if how % 5 == 0 {
                    object["spec"]["names"]["shortNames"] = json!([format!("s{}", how % 2)]);
                }
            }),
            Event::Break(at) => write(world, *at, |object| {
                object["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = json!({"type": "nonsense"});
            }),
            Event::Delete(at) => {
                write(world, *at, |object| object["metadata"]["deletionTimestamp"] = json!("2026-02-01T00:00:00Z"));
            }
            Event::Vanish(at) => {
                if let Some(position) = position(world, *at) {
                    world.objects.remove(position);
                }
            }
            Event::Annotate(at) => write(world, *at, |object| {
                object["metadata"]["annotations"] = json!({"kindsmith.dev/aggregate-roles": "false"});
            }),
            Event::Answer(at, harmless) => {
                let states = world.look().definitions.iter().map(|it| it.state.clone()).collect::<HashSet<_>>();
                let answer = if *harmless {
                    Answer::Harmless
                } else {
                    Answer::Harmful { count: 1, first: vec!["default/a".to_owned()] }
                };
                for state in states.into_iter().chain([DELETION.to_owned()]) {
                    world.answers.insert((uid(*at), state), answer.clone());
                }
            }
            Event::ForgetRecord(at) => {
                let last = world.cluster().records.last(&uid(*at));
                last.map(|record| world.cluster().records.take(&record.object_name())).unwrap_or_default();
            }
            Event::LoseRole(at) => {
                let roles = Arc::make_mut(&mut world.cluster().roles);
                if !roles.is_empty() {
                    roles.remove(at % roles.len());
                }
            }
            Event::ApiService(at, how) => {
                let group_version = GroupVersion::new(&group(*at), if how % 2 == 0 { "v1" } else { "v2" });
                let mut there = api_service(&group_version);
                match how % 5 {
                    0 => there.metadata.labels = None,
                    1 => set_available(&mut there, "False", "MissingEndpoints"),
                    2 => there.status = None,
                    _ => {}
                }
                let services = &mut world.cluster().api_services;
                services.retain(|found| found.metadata.name != there.metadata.name);
                if how % 5 < 4 {
                    services.push(Arc::new(there));
                }
            }
            Event::Crd(at) => world.cluster().crds.push(CrdClaim {
                name: name(*at),
                group: group(*at),
                served: vec!["v1".to_owned()],
                created: "2026-01-02T00:00:00Z".parse().unwrap(),
            }),
            Event::Bundle(which) => {
                world.cluster().bundle = (*which > 0).then(|| ByteString(format!("bundle{which}").into_bytes()));
            }
            Event::Replicas(said) => {
                let replica = |(at, said): (usize, &Option<u8>)| Replica {
                    identity: format!("replica-{at}"),
                    said: match said {
                        None => Said::Nothing("no answer in time".to_owned()),
                        Some(0..20) => Said::NotYet,
                        Some(generations) => Said::Serves(Arc::new(
                            (0..5)
                                .map(|at| (uid(at), i64::from(generations >> at & 1) + 1))
                                .collect::<BTreeMap<_, _>>(),
                        )),
                    },
                };
                world.cluster().replicas = Some(said.iter().enumerate().map(replica).collect());
            }
            Event::Visible(bits) => {
                let seen = (0..5).filter(|at| bits >> at & 1 == 1);
                world.cluster().visible = Some(Arc::new(Visible {
                    resources: seen.map(|at| (GroupVersion::new(&group(at), "v1"), plural(at))).collect(),
                    documents: (0..2).map(|at| GroupVersion::new(&group(at), "v1")).collect(),
                    fault: (bits % 7 == 0).then(|| "not now".into()),
                }));
            }
            Event::Act(taken) => world.act(decided, *taken),
        }
    }

    proptest! {
        // Each is up to 40 worlds, judged and decided about twice.
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_decided_before_does_not_matter(events in proptest::collection::vec(event(), 1..40)) {
            let mut world = WorldBuilder::registered();
            let mut decided = Vec::new();
            for event in &events {
                happen(&mut world, event, &decided);
                // It panics where the decision is another than one about a world that was never seen before.
                decided = world.decide();
            }
        }
    }
}
