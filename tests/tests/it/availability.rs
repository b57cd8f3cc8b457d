//! Processes come and go under load: what was acknowledged is kept, watches go on, `Served` tells the truth.

/// Writers and watches that notice what is lost.
pub(crate) mod load;

use std::{
    env, fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::events::v1::Event;
use kindsmith_tests::{ControlPlane, Replicated, wait};
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, VersionMatch},
};
use load::{Failure, History, Load, definition, jobs, told};
use tokio::{
    task::block_in_place,
    time::{sleep, timeout},
};

/// The variable that says for how long etcd is gone.
const ETCD_SECONDS_VARIABLE: &str = "KINDSMITH_ETCD_GONE_SECONDS";

const ETCD_SECONDS: u64 = 15;

/// How soon `Served` has to tell the truth, and what a loaded machine needs besides.
const TRUTH_MAX: Duration = Duration::from_secs(2 + 3);

/// How many requests a replacement of all apiservers may have kube-apiserver give up unsent: one for each GOAWAY, at most.
const UNSENT_MAX: usize = 3;

/// How long processes may take to be ready, on a machine that does everything at once.
const READY_MAX: Duration = Duration::from_secs(60);

async fn is_ready(control_plane: &ControlPlane, plural: &str) -> Result<()> {
    let definition = format!("appdef/{plural}.lives.example.com");
    let timeout = format!("--timeout={}s", READY_MAX.as_secs());
    control_plane.kubectl(["wait", "--for=condition=Ready", &definition, &timeout]).ok().await?;
    Ok(())
}

/// The status and the reason of `Served`.
async fn served(client: &Client) -> Result<(String, String)> {
    let request = http::Request::get("/apis/kindsmith.dev/v1alpha1/applicationdefinitions/jobs.lives.example.com");
    let found: serde_json::Value = client.request(request.body(Vec::new())?).await?;
    let conditions = found["status"]["conditions"].as_array().context("there are no conditions")?;
    let served = conditions.iter().find(|it| it["type"] == "Served").context("there is no Served")?;
    let text = |key: &str| served[key].as_str().unwrap_or_default().to_owned();
    Ok((text("status"), text("reason")))
}

/// How long it takes until `Served` has a status.
async fn until_served_is(client: &Client, wanted: &str) -> Result<Duration> {
    let began = Instant::now();
    wait::until(&format!("Served to be {wanted}"), READY_MAX, || async {
        let (status, reason) = served(client).await?;
        ensure!(status == wanted, "it is {status}: {reason}");
        Ok(())
    })
    .await?;
    Ok(began.elapsed())
}

