//! Settings of definitions that changed, brought to the releases there are: paced, and gone on with after a restart.
//!
//! Flow: the controller says which kinds there are; every second what is still to be done is found out anew from the
//! releases themselves, a few of them are patched, and the counts go to the statuses of the definitions.
//! Guarantees: a patch holds for the state that it was made for; values are never touched; what others changed and the
//! definition did not stays. Nothing is remembered elsewhere than on the releases, so a restart changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kindsmith_schema::{
    convert::release::ReleaseTemplate,
    kind::{KindBackend, KindOutline},
};
use kube::{Client, ResourceExt};
use tokio::{sync::Notify, time::Instant};

use crate::{
    adoption,
    listed::List,
    pending::{Failures, Patcher, Pending},
    progress::{Progress, ReleaseName},
    pulse::Pulse,
    releases::{Releases, WatchedRelease},
};

/// How often releases are looked at.
const STEP: Duration = Duration::from_secs(1);

/// How many releases are patched in a step: a platform with a thousand of them takes two minutes.
const PATCHES_PER_STEP_MAX: usize = 10;

/// Kinds with the uids of their definitions. The same `Arc` as before is the same.
type Kinds = Arc<Vec<(String, Arc<KindOutline>)>>;

/// The kinds that are served, by the uid of their definitions, and how far each has come.
#[derive(Default)]
struct State {
    kinds: Kinds,
    progress: Arc<BTreeMap<String, Progress>>,
}

/// The rollouts of all definitions.
pub(crate) struct Rollouts {
    client: Client,
    releases: Releases,
    bell: Arc<Notify>,
    /// Rings when there are other kinds.
    others: Notify,
    state: Mutex<State>,
}

/// Releases that have the settings of their kind, by uid: they are not looked into again until they or the kind change.
type Settled = HashMap<String, (Option<String>, Arc<KindOutline>)>;

