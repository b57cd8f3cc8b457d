//! The loop: look at the world, decide, start what may start, wait for the next change.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::Read,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::{ByteString, kube_aggregator::pkg::apis::apiregistration::v1::APIService};
use kube::Client;
use kube_runtime::events::{Recorder, Reporter};
use tokio::{
    sync::Notify,
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::sleep_until,
};
use tokio_util::sync::CancellationToken;

use kindsmith_schema::{compile::OwnStorage, kind::KindOutline};

use crate::{
    CertificateKeeper, Leadership, OperatorConfig, OperatorError,
    act::{Actor, FIELD_MANAGER},
    certificates::{CertificateState, Observed, Served, Spread, Stage, assess, bundle, external, wanted_sans},
    config::Registration,
    decide::{Action, Cluster, Decider, ServiceTarget, Subject, Surroundings, World, carries, is_ours},
    discoverable::{Address, Discoverable},
    election::{Election, Led},
    error::ActionError,
    group_version::GroupVersion,
    inspection::{Inspections, Question},
    judge::{Definition, Grounds, Judge},
    listed::{List, differing},
    metrics::Figures,
    pace::Pace,
    references::References,
    replicas::{Basis, Leases, Replicas},
    rollout::Rollouts,
    watch::{ClusterStores, Stores},
};

/// Changes that come this close together are looked at once.
const COALESCE: Duration = Duration::from_millis(10);

/// Looking at the world takes at most one part in so many of the time: where there is much to look at, more changes are
/// looked at together.
const LOOK_SHARE: u32 = 5;

/// The world is looked at this often without a change too: certificates age by the wall clock.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The largest file of a bundle.
const BUNDLE_BYTES_MAX: u64 = 1 << 20;

/// The most actions under way at a time.
const ACTIONS_MAX: usize = 16;

/// Runs the controller until `shutdown` is cancelled; where operators are elected, while this one leads.
///
/// # Errors
/// When a watch ends by itself or a task panics; what the cluster refuses is logged and tried again.
pub async fn run(client: Client, config: OperatorConfig, shutdown: CancellationToken) -> Result<(), OperatorError> {
    let Leadership::Elected { identity } = &config.leadership else {
        return act(client, config, shutdown).await;
    };
    let mut election = Election::new(client.clone(), &config.namespace, identity.clone());
    while election.acquire(&shutdown).await.is_some() {
        tracing::info!(%identity, "this operator leads");
        match election.lead(act(client.clone(), config.clone(), shutdown.clone())).await {
            Led::Finished(outcome) => {
                election.release().await;
                return outcome;
            }
            Led::Lost => tracing::warn!(%identity, "this operator leads no more"),
        }
    }
    Ok(())
}

/// Acts until `shutdown` is cancelled. All that it does ends when it is dropped.
async fn act(client: Client, config: OperatorConfig, shutdown: CancellationToken) -> Result<(), OperatorError> {
    let bell = Arc::new(Notify::new());
    let mut watches = JoinSet::new();
    let stores = Stores::start(&client, &config, &bell, &mut watches);
    tokio::select! {
        biased;
        () = shutdown.cancelled() => return Ok(()),
        ended = watches.join_next() => return Err(watch_ended(ended)),
        () = stores.ready() => {}
    }
    tracing::info!("the operator has seen everything and begins");
    let rollouts = Rollouts::new(client.clone(), stores.releases.clone(), Arc::clone(&bell));
    let rolling_out = Arc::clone(&rollouts);
    watches.spawn(async move {
        rolling_out.run().await;
        "rollouts"
    });
    let references = References::start(&client, &stores, &mut watches);
    let discoverable = stores.cluster.as_ref().map(|_| Discoverable::new(client.clone(), Arc::clone(&bell)));
    if let Some(discoverable) = discoverable.clone() {
        watches.spawn(async move {
            discoverable.run().await;
            "discovery"
        });
    }
    let inspections = Inspections::new(client.clone(), stores.releases.clone(), Arc::clone(&bell));
    let inspecting = Arc::clone(&inspections);
    watches.spawn(async move {
        inspecting.run().await;
        "inspections"
    });
    let replicas = stores.cluster.as_ref().zip(config.replica_access.clone()).map(|(stores, access)| {
        let leases = Leases {
            store: stores.leases.clone(),
            changed: Arc::clone(&stores.leases_changed),
            namespace: config.namespace.clone(),
        };
        Replicas::new(client.clone(), access, &config.service, leases, Arc::clone(&bell))
    });
    if let Some(replicas) = replicas.clone() {
        watches.spawn(async move {
            replicas.run().await;
            "replicas"
        });
    }
    let told = Told::default();
    let following = Following { rollouts, references, inspections, discoverable, replicas, told };
    let mut controller = Controller::new(client, config, stores, following);
    let mut looks = Looks::new(Instant::now());
    loop {
        let now = Instant::now();
        if looks.next() <= now {
            let latest = controller.pass();
            looks.looked(now, Instant::now(), latest);
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            ended = watches.join_next() => return Err(watch_ended(ended)),
            Some(done) = controller.running.join_next_with_id() => {
                controller.finished(done)?;
                while let Some(done) = controller.running.try_join_next_with_id() {
                    controller.finished(done)?;
                }
                controller.start_decided(Instant::now());
                looks.changed(Instant::now());
            }
            () = bell.notified() => looks.changed(Instant::now()),
            () = sleep_until(looks.next().into()) => {}
        }
    }
    controller.running.shutdown().await;
    watches.shutdown().await;
    Ok(())
}

