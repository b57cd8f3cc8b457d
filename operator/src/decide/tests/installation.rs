//! What is registered while an installation comes, goes, and is replaced.

use std::sync::Arc;

use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kindsmith_crds::FINALIZER;
use kube::ResourceExt;
use serde_json::json;

use crate::{
    decide::{
        Action,
        testing::{WorldBuilder, definition},
    },
    installation::Installation,
};

fn anchored(uid: &str) -> Installation {
    Installation::Stays { anchor: Some(uid.to_owned()) }
}

/// A world with one kind that is registered.
fn settled(installation: Installation) -> WorldBuilder {
    let mut world = WorldBuilder::registered().define(&definition("redises", "Redis"));
    world.cluster().installation = installation;
    world.settle();
    assert_eq!(world.cluster().api_services.len(), 1);
    world
}

fn owners(world: &mut WorldBuilder) -> Vec<String> {
    let owners = world.cluster().api_services.iter().flat_map(|found| found.owner_references().to_vec());
    owners.map(|it| format!("{} {} {} {}", it.api_version, it.kind, it.name, it.uid)).collect()
}

fn applies(actions: &[Action]) -> Vec<&APIService> {
    let mut applied = Vec::new();
    for action in actions {
        if let Action::ApplyApiService { object, .. } = action {
            applied.push(object.as_ref());
        }
    }
    applied
}

#[test]
fn api_services_are_owned_by_the_anchor_and_by_nobody_where_there_is_none() {
    let mut world = settled(Installation::Stays { anchor: None });
    assert!(owners(&mut world).is_empty());
    // Manifests that have it come, it is replaced, and manifests that do not have it come back.
    for (installation, owned) in [
        (anchored("one"), vec!["rbac.authorization.k8s.io/v1 ClusterRole kindsmith-anchor one"]),
        (anchored("two"), vec!["rbac.authorization.k8s.io/v1 ClusterRole kindsmith-anchor two"]),
        (Installation::Stays { anchor: None }, Vec::new()),
    ] {
        world.cluster().installation = installation;
        let decided = world.decide();
        let applied = applies(&decided);
        assert_eq!(applied.len(), 1, "{decided:#?}");
        for owner in applied[0].owner_references() {
            assert_eq!((owner.controller, owner.block_owner_deletion), (None, None));
        }
        world.settle();
        assert_eq!(owners(&mut world), owned);
        assert!(world.decide().is_empty());
    }
}

#[test]
fn owners_that_others_added_and_replaced_anchors_are_left_alone() {
    let mut world = settled(anchored("one"));
    let found = Arc::make_mut(&mut world.cluster().api_services[0]);
    let mut references = found.owner_references().to_vec();
    let mut other = references[0].clone();
    other.uid = "zero".to_owned();
    references.push(other.clone());
    other.kind = "Namespace".to_owned();
    references.push(other);
    found.metadata.owner_references = Some(references);
    assert!(applies(&world.decide()).is_empty());
}

#[test]
fn nothing_is_registered_while_an_installation_goes() {
    for (installation, reason) in
        [(Installation::AnchorDeleted, "AnchorDeleted"), (Installation::NamespaceTerminating, "NamespaceTerminating")]
    {
        let mut world = settled(anchored("one"));
        world.cluster().installation = installation;
        world.cluster().api_services.clear();
        let done = world.settle();
        assert!(applies(&done).is_empty(), "{reason}: {done:#?}");
        for condition in ["Registered", "Served", "Ready"] {
            let (status, found, _) = world.condition("redises", condition);
            assert_eq!((status.as_str(), found.as_str()), ("False", reason), "{condition}");
        }
        // An anchor that is there again, or two minutes that have passed.
        for stays in [anchored("two"), Installation::Stays { anchor: None }] {
            world.cluster().installation = stays;
            world.settle();
            assert_eq!(world.condition("redises", "Registered").0, "True");
        }
    }
}

#[test]
fn definitions_keep_no_finalizer_that_nobody_would_remove_and_get_it_back() {
    let mut world = settled(anchored("one"));
    assert_eq!(world.objects[0]["metadata"]["finalizers"], json!([FINALIZER]));
    world.objects[0]["metadata"]["finalizers"] = json!(["example.com/other", FINALIZER]);
    for (installation, finalizers) in [
        (Installation::AnchorDeleted, json!(["example.com/other", FINALIZER])),
        (Installation::NamespaceTerminating, json!(["example.com/other"])),
        (anchored("two"), json!(["example.com/other", FINALIZER])),
    ] {
        world.cluster().installation = installation;
        world.settle();
        assert_eq!(world.objects[0]["metadata"]["finalizers"], finalizers);
    }
}
