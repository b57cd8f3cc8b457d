//! What the controller does about whole worlds.

/// Changes that may hurt instances.
mod changes;

/// Installations that come and go.
mod installation;

use std::sync::Arc;

use k8s_openapi::ByteString;
use kindsmith_schema::{form::DefinitionForm, succession::AcceptedGeneration};
use kube::ResourceExt;
use rstest::rstest;
use serde_json::json;

use super::{
    Action, REGISTRY_DIGEST_ANNOTATION, Refresh,
    testing::{WorldBuilder, api_service, decide, definition, set_available},
};
use crate::{
    group_version::GroupVersion,
    inspection::{Answer, Asker},
    release_schema::Backend,
};

fn names(world: &mut WorldBuilder) -> Vec<String> {
    world.cluster().api_services.iter().map(|found| found.name_any()).collect()
}

fn broken(plural: &str) -> serde_json::Value {
    let mut broken = definition(plural, "Broken");
    broken["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = json!({"type": "nonsense"});
    broken
}

fn status(world: &WorldBuilder, plural: &str, kind: &str) -> String {
    let (status, reason, _) = world.condition(plural, kind);
    format!("{status} {reason}")
}

#[test]
fn a_definition_is_registered_and_told_so() {
    let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
    world.settle();
    assert_eq!(names(&mut world), ["v1.apps.example.com"]);
    assert_eq!(status(&world, "redises", "Accepted"), "True Accepted");
    assert_eq!(status(&world, "redises", "NamesAccepted"), "True NoConflicts");
    assert_eq!(status(&world, "redises", "Registered"), "True Available");
    assert_eq!(status(&world, "redises", "Served"), "True Served");
    let status = &world.objects[0]["status"];
    assert_eq!(status["acceptedNames"]["singular"], "redis");
    assert_eq!(status["acceptedNames"]["listKind"], "RedisList");
    assert_eq!(status["storedVersions"], json!(["v1"]));
    assert_eq!(status["observedGeneration"], 1);
}

#[test]
fn a_group_is_registered_once_it_is_said_what_its_kinds_adopt() {
    let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
    let counted = std::mem::take(&mut world.progress);
    world.settle();
    assert!(names(&mut world).is_empty());
    assert_eq!(status(&world, "redises", "Registered"), "False CountingAdopted");
    world.progress = counted;
    let decided = world.decide();
    assert!(
        !decided.iter().any(|action| matches!(action, Action::ApplyApiService { .. })),
        "it is not written yet: {decided:#?}"
    );
    world.settle();
    assert_eq!(status(&world, "redises", "Adopts"), "False NothingToAdopt");
    assert_eq!(status(&world, "redises", "Registered"), "True Available");

    // What goes by labels adopts nothing, and without Flux there is nothing to adopt.
    let mut labels = definition("redises", "Redis");
    labels["spec"]["backend"]["helmRelease"]["adopt"] = json!("Labels");
    for (object, backend) in [(labels, Backend::Served), (definition("redises", "Redis"), Backend::NotServed)] {
        let mut world = WorldBuilder::registered().define(&object);
        world.progress = Arc::default();
        world.cluster().releases = backend;
        world.settle();
        assert_eq!(status(&world, "redises", "Registered"), "True Available");
    }
}

#[test]
fn a_stand_alone_definition_is_served_without_registration() {
    let mut world = WorldBuilder::stand_alone().define(&definition("redises", "Redis"));
    world.settle();
    assert_eq!(status(&world, "redises", "Served"), "True Served");
    let conditions = world.objects[0]["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().all(|condition| condition["type"] != "Registered"));
}

#[test]
fn a_faulty_definition_leaves_the_others_alone() {
    let mut unreadable = definition("unreadables", "Unreadable");
    unreadable["spec"]["versions"] = json!("none");
    let mut world = WorldBuilder::registered()
        .define(&broken("brokens"))
        .define(&unreadable)
        .define(&definition("redises", "Redis"));
    world.settle();
    assert_eq!(status(&world, "redises", "Served"), "True Served");
    for plural in ["brokens", "unreadables"] {
        assert_eq!(status(&world, plural, "Accepted"), "False InvalidDefinition");
        assert_eq!(status(&world, plural, "NamesAccepted"), "Unknown InvalidDefinition");
        assert_eq!(status(&world, plural, "Served"), "False InvalidDefinition");
    }
    let (.., message) = world.condition("brokens", "Accepted");
    assert!(message.starts_with("spec.versions[0].schema.openAPIV3Schema.type: "), "{message}");
}

#[test]
fn a_faulty_definition_alone_registers_nothing() {
    let mut world = WorldBuilder::registered().define(&broken("brokens"));
    world.settle();
    assert!(names(&mut world).is_empty());
}

#[test]
fn a_faulty_change_leaves_the_last_good_generation_registered() {
    let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
    world.settle();
    let status_before = world.objects[0]["status"].clone();
    world.objects[0] = broken("redises");
    world.objects[0]["metadata"]["generation"] = json!(2);
    world.objects[0]["status"] = status_before;
    world.objects[0]["metadata"]["finalizers"] = json!(["kindsmith.dev/served-kind"]);
    let done = world.settle();
    assert!(done.iter().all(|action| matches!(action, Action::WriteStatus { .. })), "{done:#?}");
    assert_eq!(status(&world, "redises", "Accepted"), "False InvalidDefinition");
    assert_eq!(status(&world, "redises", "Served"), "True LastGoodGeneration");
    assert_eq!(world.objects[0]["status"]["observedGeneration"], 2);

    // The record outlives a restart of the operator.
    world.judge = crate::judge::Judge::default();
    assert_eq!(world.settle(), []);
    assert_eq!(status(&world, "redises", "Served"), "True LastGoodGeneration");

    // Without it what works stays, and what does not work goes.
    world.judge = crate::judge::Judge::default();
    world.cluster().records.take("definition-uid-of-redises-1");
    assert!(world.settle().iter().all(|action| matches!(action, Action::WriteStatus { .. })));
    assert_eq!(status(&world, "redises", "Served"), "True LastGoodGeneration");
    set_available(Arc::make_mut(&mut world.cluster().api_services[0]), "False", "FailedDiscoveryCheck");
    world.settle();
    assert!(names(&mut world).is_empty());
    assert_eq!(status(&world, "redises", "Served"), "False InvalidDefinition");
}

#[test]
fn what_was_accepted_stays_so_when_rules_have_come_since() {
    let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
    world.settle();
    // The same generation, with what is a fault today.
    let mut older = world.objects[0].clone();
    older["spec"]["backend"]["helmRelease"]["interval"] = json!("soon");
    world.cluster().records.take("definition-uid-of-redises-1");
    let record = AcceptedGeneration::pack(DefinitionForm::Kindsmith, &older, 1).unwrap();
    world.cluster().records.put(record);
    world.objects[0] = older.clone();
    world.judge = crate::judge::Judge::default();
    let done = world.settle();
    assert!(done.iter().all(|action| matches!(action, Action::WriteStatus { .. })), "{done:#?}");
    assert_eq!(status(&world, "redises", "Accepted"), "True Accepted");
    assert_eq!(status(&world, "redises", "Served"), "True Served");
    let (.., message) = world.condition("redises", "Accepted");
    assert!(message.contains("by the rules of today: spec.backend.helmRelease.interval: "), "{message}");

    // What follows is judged by the rules of today, and beside what is served.
    world.objects[0]["metadata"]["generation"] = json!(2);
    world.settle();
    assert_eq!(status(&world, "redises", "Accepted"), "False InvalidDefinition");
    assert_eq!(status(&world, "redises", "Served"), "True LastGoodGeneration");
    world.objects[0]["spec"]["backend"]["helmRelease"] =
        json!({"chartRef": {"kind": "OCIRepository", "name": "redises", "namespace": "charts"}, "prefix": "y-"});
    world.objects[0]["metadata"]["generation"] = json!(3);
    world.settle();
    assert_eq!(
        status(&world, "redises", "Accepted"),
        "Unknown InspectingInstances",
        "another prefix may take some away"
    );
}

#[test]
fn the_last_definition_of_a_group_version_takes_its_registration_along() {
    let mut world =
        WorldBuilder::registered().define(&definition("redises", "Redis")).define(&definition("buckets", "Bucket"));
    world.settle();
    world.objects.remove(0);
    world.settle();
    assert_eq!(names(&mut world), ["v1.apps.example.com"]);
    world.objects[0]["metadata"]["deletionTimestamp"] = json!("2026-11-23T00:00:00Z");
    world.settle();
    assert_eq!(status(&world, "buckets", "Terminating"), "True CountingInstances");
    let asked = ("uid-of-buckets".to_owned(), Asker::Deletion);
    let first = vec!["default/a".to_owned(), "default/b".to_owned()];
    world.answers.insert(asked.clone(), Answer::Harmful { count: 12, first });
    world.settle();
    assert_eq!(status(&world, "buckets", "Terminating"), "True InstancesExist");
    let (.., message) = world.condition("buckets", "Terminating");
    assert!(message.contains("has 12 instances: default/a, default/b and 10 more; delete them"), "{message}");
    assert_eq!(status(&world, "buckets", "Served"), "True Served");
    assert_eq!(names(&mut world), ["v1.apps.example.com"]);

    world.answers.insert(asked, Answer::Harmless);
    let done = world.settle();
    let about = |action: &Action| match action {
        Action::DeleteApiService { .. } => "unregistered",
        Action::SetFinalizers { .. } => "gone",
        Action::DeleteRole { .. } => "role",
        other => panic!("{other:?}"),
    };
    let mut told: Vec<&str> = done.iter().map(about).collect();
    told.dedup();
    assert_eq!(told, ["unregistered", "role", "gone"]);
    assert!(world.objects.is_empty() && names(&mut world).is_empty());
}

#[test]
fn a_definition_with_neighbours_goes_without_unregistering_them() {
    let mut orphan = definition("redises", "Redis");
    orphan["spec"]["deletionPolicy"] = json!("Orphan");
    let mut world = WorldBuilder::registered().define(&orphan).define(&definition("buckets", "Bucket"));
    world.settle();
    assert_eq!(world.objects[0]["metadata"]["finalizers"], json!(["kindsmith.dev/served-kind"]));
    world.objects[0]["metadata"]["deletionTimestamp"] = json!("2026-11-23T00:00:00Z");
    world.objects[0]["metadata"]["finalizers"] = json!(["theirs", "kindsmith.dev/served-kind"]);
    let done = world.settle();
    assert!(!done.iter().any(|action| matches!(action, Action::DeleteApiService { .. })), "{done:#?}");
    assert_eq!(world.objects[0]["metadata"]["finalizers"], json!(["theirs"]));
    assert_eq!(names(&mut world), ["v1.apps.example.com"]);
}

#[test]
fn what_has_no_kind_does_not_wait_to_be_deleted() {
    let mut world = WorldBuilder::registered().define(&broken("brokens"));
    world.settle();
    assert_eq!(world.objects[0]["metadata"].get("finalizers"), None);
    let mut world = WorldBuilder::stand_alone().define(&definition("redises", "Redis"));
    world.settle();
    assert_eq!(world.objects[0]["metadata"].get("finalizers"), None);
    world.objects[0]["metadata"]["finalizers"] = json!(["kindsmith.dev/served-kind"]);
    world.objects[0]["metadata"]["deletionTimestamp"] = json!("2026-11-23T00:00:00Z");
    world.settle();
    assert!(world.objects.is_empty(), "it was brought from a cluster");
}

#[test]
fn every_change_of_the_definitions_makes_kube_aggregator_look_twice() {
    let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
    world.settle();
    let refreshes = |done: Vec<Action>| -> Vec<Refresh> {
        let refresh = |action| if let Action::Refresh { when, .. } = action { Some(when) } else { None };
        done.into_iter().filter_map(refresh).collect()
    };
    let world_with = |mut world: WorldBuilder| {
        let refreshed = refreshes(world.settle());
        (world, refreshed)
    };
    let listed = |plurals: &[&str]| Refresh::Listed(plurals.iter().map(|plural| (*plural).to_owned()).collect());
    let (mut world, added) = world_with(world.define(&definition("buckets", "Bucket")));
    assert_eq!(added, [listed(&["buckets", "redises"]), Refresh::Again]);
    world.objects[0]["metadata"]["generation"] = json!(2);
    let (mut world, changed) = world_with(world);
    assert_eq!(changed, [listed(&["buckets", "redises"]), Refresh::Again]);
    world.objects.remove(0);
    let (_, removed) = world_with(world);
    assert_eq!(removed, [listed(&["buckets"]), Refresh::Again]);
}

#[test]
fn versions_are_preferred_as_kubernetes_prefers_them() {
    let mut several = definition("redises", "Redis");
    several["spec"]["versions"] = ["v1beta1", "v2", "v1", "v1alpha1"]
        .map(|name| {
            let schema = json!({"openAPIV3Schema": {"type": "object"}});
            json!({"name": name, "served": true, "storage": name == "v1", "schema": schema})
        })
        .into();
    several["spec"]["versions"][3]["served"] = json!(false);
    let mut world = WorldBuilder::registered().define(&several);
    world.settle();
    let mut found: Vec<(i32, String)> = world
        .cluster()
        .api_services
        .iter()
        .map(|found| (found.spec.as_ref().unwrap().version_priority, found.name_any()))
        .collect();
    found.sort();
    let names: Vec<&str> = found.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["v1beta1.apps.example.com", "v1.apps.example.com", "v2.apps.example.com"]);
}

#[test]
fn nothing_is_registered_before_there_is_a_certificate() {
    let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
    world.cluster().bundle = None;
    world.settle();
    assert!(names(&mut world).is_empty());
    assert_eq!(status(&world, "redises", "Registered"), "False CertificatePending");
    assert_eq!(status(&world, "redises", "Served"), "False CertificatePending");
}

#[test]
fn a_new_bundle_reaches_every_registration() {
    let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
    world.settle();
    world.cluster().bundle = Some(ByteString(b"other".to_vec()));
    assert!(world.settle().iter().any(|action| matches!(action, Action::ApplyApiService { existing: Some(_), .. })));
    let spec = world.cluster().api_services[0].spec.clone().unwrap();
    assert_eq!(spec.ca_bundle, Some(ByteString(b"other".to_vec())));
}

#[test]
fn what_kube_aggregator_reports_is_passed_on() {
    let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
    world.settle();
    set_available(Arc::make_mut(&mut world.cluster().api_services[0]), "False", "FailedDiscoveryCheck");
    world.settle();
    assert_eq!(status(&world, "redises", "Registered"), "False FailedDiscoveryCheck");
    assert_eq!(status(&world, "redises", "Served"), "False FailedDiscoveryCheck");
    assert!(world.condition("redises", "Served").2.contains("because of FailedDiscoveryCheck"));
}

#[test]
fn what_is_not_ours_is_never_touched() {
    let mut foreign = api_service(&GroupVersion::new("apps.example.com", "v1"));
    foreign.metadata.labels = None;
    let mut other = api_service(&GroupVersion::new("other.example.com", "v1"));
    other.metadata.labels = None;
    let mut world =
        WorldBuilder::registered().define(&definition("redises", "Redis")).api_service(foreign).api_service(other);
    let done = world.settle();
    let touches = |action: &Action| {
        matches!(action, Action::ApplyApiService { .. } | Action::DeleteApiService { .. } | Action::Refresh { .. })
    };
    assert!(!done.iter().any(touches), "{done:#?}");
    assert_eq!(status(&world, "redises", "Served"), "False ServedByOther");
}

#[test]
fn a_registration_that_was_deleted_comes_back() {
    let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
    world.settle();
    world.cluster().api_services.clear();
    world.settle();
    assert_eq!(names(&mut world), ["v1.apps.example.com"]);
}

#[test]
fn an_annotation_that_was_removed_comes_back() {
    let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
    world.settle();
    Arc::make_mut(&mut world.cluster().api_services[0]).annotations_mut().remove(REGISTRY_DIGEST_ANNOTATION);
    assert_eq!(world.settle().len(), 2);
}

#[test]
fn kube_aggregator_is_not_made_to_look_at_what_it_cannot_reach() {
    let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
    world.settle();
    let found = Arc::make_mut(&mut world.cluster().api_services[0]);
    set_available(found, "False", "FailedDiscoveryCheck");
    world.objects[0]["metadata"]["generation"] = json!(2);
    let is_refresh = |action: &Action| matches!(action, Action::Refresh { .. });
    assert!(!world.settle().iter().any(is_refresh));
    set_available(Arc::make_mut(&mut world.cluster().api_services[0]), "True", "Passed");
    assert!(world.settle().iter().any(is_refresh));
}

#[test]
fn a_name_that_is_asked_for_later_is_that_of_who_holds_it() {
    let mut holder = definition("redises", "Redis");
    holder["spec"]["names"]["shortNames"] = json!(["rd"]);
    let mut later = definition("radios", "Radio");
    later["metadata"]["creationTimestamp"] = json!("2026-01-02T00:00:00Z");
    later["spec"]["backend"]["helmRelease"]["prefix"] = json!("y-");
    let mut world = WorldBuilder::registered().define(&holder).define(&later);
    world.settle();
    assert_eq!(status(&world, "radios", "NamesAccepted"), "True NoConflicts");
    for (generation, short, expected) in
        [(2, json!(["rd"]), "False NameConflict"), (3, json!(["ra"]), "True NoConflicts")]
    {
        world.objects[1]["spec"]["names"]["shortNames"] = short;
        world.objects[1]["metadata"]["generation"] = json!(generation);
        world.settle();
        assert_eq!(status(&world, "radios", "NamesAccepted"), expected);
    }
}

#[test]
fn names_that_were_dropped_leave_the_status() {
    let mut short = definition("redises", "Redis");
    short["spec"]["names"]["shortNames"] = json!(["rd"]);
    let mut world = WorldBuilder::registered().define(&short);
    world.settle();
    assert_eq!(world.objects[0]["status"]["acceptedNames"]["shortNames"], json!(["rd"]));
    world.objects[0]["spec"]["names"]["shortNames"] = json!([]);
    world.objects[0]["metadata"]["generation"] = json!(2);
    world.settle();
    assert!(world.objects[0]["status"]["acceptedNames"].get("shortNames").is_none());
}

#[rstest]
#[case::registered(WorldBuilder::registered())]
#[case::stand_alone(WorldBuilder::stand_alone())]
fn a_settled_world_asks_for_nothing(#[case] world: WorldBuilder) {
    let mut world = world.define(&definition("redises", "Redis")).define(&broken("brokens"));
    world.settle();
    assert_eq!(decide(&world.look()), []);
}
