//! What Flux says of a release with Events, said of its instance: `kubectl describe` and `kubectl events` look for no others.
//!
//! # Flow
//! ```text
//! Events about releases ─▶ waiting (one entry an Event, bounded) ─▶ mirror (pure) ─▶ one Event about the instance, or a patch of it
//! ```
//!
//! # Guarantees
//! - An Event is repeated in its own namespace, where who may read it could read it before, and none that repeats another is
//!   repeated. Its name follows from the uid of the Event that it repeats, so that a restart repeats nothing twice.
//! - In all at most [`WRITES_PER_STEP_MAX`] writes a second, and for a release [`BURST_PER_RELEASE`] and then one each
//!   [`REFILL_PER_RELEASE`], as client-go bounds what a controller says of an object. What is more is left out.
//! - Events end when those that they repeat would: kube-apiserver forgets each after the same time.
//!
//! # Caveats
//! What was said of a release before it belonged to a kind is not repeated then. Without the right to watch Events nothing is
//! repeated, and everything else goes on.

/// The Events themselves: pure.
mod mirror;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Event;
use kindsmith_schema::kind::KindOutline;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use kube_runtime::{WatchStreamExt as _, watcher};
use tokio::time::{Instant, MissedTickBehavior};

use self::mirror::{REPEATS_ANNOTATION, Said};
use crate::{
    call::{FIELD_MANAGER, is_status, within},
    error::ActionError,
    ours::{MANAGED_BY_LABEL, MANAGED_BY_VALUE},
    progress::ReleaseName,
    pulse::Pulse,
    releases::{Releases, WatchedRelease},
};

/// How often Events that wait are looked at.
const STEP: Duration = Duration::from_secs(1);

/// The most writes in a step.
const WRITES_PER_STEP_MAX: usize = 10;

/// The most Events that wait to be repeated; the oldest are left out.
const WAITING_MAX: usize = 1_000;

/// How long a release may be unknown of which something is said: watches of two resources are of different ages.
const UNKNOWN_MAX: Duration = Duration::from_secs(10);

/// The most Events of which it is remembered that they were repeated.
const REPEATED_MAX: usize = 20_000;

/// Writes at once for a release (client-go's `defaultSpamBurst`).
const BURST_PER_RELEASE: u32 = 25;

/// How long until a release may have one more write.
const REFILL_PER_RELEASE: Duration = Duration::from_secs(30);

/// The most releases whose writes are counted.
const COUNTED_MAX: usize = 10_000;

/// How many Events are read at a time.
const PAGE_OBJECTS_MAX: u32 = 500;

/// The pause after Events could not be listed.
const LIST_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Repeats Events.
pub(crate) struct Events {
    client: Client,
    releases: Releases,
    kinds: Mutex<Arc<Vec<Arc<KindOutline>>>>,
}

/// An Event that is to be repeated.
struct Waiting {
    event: Event,
    release: ReleaseName,
    since: Instant,
}

/// How many writes a release may have.
struct Budget {
    left: u32,
    refilled: Instant,
}

/// What is to be repeated, and what was.
#[derive(Default)]
struct Queue {
    /// By the uid of the Event: what is said again while it waits is repeated once.
    waiting: HashMap<String, Waiting>,
    /// In which order they came.
    order: VecDeque<String>,
    /// What was repeated, by the uid of the Event.
    repeated: HashMap<String, Said>,
    budgets: HashMap<ReleaseName, Budget>,
}

impl Queue {
    /// Takes up an Event, unless it was repeated as it is or is about no release.
    fn take_up(&mut self, event: Event, now: Instant) {
        let (Some(uid), Some(release)) = (event.uid(), mirror::release(&event)) else { return };
        if self.repeated.get(&uid) == Some(&Said::of(&event)) {
            return;
        }
        let since = self.waiting.get(&uid).map_or(now, |waiting| waiting.since);
        if self.waiting.insert(uid.clone(), Waiting { event, release, since }).is_none() {
            self.order.push_back(uid);
        }
        if self.waiting.len() > WAITING_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.waiting.remove(&oldest);
        }
    }

    /// It is gone, and so is soon what repeats it.
    fn forget(&mut self, uid: &str) {
        self.repeated.remove(uid);
        if self.waiting.remove(uid).is_some() {
            self.order.retain(|held| held != uid);
        }
    }

    /// Of these alone it is remembered that they were repeated.
    fn keep(&mut self, there: &HashSet<String>) {
        self.repeated.retain(|uid, _| there.contains(uid));
    }

    /// Notes that an Event was repeated.
    fn repeated(&mut self, uid: String, said: Said) {
        if self.repeated.len() < REPEATED_MAX {
            self.repeated.insert(uid, said);
        }
    }

    /// Whether a release may have one more write, which then counts.
    fn spend(&mut self, release: &ReleaseName, now: Instant) -> bool {
        if self.budgets.len() >= COUNTED_MAX {
            let full = |budget: &Budget| now - budget.refilled >= REFILL_PER_RELEASE * BURST_PER_RELEASE;
            self.budgets.retain(|_, budget| !full(budget));
            if self.budgets.len() >= COUNTED_MAX {
                return false;
            }
        }
        let new = || Budget { left: BURST_PER_RELEASE, refilled: now };
        let budget = self.budgets.entry(release.clone()).or_insert_with(new);
        let periods = (now - budget.refilled).as_secs() / REFILL_PER_RELEASE.as_secs();
        let refill = u32::try_from(periods).unwrap_or(u32::MAX).min(BURST_PER_RELEASE);
        if refill > 0 {
            budget.left = budget.left.saturating_add(refill).min(BURST_PER_RELEASE);
            budget.refilled = now;
        }
        let may = budget.left > 0;
        budget.left = budget.left.saturating_sub(1);
        may
    }

    /// What is to be written next: the first whose releases are instances. What is about others is left out, unless it may
    /// yet be seen that they are.
    fn next(
        &mut self,
        releases: &[Arc<WatchedRelease>],
        kinds: &[Arc<KindOutline>],
        now: Instant,
    ) -> Vec<(String, Event)> {
        let mut due = Vec::new();
        if self.order.is_empty() {
            return due;
        }
        let by_name: HashMap<(&str, &str), &Arc<WatchedRelease>> = releases
            .iter()
            .filter_map(|release| {
                let metadata = &release.metadata;
                Some(((metadata.namespace.as_deref()?, metadata.name.as_deref()?), release))
            })
            .collect();
        for _ in 0..self.order.len() {
            if due.len() >= WRITES_PER_STEP_MAX {
                break;
            }
            let Some(uid) = self.order.pop_front() else { break };
            let Some(Waiting { event, release, since }) = self.waiting.remove(&uid) else { continue };
            let Some(found) = by_name.get(&(release.namespace.as_str(), release.name.as_str())) else {
                if now - since < UNKNOWN_MAX {
                    self.order.push_back(uid.clone());
                    self.waiting.insert(uid, Waiting { event, release, since });
                }
                continue;
            };
            let about = mirror::instance(found, kinds).filter(|about| about.uid == event.involved_object.uid);
            let Some(about) = about else { continue };
            if self.spend(&release, now) {
                due.push((uid, mirror::repeated(&event, about)));
            }
        }
        due
    }
}

