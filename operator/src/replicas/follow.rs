//! The loop: Leases in, questions out, the bell when an answer changes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::coordination::v1::Lease};
use kube::{
    Api, Client,
    api::{DeleteParams, Preconditions},
};
use kube_runtime::reflector::Store;
use tokio::{
    sync::Notify,
    task::{JoinError, JoinSet},
    time::sleep_until,
};

use super::{
    Answer, Fault, ReplicaState,
    ask::{Access, Settings, ask},
    credential::{ReplicaToken, Tokens},
    roster::{Dead, News, Question, Roster},
};
use crate::{call::within, error::ActionError, pulse::Pulse};

/// What answers depend on: when it changes, replicas are asked at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Basis {
    /// The bundle that replicas are verified against.
    pub bundle: Option<ByteString>,
    /// The state of the serving certificate's Secret.
    pub serving: Option<String>,
    /// A hash of the definitions.
    pub definitions: u64,
}

/// The replicas of the API server, asked again and again.
pub(crate) struct Replicas {
    client: Client,
    namespace: String,
    leases: Store<Lease>,
    access: Result<Access, Fault>,
    /// Rings when Leases change.
    leases_changed: Arc<Notify>,
    /// Rings when the basis changes.
    nudged: Notify,
    /// Rung when an answer changes.
    bell: Arc<Notify>,
    roster: Mutex<Roster>,
    basis: Mutex<Basis>,
}

/// Where replicas are found.
pub(crate) struct Leases {
    /// Their Leases.
    pub store: Store<Lease>,
    /// Rings when Leases change.
    pub changed: Arc<Notify>,
    /// Their namespace.
    pub namespace: String,
}

/// How often Leases are looked at while nobody can be asked.
const UNASKED_LOOK: Duration = Duration::from_secs(1);

enum Done {
    Answered(Question, Result<Answer, Fault>),
    Removed(Dead, Result<(), ActionError>),
}

/// What a turn of the loop is about.
enum Turn {
    /// Leases changed, or the time of a question came.
    Looked,
    /// What answers depend on changed.
    Nudged,
    /// A question was answered, or a Lease removed.
    Done(Result<Done, JoinError>),
}

impl Replicas {
    /// Replicas behind a Service, asked with a token from there.
    pub(crate) fn new(
        client: Client,
        token: ReplicaToken,
        service: &str,
        leases: Leases,
        bell: Arc<Notify>,
    ) -> Arc<Self> {
        let tokens = Tokens::new(client.clone(), &leases.namespace, token);
        let access = Access::new(tokens, service, &leases.namespace);
        Arc::new(Self {
            client,
            namespace: leases.namespace,
            leases: leases.store,
            access,
            leases_changed: leases.changed,
            nudged: Notify::new(),
            bell,
            roster: Mutex::default(),
            basis: Mutex::default(),
        })
    }

    /// The replicas that live, with what they said last.
    pub(crate) fn living(&self) -> Vec<ReplicaState> {
        self.roster().living(Instant::now())
    }

    /// How many replicas have not been heard of for longer than their Leases last. These are removed after a while.
    pub(crate) fn lost(&self) -> usize {
        self.roster().lost(Instant::now())
    }

    /// Says what answers depend on now.
    pub(crate) fn set_basis(&self, basis: Basis) {
        let mut held = self.basis.lock().unwrap_or_else(PoisonError::into_inner);
        if *held != basis {
            *held = basis;
            self.nudged.notify_one();
        }
    }

