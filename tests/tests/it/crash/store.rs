//! The store alone, in a child process that is killed at any moment: while it opens, writes, compacts.

use std::{
    env,
    io::{BufReader, Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use futures::StreamExt as _;
use kindsmith_apiserver::{
    request::{Name, Namespace},
    storage::{
        embedded::{Embedded, OpenError, Retention},
        host::{
            DeleteOptions, Generation, Host as _, HostError, HostEvent, HostResource, ListAt, Persistence,
            StatusEndpoint, WriteOptions, WriteTarget,
        },
    },
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use super::{
    OBJECTS_PER_WRITER, SEED, WRITERS,
    ledger::{Ledger, Replica, State, read},
};

/// How often the child is killed.
const KILLS: usize = 50;

/// In the child's environment: the data folder. Without it there is nothing to do.
const FOLDER: &str = "KINDSMITH_TEST_CRASH_FOLDER";

/// In the child's environment: its seed.
const CHILD_SEED: &str = "KINDSMITH_TEST_CRASH_SEED";

/// The history is short, so that compaction is under way at any moment and some watches expire.
const RETENTION: Retention = Retention { changes_max: 500, bytes_max: 64 << 20, age_max: Duration::from_secs(3600) };

/// How long the file may stay locked by a process that is ending.
const OPEN_DEADLINE: Duration = Duration::from_secs(5);

fn resource() -> HostResource {
    HostResource {
        group: "crash.example.com".to_owned(),
        version: "v1".to_owned(),
        kind: "Cup".to_owned(),
        plural: "cups".to_owned(),
        scope: kindsmith_crds::Scope::Namespaced,
        status: StatusEndpoint::Absent,
    }
}

fn cup(name: &str, step: u64) -> Value {
    json!({"apiVersion": "crash.example.com/v1", "kind": "Cup", "metadata": {"name": name, "namespace": "default"},
        "spec": {"step": step, "pad": "x".repeat(300)}})
}

fn open(folder: &Path) -> Result<Arc<Embedded>> {
    let end = Instant::now() + OPEN_DEADLINE;
    loop {
        match Embedded::open_with(folder, RETENTION) {
            Err(OpenError::InUse { .. }) if Instant::now() < end => thread::sleep(Duration::from_millis(2)),
            opened => return opened.context("opening the store"),
        }
    }
}

/// One line, whole or not at all: short lines go into a pipe at once, and stay in it when the writer is killed.
fn say(line: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(format!("\n{line}\n").as_bytes()).and_then(|()| output.flush()).context("saying what was done")
}

async fn write(store: Arc<Embedded>, writer: usize, seed: u64) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let options = WriteOptions {
        persistence: Persistence::Durable,
        field_manager: "crash".to_owned(),
        generation: Generation::Host,
    };
    let namespace = Namespace::parse("default");
    let mut step = seed >> 1;
    loop {
        step += 1;
        let name = format!("cup-{writer}-{}", random.random_range(0..OBJECTS_PER_WRITER));
        let held = match store.get(&resource(), namespace, Name::parse(&name)?).await {
            Ok(held) => Some(held),
            Err(HostError::Status(status)) if status.code == 404 => None,
            Err(error) => return Err(error).context("reading"),
        };
        let written = match held {
            Some(_) if random.random_bool(0.3) => {
                say(&format!("> {name} -"))?;
                let options = DeleteOptions {
                    uid: None,
                    resource_version: None,
                    propagation: None,
                    persistence: Persistence::Durable,
                };
                store.delete(&resource(), namespace, Name::parse(&name)?, &options).await.context("deleting")?;
                say(&format!("< {name} -"))?;
                continue;
            }
            Some(held) => {
                say(&format!("> {name} {step}"))?;
                store.update(&resource(), &held, cup(&name, step), WriteTarget::Main, &options).await
            }
            None => {
                say(&format!("> {name} {step}"))?;
                store.create(&resource(), cup(&name, step), &options).await
            }
        };
        let written = written.context("writing")?;
        say(&format!("< {name} {}", read(&written)?.1.revision))?;
    }
}

/// Is no test, but the process that [`nothing_acknowledged_is_lost_when_the_store_is_killed`] kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that another test starts and kills"]
async fn child() -> Result<()> {
    let (Some(folder), Ok(seed)) = (env::var_os(FOLDER), env::var(CHILD_SEED)) else { return Ok(()) };
    let mut random = StdRng::seed_from_u64(seed.parse().context("reading the seed")?);
    let store = open(Path::new(&folder))?;
    let writers = (0..WRITERS).map(|writer| write(Arc::clone(&store), writer, random.random()));
    let ended = futures::future::try_join_all(writers.collect::<Vec<_>>()).await;
    say(&format!("! {ended:?}"))
}

/// Runs a child for a while and kills it; what it said goes into the ledger.
fn run_child(folder: &Path, seed: u64, life: Duration, ledger: &mut Ledger) -> Result<()> {
    let program = env::current_exe().context("finding the running program")?;
    let mut command = Command::new(program);
    command.args(["--exact", "crash::store::child", "--ignored", "--nocapture"]);
    command.env(FOLDER, folder).env(CHILD_SEED, seed.to_string()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().context("starting the child")?;
    let output = child.stdout.take().context("the child has no output")?;
    let reader = thread::spawn(move || {
        let mut said = String::new();
        BufReader::new(output).read_to_string(&mut said).map(|_| said)
    });
    thread::sleep(life);
    child.kill().context("killing the child")?;
    child.wait().context("waiting for the child")?;
    let Ok(said) = reader.join() else { bail!("the reader of the child's output panicked") };
    let said = said.context("reading what the child said")?;
    // A line that was cut off was not said.
    let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        match *line.split(' ').collect::<Vec<_>>() {
            [">", name, step] => ledger.ask(name, step.parse().ok()),
            ["<", name, revision] => ledger.acknowledge(name, revision.parse().ok()),
            ["!", ..] => bail!("the child ended: {line}"),
            _ => {}
        }
    }
    Ok(())
}

/// What a client that saw `replica` learns from a watch: the present state, or that it is too late.
async fn resume(store: &Embedded, seen: u64, before: State, now: &State) -> Result<bool> {
    let mut events = match store.watch(&resource(), seen).await {
        Ok(events) => events,
        Err(HostError::Status(status)) if status.code == 410 => {
            ensure!(status.message.starts_with(&format!("too old resource version: {seen} (")), "{}", status.message);
            return Ok(false);
        }
        Err(error) => return Err(error).context("watching"),
    };
    let mut replica = Replica::new(before, seen);
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(1), events.next()).await {
        match event.context("reading an event")? {
            HostEvent::Applied { object, .. } => replica.applied(&object)?,
            HostEvent::Deleted { object, .. } => replica.deleted(&object)?,
            HostEvent::Progress { .. } => {}
        }
    }
    ensure!(replica.state() == now, "the watch from {seen} leads to {:?}, not to {now:?}", replica.state());
    Ok(true)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_store_is_killed() -> Result<()> {
    let folder = tempfile::tempdir().context("creating a folder")?;
    let mut random = StdRng::seed_from_u64(SEED);
    let mut ledger = Ledger::default();
    let (mut seen, mut seen_state) = (1, State::new());
    let (mut newest, mut resumed, mut expired) = (0, 0, 0);
    for kill in 1..=KILLS {
        let life = Duration::from_millis(random.random_range(0..250));
        run_child(folder.path(), random.random(), life, &mut ledger)?;
        let check = async {
            let store = open(folder.path())?;
            let list = store.list(&resource(), None, ListAt::MostRecent).await.context("listing")?;
            let state =
                list.items.iter().map(|(_, json)| read(&serde_json::from_slice(json)?)).collect::<Result<State>>()?;
            ensure!(list.revision >= newest, "the revision went from {newest} back to {}", list.revision);
            ledger.settle(&state, list.revision)?;
            if resume(&store, seen, std::mem::take(&mut seen_state), &state).await? {
                resumed += 1;
            } else {
                expired += 1;
            }
            anyhow::Ok((state, list.revision))
        };
        let (state, revision) = check.await.with_context(|| format!("after kill {kill}, seed {SEED}"))?;
        (newest, seen, seen_state) = (revision, revision, state);
    }
    println!(
        "the store: {} writes acknowledged up to revision {newest}, {KILLS} kills, 0 losses; {resumed} watches resumed, \
         {expired} expired",
        ledger.acknowledged()
    );
    ensure!(ledger.acknowledged() > 0 && resumed > 0, "nothing was written");
    Ok(())
}
