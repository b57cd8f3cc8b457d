use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn entry(name: &str, revision: u64) -> Arc<Entry> {
    Arc::new(entry_in(None, name, revision))
}

fn entry_in(namespace: Option<&str>, name: &str, revision: u64) -> Entry {
    let json = serde_json::json!({"metadata": {"name": name, "resourceVersion": revision.to_string()}}).to_string();
    Entry {
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
        revision,
        labels: Texts::default(),
        fields: Texts::default(),
        json: Bytes::from(json).into(),
    }
}

fn names(listing: &Listing) -> Vec<(&str, u64)> {
    listing.entries.iter().map(|entry| (entry.name.as_str(), entry.revision)).collect()
}

fn drain(watcher: &mut Watcher) -> Vec<(EventKind, String, u64)> {
    let mut seen = Vec::new();
    while let Some(Some(item)) = futures::FutureExt::now_or_never(watcher.next()) {
        if let WatcherItem::Event(event) = item {
            seen.push((event.kind, event.entry.name.clone(), event.revision));
        }
    }
    seen
}

#[test]
fn a_cache_is_not_ready_before_its_first_list() {
    let cache = WatchCache::new(CacheLimits::default());
    assert!(!cache.is_ready());
    assert_eq!(cache.list(None, CacheListAt::Any).unwrap_err(), CacheError::NotReady);
    cache.fill(vec![entry("a", 3)], 5);
    assert_eq!(names(&cache.list(None, CacheListAt::Any).unwrap()), [("a", 3)]);
    assert_eq!(cache.revision(), 5);
}

#[test]
fn a_list_at_an_older_revision_is_what_was_there() {
    let cache = WatchCache::new(CacheLimits::default());
    cache.fill(vec![entry("a", 3), entry("b", 4)], 5);
    cache.apply(Change::Applied(entry("a", 6)));
    cache.apply(Change::Deleted { revision: 7, last: entry("b", 7) });
    cache.apply(Change::Applied(entry("c", 8)));
    assert_eq!(names(&cache.list(None, CacheListAt::Exactly(5)).unwrap()), [("a", 3), ("b", 4)]);
    assert_eq!(names(&cache.list(None, CacheListAt::Exactly(6)).unwrap()), [("a", 6), ("b", 4)]);
    assert_eq!(names(&cache.list(None, CacheListAt::Exactly(7)).unwrap()), [("a", 6)]);
    assert_eq!(cache.list(None, CacheListAt::Exactly(4)).unwrap_err(), CacheError::Expired { oldest: 5 });
    assert_eq!(cache.list(None, CacheListAt::Exactly(9)).unwrap_err(), CacheError::TooNew { current: 8 });
}

#[test]
fn a_relist_sends_only_what_differs() {
    let cache = WatchCache::new(CacheLimits::default());
    cache.fill(vec![entry("a", 3), entry("b", 4)], 5);
    let mut watcher = cache.watch(None, WatchStart::After(5)).unwrap();
    cache.fill(vec![entry("a", 3), entry("c", 8)], 9);
    assert_eq!(drain(&mut watcher), [(EventKind::Added, "c".to_owned(), 8), (EventKind::Deleted, "b".to_owned(), 9)]);
}

#[test]
fn what_was_while_the_watch_was_lost_is_not_made_up() {
    let cache = WatchCache::new(CacheLimits::default());
    cache.fill(vec![entry("a", 3)], 10);
    let mut ahead = cache.watch(None, WatchStart::After(15)).unwrap();
    let mut level = cache.watch(None, WatchStart::After(10)).unwrap();
    // Who listed elsewhere at 15 may have seen an object that was gone at 30.
    cache.fill(vec![entry("b", 12)], 30);
    assert!(matches!(futures::FutureExt::now_or_never(ahead.next()), Some(None)));
    assert_eq!(drain(&mut level), [(EventKind::Added, "b".to_owned(), 12), (EventKind::Deleted, "a".to_owned(), 30)]);
    let expired = CacheError::Expired { oldest: 30 };
    for revision in [11, 15, 29] {
        assert_eq!(cache.watch(None, WatchStart::After(revision)).err(), Some(expired));
        assert_eq!(cache.list(None, CacheListAt::Exactly(revision)).unwrap_err(), expired);
    }
    assert_eq!(names(&cache.list(None, CacheListAt::Exactly(10)).unwrap()), [("a", 3)]);
    assert_eq!(drain(&mut cache.watch(None, WatchStart::After(10)).unwrap()).len(), 2);
    assert_eq!(drain(&mut cache.watch(None, WatchStart::After(30)).unwrap()).len(), 0);
    cache.fill(Vec::new(), 40);
    assert_eq!(cache.watch(None, WatchStart::After(10)).err(), Some(expired), "of two gaps one is remembered");
    assert_eq!(drain(&mut cache.watch(None, WatchStart::After(30)).unwrap()).len(), 1);
}