async fn until_ready(kindsmith: &Replicated, replicas: usize) -> Result<()> {
    wait::until("the apiservers to be ready", READY_MAX, || async {
        ensure!(kindsmith.ready() == replicas, "{} of {replicas} are ready", kindsmith.ready());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apiservers_and_operators_come_and_go_and_nothing_is_lost() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Replicated::start(&control_plane, 3, &[]).await?;
    kindsmith.kill_operator()?;
    let mut operators = [kindsmith.start_candidate("operator-one")?, kindsmith.start_candidate("operator-two")?];
    control_plane.apply(&definition("jobs", "Job")).await?;
    is_ready(&control_plane, "jobs").await?;
    let client = control_plane.client().await?;
    let load = Load::start(&control_plane).await?;

    let (began, before) = (Instant::now(), load.acknowledged());
    for replica in 0..3 {
        block_in_place(|| kindsmith.stop_apiserver(replica))?;
        kindsmith.start_apiserver(replica)?;
        until_ready(&kindsmith, 3).await?;
    }
    let elapsed = began.elapsed();
    let (unsent, failed): (Vec<_>, Vec<_>) = load.failures_since(began).into_iter().partition(Failure::was_never_sent);
    println!(
        "availability: all apiservers replaced in {:.1} s: {} writes, {} failed, {} never left kube-apiserver",
        elapsed.as_secs_f64(),
        load.acknowledged() - before,
        failed.len(),
        unsent.len()
    );
    ensure!(failed.is_empty(), "{}", told(&failed));
    ensure!(unsent.len() <= UNSENT_MAX, "{}", told(&unsent));

    until_served_is(&client, "True").await?;
    let killed = Instant::now();
    kindsmith.kill_apiserver(0)?;
    let noticed = until_served_is(&client, "False").await?;
    sleep(Duration::from_secs(2)).await;
    let failed = load.failures_since(killed);
    let until = failed.last().map_or(Duration::ZERO, |last| last.at - killed);
    kindsmith.start_apiserver(0)?;
    until_ready(&kindsmith, 3).await?;
    let back = until_served_is(&client, "True").await?;
    println!(
        "availability: killed apiserver: {} requests failed within {:.1} s, Served was False after {:.1} s and True \
         {:.1} s after the next was ready",
        failed.len(),
        until.as_secs_f64(),
        noticed.as_secs_f64(),
        back.as_secs_f64()
    );
    ensure!(noticed < TRUTH_MAX && back < TRUTH_MAX, "Served tells the truth too late");
    ensure!(until < TRUTH_MAX, "{}", told(&failed));

    let began = Instant::now();
    let [first, second] = &mut operators;
    first.kill()?;
    sleep(Duration::from_secs(1)).await;
    block_in_place(|| second.stop())?;
    let mut third = kindsmith.start_candidate("operator-three")?;
    control_plane.apply(&definition("chores", "Chore")).await?;
    is_ready(&control_plane, "chores").await?;
    let failed = load.failures_since(began);
    println!(
        "availability: operators killed and ended: a new kind Ready after {:.1} s, {} requests failed",
        began.elapsed().as_secs_f64(),
        failed.len()
    );
    ensure!(failed.is_empty(), "{}", told(&failed));
    println!("availability: {}", load.stop(History::Kept).await?);
    block_in_place(|| third.stop())?;
    said(&client, "Normal", "Ready").await?;
    said(&client, "Warning", "ReplicaSilent").await
}

/// Fails unless an Event about the definition has that type and reason.
async fn said(client: &Client, kind: &str, reason: &str) -> Result<()> {
    let events: Api<Event> = Api::namespaced(client.clone(), "default");
    let events = events.list(&ListParams::default()).await?.items;
    let about = |event: &&Event| {
        let name = event.regarding.as_ref().and_then(|regarding| regarding.name.as_deref());
        name == Some("jobs.lives.example.com")
    };
    let said: Vec<String> = events.iter().filter(about).map(|it| format!("{:?} {:?}", it.type_, it.reason)).collect();
    ensure!(said.contains(&format!("{:?} {:?}", Some(kind), Some(reason))), "no {kind} {reason} in {said:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_kube_apiserver_needs_no_restart_of_ours() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Replicated::start(&control_plane, 2, &[]).await?;
    control_plane.apply(&definition("jobs", "Job")).await?;
    is_ready(&control_plane, "jobs").await?;
    let load = Load::start(&control_plane).await?;
    sleep(Duration::from_secs(2)).await;

    block_in_place(|| control_plane.stop_api_server())?;
    sleep(Duration::from_secs(2)).await;
    control_plane.start_api_server().await?;
    let back = Instant::now();
    let wrote = wait::until("a write", READY_MAX, || async {
        let last = load.last_write().filter(|last| *last > back).context("nothing was written")?;
        Ok(last - back)
    });
    let wrote = wrote.await?;
    control_plane.apply(&definition("chores", "Chore")).await?;
    is_ready(&control_plane, "chores").await?;
    println!(
        "availability: kube-apiserver restarted: a write {:.1} s after it was ready, a new kind Ready after {:.1} s",
        wrote.as_secs_f64(),
        back.elapsed().as_secs_f64()
    );
    sleep(Duration::from_secs(1)).await;
    println!("availability: {}", load.stop(History::Forgotten).await?);
    drop(kindsmith);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_etcd_is_gone_caches_answer_and_afterwards_all_goes_on() -> Result<()> {
    let seconds = env::var(ETCD_SECONDS_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(ETCD_SECONDS);
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Replicated::start(&control_plane, 2, &[]).await?;
    kindsmith.kill_operator()?;
    let names = ["operator-one", "operator-two"];
    let mut operators = [kindsmith.start_candidate(names[0])?, kindsmith.start_candidate(names[1])?];
    control_plane.apply(&definition("jobs", "Job")).await?;
    is_ready(&control_plane, "jobs").await?;
    let load = Load::start(&control_plane).await?;
    sleep(Duration::from_secs(2)).await;

    let own: Api<DynamicObject> = Api::namespaced_with(kindsmith.client(0).await?, "default", &jobs());
    let cached = ListParams::default().at("0").matching(VersionMatch::NotOlderThan);
    let (mut reads, mut answered) = (0, 0);
    control_plane.freeze_etcd()?;
    let gone = Instant::now();
    while gone.elapsed() < Duration::from_secs(seconds) {
        reads += 1;
        let answer = timeout(Duration::from_secs(1), own.list(&cached)).await;
        answered += usize::from(answer.is_ok_and(|list| list.is_ok_and(|list| !list.items.is_empty())));
        sleep(Duration::from_millis(200)).await;
    }
    control_plane.thaw_etcd()?;
    let back = Instant::now();
    let wrote = wait::until("a write", READY_MAX, || async {
        let last = load.last_write().filter(|last| *last > back).context("nothing was written")?;
        Ok(last - back)
    });
    let wrote = wrote.await?;
    control_plane.apply(&definition("chores", "Chore")).await?;
    is_ready(&control_plane, "chores").await?;
    println!(
        "availability: etcd gone for {seconds} s: {answered} of {reads} reads answered from the cache, a write {:.1} s \
         after it was back, a new kind Ready after {:.1} s",
        wrote.as_secs_f64(),
        back.elapsed().as_secs_f64()
    );
    ensure!(answered == reads, "{answered} of {reads} reads were answered from the cache");
    sleep(Duration::from_secs(1)).await;
    println!("availability: {}", load.stop(History::Kept).await?);
    for operator in &mut operators {
        block_in_place(|| operator.stop())?;
    }
    one_leads(&names.map(|name| fs::read_to_string(kindsmith.log(name)).unwrap_or_default()))
}

/// Fails if two operators have led at the same time, by what their logs say.
fn one_leads(logs: &[String]) -> Result<()> {
    let mut changes: Vec<(String, usize, bool)> = Vec::new();
    for (operator, log) in logs.iter().enumerate() {
        for line in log.lines() {
            let begins = line.contains("this operator leads") && !line.contains("no more");
            if begins || line.contains("this operator leads no more") {
                // Without the colour before it and the century.
                let time = line.split_once("20").map_or(line, |(_, rest)| rest);
                changes.push((time.chars().take(25).collect(), operator, begins));
            }
        }
    }
    changes.sort();
    let mut leader = None;
    for (time, operator, begins) in &changes {
        match (leader, begins) {
            (Some(other), true) if other != operator => anyhow::bail!("two lead at {time}: {changes:?}"),
            (_, true) => leader = Some(operator),
            (_, false) => leader = None,
        }
    }
    ensure!(!changes.is_empty(), "nobody has ever led");
    Ok(())
}