/// When the world is looked at.
struct Looks {
    changed: bool,
    earliest: Instant,
    latest: Instant,
}

impl Looks {
    /// At once, at first.
    fn new(now: Instant) -> Self {
        Self { changed: true, earliest: now, latest: now }
    }

    /// Something changed.
    fn changed(&mut self, now: Instant) {
        if !self.changed {
            self.changed = true;
            self.earliest = self.earliest.max(now + COALESCE);
        }
    }

    /// It was looked at.
    fn looked(&mut self, began: Instant, ended: Instant, latest: Instant) {
        let pause = COALESCE.max((ended - began).saturating_mul(LOOK_SHARE - 1));
        *self = Self { changed: false, earliest: ended + pause, latest };
    }

    /// When it is looked at next.
    fn next(&self) -> Instant {
        if self.changed { self.earliest } else { self.latest.max(self.earliest) }
    }
}

fn watch_ended(ended: Option<Result<&'static str, JoinError>>) -> OperatorError {
    match ended {
        Some(Ok(what)) => OperatorError::WatchEnded(what),
        Some(Err(error)) => OperatorError::Panicked(error),
        None => OperatorError::WatchEnded("everything"),
    }
}

fn group_version(api_service: &APIService) -> Option<GroupVersion> {
    let spec = api_service.spec.as_ref()?;
    Some(GroupVersion { group: spec.group.clone()?, version: spec.version.clone()? })
}

/// Reads a bundle from its file; it is small, and there is no other way to hear of a change.
fn read_bundle(path: &Path) -> Option<ByteString> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BUNDLE_BYTES_MAX).read_to_end(&mut bytes));
    read.inspect_err(|error| tracing::error!(path = %path.display(), %error, "the bundle cannot be read")).ok()?;
    Some(ByteString(bytes))
}

/// An action under way.
struct Running {
    action: Action,
    task: AbortHandle,
}

/// What goes on beside the loop, by itself.
struct Following {
    rollouts: Arc<Rollouts>,
    /// None where there is no cluster, and nothing to refer to.
    references: Option<Arc<References>>,
    inspections: Arc<Inspections>,
    /// None without a cluster.
    discoverable: Option<Arc<Discoverable>>,
    /// None when nobody asks them.
    replicas: Option<Arc<Replicas>>,
    told: Told,
}

/// What was told of the definitions to those who go on beside the loop.
#[derive(Default)]
struct Told {
    definitions: List<Definition>,
    /// What was told of each definition.
    each: Vec<ToldOf>,
    /// The groups that definitions ask for, or have asked for.
    groups: HashSet<String>,
    /// Changes with the generations of all definitions.
    generations: u64,
}

/// What is told of one definition.
#[derive(Default)]
struct ToldOf {
    /// Changes with its generation.
    generation: u64,
    question: Option<Question>,
    kind: Option<Arc<KindOutline>>,
    /// Whether the kind may be begun with.
    sound: Option<Sound>,
    /// What clients should find of it.
    addresses: Vec<Address>,
}

/// Whether there is something to be told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum News {
    None,
    Some,
}

/// Whether the last good generation of a definition is its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sound {
    Yes,
    Refused,
}

