use kindsmith_crds::Scope;
use serde_json::json;

use super::*;
use crate::storage::host::{Generation, Persistence, Propagation, StatusEndpoint};

fn resource() -> HostResource {
    HostResource {
        group: "example.com".to_owned(),
        version: "v1".to_owned(),
        kind: "Cup".to_owned(),
        plural: "cups".to_owned(),
        scope: Scope::Namespaced,
        status: StatusEndpoint::Separate,
    }
}

fn write(persistence: Persistence) -> WriteOptions {
    WriteOptions { persistence, field_manager: "test".to_owned(), generation: Generation::Host }
}

fn delete(persistence: Persistence) -> DeleteOptions {
    DeleteOptions { uid: None, resource_version: None, propagation: None, persistence }
}

fn cup(name: &str, size: i64) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Cup", "metadata": {"name": name, "namespace": "a"}, "spec": {"size": size}})
}

fn a() -> Option<Namespace<'static>> {
    Namespace::parse("a")
}

fn b() -> Option<Namespace<'static>> {
    Namespace::parse("b")
}

fn name(text: &str) -> Name<'_> {
    Name::parse(text).unwrap()
}

fn open() -> (tempfile::TempDir, Arc<Embedded>) {
    let directory = tempfile::tempdir().unwrap();
    let store = Embedded::open(directory.path()).unwrap();
    (directory, store)
}

fn code(error: &HostError) -> u16 {
    match error {
        HostError::Status(status) => status.code,
        other => panic!("not a status: {other}"),
    }
}

async fn create(store: &Embedded, object: Value) -> Value {
    store.create(&resource(), object, &write(Persistence::Durable)).await.unwrap()
}

#[tokio::test]
async fn a_new_object_gets_system_metadata_and_its_name_is_taken() {
    let (_directory, store) = open();
    let mut sent = cup("one", 1);
    sent["status"] = json!({"made": "up"});
    let created = create(&store, sent).await;
    assert_eq!(created["metadata"]["generation"], 1);
    assert!(created["metadata"]["uid"].is_string() && created["metadata"]["creationTimestamp"].is_string());
    assert_eq!(created.get("status"), None);
    assert_eq!(store.get(&resource(), a(), name("one")).await.unwrap(), created);
    let again = store.create(&resource(), cup("one", 2), &write(Persistence::Durable)).await.unwrap_err();
    assert_eq!(again.to_string(), "cups.example.com \"one\" already exists");
    assert_eq!(code(&store.get(&resource(), b(), name("one")).await.unwrap_err()), 404);
}

