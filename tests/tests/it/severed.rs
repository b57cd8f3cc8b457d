//! All connections to the cluster are cut every second under writes: nothing is lost, and nothing comes twice.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use futures::{AsyncBufReadExt as _, StreamExt as _};
use kindsmith_tests::{ControlPlane, Kindsmith, line::Line, ports, wait};
use kube::Client;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    main_job::apply_definitions,
    releases::{REDISES, RELEASES, ask, done, served},
};

/// How many seconds it goes on, unless the variable says otherwise.
const SECONDS: u64 = 60;
const SECONDS_VARIABLE: &str = "KINDSMITH_SEVERED_SECONDS";

/// The instance that is created last.
const LAST: &str = "last";

/// How long watches may take to tell of the last change after the last cut: no pause grows while something is heard.
const CATCH_UP: Duration = Duration::from_secs(5);

/// What a change is known by: type, name of the instance, revision, and what was written.
type Seen = (String, String, String, Value);

/// Reads a watch until the last instance is there. `prefix` and `values` say where the instance is in what is watched.
async fn follow(client: Client, url: String, prefix: &str, values: &str) -> Result<Vec<Seen>> {
    let request = http::Request::get(&url).body(Vec::new())?;
    let mut lines = client.request_stream(request).await.with_context(|| format!("watching {url}"))?.lines().boxed();
    let mut seen = Vec::new();
    loop {
        let line = lines.next().await.with_context(|| format!("{url} ended after {} changes", seen.len()))?;
        let event: Value = serde_json::from_str(&line?)?;
        let (kind, object) = (event["type"].as_str().unwrap_or_default(), &event["object"]);
        if kind == "ERROR" {
            bail!("{url} says {event}");
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let name = name.strip_prefix(prefix).context("it has another name")?.to_owned();
        let revision = object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        let written = object.pointer(values).cloned().unwrap_or_default();
        let last = name == LAST;
        seen.push((kind.to_owned(), name, revision, written));
        if last {
            return Ok(seen);
        }
    }
}

/// Writes through us until it is done: what was cut is asked again, and may have been done the first time.
async fn insist(client: &Client, method: &str, path: &str, body: Option<&Value>, again: &AtomicUsize) -> Result<()> {
    let mut first = true;
    loop {
        let (code, answer) = ask(client, method, path, body).await?;
        match (method, code) {
            (_, 200..300) => return Ok(()),
            ("POST", 409) | ("DELETE", 404) if !first => return Ok(()),
            (_, 503 | 504) => {
                first = false;
                again.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(20)).await;
            }
            _ => bail!("{method} {path} answers {code}: {answer}"),
        }
    }
}

fn config(round: usize) -> Value {
    json!({"spec": {"config": {"round": round.to_string()}}})
}

/// Tenants: instances come, change and go.
async fn tenants(client: Client, stop: &AtomicBool, again: &AtomicUsize) -> Result<usize> {
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        let one = format!("{REDISES}/tenant-{round}");
        let mut instance = config(0);
        instance["apiVersion"] = json!("apps.example.com/v1alpha1");
        instance["kind"] = json!("Redis");
        instance["metadata"] = json!({"name": format!("tenant-{round}")});
        insist(&client, "POST", REDISES, Some(&instance), again).await?;
        for change in 1..=3 {
            insist(&client, "PATCH", &one, Some(&config(change)), again).await?;
        }
        if round % 2 == 1 {
            insist(&client, "DELETE", &one, None, again).await?;
        }
        round += 1;
    }
    Ok(round)
}

/// Others write to releases: one comes, changes and goes.
async fn others(client: Client, stop: &AtomicBool) -> Result<usize> {
    let chart = |name: &str| json!({"kind": "OCIRepository", "name": name, "namespace": "charts"});
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        let name = format!("redis-other-{round}");
        let one = format!("{RELEASES}/{name}");
        let release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": name}, "spec": {"interval": "5m", "chartRef": chart("redis"),
            "values": {"config": {"round": "0"}}}});
        done(&client, "POST", RELEASES, Some(&release)).await?;
        for change in 1..=3 {
            let change = json!({"spec": {"values": config(change)["spec"]}});
            done(&client, "PATCH", &one, Some(&change)).await?;
            sleep(Duration::from_millis(5)).await;
        }
        done(&client, "DELETE", &one, None).await?;
        round += 1;
    }
    Ok(round)
}