impl ToldOf {
    /// What is to be told now; `before` is what was told of the same definition.
    fn new(definition: &Definition, before: &Self) -> Self {
        let mut hash = DefaultHasher::new();
        (&definition.uid, definition.generation).hash(&mut hash);
        // What is not served is not looked for; but while a change comes to all replicas, clients find what they found.
        let is_served = definition.is_said_to_be_served();
        let is_kept =
            |address: &Address| is_served || definition.is_established() && before.addresses.contains(address);
        let plural = definition.verdict.kind.as_ref().map(|kind| kind.names.plural.clone()).unwrap_or_default();
        let served = definition.served().into_iter().map(|group_version| (group_version, plural.clone()));
        Self {
            generation: hash.finish(),
            question: definition.question(),
            kind: definition.verdict.kind.clone(),
            sound: Some(if definition.verdict.refused.is_none() { Sound::Yes } else { Sound::Refused }),
            addresses: served.filter(is_kept).collect(),
        }
    }

    /// Whether the same was told of its kind.
    fn has_same_kind(&self, other: &Self) -> bool {
        let kind = |told: &Self| told.kind.as_ref().map(Arc::as_ptr);
        kind(self) == kind(other) && self.sound == other.sound
    }
}

impl Following {
    /// Tells them what there is, where that is something else than before.
    fn tell(&mut self, definitions: &List<Definition>) {
        let told = &mut self.told;
        if Arc::ptr_eq(&told.definitions, definitions) {
            return;
        }
        let (mut kinds, mut questions, mut addresses) = (News::None, News::None, News::None);
        let others: Vec<usize> = match differing(&told.definitions, definitions) {
            Some(others) => others.map(|(index, ..)| index).collect(),
            None => {
                (kinds, questions, addresses) = (News::Some, News::Some, News::Some);
                let all = told.definitions.iter().map(|definition| definition.uid.clone());
                let mut before: HashMap<String, ToldOf> = all.zip(told.each.drain(..)).collect();
                let each = definitions.iter().map(|definition| before.remove(&definition.uid).unwrap_or_default());
                told.each = each.collect();
                told.groups.clear();
                (0..definitions.len()).collect()
            }
        };
        for (index, definition) in others.iter().filter_map(|index| Some((*index, definitions.get(*index)?))) {
            let groups = definition.claimed.iter().map(|claimed| &claimed.group);
            for group in groups {
                if !told.groups.contains(group) {
                    told.groups.insert(group.clone());
                }
            }
            let Some(held) = told.each.get_mut(index) else { continue };
            let now = ToldOf::new(definition, held);
            if held.addresses != now.addresses {
                addresses = News::Some;
            }
            if !held.has_same_kind(&now) {
                kinds = News::Some;
            }
            if held.question.is_some() || now.question.is_some() {
                questions = News::Some;
            }
            *held = now;
        }
        let mut hash = DefaultHasher::new();
        told.each.iter().for_each(|each| each.generation.hash(&mut hash));
        told.generations = hash.finish();
        told.definitions = Arc::clone(definitions);
        if questions == News::Some {
            self.inspections.ask(told.each.iter().filter_map(|each| each.question.clone()).collect());
        }
        if addresses == News::Some
            && let Some(discoverable) = &self.discoverable
        {
            discoverable.want(told.each.iter().flat_map(|each| each.addresses.iter().cloned()).collect());
        }
        if kinds == News::Some {
            self.tell_kinds(definitions);
        }
    }

    fn tell_kinds(&self, definitions: &[Arc<Definition>]) {
        // The last good generation of a definition that is refused goes on; it is not begun with.
        let sound = definitions.iter().filter(|it| it.verdict.refused.is_none());
        let kinds: Vec<_> = sound.filter_map(|it| Some((it.uid.clone(), it.verdict.kind.clone()?))).collect();
        if let Some(references) = &self.references {
            references.set_kinds(kinds.iter().map(|(_, kind)| Arc::clone(kind)).collect());
        }
        self.rollouts.set_kinds(kinds);
    }
}

struct Controller {
    config: OperatorConfig,
    stores: Stores,
    following: Following,
    judge: Judge,
    decider: Decider,
    /// When all was decided anew the last time, whatever was seen before.
    decided_anew: Option<Instant>,
    pace: Pace,
    actor: Actor,
    sans: Arc<BTreeSet<String>>,
    /// The round trip that succeeded last.
    round_trip: Option<String>,
    /// How far the rotation had come when it was looked at last.
    stage: Option<Stage>,
    /// What was decided and has found no place yet.
    decided: VecDeque<Action>,
    running: JoinSet<Result<(), ActionError>>,
    under_way: HashMap<Subject, Running>,
    subjects: HashMap<Id, Subject>,
}