#[tokio::test]
async fn an_update_is_refused_when_the_object_has_changed_and_moves_the_generation_with_the_spec_alone() {
    let (_directory, store) = open();
    let first = create(&store, cup("one", 1)).await;
    let options = write(Persistence::Durable);
    let mut next = first.clone();
    next["spec"]["size"] = json!(2);
    let second = store.update(&resource(), &first, next.clone(), WriteTarget::Main, &options).await.unwrap();
    assert_eq!(second["metadata"]["generation"], 2);
    let stale = store.update(&resource(), &first, next, WriteTarget::Main, &options).await.unwrap_err();
    assert_eq!(code(&stale), 409);
    let mut labelled = second.clone();
    labelled["metadata"]["labels"] = json!({"a": "b"});
    labelled["status"] = json!({"ignored": true});
    let third = store.update(&resource(), &second, labelled, WriteTarget::Main, &options).await.unwrap();
    assert_eq!(third["metadata"]["generation"], 2);
    assert_eq!(third.get("status"), None);
    let mut status = third.clone();
    status["status"] = json!({"full": true});
    status["spec"]["size"] = json!(99);
    let fourth = store.update(&resource(), &third, status, WriteTarget::Status, &options).await.unwrap();
    assert_eq!((&fourth["status"], &fourth["spec"]["size"]), (&json!({"full": true}), &json!(2)));
    let unchanged = store.update(&resource(), &fourth, fourth.clone(), WriteTarget::Main, &options).await.unwrap();
    assert_eq!(unchanged["metadata"]["resourceVersion"], fourth["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn finalizers_hold_an_object_until_the_last_is_removed() {
    let (_directory, store) = open();
    let mut sent = cup("one", 1);
    sent["metadata"]["finalizers"] = json!(["example.com/wash"]);
    create(&store, sent).await;
    let options = delete(Persistence::Durable);
    let Deleted::Finalizing(held) = store.delete(&resource(), a(), name("one"), &options).await.unwrap() else {
        panic!("it went at once");
    };
    assert_eq!(
        (&held["metadata"]["generation"], &held["metadata"]["deletionGracePeriodSeconds"]),
        (&json!(2), &json!(0))
    );
    let mut more = held.clone();
    more["metadata"]["finalizers"] = json!(["example.com/wash", "example.com/dry"]);
    let options = write(Persistence::Durable);
    let refused = store.update(&resource(), &held, more, WriteTarget::Main, &options).await.unwrap_err();
    assert_eq!(code(&refused), 422);
    let mut freed = held.clone();
    freed["metadata"]["finalizers"] = json!([]);
    store.update(&resource(), &held, freed, WriteTarget::Main, &options).await.unwrap();
    assert_eq!(code(&store.get(&resource(), a(), name("one")).await.unwrap_err()), 404);
}

#[tokio::test]
async fn a_deletion_heeds_preconditions_and_propagation() {
    let (_directory, store) = open();
    create(&store, cup("one", 1)).await;
    let wrong = DeleteOptions { uid: Some("other".to_owned()), ..delete(Persistence::Durable) };
    assert_eq!(code(&store.delete(&resource(), a(), name("one"), &wrong).await.unwrap_err()), 409);
    let foreground = DeleteOptions { propagation: Some(Propagation::Foreground), ..delete(Persistence::Durable) };
    let held = store.delete(&resource(), a(), name("one"), &foreground).await.unwrap();
    assert!(
        matches!(held, Deleted::Finalizing(held) if held["metadata"]["finalizers"] == json!(["foregroundDeletion"]))
    );
}

#[tokio::test]
async fn a_dry_run_keeps_nothing() {
    let (_directory, store) = open();
    store.create(&resource(), cup("one", 1), &write(Persistence::DryRun)).await.unwrap();
    assert_eq!(code(&store.get(&resource(), a(), name("one")).await.unwrap_err()), 404);
    create(&store, cup("one", 1)).await;
    store.delete(&resource(), a(), name("one"), &delete(Persistence::DryRun)).await.unwrap();
    store.get(&resource(), a(), name("one")).await.unwrap();
}

#[tokio::test]
async fn a_list_at_an_older_revision_is_what_was_there() {
    let (_directory, store) = open();
    create(&store, cup("one", 1)).await;
    let before = store.list(&resource(), None, ListAt::MostRecent).await.unwrap();
    create(&store, cup("two", 2)).await;
    store.delete(&resource(), a(), name("one"), &delete(Persistence::Durable)).await.unwrap();
    let now = store.list(&resource(), a(), ListAt::MostRecent).await.unwrap();
    assert_eq!(now.items.len(), 1);
    let then = store.list(&resource(), None, ListAt::Exactly(before.revision)).await.unwrap();
    assert_eq!(then.items, before.items);
    assert_eq!(code(&store.list(&resource(), None, ListAt::Exactly(0)).await.unwrap_err()), 410);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_reopening_and_a_second_process_is_refused() {
    let (directory, store) = open();
    for size in 0..20 {
        create(&store, cup(&format!("cup-{size}"), size)).await;
    }
    assert!(matches!(Embedded::open(directory.path()), Err(OpenError::InUse { .. })));
    let revision = store.list(&resource(), None, ListAt::MostRecent).await.unwrap().revision;
    drop(store);
    // The writer's thread lets go of the file when it notices.
    let store = loop {
        match Embedded::open(directory.path()) {
            Err(OpenError::InUse { .. }) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            opened => break opened.unwrap(),
        }
    };
    let kept = store.list(&resource(), None, ListAt::MostRecent).await.unwrap();
    assert_eq!((kept.items.len(), kept.revision), (20, revision));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_begun_amid_writes_sees_each_change_once_and_in_order() {
    let (_directory, store) = open();
    let start = store.list(&resource(), None, ListAt::MostRecent).await.unwrap().revision;
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for number in 0..25 {
                    create(&store, cup(&format!("cup-{writer}-{number}"), number)).await;
                }
            })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    let mut events = store.watch(&resource(), start).await.unwrap();
    let mut revisions = Vec::new();
    while revisions.len() < 100 {
        let event =
            tokio::time::timeout(std::time::Duration::from_secs(20), events.next()).await.unwrap().unwrap().unwrap();
        if let HostEvent::Applied { revision, .. } = event {
            revisions.push(revision);
        }
    }
    assert!(revisions.windows(2).all(|pair| pair[0] < pair[1]), "{revisions:?}");
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_writers_exactly_one_wins_a_revision() {
    let (_directory, store) = open();
    let first = create(&store, cup("one", 0)).await;
    let writers = (1..=8).map(|size| {
        let (store, first) = (Arc::clone(&store), first.clone());
        tokio::spawn(async move {
            let mut next = first.clone();
            next["spec"]["size"] = json!(size);
            store.update(&resource(), &first, next, WriteTarget::Main, &write(Persistence::Durable)).await.is_ok()
        })
    });
    let won = futures::future::join_all(writers).await.into_iter().filter(|won| *won.as_ref().unwrap()).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_namespace_terminates_and_goes_when_it_is_finalized() {
    let (_directory, store) = open();
    let namespaces = crate::storage::builtin::namespaces();
    let team = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}});
    let created = store.create(&namespaces, team, &write(Persistence::Durable)).await.unwrap();
    assert_eq!(created["status"]["phase"], "Active");
    let deleted = store.delete(&namespaces, None, name("team"), &delete(Persistence::Durable)).await.unwrap();
    assert!(matches!(deleted, Deleted::Finalizing(held) if held["status"]["phase"] == "Terminating"));
    store.finalize_namespace("team").await.unwrap();
    assert_eq!(code(&store.get(&namespaces, None, name("team")).await.unwrap_err()), 404);
}

#[tokio::test]
async fn a_list_of_the_future_is_no_list() {
    let (_directory, store) = open();
    let error = store.list(&resource(), None, ListAt::Exactly(9)).await.unwrap_err();
    assert_eq!((code(&error), error.to_string().as_str()), (504, "Timeout: Too large resource version: 9, current: 1"));
}

#[tokio::test]
async fn what_is_too_many_changes_ago_is_forgotten_and_said_to_be() {
    let directory = tempfile::tempdir().unwrap();
    let retention = Retention { changes_max: 3, ..Retention::default() };
    let store = Embedded::open_with(directory.path(), retention).unwrap();
    for number in 0..6 {
        create(&store, cup(&format!("cup-{number}"), number)).await;
    }
    // Revision 1 is the empty store; 7 is the newest.
    assert_eq!(store.list(&resource(), None, ListAt::Exactly(4)).await.unwrap().items.len(), 3);
    let list = store.list(&resource(), None, ListAt::Exactly(3)).await.unwrap_err();
    assert_eq!(
        (code(&list), list.to_string().as_str()),
        (410, "The resourceVersion for the provided list is too old.")
    );
    let watch = store.watch(&resource(), 3).await.err().unwrap();
    assert_eq!((code(&watch), watch.to_string().as_str()), (410, "too old resource version: 3 (4)"));
    assert!(store.watch(&resource(), 4).await.is_ok());
    drop(store);
    let store = loop {
        match Embedded::open_with(directory.path(), retention) {
            Err(OpenError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
            opened => break opened.unwrap(),
        }
    };
    assert_eq!(store.revision(&resource()).await.unwrap(), 7);
    assert_eq!(code(&store.watch(&resource(), 3).await.err().unwrap()), 410);
}

#[tokio::test]
async fn what_takes_too_much_is_forgotten_and_thousands_of_small_changes_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let retention = Retention { bytes_max: 100_000, ..Retention::default() };
    let store = Embedded::open_with(directory.path(), retention).unwrap();
    let mut held = create(&store, cup("one", 1)).await;
    for round in 0..60 {
        let mut next = held.clone();
        next["spec"]["size"] = json!(round + 2);
        next["spec"]["fill"] = json!("x".repeat(round * 50));
        held = store.update(&resource(), &held, next, WriteTarget::Main, &write(Persistence::Durable)).await.unwrap();
    }
    // Revision 62 is the newest; each change takes about six thousand bytes in the end, an object before and after.
    assert!(store.watch(&resource(), 50).await.is_ok());
    assert_eq!(code(&store.watch(&resource(), 30).await.err().unwrap()), 410);
    let retention = Retention::default();
    assert!(retention.changes_max > 100_000 && retention.bytes_max > 100_000 * 1000);
}

#[tokio::test]
async fn an_object_is_as_large_as_etcd_lets_it_be_however_it_grew() {
    let (_directory, store) = open();
    let (large, too_large) = ("etcdserver: request is too large", "larger than max (");
    let filled = |bytes: usize| {
        let mut object = cup("one", 1);
        object["spec"]["fill"] = json!("x".repeat(bytes));
        object
    };
    let options = write(Persistence::Durable);
    for (bytes, told) in [(1_572_900, large), (2_096_000, large), (2_097_200, too_large), (2_500_000, too_large)] {
        let error = store.create(&resource(), filled(bytes), &options).await.unwrap_err();
        assert_eq!(code(&error), 500);
        assert!(error.to_string().contains(told), "{bytes}: {error}");
    }
    store.create(&resource(), filled(2_500_000), &write(Persistence::DryRun)).await.unwrap();
    let held = create(&store, filled(1_572_000)).await;
    let mut next = held.clone();
    next["metadata"]["managedFields"] = json!([{"manager": "x".repeat(1000)}]);
    let error = store.update(&resource(), &held, next, WriteTarget::Main, &options).await.unwrap_err();
    assert_eq!(error.to_string(), large);
    assert_eq!(store.get(&resource(), a(), name("one")).await.unwrap(), held);
    store.delete(&resource(), a(), name("one"), &delete(Persistence::Durable)).await.unwrap();
}

#[tokio::test]
async fn what_is_too_long_ago_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let retention = Retention { age_max: Duration::from_secs(1), ..Retention::default() };
    let store = Embedded::open_with(directory.path(), retention).unwrap();
    create(&store, cup("old", 1)).await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    create(&store, cup("new", 1)).await;
    assert_eq!(code(&store.list(&resource(), None, ListAt::Exactly(1)).await.unwrap_err()), 410);
    assert_eq!(store.list(&resource(), None, ListAt::Exactly(2)).await.unwrap().items.len(), 1);
}