impl Rollouts {
    /// Rollouts to releases. `bell` rings when a count changes.
    pub(crate) fn new(client: Client, releases: Releases, bell: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self { client, releases, bell, others: Notify::new(), state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says which kinds there are, the oldest first.
    pub(crate) fn set_kinds(&self, kinds: Vec<(String, Arc<KindOutline>)>) {
        self.state().kinds = Arc::new(kinds);
        self.others.notify_one();
    }

    /// How far definitions have come, by uid; none until releases were seen.
    pub(crate) fn progress(&self) -> Arc<BTreeMap<String, Progress>> {
        Arc::clone(&self.state().progress)
    }

    /// Notes how far definitions have come. Whether that is another than before.
    fn progressed(&self, progress: BTreeMap<String, Progress>) -> bool {
        let mut state = self.state();
        let changed = *state.progress != progress;
        if changed {
            state.progress = Arc::new(progress);
        }
        changed
    }

    /// Goes on until the task is ended.
    pub(crate) async fn run(self: Arc<Self>, pulse: Pulse) {
        // Without Flux there is nothing to wait for.
        pulse.wait(self.releases.seen()).await;
        let mut patcher = Patcher::new(self.client.clone(), "settings of the definition are", PATCHES_PER_STEP_MAX);
        let mut settled = Settled::new();
        // What was looked at when there was nothing to be done.
        let mut done: Option<(Kinds, List<WatchedRelease>)> = None;
        let mut next = Instant::now() + STEP;
        loop {
            pulse.beat();
            // Of a new kind is told at once what it adopts, that this is known before it is served.
            let is_step = tokio::select! {
                () = tokio::time::sleep_until(next) => true,
                () = self.others.notified() => false,
            };
            if is_step {
                next = Instant::now() + STEP;
            }
            let (kinds, releases) = (Arc::clone(&self.state().kinds), self.releases.state());
            if done.as_ref().is_some_and(|done| Arc::ptr_eq(&done.0, &kinds) && Arc::ptr_eq(&done.1, &releases)) {
                continue;
            }
            let (progress, pending) = assess(&kinds, &releases, patcher.failures(), &mut settled);
            if self.progressed(progress) {
                self.bell.notify_one();
            }
            if is_step || pending.is_empty() {
                done = pending.is_empty().then_some((kinds, releases));
            }
            if is_step {
                patcher.send(pending).await;
            }
        }
    }
}

/// The keys of the labels by which releases of a kind are known: of the kind, and of the group.
type MarkKeys<'k> = (&'k str, &'k str);

/// Their keys, and what the labels say: the kind, and the group.
type Marked<'k> = (MarkKeys<'k>, &'k str, &'k str);

/// How far each kind has come, and what is still to be done, by namespace and name.
fn assess(
    kinds: &[(String, Arc<KindOutline>)],
    releases: &[Arc<WatchedRelease>],
    failures: &Failures,
    settled: &mut Settled,
) -> (BTreeMap<String, Progress>, Vec<Pending>) {
    // A release is of one kind at most.
    let mut by_marks: HashMap<Marked<'_>, (&str, &Arc<KindOutline>, &ReleaseTemplate)> = HashMap::new();
    // Kinds of one form have the same keys, so there are few.
    let mut mark_keys: BTreeSet<MarkKeys<'_>> = BTreeSet::new();
    let mut progress: BTreeMap<String, Progress> = BTreeMap::new();
    for (uid, kind) in kinds {
        if let KindBackend::Release(template) = &kind.backend {
            let keys = (template.marks.kind.as_str(), template.marks.group.as_str());
            mark_keys.insert(keys);
            let marked = (keys, template.kind.as_str(), template.group.as_str());
            by_marks.entry(marked).or_insert((uid, kind, template));
            progress.entry(uid.clone()).or_default();
        }
    }
    let mut pending = Vec::new();
    let mut still = Settled::with_capacity(settled.len());
    for release in releases {
        let labels = release.labels();
        let template = mark_keys.iter().find_map(|(of_kind, of_group)| {
            let (kind, group) = (labels.get(*of_kind)?, labels.get(*of_group)?);
            by_marks.get(&((*of_kind, *of_group), kind.as_str(), group.as_str()))
        });
        let Some((uid, kind, template)) = template else { continue };
        let own_uid = release.uid().unwrap_or_default();
        let version = release.resource_version();
        if let Some(held) = settled.remove(&own_uid).filter(|(of, by)| *of == version && Arc::ptr_eq(by, kind)) {
            if let Some(progress) = progress.get_mut(*uid) {
                progress.total += 1;
                progress.updated += 1;
            }
            still.insert(own_uid, held);
            continue;
        }
        let Ok(object) = serde_json::to_value(&**release) else { continue };
        if !template.is_labelled(&object) || !template.matches(&object) {
            continue;
        }
        let patch = template.rollout(&object);
        let name = ReleaseName { namespace: release.namespace().unwrap_or_default(), name: release.name_any() };
        if let Some(progress) = progress.get_mut(*uid) {
            progress.total += 1;
            progress.updated += usize::from(patch.is_none());
            if let Some(why) = failures.why(&own_uid).filter(|_| patch.is_some()) {
                progress.refuse(name.clone(), why);
            }
        }
        match patch {
            None => drop(still.insert(own_uid, (version, Arc::clone(kind)))),
            Some(patch) => {
                let ReleaseName { namespace, name } = name;
                pending.push(Pending { namespace, name, uid: own_uid, patch });
            }
        }
    }
    *settled = still;
    for (uid, adopted) in adoption::adopted(kinds, releases) {
        if let Some(progress) = progress.get_mut(&uid) {
            progress.adopted = adopted;
        }
    }
    pending.sort_by(|left, right| (&left.namespace, &left.name).cmp(&(&right.namespace, &right.name)));
    (progress, pending)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use kindsmith_schema::{compile::OwnStorage, form::DefinitionForm};
    use serde_json::{Value, json};

    use super::*;
    use crate::{decide::testing::definition, progress::Refused};

    fn kind(change: impl Fn(&mut Value)) -> Arc<KindOutline> {
        let mut definition = definition("redises", "Redis");
        change(&mut definition["spec"]["backend"]["helmRelease"]);
        Arc::new(KindOutline::from(&DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Absent).unwrap()))
    }