#[test]
fn a_slow_watcher_is_ended_and_others_go_on() {
    let cache = WatchCache::new(CacheLimits { watcher_queue_events_max: 2, ..CacheLimits::default() });
    cache.fill(Vec::new(), 1);
    let mut slow = cache.watch(None, WatchStart::After(1)).unwrap();
    let mut fast = cache.watch(None, WatchStart::After(1)).unwrap();
    for revision in 2..6 {
        cache.apply(Change::Applied(entry("a", revision)));
        assert_eq!(drain(&mut fast).len(), 1);
    }
    assert_eq!(drain(&mut slow).len(), 2);
    assert!(matches!(futures::FutureExt::now_or_never(slow.next()), Some(None)));
    assert_eq!(cache.watchers(), 1);
}

#[test]
fn history_is_bounded_and_says_when_a_watch_is_too_old() {
    let cache = WatchCache::new(CacheLimits { history_events_max: 2, ..CacheLimits::default() });
    cache.fill(Vec::new(), 1);
    for revision in 2..6 {
        cache.apply(Change::Applied(entry("a", revision)));
    }
    assert!(matches!(cache.watch(None, WatchStart::After(2)), Err(CacheError::Expired { oldest: 3 })));
    assert_eq!(drain(&mut cache.watch(None, WatchStart::After(3)).unwrap()).len(), 2);
}

#[test]
fn thousands_of_changes_are_remembered_while_they_are_young_and_take_little() {
    let cache = WatchCache::new(CacheLimits::default());
    cache.fill(Vec::new(), 1);
    for revision in 2..20_002 {
        cache.apply(Change::Applied(entry("a", revision)));
    }
    assert_eq!(drain(&mut cache.watch(None, WatchStart::After(1)).unwrap()).len(), 20_000);
}

#[test]
fn history_is_bounded_by_what_it_takes() {
    let one = CacheEvent::new(2, EventKind::Added, entry("a", 2), None).held_bytes();
    let cache = WatchCache::new(CacheLimits { history_bytes_max: 10 * one, ..CacheLimits::default() });
    cache.fill(Vec::new(), 1);
    for revision in 2..9 {
        cache.apply(Change::Applied(entry("a", revision)));
    }
    assert_eq!(drain(&mut cache.watch(None, WatchStart::After(1)).unwrap()).len(), 7);
    // What takes more than all that may be remembered is forgotten with what came before.
    let json = Bytes::from(vec![b' '; 20 * one]);
    cache.apply(Change::Applied(Arc::new(Entry { json: json.into(), ..entry_in(None, "b", 9) })));
    assert!(matches!(cache.watch(None, WatchStart::After(8)), Err(CacheError::Expired { oldest: 9 })));
    for revision in 10..30 {
        cache.apply(Change::Applied(entry("c", revision)));
    }
    let remembered = drain(&mut cache.watch(None, WatchStart::After(20)).unwrap()).len();
    assert_eq!(remembered, 9);
    assert!(cache.watch(None, WatchStart::After(12)).is_err());
}

#[test]
fn old_changes_are_forgotten_but_for_a_few_even_when_nothing_changes_any_more() {
    let limits = CacheLimits { history_events_min: 1, history_age_max: Duration::ZERO, ..CacheLimits::default() };
    let remembered = |cache: &WatchCache, revision| cache.watch(None, WatchStart::After(revision)).is_ok();
    let cache = WatchCache::new(limits);
    cache.fill(Vec::new(), 1);
    cache.apply(Change::Applied(entry("a", 2)));
    cache.apply(Change::Applied(entry("a", 3)));
    std::thread::sleep(Duration::from_millis(1));
    cache.progress(4);
    assert!(!remembered(&cache, 1));
    assert!(remembered(&cache, 2));
    let patient = WatchCache::new(CacheLimits { history_age_max: Duration::from_secs(60), ..limits });
    patient.fill(Vec::new(), 1);
    patient.apply(Change::Applied(entry("a", 2)));
    patient.apply(Change::Applied(entry("a", 3)));
    patient.progress(4);
    assert!(remembered(&patient, 1));
}

#[test]
fn closing_ends_watches() {
    let cache = WatchCache::new(CacheLimits::default());
    cache.fill(Vec::new(), 1);
    let mut watcher = cache.watch(None, WatchStart::After(1)).unwrap();
    cache.close();
    assert!(matches!(futures::FutureExt::now_or_never(watcher.next()), Some(None)));
}