impl Controller {
    fn new(client: Client, config: OperatorConfig, stores: Stores, following: Following) -> Self {
        let sans = Arc::new(wanted_sans(&config.service, &config.namespace));
        // The apiserver has a storage of its own where there is no cluster to store things in.
        let own_storage = match config.registration {
            Registration::ApiServices => OwnStorage::Absent,
            Registration::StandAlone => OwnStorage::Available,
        };
        Self {
            actor: Actor {
                recorder: Recorder::new(client.clone(), Reporter::from(FIELD_MANAGER)),
                client,
                namespace: config.namespace.clone(),
                ca_secret: config.ca_secret.clone(),
                keeper: config.certificates.clone(),
                sans: Arc::clone(&sans),
                lifetimes: config.lifetimes,
            },
            config,
            stores,
            following,
            judge: Judge::new(own_storage),
            decider: Decider::default(),
            decided_anew: None,
            pace: Pace::default(),
            sans,
            round_trip: None,
            stage: None,
            decided: VecDeque::new(),
            running: JoinSet::new(),
            under_way: HashMap::new(),
            subjects: HashMap::new(),
        }
    }

    /// Looks, decides, and starts what may start. Returns when to look again at the latest.
    fn pass(&mut self) -> Instant {
        let wall_clock = Timestamp::now();
        let now = Instant::now();
        let lists = self.stores.definitions.iter().map(|(form, listed)| (*form, listed.all())).collect();
        let records = self.stores.cluster.as_ref().map(|cluster| Arc::clone(&cluster.records));
        let progress = self.following.rollouts.progress();
        let grounds = Grounds { records, answers: self.following.inspections.answers(), progress };
        let definitions = self.judge.judge(lists, &grounds);
        self.following.tell(&definitions);
        let mut actions = Vec::new();
        let mut aging = None;
        let surroundings = match &self.stores.cluster {
            None => Surroundings::StandAlone,
            Some(stores) => {
                if let Some(replicas) = &self.following.replicas {
                    replicas.set_basis(Basis {
                        bundle: self.bundle(stores),
                        serving: stores.serving().and_then(|serving| serving.metadata.resource_version.clone()),
                        definitions: self.following.told.generations,
                    });
                }
                let (cluster, state, due) = self.look_around(stores, wall_clock);
                actions.extend(due);
                aging = state.next;
                self.staged(state);
                Surroundings::Registered(cluster)
            }
        };
        if self.decided_anew.is_none_or(|at| now.duration_since(at) >= LOOK_AGAIN_AFTER) {
            self.decided_anew = Some(now);
            self.decider = Decider::default();
        }
        actions.extend(self.decider.decide(World { now: wall_clock, definitions, surroundings }));
        self.decided = actions.into();
        self.start_decided(now);
        let aged = aging.and_then(|at| Duration::try_from(at.duration_since(wall_clock)).ok());
        let latest = now + aged.map_or(LOOK_AGAIN_AFTER, |aged| LOOK_AGAIN_AFTER.min(aged + COALESCE));
        self.pace.next(now).map_or(latest, |next| next.min(latest))
    }

    fn look_around(&self, stores: &ClusterStores, now: Timestamp) -> (Cluster, CertificateState, Vec<Action>) {
        let mut api_services = stores.api_services.state();
        api_services.sort_by(|left, right| left.metadata.name.cmp(&right.metadata.name));
        let ours = || api_services.iter().filter(|found| is_ours(found));
        let (ca, serving) = (stores.ca(), stores.serving());
        let served = match &self.following.replicas {
            None => Served::Unasked,
            Some(replicas) => {
                let living = replicas.living().into_iter();
                let shown = living.map(|replica| Some((*replica.answer?.ok()?.certificate).clone()));
                // One that is cut off from the cluster may be reached by kube-apiserver all the same.
                Served::Replicas(shown.chain(std::iter::repeat_n(None, replicas.lost())).collect())
            }
        };
        let through = ours().find_map(|found| group_version(found));
        let observed = Observed {
            spread: &|bundle| {
                if ours().all(|found| carries(found, bundle)) { Spread::Complete } else { Spread::Pending }
            },
            served: &served,
            // Without an APIService there is no way through kube-aggregator, and nobody on it.
            round_trip: &|key| through.is_none() || self.round_trip.as_deref() == Some(key),
        };
        let mut state = match &self.config.certificates {
            CertificateKeeper::Operator => assess(now, ca.as_deref(), serving.as_deref(), &self.sans, &observed),
            CertificateKeeper::Secret | CertificateKeeper::Files { .. } => {
                external(now, serving.as_deref(), self.bundle(stores))
            }
        };
        let write = state.work.take().map(|work| {
            let (name, existing) = if work.is_for_authority() {
                (self.config.ca_secret.clone(), ca)
            } else {
                (self.config.serving_secret.clone(), serving)
            };
            Action::WriteSecret { name, existing, work }
        });
        let trip = state.round_trip.take().zip(through);
        let trip = trip.map(|(key, group_version)| Action::RoundTrip { key, group_version });
        let service = ServiceTarget {
            namespace: self.config.namespace.clone(),
            name: self.config.service.clone(),
            port: self.config.service_port,
        };
        let crds = stores.crds(|group| self.following.told.groups.contains(group));
        let bundle = state.bundle.take();
        let replicas =
            self.following.replicas.as_ref().map(|replicas| replicas.living().into_iter().map(Into::into).collect());
        let records = Arc::clone(&stores.records);
        let visible = self.following.discoverable.as_ref().map(|it| it.visible());
        (
            Cluster { api_services, crds, bundle, service, replicas, records, roles: stores.roles.all(), visible },
            state,
            write.into_iter().chain(trip).collect(),
        )
    }

