//! Whether the loops of the operator go on, for who probes the process, and whether what it says can be believed.
//!
//! Each loop beats at each turn, and while it waits for what need not come. A cluster that does not answer stops no loop, as each
//! call has a deadline. One that does not beat for [`SILENCE_MAX`] hangs, and nothing but a restart helps. Who may not do what it
//! needs says which right is missing, and goes on trying.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kindsmith_schema::missing_right::{Failure, MissingRights};
use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};

/// How often a loop beats while it waits.
const TURN: Duration = Duration::from_secs(10);

/// How long a loop may be silent: one turn may take some calls that come to their deadline.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// What the process knows of itself.
#[derive(Debug, Default)]
pub struct Health {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The loops that run, each with its name and its last beat.
    loops: BTreeMap<u64, (&'static str, Instant)>,
    next: u64,
    standing: Standing,
    rights: MissingRights,
}

/// What this operator does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It does not know yet who leads.
    #[default]
    Begins,
    /// Another one leads.
    Follows,
    /// It leads, and has not written yet what it found first.
    Leads,
    /// It leads, and what statuses say is what it found.
    Settled,
}

/// A loop that hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hung {
    /// Its name.
    pub name: &'static str,
    /// For how long it has been silent.
    pub silent_for: Duration,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the loops that hang.
    #[must_use]
    pub fn hung(&self) -> Vec<Hung> {
        let now = Instant::now();
        let silent =
            |(name, beat): &(&'static str, Instant)| Hung { name, silent_for: now.saturating_duration_since(*beat) };
        self.state().loops.values().map(silent).filter(|it| it.silent_for > SILENCE_MAX).collect()
    }

    /// Returns why statuses may not be believed yet; none once another operator leads, or this one has written what it found first.
    #[must_use]
    pub fn not_ready(&self) -> Option<&'static str> {
        match self.state().standing {
            Standing::Begins => Some("it is not known yet which operator leads"),
            Standing::Leads => Some("this operator leads and has not written yet what it found first"),
            Standing::Follows | Standing::Settled => None,
        }
    }

    /// Returns the rights that are missing, each as a sentence with the rule that grants it.
    #[must_use]
    pub fn missing_rights(&self) -> BTreeSet<String> {
        self.state().rights.all().map(ToString::to_string).collect()
    }

    /// Says that something failed; it is tried again. A missing right is told with its rule, once a minute.
    pub(crate) fn failed(&self, what: &str, error: &impl Display) {
        let failure = self.state().rights.failed(what, &error.to_string(), std::time::Instant::now());
        match failure {
            Failure::Missing(right) => tracing::error!("{what}: {right}; trying again"),
            Failure::Known => {}
            Failure::Other => tracing::warn!(%error, "{what}: failed, trying again"),
        }
    }

    /// Says that something went well.
    pub(crate) fn went_well(&self, what: &str) {
        self.state().rights.granted(what);
    }

    /// Says what this operator does.
    pub(crate) fn stands(&self, standing: Standing) {
        self.state().standing = standing;
    }

    /// Begins to follow a loop, until the pulse is dropped.
    pub(crate) fn follow(self: &Arc<Self>, name: &'static str) -> Pulse {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.loops.insert(id, (name, Instant::now()));
        Pulse { health: Arc::clone(self), id }
    }
}

/// The pulse of one loop.
#[derive(Debug)]
pub(crate) struct Pulse {
    health: Arc<Health>,
    id: u64,
}

impl Pulse {
    /// The loop has taken a turn.
    pub(crate) fn beat(&self) {
        if let Some((_, beat)) = self.health.state().loops.get_mut(&self.id) {
            *beat = Instant::now();
        }
    }

    /// What the loop does failed, and is tried again.
    pub(crate) fn failed(&self, error: &impl Display) {
        self.health.failed(self.name(), error);
    }

    /// What the loop does went well.
    pub(crate) fn went_well(&self) {
        self.health.went_well(self.name());
    }

    fn name(&self) -> &'static str {
        self.health.state().loops.get(&self.id).map_or("a loop", |(name, _)| name)
    }

    /// Waits for something that need not come, and takes turns meanwhile.
    pub(crate) async fn wait<T>(&self, waiting: impl Future<Output = T>) -> T {
        let mut waiting = std::pin::pin!(waiting);
        loop {
            self.beat();
            if let Ok(outcome) = tokio::time::timeout(TURN, &mut waiting).await {
                self.beat();
                return outcome;
            }
        }
    }
}

/// Loops that go on beside the one that decides. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Loops {
    tasks: JoinSet<&'static str>,
    health: Arc<Health>,
}

impl Loops {
    /// None yet.
    pub(crate) fn new(health: &Arc<Health>) -> Self {
        Self { tasks: JoinSet::new(), health: Arc::clone(health) }
    }

    /// Starts one, which is not to end by itself.
    pub(crate) fn start<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        name: &'static str,
        run: impl FnOnce(Pulse) -> F,
    ) {
        let running = run(self.health.follow(name));
        self.tasks.spawn(async move {
            running.await;
            name
        });
    }

    /// Waits until one ends; none when there is none.
    pub(crate) async fn ended(&mut self) -> Option<Result<&'static str, JoinError>> {
        self.tasks.join_next().await
    }

    /// Ends all of them.
    pub(crate) async fn shutdown(&mut self) {
        self.tasks.shutdown().await;
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.health.state().loops.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hung(health: &Health) -> Vec<&'static str> {
        health.hung().into_iter().map(|it| it.name).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_not_beat_is_named_until_it_ends() {
        let health = Arc::new(Health::default());
        let (lively, stuck) = (health.follow("lively"), health.follow("stuck"));
        tokio::time::advance(SILENCE_MAX).await;
        assert_eq!(health.hung(), []);
        tokio::time::advance(TURN).await;
        lively.beat();
        assert_eq!(health.hung(), [Hung { name: "stuck", silent_for: SILENCE_MAX + TURN }]);
        stuck.beat();
        assert_eq!(health.hung(), []);
        drop((lively, stuck));
        tokio::time::advance(2 * SILENCE_MAX).await;
        assert_eq!(health.hung(), [], "they ended");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_what_need_not_come_beats_and_who_waits_otherwise_does_not() {
        let health = Arc::new(Health::default());
        let (waits, stuck) = (health.follow("waits"), health.follow("stuck"));
        let waiting = tokio::spawn(async move { waits.wait(std::future::pending::<()>()).await });
        let blocked = tokio::spawn(async move {
            std::future::pending::<()>().await;
            stuck.beat();
        });
        tokio::time::sleep(2 * SILENCE_MAX).await;
        assert_eq!(hung(&health), ["stuck"]);
        waiting.abort();
        blocked.abort();
    }

    #[test]
    fn who_leads_is_ready_once_it_has_written_what_it_found() {
        let health = Health::default();
        for (standing, ready) in [
            (Standing::Begins, false),
            (Standing::Follows, true),
            (Standing::Leads, false),
            (Standing::Settled, true),
            (Standing::Begins, false),
        ] {
            health.stands(standing);
            assert_eq!(health.not_ready().is_none(), ready, "{standing:?}");
        }
    }
}
