//! What waits to be repeated: bounds, and nothing twice.

use kindsmith_schema::{compile::OwnStorage, form::DefinitionForm};
use serde_json::json;

use super::*;
use crate::decide::testing::definition;

fn event(uid: &str, release: &str, count: i32) -> Event {
    serde_json::from_value(json!({
        "metadata": {"name": uid, "namespace": "team-a", "uid": uid},
        "involvedObject": {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "name": release,
            "namespace": "team-a", "uid": format!("uid-of-{release}")},
        "reason": "InstallFailed", "message": "no", "type": "Warning", "count": count,
        "firstTimestamp": "2026-11-30T10:00:00Z", "lastTimestamp": "2026-11-30T10:00:00Z",
        "source": {"component": "helm-controller"},
    }))
    .unwrap()
}

fn release(name: &str) -> Arc<WatchedRelease> {
    let object = json!({
        "metadata": {"name": name, "namespace": "team-a", "uid": format!("uid-of-{name}")},
        "spec": {"chartRef": {"kind": "OCIRepository", "name": "redises", "namespace": "charts"}}});
    Arc::new(serde_json::from_value(object).unwrap())
}

fn kinds() -> Vec<Arc<KindOutline>> {
    let compiled = DefinitionForm::Kindsmith.compile(&definition("redises", "Redis"), OwnStorage::Absent).unwrap();
    vec![Arc::new(KindOutline::from(&compiled))]
}

#[test]
fn what_was_repeated_is_repeated_again_only_when_it_is_said_again() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let (releases, kinds) = ([release("x-a")], kinds());
    queue.take_up(event("1", "x-a", 1), now);
    queue.take_up(event("1", "x-a", 2), now);
    let due = queue.next(&releases, &kinds, now);
    assert_eq!(due.iter().map(|(_, event)| event.count).collect::<Vec<_>>(), [Some(2)], "once, as it was said last");
    queue.repeated("1".to_owned(), Said::of(&event("1", "x-a", 2)));
    queue.take_up(event("1", "x-a", 2), now);
    assert!(queue.next(&releases, &kinds, now).is_empty());
    queue.take_up(event("1", "x-a", 3), now);
    assert_eq!(queue.next(&releases, &kinds, now).len(), 1);
    // Those that are gone are not remembered.
    queue.keep(&HashSet::new());
    assert!(queue.repeated.is_empty());
}

#[test]
fn a_release_that_is_not_known_yet_is_waited_for_and_no_other_one() {
    let (mut queue, now) = (Queue::default(), Instant::now());
    let kinds = kinds();
    queue.take_up(event("1", "x-late", 1), now);
    queue.take_up(event("2", "other", 1), now);
    assert!(queue.next(&[release("other")], &kinds, now).is_empty());
    assert_eq!(queue.waiting.len(), 1);
    assert_eq!(queue.next(&[release("x-late")], &kinds, now + STEP).len(), 1);
    queue.take_up(event("3", "x-never", 1), now);
    assert!(queue.next(&[], &kinds, now + UNKNOWN_MAX).is_empty());
    assert!(queue.waiting.is_empty() && queue.order.is_empty());
    // One of a former release of the same name.
    let mut former = event("4", "x-late", 1);
    former.involved_object.uid = Some("former".to_owned());
    queue.take_up(former, now);
    assert!(queue.next(&[release("x-late")], &kinds, now).is_empty());
}

#[test]
fn a_flood_about_one_release_is_cut_and_does_not_hold_up_another() {
    let (mut queue, mut now) = (Queue::default(), Instant::now());
    let (releases, kinds) = ([release("x-loud"), release("x-quiet")], kinds());
    for number in 0..2 * WAITING_MAX {
        queue.take_up(event(&format!("loud-{number}"), "x-loud", 1), now);
    }
    queue.take_up(event("quiet", "x-quiet", 1), now);
    assert!(queue.waiting.len() <= WAITING_MAX && queue.order.len() <= WAITING_MAX);
    let (mut loud, mut steps) = (0, 0);
    loop {
        let due = queue.next(&releases, &kinds, now);
        assert!(due.len() <= WRITES_PER_STEP_MAX);
        loud += due.iter().filter(|(uid, _)| uid.starts_with("loud")).count();
        if due.iter().any(|(uid, _)| uid == "quiet") {
            break;
        }
        (now, steps) = (now + STEP, steps + 1);
        assert!(steps < 10, "it is held up");
    }
    assert_eq!(loud, BURST_PER_RELEASE as usize);
    let later = now + 2 * REFILL_PER_RELEASE;
    assert!(queue.spend(&ReleaseName { namespace: "team-a".to_owned(), name: "x-loud".to_owned() }, later));
}
