//! The loop: look at the world, decide, start what may start, wait for the next change.

/// When the world is looked at.
mod looks;

/// What is told to those who go on beside the loop.
mod told;

/// What is seen of the cluster.
mod surroundings;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kindsmith_schema::compile::OwnStorage;
use kube::Client;
use kube_runtime::events::{Recorder, Reporter};
use tokio::{
    sync::Notify,
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::sleep_until,
};
use tokio_util::sync::CancellationToken;

use self::{
    looks::{COALESCE, Looks},
    told::{Following, Told},
};
use crate::{
    Leadership, OperatorConfig, OperatorError,
    act::Actor,
    announcement::Announcer,
    call::FIELD_MANAGER,
    certificates::{CertificateState, Stage, wanted_sans},
    config::Registration,
    decide::{Action, Decider, Subject, Surroundings, World},
    departure::Departure,
    discoverable::Discoverable,
    election::{Election, Led},
    error::ActionError,
    events::Events,
    inspection::Inspections,
    installation,
    judge::{Grounds, Judge},
    metrics::Figures,
    pace::Pace,
    pulse::{Loops, Standing},
    references::References,
    replicas::{Basis, Leases, Replicas},
    rollout::Rollouts,
    watch::Stores,
};

/// The world is looked at this often without a change too: certificates age by the wall clock.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The most actions under way at a time.
const ACTIONS_MAX: usize = 16;

/// Runs the controller until `shutdown` is cancelled; where operators are elected, while this one leads.
///
/// # Errors
/// When a watch ends by itself or a task panics; what the cluster refuses is logged and tried again.
pub async fn run(client: Client, config: OperatorConfig, shutdown: CancellationToken) -> Result<(), OperatorError> {
    if config.registration == Registration::StandAlone {
        return elected(client, config, shutdown, Around::default()).await;
    }
    let mut loops = Loops::new(&config.health);
    let bell = Arc::new(Notify::new());
    let installation = installation::Watched::start(&client, &config.namespace, &bell, &mut loops);
    let departure = Departure::new(client.clone(), &config.namespace);
    let (departing, watched) = (departure.clone(), installation.clone());
    loops.start("departure", |pulse| departing.run(watched, pulse));
    let outcome = tokio::select! {
        biased;
        ended = loops.ended() => return Err(watch_ended(ended)),
        outcome = elected(client, config, shutdown, Around { bell, installation: Some(installation) }) => outcome,
    };
    loops.shutdown().await;
    departure.finish().await;
    outcome
}

/// What goes on whoever leads.
#[derive(Clone, Default)]
struct Around {
    /// Rings when something changes.
    bell: Arc<Notify>,
    /// Whether the installation stays; none without a cluster.
    installation: Option<installation::Watched>,
}

