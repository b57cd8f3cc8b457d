//! What was decided before does not matter: a property over whole histories of worlds.

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
    inspection::{Answer, Asker},
    release_schema::Backend,
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
    /// The releases of one are counted, or not known any more.
    Counted(usize, bool),
    Releases(bool),
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
        3 => (of.clone(), any::<bool>()).prop_map(|(at, known)| Event::Counted(at, known)),
        1 => any::<bool>().prop_map(Event::Releases),
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
            let states =
                world.look().definitions.iter().map(|it| Asker::Generation(it.state.clone())).collect::<HashSet<_>>();
            let answer = if *harmless {
                Answer::Harmless
            } else {
                Answer::Harmful { count: 1, first: vec!["default/a".to_owned()] }
            };
            for asker in states.into_iter().chain([Asker::Deletion]) {
                world.answers.insert((uid(*at), asker), answer.clone());
            }
        }
        Event::Counted(at, known) => {
            let mut progress = (*world.progress).clone();
            if *known {
                progress.entry(uid(*at)).or_default();
            } else {
                progress.remove(&uid(*at));
            }
            world.progress = Arc::new(progress);
        }
        Event::Releases(served) => {
            world.cluster().releases = if *served { Backend::Served } else { Backend::NotServed };
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
            plural: plural(*at),
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
                        (0..5).map(|at| (uid(at), i64::from(generations >> at & 1) + 1)).collect::<BTreeMap<_, _>>(),
                    )),
                },
            };
            world.cluster().replicas = Some(said.iter().enumerate().map(replica).collect());
        }
        Event::Visible(bits) => {
            let address = |at| (GroupVersion::new(&group(at), "v1"), plural(at));
            let group_version = GroupVersion::new(&group(usize::from(bits % 5)), "v1");
            world.cluster().visible = Some(Arc::new(Visible {
                resources: (0..5).filter(|at| bits >> at & 1 == 1).map(address).collect(),
                documents: (0..5).filter(|at| bits >> (at + 1) & 1 == 1).map(address).collect(),
                unreadable: (bits % 3 == 0).then(|| (group_version, "broken".into())).into_iter().collect(),
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