    /// Asks until the end. Returns only when a question panicked.
    pub(crate) async fn run(self: Arc<Self>, pulse: Pulse) {
        let mut running = JoinSet::new();
        let mut settings: (Option<ByteString>, Result<Settings, Fault>) = (None, Err(Fault::NoBundle));
        let mut living = Vec::new();
        // Until the first bundle is known nobody is asked: a replica that could not be verified would count as silent.
        let mut may_ask = false;
        loop {
            let now = Instant::now();
            self.refresh(&mut settings);
            may_ask |= settings.0.is_some();
            let (questions, dead, next) = {
                let mut roster = self.roster();
                roster.observe(self.leases.state().iter().map(AsRef::as_ref), now);
                let dead = roster.dead(now);
                if may_ask {
                    (roster.due(now), dead, roster.next(now))
                } else {
                    (Vec::new(), dead, Some(now + UNASKED_LOOK))
                }
            };
            for question in questions {
                let (replicas, settings) = (Arc::clone(&self), settings.1.clone());
                running.spawn(async move {
                    let answer = match (&replicas.access, &settings) {
                        (Ok(access), Ok(settings)) => ask(access, settings, &question).await,
                        (Err(fault), _) | (_, Err(fault)) => Err(fault.clone()),
                    };
                    Done::Answered(question, answer)
                });
            }
            for dead in dead {
                let leases = Api::namespaced(self.client.clone(), &self.namespace);
                running.spawn(async move {
                    let removed = remove(&leases, &dead).await;
                    Done::Removed(dead, removed)
                });
            }
            let present: Vec<String> = self.living().into_iter().map(|replica| replica.identity).collect();
            if present != living {
                living = present;
                self.bell.notify_one();
            }
            let asleep = async {
                match next {
                    Some(next) => sleep_until(next.into()).await,
                    None => std::future::pending().await,
                }
            };
            let turn = pulse.wait(async {
                tokio::select! {
                    () = self.leases_changed.notified() => Turn::Looked,
                    () = self.nudged.notified() => Turn::Nudged,
                    Some(done) = running.join_next() => Turn::Done(done),
                    () = asleep => Turn::Looked,
                }
            });
            match turn.await {
                Turn::Looked => {}
                Turn::Nudged => self.roster().nudge(Instant::now()),
                Turn::Done(Ok(done)) => self.finished(done),
                Turn::Done(Err(error)) => {
                    tracing::error!(%error, "a question to a replica panicked");
                    return;
                }
            }
        }
    }

    /// Makes new TLS settings when the bundle is another.
    fn refresh(&self, settings: &mut (Option<ByteString>, Result<Settings, Fault>)) {
        let bundle = self.basis.lock().unwrap_or_else(PoisonError::into_inner).bundle.clone();
        if settings.0 == bundle {
            return;
        }
        let made = bundle.as_ref().map_or(Err(Fault::NoBundle), |bundle| Settings::new(&bundle.0));
        *settings = (bundle, made);
    }

    fn finished(&self, done: Done) {
        match done {
            Done::Answered(question, answer) => {
                let told = answer.as_ref().err().map(ToString::to_string);
                let at = (Instant::now(), Timestamp::now());
                let news = self.roster().answered(&question, answer, at, rand::random());
                if news == News::Changed {
                    match told {
                        None => tracing::debug!(identity = question.identity, "a replica says something new"),
                        Some(fault) => tracing::info!(identity = question.identity, fault, "a replica does not answer"),
                    }
                    self.bell.notify_one();
                }
            }
            Done::Removed(dead, Ok(())) => tracing::info!(lease = dead.lease, "the Lease of a dead replica is removed"),
            Done::Removed(dead, Err(error)) => {
                tracing::warn!(lease = dead.lease, %error, "the Lease of a dead replica stays");
            }
        }
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Deletes a Lease as it was seen: one that was renewed after all stays.
async fn remove(leases: &Api<Lease>, dead: &Dead) -> Result<(), ActionError> {
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: dead.uid.clone(), resource_version: dead.resource_version.clone() }),
        ..DeleteParams::default()
    };
    match within(leases.delete(&dead.lease, &params), ActionError::RemoveLease).await {
        Err(ActionError::RemoveLease(kube::Error::Api(status))) if status.code == 404 => Ok(()),
        outcome => outcome.map(drop),
    }
}