    fn release(kind: &KindOutline, name: &str) -> Arc<WatchedRelease> {
        let KindBackend::Release(template) = &kind.backend else { panic!("there is no release") };
        let instance = json!({"metadata": {"name": name, "namespace": "t", "resourceVersion": "1"}, "spec": {"a": 1}});
        let mut object: WatchedRelease = serde_json::from_value(template.create(&instance)).unwrap();
        object.metadata.uid = Some(format!("uid-of-{name}"));
        object.metadata.resource_version = Some("1".to_owned());
        crate::releases::strip(&mut object);
        Arc::new(object)
    }

    #[test]
    fn releases_of_the_kind_are_counted_and_those_without_the_settings_are_pending() {
        let (old, new) = (kind(|_| {}), kind(|release| release["timeout"] = json!("9m")));
        let mut foreign = (*release(&old, "c")).clone();
        foreign.labels_mut().insert("kindsmith.dev/kind".to_owned(), "Other".to_owned());
        let releases = [release(&old, "b"), release(&new, "n"), release(&old, "a"), Arc::new(foreign)];
        let kinds = [("u".to_owned(), new)];
        let (mut failures, mut settled) = (Failures::default(), Settled::new());
        let (progress, pending) = assess(&kinds, &releases, &failures, &mut settled);
        assert_eq!(progress["u"], Progress { updated: 1, total: 3, ..Progress::default() });
        assert_eq!(settled.keys().collect::<Vec<_>>(), ["uid-of-n"]);
        let names: Vec<&str> = pending.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["x-a", "x-b"]);
        assert_eq!(pending[0].patch["spec"], json!({"timeout": "9m"}));
        let again = assess(&kinds, &releases, &failures, &mut settled);
        assert_eq!((&again.0["u"], again.1.len()), (&progress["u"], 2));
        // Of one that was refused is told why, until it has the settings.
        for uid in ["uid-of-b", "uid-of-n", "uid-of-elsewhere"] {
            let patch = serde_json::Value::Null;
            let refused = Pending { namespace: String::new(), name: String::new(), uid: uid.to_owned(), patch };
            failures.failed(&refused, "denied", Instant::now());
        }
        let (progress, pending) = assess(&kinds, &releases, &failures, &mut settled);
        let first = ReleaseName { namespace: "t".to_owned(), name: "x-b".to_owned() };
        let refused = Some(Refused { count: 1, first, why: "denied".into() });
        assert_eq!(
            (&progress["u"], pending.len()),
            (&Progress { updated: 1, total: 3, refused, ..Progress::default() }, 2)
        );
        let again = assess(&kinds, &releases, &failures, &mut settled);
        assert_eq!(again.0, progress, "the same failure is told in the same way");
        let other = [("u".to_owned(), kind(|release| release["timeout"] = json!("8m")))];
        let (progress, _) = assess(&other, &releases, &Failures::default(), &mut settled);
        assert_eq!(progress["u"], Progress { updated: 0, total: 3, ..Progress::default() });
    }

    #[test]
    fn a_release_is_of_the_kind_that_its_two_labels_name() {
        let kind_of = |plural: &str, name: &str| {
            let compiled = DefinitionForm::Kindsmith.compile(&definition(plural, name), OwnStorage::Absent).unwrap();
            (format!("u-{plural}"), Arc::new(KindOutline::from(&compiled)))
        };
        let kinds = [kind_of("redises", "Redis"), kind_of("buckets", "Bucket")];
        let labelled = |kind: &str, group: &str, other: (&str, &str)| {
            let mut object = (*release(&kinds[0].1, "a")).clone();
            let labels = [("kindsmith.dev/kind", kind), ("kindsmith.dev/group", group), other];
            object.metadata.labels = Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
            let (progress, _) = assess(&kinds, &[Arc::new(object)], &Failures::default(), &mut Settled::new());
            ["u-redises", "u-buckets"].map(|uid| progress[uid].total)
        };
        let group = "apps.example.com";
        assert_eq!(labelled("Bucket", group, ("a", "Redis")), [0, 1]);
        assert_eq!(labelled("Redis", group, ("a", "Bucket")), [1, 0]);
        assert_eq!(labelled("Redis", "other.example.com", ("a", group)), [0, 0]);
        assert_eq!(labelled("Other", group, ("a", "Redis")), [0, 0]);
    }
}