impl Events {
    /// Repeats Events about those releases.
    pub(crate) fn new(client: Client, releases: Releases) -> Arc<Self> {
        Arc::new(Self { client, releases, kinds: Mutex::default() })
    }

    fn kinds(&self) -> MutexGuard<'_, Arc<Vec<Arc<KindOutline>>>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says which kinds are served, the oldest first.
    pub(crate) fn set_kinds(&self, kinds: Vec<Arc<KindOutline>>) {
        *self.kinds() = Arc::new(kinds);
    }

    /// Goes on until the task is ended.
    pub(crate) async fn run(self: Arc<Self>, pulse: Pulse) {
        // Without Flux there is nothing to wait for.
        pulse.wait(self.releases.seen()).await;
        let mut queue = Queue::default();
        while let Err(error) = self.read_repeated(&mut queue, &pulse).await {
            pulse.failed(&error);
            pulse.wait(tokio::time::sleep(LIST_AGAIN_AFTER)).await;
        }
        let about_releases = watcher::Config::default().fields("involvedObject.kind=HelmRelease");
        let watched = watcher(Api::<Event>::all(self.client.clone()), about_releases);
        let mut watched = pin!(watched.default_backoff());
        let mut steps = tokio::time::interval(STEP);
        steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut listed = HashSet::new();
        loop {
            pulse.beat();
            tokio::select! {
                event = watched.next() => match event {
                    None => return,
                    Some(Ok(watcher::Event::Init)) => listed.clear(),
                    Some(Ok(watcher::Event::InitApply(event))) => {
                        listed.extend(event.uid());
                        queue.take_up(event, Instant::now());
                    }
                    Some(Ok(watcher::Event::InitDone)) => {
                        pulse.went_well();
                        queue.keep(&std::mem::take(&mut listed));
                    }
                    Some(Ok(watcher::Event::Apply(event))) => queue.take_up(event, Instant::now()),
                    Some(Ok(watcher::Event::Delete(event))) => {
                        queue.forget(event.uid().unwrap_or_default().as_str());
                    }
                    Some(Err(error)) => pulse.failed(&error),
                },
                _ = steps.tick() => {
                    let kinds = Arc::clone(&self.kinds());
                    let due = queue.next(&self.releases.state(), &kinds, Instant::now());
                    for (uid, outcome) in futures::future::join_all(due.into_iter().map(|due| self.write(due))).await {
                        match outcome {
                            Ok(said) => queue.repeated(uid, said),
                            // It is said in the status of the instance all the same.
                            Err(error) => tracing::debug!(%error, "what Flux says of a release was not repeated"),
                        }
                    }
                }
            }
        }
    }

    /// Reads what was repeated already, by whoever led before.
    async fn read_repeated(&self, queue: &mut Queue, pulse: &Pulse) -> Result<(), ActionError> {
        let api = Api::<Event>::all(self.client.clone());
        let ours = format!("{MANAGED_BY_LABEL}={MANAGED_BY_VALUE}");
        let mut params = ListParams::default().labels(&ours).limit(PAGE_OBJECTS_MAX);
        loop {
            pulse.beat();
            let page = within(api.list(&params), ActionError::ListEvents).await?;
            for event in page.items {
                if let Some(uid) = event.annotations().get(REPEATS_ANNOTATION) {
                    queue.repeated(uid.clone(), Said::of(&event));
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(()),
            }
        }
    }

    /// Writes an Event, or brings the one that there is up to date.
    async fn write(&self, (uid, event): (String, Event)) -> (String, Result<Said, ActionError>) {
        let api = Api::<Event>::namespaced(self.client.clone(), &event.namespace().unwrap_or_default());
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let mut outcome = within(api.create(&params, &event), ActionError::Tell).await.map(drop);
        if let Err(ActionError::Tell(error)) = &outcome
            && is_status(error, 409)
        {
            let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
            let patch = Patch::Merge(mirror::patch(&event));
            outcome = within(api.patch(&event.name_any(), &params, &patch), ActionError::Tell).await.map(drop);
        }
        (uid, outcome.map(|()| Said::of(&event)))
    }
}

#[cfg(test)]
mod tests;