#[tokio::test]
async fn watches_held_over_cut_connections_tell_each_change_once_and_in_order() -> Result<()> {
    let seconds = std::env::var(SECONDS_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let line = Line::start(ports::free()?, control_plane.port()).await?;
    let through = control_plane.kubeconfig_through(line.port())?;
    let kindsmith = Kindsmith::start_through(&control_plane, &through).await?;
    apply_definitions(&|args: &[&str]| control_plane.kubectl(args.iter().copied())).await?;
    let (client, direct) = (control_plane.client().await?, kindsmith.client().await?);
    served(&client, REDISES).await?;

    let listed = done(&client, "GET", REDISES, None).await?;
    let since = listed["metadata"]["resourceVersion"].as_str().context("a list without a revision")?.to_owned();
    let url = |path: &str| format!("{path}?watch=true&resourceVersion={since}");
    let truth = tokio::spawn(follow(client.clone(), url(RELEASES), "redis-", "/spec/values/config"));
    let mut watches = JoinSet::new();
    for client in [client.clone(), client.clone(), direct.clone(), direct.clone()] {
        watches.spawn(follow(client, url(REDISES), "", "/spec/config"));
    }
    // The watches are open before anything is cut.
    sleep(Duration::from_millis(500)).await;

    let (stop, again) = (AtomicBool::new(false), AtomicUsize::new(0));
    let cutting = async {
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            sleep(Duration::from_secs(1)).await;
            line.cut();
        }
        stop.store(true, Ordering::Relaxed);
        Ok(())
    };
    let writing = tenants(client.clone(), &stop, &again);
    let (ours, theirs, ()) = tokio::try_join!(writing, others(client.clone(), &stop), cutting)?;
    let last = json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis", "metadata": {"name": LAST}});
    insist(&client, "POST", REDISES, Some(&last), &again).await?;

    let began = Instant::now();
    let mut wanted = tokio::time::timeout(CATCH_UP, truth).await.context("no last change")???;
    // Our last one has no configuration; what else a release of it holds is not looked at.
    let changes = wanted.len();
    for (kind, name, _, written) in &mut wanted {
        ensure!(kind == "DELETED" || name == LAST || !written.is_null(), "{name} was written without values");
    }
    while let Some(seen) = tokio::time::timeout(CATCH_UP, watches.join_next()).await.context("a watch is behind")? {
        let seen = seen??;
        let other = seen.iter().zip(&wanted).position(|(seen, wanted)| seen != wanted);
        if let Some(at) = other {
            bail!("change {at} of {changes} is {:?} and was {:?}", seen[at], wanted[at]);
        }
        ensure!(seen.len() == changes, "there were {changes} changes, a watch told {}", seen.len());
    }
    let broken = line.broken();
    println!(
        "{seconds} s, {broken} connections cut: {changes} changes ({ours} tenants, {theirs} others), {} writes asked \
         again, all told {} ms after the last",
        again.into_inner(),
        began.elapsed().as_millis()
    );
    ensure!(broken >= usize::try_from(seconds)?, "{broken} connections were cut");
    wait::until("the cache to be what the cluster has", Duration::from_secs(5), || async {
        let names = |list: &Value, prefix: &str| -> Vec<String> {
            let items = list["items"].as_array().into_iter().flatten();
            let names = items.filter_map(|item| item["metadata"]["name"].as_str()?.strip_prefix(prefix));
            names.map(str::to_owned).collect()
        };
        let cached = done(&direct, "GET", &format!("{REDISES}?resourceVersion=0"), None).await?;
        let held = done(&client, "GET", RELEASES, None).await?;
        let (cached, held) = (names(&cached, ""), names(&held, "redis-"));
        ensure!(cached == held, "the cache has {cached:?}, the cluster {held:?}");
        Ok(())
    })
    .await
}
