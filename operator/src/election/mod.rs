//! Leadership by a Lease: who holds it runs, and has stopped before another can hold it.

/// Who leads: pure.
mod candidate;

#[cfg(test)]
mod simulation;

use std::{future::Future, sync::Arc, time::Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    call::{FIELD_MANAGER, is_status},
    pulse::{Health, Pulse, Standing},
};
use candidate::{Attempt, Candidate, RENEW_DEADLINE, RETRY_PERIOD, pause};

/// The Lease that operators of one namespace contend for.
pub const LEADER_LEASE: &str = "kindsmith-operator";

/// How work ended that only a leader may do.
#[derive(Debug)]
pub(crate) enum Led<T> {
    /// By itself.
    Finished(T),
    /// Leadership was lost, and the work dropped where it was.
    Lost,
}

/// One process among those that would lead.
pub(crate) struct Election {
    leases: Api<Lease>,
    namespace: String,
    candidate: Candidate,
    health: Arc<Health>,
    pulse: Pulse,
}

impl Election {
    /// A candidate in a namespace; the identity is unique to the process.
    pub(crate) fn new(client: Client, namespace: &str, identity: String, health: &Arc<Health>) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            candidate: Candidate::new(identity),
            health: Arc::clone(health),
            pulse: health.follow("election"),
        }
    }

    /// Waits until this process leads; None when `shutdown` came first.
    pub(crate) async fn acquire(&mut self, shutdown: &CancellationToken) -> Option<()> {
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return None,
                () = self.attempt() => {}
            }
            if self.candidate.leads_until().is_some_and(|until| Instant::now() < until) {
                self.health.stands(Standing::Leads);
                return Some(());
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return None,
                () = sleep(pause(rand::random())) => {}
            }
        }
    }

    /// Does work for as long as this process leads. It is dropped, with all calls under way, when a renewal is overdue.
    pub(crate) async fn lead<T>(&mut self, work: impl Future<Output = T>) -> Led<T> {
        tokio::select! {
            biased;
            () = self.keep() => {
                self.health.stands(Standing::Begins);
                Led::Lost
            }
            outcome = work => Led::Finished(outcome),
        }
    }

    /// Gives the Lease up, so that another takes over at once. Only when all work has stopped.
    pub(crate) async fn release(&mut self) {
        self.candidate.lost();
        let given_up = timeout(RETRY_PERIOD, async {
            let Some(mut lease) = self.leases.get_opt(LEADER_LEASE).await? else { return Ok(()) };
            let released = lease.spec.as_ref().and_then(|spec| self.candidate.release(spec, Timestamp::now()));
            let Some(released) = released else { return Ok(()) };
            lease.spec = Some(released);
            self.leases.replace(LEADER_LEASE, &parameters(), &lease).await.map(drop)
        });
        match given_up.await {
            Ok(Ok(())) => tracing::info!("the leader's Lease is given up"),
            Ok(Err(error)) => tracing::warn!(%error, "the leader's Lease cannot be given up; it will expire"),
            Err(_) => tracing::warn!("the leader's Lease is not given up in time; it will expire"),
        }
    }

    /// Renews; returns when that did not succeed in time, or another leads.
    async fn keep(&mut self) {
        while let Some(until) = self.candidate.leads_until() {
            let renewing = async {
                sleep(RETRY_PERIOD).await;
                self.attempt().await;
            };
            tokio::select! {
                biased;
                () = sleep_until(until.into()) => break,
                () = renewing => {}
            }
        }
        self.candidate.lost();
    }

    async fn attempt(&mut self) {
        self.pulse.beat();
        match timeout(RENEW_DEADLINE, self.write()).await {
            Ok(Ok(())) => self.pulse.went_well(),
            // Whoever wrote meanwhile is seen at the next attempt.
            Ok(Err(error)) if is_status(&error, 409) => {
                tracing::debug!(%error, "the leader's Lease is not ours this time");
            }
            Ok(Err(error)) => self.pulse.failed(&error),
            Err(_) => tracing::warn!("no answer about the leader's Lease"),
        }
    }

    async fn write(&mut self) -> Result<(), kube::Error> {
        let began = Instant::now();
        let found = self.leases.get_opt(LEADER_LEASE).await?;
        let spec = found.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
        match self.candidate.attempt(spec.as_ref(), Instant::now(), Timestamp::now()) {
            Attempt::Create(spec) => {
                let metadata = ObjectMeta {
                    name: Some(LEADER_LEASE.to_owned()),
                    namespace: Some(self.namespace.clone()),
                    ..ObjectMeta::default()
                };
                self.leases.create(&parameters(), &Lease { metadata, spec: Some(spec) }).await?;
            }
            Attempt::Replace(spec) => {
                // The resourceVersion that was read comes along, so nobody else's write is overwritten.
                let metadata = found.map(|lease| lease.metadata).unwrap_or_default();
                self.leases.replace(LEADER_LEASE, &parameters(), &Lease { metadata, spec: Some(spec) }).await?;
            }
            Attempt::Wait => {
                self.candidate.lost();
                self.health.stands(Standing::Follows);
                return Ok(());
            }
        }
        self.candidate.won(began);
        Ok(())
    }
}

fn parameters() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}
