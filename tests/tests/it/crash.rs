//! `kindsmith dev` and its store are killed while clients write: what was acknowledged is there afterwards.

use std::{
    fs,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use kindsmith_tests::{Dev, wait};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, PostParams},
    core::GroupVersionKind,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

/// What clients know of the objects that they write.
mod ledger;

/// The store alone, in a process of its own.
mod store;

use ledger::{Ledger, State};

const DEFINITION: &str = "
apiVersion: kindsmith.dev/v1alpha1
kind: ApplicationDefinition
metadata: {name: cups.crash.example.com}
spec:
  group: crash.example.com
  scope: Namespaced
  names: {kind: Cup, plural: cups}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {step: {type: integer}, pad: {type: string}}}}
  backend: {store: {}}
";

/// How often `kindsmith dev` is killed; the store alone is killed more often.
const KILLS: usize = 6;

/// Clients that write at the same time, each its own objects.
const WRITERS: usize = 4;

/// Objects of one writer.
const OBJECTS_PER_WRITER: usize = 5;

/// A seed that a failed run printed can be put here.
const SEED: u64 = 20_261_123;

fn cups(client: Client) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("crash.example.com", "v1", "Cup");
    Api::namespaced_with(client, "default", &ApiResource::from_gvk_with_plural(&kind, "cups"))
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

fn cup(name: &str, step: u64) -> Result<DynamicObject> {
    let object = json!({"apiVersion": "crash.example.com/v1", "kind": "Cup", "metadata": {"name": name},
        "spec": {"step": step, "pad": "x".repeat(300)}});
    serde_json::from_value(object).context("making a cup")
}

/// Writes until the server is gone.
async fn write(cups: Api<DynamicObject>, ledger: Arc<Mutex<Ledger>>, writer: usize, seed: u64) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    loop {
        let name = format!("cup-{writer}-{}", random.random_range(0..OBJECTS_PER_WRITER));
        let (held, step) = {
            let ledger = lock(&ledger);
            (ledger.held(&name), ledger.next_step())
        };
        let next = (held.is_none() || random.random_bool(0.7)).then_some(step);
        lock(&ledger).ask(&name, next);
        let done = match (held, next) {
            (None, _) => cups.create(&PostParams::default(), &cup(&name, step)?).await.map(Some),
            (Some(held), Some(step)) => {
                let mut object = cup(&name, step)?;
                object.metadata.resource_version = Some(held.revision.to_string());
                cups.replace(&name, &PostParams::default(), &object).await.map(Some)
            }
            (Some(_), None) => cups.delete(&name, &DeleteParams::default()).await.map(|_| None),
        };
        match done {
            Ok(object) => {
                let revision = object.and_then(|object| object.metadata.resource_version);
                let revision = revision.map(|text| text.parse().context("reading a revision")).transpose()?;
                lock(&ledger).acknowledge(&name, revision);
            }
            Err(kube::Error::Api(status)) if (400..500).contains(&status.code) => {
                anyhow::bail!("writing {name} was refused: {}", status.message)
            }
            // What became of it is not known: the server is gone.
            Err(_) => return Ok(()),
        }
    }
}

async fn listed(cups: &Api<DynamicObject>) -> Result<(State, u64)> {
    let list = cups.list(&ListParams::default()).await.context("listing cups")?;
    let revision = list.metadata.resource_version.context("the list has no revision")?.parse()?;
    let objects = list.items.iter().map(|object| ledger::read(&serde_json::to_value(object)?));
    Ok((objects.collect::<Result<State>>()?, revision))
}

/// What a watch from the last revision that was seen gave.
enum Resumed {
    /// All that was missing.
    Whole,
    /// 410: the client lists anew.
    Expired,
}

/// Follows from a revision until a state is reached, or learns that the revision is too old.
async fn follow(client: &Client, after: u64, before: State, now: &State) -> Result<Resumed> {
    let path = format!(
        "/apis/crash.example.com/v1/namespaces/default/cups?watch=true&resourceVersion={after}&timeoutSeconds=1"
    );
    let text = client.request_text(http::Request::get(path).body(Vec::new())?).await.context("watching")?;
    let events = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>().context("reading events")?;
    if let Some(error) = events.iter().find(|event| event["type"] == "ERROR") {
        ensure!(error["object"]["code"] == 410, "the watch from {after} says {error}");
        return Ok(Resumed::Expired);
    }
    let mut replica = ledger::Replica::new(before, after);
    for event in &events {
        match event["type"].as_str() {
            Some("DELETED") => replica.deleted(&event["object"])?,
            Some("ADDED" | "MODIFIED") => replica.applied(&event["object"])?,
            other => anyhow::bail!("an event of type {other:?}"),
        }
    }
    ensure!(replica.state() == now, "the watch from {after} leads to {:?}, not to {now:?}", replica.state());
    Ok(Resumed::Whole)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_dev_is_killed() -> Result<()> {
    let folder = tempfile::tempdir().context("creating a folder")?;
    let manifest = folder.path().join("cups.yaml");
    fs::write(&manifest, DEFINITION).context("writing the definition")?;
    let mut dev = Dev::start([manifest.display().to_string()]).await?;
    let mut random = StdRng::seed_from_u64(SEED);
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let (mut newest, mut seen, mut resumed, mut expired) = (0, State::new(), 0, 0);
    for kill in 0..=KILLS {
        let client = dev.client().await?;
        let cups = cups(client.clone());
        let (state, revision) = wait::until("the kind to be served", Duration::from_secs(20), || listed(&cups)).await?;
        ensure!(revision >= newest, "kill {kill}: the revision went from {newest} back to {revision}");
        lock(&ledger).settle(&state, revision).with_context(|| format!("after kill {kill}, seed {SEED}"))?;
        if kill > 0 {
            match follow(&client, newest, std::mem::take(&mut seen), &state).await? {
                Resumed::Whole => resumed += 1,
                Resumed::Expired => expired += 1,
            }
        }
        (newest, seen) = (revision, state);
        if kill == KILLS {
            break;
        }
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(cups.clone(), Arc::clone(&ledger), writer, random.random())))
            .collect();
        tokio::time::sleep(Duration::from_millis(random.random_range(50..700))).await;
        dev.kill().await?;
        for writer in writers {
            writer.await??;
        }
        dev.restart().await?;
    }
    let written = lock(&ledger).acknowledged();
    println!(
        "kindsmith dev: {written} writes acknowledged, {KILLS} kills, 0 losses; {resumed} watches resumed, {expired} expired"
    );
    ensure!(written > 0, "nothing was written");
    Ok(())
}