    /// The bundle that replicas are verified against.
    fn bundle(&self, stores: &ClusterStores) -> Option<ByteString> {
        match &self.config.certificates {
            CertificateKeeper::Operator => stores.ca().and_then(|ca| bundle(&ca)),
            CertificateKeeper::Secret => stores.serving().and_then(|serving| bundle(&serving)),
            CertificateKeeper::Files { bundle } => read_bundle(bundle),
        }
    }

    fn staged(&mut self, state: CertificateState) {
        if self.stage != Some(state.stage) {
            tracing::info!(stage = %state.stage, "certificates");
            self.stage = Some(state.stage);
        }
        let replicas = self.following.replicas.as_ref().map(|replicas| replicas.living()).unwrap_or_default();
        let answering = replicas.iter().filter(|replica| matches!(replica.answer, Some(Ok(_)))).count();
        self.config.metrics.set(Figures {
            stage: state.stage,
            certificates: state.described,
            replicas: replicas.len(),
            replicas_answering: answering,
        });
    }

    /// Starts what was decided at the last look, as far as there are places. What changed since then makes an action fail
    /// that does not fit any more, as each holds for one state of its object.
    fn start_decided(&mut self, now: Instant) {
        while self.under_way.len() < ACTIONS_MAX {
            let Some(action) = self.decided.pop_front() else { return };
            self.start(action, now);
        }
    }

    fn start(&mut self, action: Action, now: Instant) {
        let subject = action.subject();
        if let Some(running) = self.under_way.get(&subject).filter(|running| action.supersedes(&running.action)) {
            running.task.abort();
            self.subjects.remove(&running.task.id());
            self.under_way.remove(&subject);
            self.pace.stopped(&subject);
        }
        if !self.pace.may_start(&subject, action.basis(), now) {
            return;
        }
        self.pace.started(&subject, now);
        let actor = self.actor.clone();
        let carried = action.clone();
        let task = self.running.spawn(async move { actor.carry_out(&carried).await });
        self.subjects.insert(task.id(), subject.clone());
        self.under_way.insert(subject, Running { action, task });
    }

    fn finished(&mut self, done: Result<(Id, Result<(), ActionError>), JoinError>) -> Result<(), OperatorError> {
        let (id, outcome) = match done {
            Ok(done) => done,
            // It was stopped to make room for another.
            Err(error) if error.is_cancelled() => return Ok(()),
            Err(error) => return Err(OperatorError::Panicked(error)),
        };
        let Some(subject) = self.subjects.remove(&id) else { return Ok(()) };
        let Some(Running { action, .. }) = self.under_way.remove(&subject) else { return Ok(()) };
        let now = Instant::now();
        match outcome {
            Ok(()) => {
                self.pace.succeeded(&subject, action.basis().map(str::to_owned), now);
                if let Action::RoundTrip { key, .. } = action {
                    self.round_trip = Some(key);
                }
            }
            Err(error) if error.is_outdated() => {
                tracing::debug!(?subject, "a status was written by somebody else meanwhile; it is looked at again");
                self.pace.outdated(&subject, action.basis().map(str::to_owned), now);
            }
            Err(error) => {
                let pause = self.pace.failed(&subject, now, rand::random());
                tracing::warn!(?subject, %error, ?pause, "an action failed and will be tried again");
            }
        }
        Ok(())
    }
}
