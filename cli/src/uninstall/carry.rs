//! Carries steps out, each of which waits until it is done.

use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;

use super::{
    look::{Cluster, OPERATOR, OURS, finalizer, uninstalled},
    plan::{CRD, Finalizer, Step},
};
use crate::cluster::Unanswered;

/// How long one step may wait for the cluster, if the time for all lasts that long.
const STEP_DEADLINE: Duration = Duration::from_secs(30);

/// How long the operator may take to end: pods have half a minute by default, and a Lease that nobody renews lasts on.
const OPERATOR_DEADLINE: Duration = Duration::from_secs(45);

/// How often it looks meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What is not there any more is as it was to be.
fn or_gone<T>(answer: Result<T, Unanswered>) -> Result<(), Unanswered> {
    match answer {
        Ok(_) | Err(Unanswered::Missing) => Ok(()),
        Err(why) => Err(why),
    }
}

impl Cluster {
    /// Carries a step out, and waits until it is done.
    pub(super) async fn carry_out(&self, step: &Step) -> anyhow::Result<()> {
        let delete = DeleteParams::default();
        match step {
            Step::StopOperator => {
                let none = Patch::Merge(json!({"spec": {"replicas": 0}}));
                let deployments = self.deployments();
                or_gone(self.ask(deployments.patch_scale(OPERATOR, &PatchParams::default(), &none)).await)?;
                self.await_operator().await
            }
            Step::AwaitOperator => self.await_operator().await,
            Step::DeleteApiService(name) => {
                Ok(or_gone(self.ask(async { self.api_services().delete(name, &delete).await }).await)?)
            }
            Step::AwaitApiServices(names) => {
                self.until(|| async {
                    let listed = ListParams::default().labels(OURS);
                    let there = self.ask(self.api_services().list_metadata(&listed)).await?;
                    match there.items.iter().map(|found| found.name_any()).find(|name| names.contains(name)) {
                        Some(name) => bail!("{name} is there: does an operator still run?"),
                        None => Ok(()),
                    }
                })
                .await
            }
            Step::TellUninstalled(name) => self.tell_uninstalled(name).await,
            Step::RemoveFinalizer { name, finalizer } => self.remove_finalizer(name, finalizer).await,
            Step::DeleteDefinition(name) => {
                Ok(or_gone(self.ask(async { self.definitions().delete(name, &delete).await }).await)?)
            }
            Step::DeleteCrd => Ok(or_gone(self.ask(async { self.crds().delete(CRD, &delete).await }).await)?),
            Step::AwaitCrd => {
                self.until(|| async {
                    let there = self.ask(self.crds().get_metadata_opt(CRD)).await?;
                    if there.is_some() { Err(anyhow!("it is there still")) } else { Ok(()) }
                })
                .await
            }
        }
    }

    /// Waits until no replica is left and nobody leads.
    ///
    /// An operator that ends in its orderly way gives its Lease back; that of one that was killed is not renewed any more. Clocks
    /// are not compared.
    async fn await_operator(&self) -> anyhow::Result<()> {
        let end = self.end.min(Instant::now() + OPERATOR_DEADLINE);
        let mut renewed = (None, Instant::now());
        loop {
            let scale = match self.ask(self.deployments().get_scale(OPERATOR)).await {
                Err(Unanswered::Missing) => None,
                answer => answer?.status,
            };
            let replicas = scale.map(|status| status.replicas).unwrap_or_default();
            let leader = self.leader().await?.unwrap_or_default();
            if renewed.0 != leader.renew_time {
                renewed = (leader.renew_time, Instant::now());
            }
            let lasts = u64::try_from(leader.lease_duration_seconds.unwrap_or_default()).unwrap_or_default();
            let is_led = leader.holder_identity.is_some() && renewed.1.elapsed() <= Duration::from_secs(lasts);
            if replicas == 0 && !is_led {
                return Ok(());
            }
            if Instant::now() >= end {
                bail!("the operator does not end: it has {replicas} replicas");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn tell_uninstalled(&self, name: &str) -> anyhow::Result<()> {
        let api = &self.definitions();
        self.until(|| async move {
            let Some(found) = self.ask(api.get_opt(name)).await? else { return Ok(()) };
            let Some(status) = uninstalled(&found)? else { return Ok(()) };
            let patch = json!({"metadata": {"resourceVersion": found.resource_version()}, "status": status});
            let patch = Patch::Merge(&patch);
            Ok(or_gone(self.ask(api.patch_status(name, &PatchParams::default(), &patch)).await)?)
        })
        .await
    }

    async fn remove_finalizer(&self, name: &str, seen: &Finalizer) -> anyhow::Result<()> {
        let api = &self.definitions();
        let mut seen = Some(seen.clone());
        // Others write definitions too: what was seen may be old.
        self.until(|| {
            let wanted = seen.take();
            async move {
                let wanted = match wanted {
                    Some(wanted) => Some(wanted),
                    None => self.ask(api.get_opt(name)).await?.and_then(|found| finalizer(&found)),
                };
                let Some(Finalizer { others, resource_version }) = wanted else { return Ok(()) };
                let patch = json!({"metadata": {"resourceVersion": resource_version, "finalizers": others}});
                let patch = Patch::Merge(&patch);
                Ok(or_gone(self.ask(api.patch(name, &PatchParams::default(), &patch)).await)?)
            }
        })
        .await
    }

    /// Tries until it succeeds or the time is over. What is not allowed is not tried again.
    async fn until<F: Future<Output = anyhow::Result<()>>>(
        &self,
        mut attempt: impl FnMut() -> F,
    ) -> anyhow::Result<()> {
        let end = self.end.min(Instant::now() + STEP_DEADLINE);
        loop {
            let Err(error) = attempt().await else { return Ok(()) };
            if matches!(error.downcast_ref(), Some(Unanswered::Forbidden(_))) {
                return Err(error);
            }
            if Instant::now() >= end {
                return Err(error).context("the time is over");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
