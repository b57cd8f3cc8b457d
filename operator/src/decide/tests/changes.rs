//! Changes of a definition that may hurt instances: held back, refused, forced, taken back.

use serde_json::json;

use super::{
    super::testing::{WorldBuilder, definition},
    status,
};
use crate::inspection::{Answer, Asker};

/// Generation 2 of the definition, which no longer has the field `size`, in a world where generation 1 is served.
fn narrowed() -> WorldBuilder {
    let mut wide = definition("redises", "Redis");
    let schema =
        |properties| json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}});
    wide["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema(json!({"size": {"type": "string"}}));
    let mut world = WorldBuilder::registered().define(&wide);
    world.settle();
    world.objects[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema(json!({}));
    world.objects[0]["metadata"]["generation"] = json!(2);
    world
}

fn served_generation(world: &mut WorldBuilder) -> i64 {
    world.look().definitions[0].verdict.kind.as_ref().unwrap().origin.generation
}

fn recorded(world: &mut WorldBuilder) -> String {
    world.cluster().records.last("uid-of-redises").unwrap().state.clone()
}

#[test]
fn a_change_that_may_hurt_instances_waits_until_they_were_looked_at() {
    let mut world = narrowed();
    world.settle();
    assert_eq!(status(&world, "redises", "Accepted"), "Unknown InspectingInstances");
    assert_eq!(status(&world, "redises", "Served"), "True LastGoodGeneration");
    assert_eq!(status(&world, "redises", "Ready"), "False InspectingInstances");
    assert_eq!((served_generation(&mut world), recorded(&mut world).as_str()), (1, "1"));

    world.answers.insert(("uid-of-redises".to_owned(), Asker::Generation("2".to_owned())), Answer::Harmless);
    world.settle();
    assert_eq!(status(&world, "redises", "Ready"), "True Ready");
    assert_eq!((served_generation(&mut world), recorded(&mut world).as_str()), (2, "2"));
    world.answers.clear();
    assert_eq!(world.settle(), [], "it stays accepted");
    assert!(world.cluster().records.superseded("uid-of-redises").is_empty());
}

#[test]
fn a_change_that_hurts_instances_is_refused_over_restarts_until_it_is_forced() {
    let mut world = narrowed();
    let first = vec!["default/a: spec.size is no longer known".to_owned()];
    let asked = ("uid-of-redises".to_owned(), Asker::Generation("2".to_owned()));
    world.answers.insert(asked, Answer::Harmful { count: 1, first });
    world.settle();
    assert_eq!(status(&world, "redises", "Accepted"), "False BreaksInstances");
    let (.., message) = world.condition("redises", "Accepted");
    assert!(message.contains("default/a: spec.size is no longer known"), "{message}");
    assert!(message.contains(r#"kindsmith.dev/force-schema-change: "2""#), "{message}");
    world.judge = crate::judge::Judge::default();
    assert_eq!(world.settle(), []);
    assert_eq!(served_generation(&mut world), 1);

    world.objects[0]["metadata"]["annotations"] = json!({"kindsmith.dev/force-schema-change": "1"});
    world.settle();
    assert_eq!(served_generation(&mut world), 1, "another generation was meant");
    world.objects[0]["metadata"]["annotations"] = json!({"kindsmith.dev/force-schema-change": "2"});
    world.settle();
    assert_eq!(status(&world, "redises", "Ready"), "True Ready");
    assert_eq!((served_generation(&mut world), recorded(&mut world).as_str()), (2, "2"));
    world.judge = crate::judge::Judge::default();
    world.objects[0]["metadata"]["annotations"] = json!({});
    assert_eq!(world.settle(), [], "what was forced stays accepted after a restart");
}

#[test]
fn going_back_needs_no_consent() {
    let mut world = narrowed();
    let unreadable = Answer::Unreadable("forbidden".to_owned());
    world.answers.insert(("uid-of-redises".to_owned(), Asker::Generation("2".to_owned())), unreadable);
    world.settle();
    assert_eq!(status(&world, "redises", "Accepted"), "Unknown InstancesUnreadable");
    world.objects[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-preserve-unknown-fields"] =
        json!(true);
    world.objects[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"] =
        json!({"spec": {"type": "object", "properties": {"size": {"type": "string"}}}});
    world.objects[0]["metadata"]["generation"] = json!(3);
    world.settle();
    assert_eq!(status(&world, "redises", "Ready"), "True Ready");
    assert_eq!(recorded(&mut world), "3");
}

#[test]
fn without_a_cluster_every_change_is_taken_at_once() {
    let mut world = narrowed();
    world.cluster = None;
    world.settle();
    assert_eq!(status(&world, "redises", "Ready"), "True Ready");
    assert_eq!(served_generation(&mut world), 2);
}