#[derive(Clone, Debug)]
enum Step {
    Apply(u8),
    Delete(u8),
    /// From so many revisions ahead: the client has heard of them elsewhere.
    Watch(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4_u8).prop_map(Step::Apply),
        2 => (0..4_u8).prop_map(Step::Delete),
        1 => prop_oneof![Just(0), 0..4_u64].prop_map(Step::Watch),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn every_watcher_sees_every_later_change_once_and_every_past_state_can_be_listed(steps in steps()) {
        let cache = WatchCache::new(CacheLimits::default());
        cache.fill(Vec::new(), 1);
        let mut revision = 1;
        let mut model: BTreeMap<String, u64> = BTreeMap::new();
        let mut log = Vec::new();
        let mut states = vec![(1, model.clone())];
        let mut watchers = Vec::new();
        for step in steps {
            match step {
                Step::Apply(name) => {
                    revision += 1;
                    let name = format!("n{name}");
                    let kind = if model.insert(name.clone(), revision).is_some() { EventKind::Modified } else { EventKind::Added };
                    log.push((kind, name.clone(), revision));
                    cache.apply(Change::Applied(entry(&name, revision)));
                }
                Step::Delete(name) => {
                    let name = format!("n{name}");
                    if model.remove(&name).is_some() {
                        revision += 1;
                        log.push((EventKind::Deleted, name.clone(), revision));
                        cache.apply(Change::Deleted { revision, last: entry(&name, revision) });
                    }
                }
                Step::Watch(ahead) => {
                    let start = revision + ahead;
                    watchers.push((start, cache.watch(None, WatchStart::After(start)).unwrap()));
                }
            }
            states.push((revision, model.clone()));
        }
        for (start, watcher) in &mut watchers {
            let wanted: Vec<_> = log.iter().filter(|(_, _, revision)| revision > start).cloned().collect();
            prop_assert_eq!(drain(watcher), wanted);
            prop_assert_eq!(watcher.revision(), revision.max(*start));
        }
        for (at, state) in states {
            let listing = cache.list(None, CacheListAt::Exactly(at)).unwrap();
            let wanted: Vec<(&str, u64)> = state.iter().map(|(name, revision)| (name.as_str(), *revision)).collect();
            prop_assert_eq!(names(&listing), wanted);
        }
    }
}

#[test]
fn objects_come_in_the_order_of_their_keys_in_all_lists() {
    let cache = WatchCache::new(CacheLimits::default());
    let within = |namespace: &str, name: &str, revision: u64| Arc::new(entry_in(Some(namespace), name, revision));
    let all = [within("team", "x", 1), within("team-a", "x", 2), within("team", "a", 3), within("tea", "z", 4)];
    cache.fill(all.to_vec(), 4);
    let keys = |namespace: Option<&str>, at| {
        let listing = cache.list(namespace, at).unwrap();
        listing.entries.iter().map(|entry| key_of(entry)).collect::<Vec<_>>()
    };
    let sorted = ["tea/z", "team-a/x", "team/a", "team/x"];
    assert_eq!(keys(None, CacheListAt::Any), sorted);
    assert_eq!(keys(Some("team"), CacheListAt::Any), ["team/a", "team/x"]);
    cache.apply(Change::Deleted { revision: 5, last: within("team", "a", 5) });
    cache.apply(Change::Applied(within("team", "b", 6)));
    assert_eq!(keys(None, CacheListAt::Exactly(4)), sorted);
    assert_eq!(keys(Some("team"), CacheListAt::Exactly(5)), ["team/x"]);
    assert_eq!(keys(Some("team"), CacheListAt::Any), ["team/b", "team/x"]);
}

#[test]
fn a_state_that_is_known_to_be_whole_says_so_and_what_came_before_is_no_news() {
    let cache = WatchCache::new(CacheLimits::default());
    cache.fill(vec![entry("a", 3)], 5);
    let mut watcher = cache.watch(None, WatchStart::InitialEvents { complete_to: 9 }).unwrap();
    let mut ends = Vec::new();
    while let Some(Some(item)) = futures::FutureExt::now_or_never(watcher.next()) {
        if let WatcherItem::InitialEnd { revision } = item {
            ends.push(revision);
        }
    }
    assert_eq!((ends, watcher.revision()), (vec![9], 9));
    cache.apply(Change::Applied(entry("b", 8)));
    cache.apply(Change::Deleted { revision: 9, last: entry("b", 9) });
    cache.apply(Change::Applied(entry("c", 10)));
    assert_eq!(drain(&mut watcher), [(EventKind::Added, "c".to_owned(), 10)]);
}