/// Acts while this operator leads, or at once where nobody else may.
async fn elected(
    client: Client,
    config: OperatorConfig,
    shutdown: CancellationToken,
    around: Around,
) -> Result<(), OperatorError> {
    let Leadership::Elected { identity } = &config.leadership else {
        config.health.stands(Standing::Leads);
        return act(client, config, shutdown, around).await;
    };
    let mut election = Election::new(client.clone(), &config.namespace, identity.clone(), &config.health);
    while election.acquire(&shutdown).await.is_some() {
        tracing::info!(%identity, "this operator leads");
        match election.lead(act(client.clone(), config.clone(), shutdown.clone(), around.clone())).await {
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
async fn act(
    client: Client,
    config: OperatorConfig,
    shutdown: CancellationToken,
    around: Around,
) -> Result<(), OperatorError> {
    let Around { bell, installation } = around;
    let mut loops = Loops::new(&config.health);
    let stores = Stores::start(&client, &config, &bell, &mut loops);
    tokio::select! {
        biased;
        () = shutdown.cancelled() => return Ok(()),
        ended = loops.ended() => return Err(watch_ended(ended)),
        () = seen(&stores, installation.as_ref()) => {}
    }
    tracing::info!("the operator has seen everything and begins");
    let rollouts = Rollouts::new(client.clone(), stores.releases.clone(), Arc::clone(&bell));
    let rolling_out = Arc::clone(&rollouts);
    loops.start("rollouts", |pulse| rolling_out.run(pulse));
    let references = References::start(&client, &stores, &bell, &mut loops);
    let discoverable = stores.cluster.as_ref().map(|_| Discoverable::new(client.clone(), Arc::clone(&bell)));
    if let Some(discoverable) = discoverable.clone() {
        loops.start("discovery", |pulse| discoverable.run(pulse));
    }
    let inspections = Inspections::new(client.clone(), stores.releases.clone(), Arc::clone(&bell));
    let inspecting = Arc::clone(&inspections);
    loops.start("inspections", |pulse| inspecting.run(pulse));
    let replicas = stores.cluster.as_ref().zip(config.replica_token.clone()).map(|(stores, token)| {
        let leases = Leases {
            store: stores.leases.clone(),
            changed: Arc::clone(&stores.leases_changed),
            namespace: config.namespace.clone(),
        };
        Replicas::new(client.clone(), token, &config.service, leases, Arc::clone(&bell))
    });
    if let Some(replicas) = replicas.clone() {
        loops.start("replicas", |pulse| replicas.run(pulse));
    }
    let of_cluster = stores.cluster.as_ref();
    let events = of_cluster.map(|_| Events::new(client.clone(), stores.releases.clone()));
    if let Some(events) = events.clone() {
        loops.start("events", |pulse| events.run(pulse));
    }
    let announcer = of_cluster.map(|_| Announcer::new(client.clone()));
    if let Some(announcer) = announcer.clone() {
        loops.start("announcements", |pulse| announcer.run(pulse));
    }
    let told = Told::default();
    let following = Following { rollouts, references, inspections, discoverable, events, announcer, replicas, told };
    let mut controller = Controller::new(client, config, stores, following, installation);
    let mut looks = Looks::new(Instant::now());
    let pulse = controller.config.health.follow("decisions");
    loop {
        pulse.beat();
        let now = Instant::now();
        if looks.next() <= now {
            let latest = controller.pass();
            looks.looked(now, Instant::now(), latest);
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            ended = loops.ended() => return Err(watch_ended(ended)),
            Some(done) = controller.running.join_next_with_id() => {
                controller.finished(done)?;
                while let Some(done) = controller.running.try_join_next_with_id() {
                    controller.finished(done)?;
                }
                controller.start_decided(Instant::now());
                controller.settle();
                looks.changed(Instant::now());
            }
            () = bell.notified() => looks.changed(Instant::now()),
            () = sleep_until(looks.next().into()) => {}
        }
    }
    controller.running.shutdown().await;
    loops.shutdown().await;
    Ok(())
}

/// Waits until everything was seen once.
async fn seen(stores: &Stores, installation: Option<&installation::Watched>) {
    stores.ready().await;
    if let Some(installation) = installation {
        installation.ready().await;
    }
}

fn watch_ended(ended: Option<Result<&'static str, JoinError>>) -> OperatorError {
    match ended {
        Some(Ok(what)) => OperatorError::WatchEnded(what),
        Some(Err(error)) => OperatorError::Panicked(error),
        None => OperatorError::WatchEnded("everything"),
    }
}

/// An action under way.
struct Running {
    action: Action,
    task: AbortHandle,
}

/// Whether statuses say what was found since this operator leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Settled {
    NotYet,
    Yes,
}

struct Controller {
    config: OperatorConfig,
    stores: Stores,
    following: Following,
    /// Whether this installation stays; none without a cluster.
    installation: Option<installation::Watched>,
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
    settled: Settled,
    /// What was decided and has found no place yet.
    decided: VecDeque<Action>,
    running: JoinSet<Result<(), ActionError>>,
    under_way: HashMap<Subject, Running>,
    subjects: HashMap<Id, Subject>,
}

impl Controller {
    fn new(
        client: Client,
        config: OperatorConfig,
        stores: Stores,
        following: Following,
        installation: Option<installation::Watched>,
    ) -> Self {
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
                health: Arc::clone(&config.health),
            },
            config,
            stores,
            following,
            installation,
            judge: Judge::new(own_storage),
            decider: Decider::default(),
            decided_anew: None,
            pace: Pace::default(),
            sans,
            round_trip: None,
            stage: None,
            settled: Settled::NotYet,
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
        let releases = self.stores.cluster.as_ref().map(|cluster| cluster.release_schema.current()).unwrap_or_default();
        let grounds = Grounds { records, answers: self.following.inspections.answers(), progress, releases };
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
                Surroundings::Registered(Box::new(cluster))
            }
        };
        if self.decided_anew.is_none_or(|at| now.duration_since(at) >= LOOK_AGAIN_AFTER) {
            self.decided_anew = Some(now);
            self.decider = Decider::default();
        }
        actions.extend(self.decider.decide(World { now: wall_clock, definitions, surroundings }));
        if let Some(announcer) = &self.following.announcer {
            announcer.want(self.decider.announcement());
        }
        self.decided = actions.into();
        self.start_decided(now);
        self.settle();
        let aged = aging.and_then(|at| Duration::try_from(at.duration_since(wall_clock)).ok());
        let latest = now + aged.map_or(LOOK_AGAIN_AFTER, |aged| LOOK_AGAIN_AFTER.min(aged + COALESCE));
        let stays = self.installation.as_ref().and_then(|installation| installation.changes_at(now));
        let latest = stays.map_or(latest, |changes| latest.min(changes + COALESCE));
        self.pace.next(now).map_or(latest, |next| next.min(latest))
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

    /// Starts what was decided at the last look, as far as there are places. What changed since then makes an action
    /// fail that does not fit any more, as each holds for one state of its object.
    fn start_decided(&mut self, now: Instant) {
        while self.under_way.len() < ACTIONS_MAX {
            let Some(action) = self.decided.pop_front() else { return };
            self.start(action, now);
        }
    }

    /// Says that statuses can be believed, once those that were found to be wrong at the first look are written or were tried.
    fn settle(&mut self) {
        if self.settled == Settled::Yes {
            return;
        }
        let is_status = |subject: &Subject| matches!(subject, Subject::Status(_));
        let pending = self.decided.iter().any(|action| is_status(&action.subject()));
        if !pending && !self.under_way.keys().any(is_status) {
            self.settled = Settled::Yes;
            self.config.health.stands(Standing::Settled);
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
                self.config.health.went_well(&format!("{subject:?}"));
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
                self.pace.failed(&subject, now, rand::random());
                self.config.health.failed(&format!("{subject:?}"), &error);
            }
        }
        Ok(())
    }
}
