//! A tenant who works, and what becomes of that.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{AsyncBufReadExt as _, StreamExt as _};
use http::Request;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{Attack, Strength, Tenant};

/// How often the victim asks.
const VICTIM_PAUSE: Duration = Duration::from_millis(40);

/// How long the victim waits for an answer.
const VICTIM_PATIENCE: Duration = Duration::from_secs(20);

/// What became of the victim's requests.
#[derive(Default)]
pub struct Suffered {
    /// What took so long and was done.
    pub times: Vec<Duration>,
    /// What was not done, by verb and code.
    pub failed: Vec<String>,
    /// How often its watch ended.
    pub watch_ended: usize,
}

impl Suffered {
    /// The time that so many of a hundred requests did not exceed, in milliseconds.
    #[must_use]
    pub fn percentile(&self, of_hundred: usize) -> f64 {
        let mut times = self.times.clone();
        times.sort_unstable();
        let at = (times.len() * of_hundred / 100).min(times.len().saturating_sub(1));
        times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
    }
}

/// Works as a tenant does until the attack is over.
async fn work(victim: &Tenant, over: &AtomicBool) -> Suffered {
    let mut suffered = Suffered::default();
    let collection = victim.collection();
    let mut step = 0_usize;
    while !over.load(Ordering::SeqCst) {
        step += 1;
        let began = Instant::now();
        let one = format!("{collection}/own");
        let patch = json!({"spec": {"size": step}}).to_string();
        let (what, asked) = match step % 3 {
            0 => ("list", victim.ask("GET", &collection, "application/json", Vec::new())),
            1 => ("get", victim.ask("GET", &one, "application/json", Vec::new())),
            _ => ("patch", victim.ask("PATCH", &one, "application/merge-patch+json", patch.into_bytes())),
        };
        match timeout(VICTIM_PATIENCE, asked).await {
            Ok(Some(code)) if code < 400 => suffered.times.push(began.elapsed()),
            Ok(Some(code)) => suffered.failed.push(format!("{what} {code}")),
            Ok(None) => suffered.failed.push(format!("{what} broken")),
            Err(_) => suffered.failed.push(format!("{what} no answer")),
        }
        sleep(VICTIM_PAUSE).await;
    }
    suffered
}

/// Counts how often a watch of the victim ends.
async fn watch(victim: Tenant, ended: Arc<AtomicUsize>) {
    loop {
        let path = format!("{}?watch=true", victim.collection());
        if let Ok(request) = Request::get(path).body(Vec::new())
            && let Ok(events) = victim.client.request_stream(request).await
        {
            let mut lines = events.lines();
            while let Some(Ok(_)) = lines.next().await {}
        }
        ended.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_millis(100)).await;
    }
}

/// Lets a tenant work while another one attacks it, if so, for so long.
pub async fn suffer(
    attacker: &Tenant,
    victim: &Tenant,
    attack: Option<(Attack, Strength)>,
    time: Duration,
) -> Suffered {
    let (over, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let watching = tokio::spawn(watch(victim.clone(), Arc::clone(&ended)));
    let attacking = attack.map(|(attack, strength)| tokio::spawn(attack(attacker.clone(), strength)));
    let working = {
        let (victim, over) = (victim.clone(), Arc::clone(&over));
        tokio::spawn(async move { work(&victim, &over).await })
    };
    sleep(time).await;
    over.store(true, Ordering::SeqCst);
    let mut suffered = working.await.unwrap_or_default();
    suffered.watch_ended = ended.load(Ordering::SeqCst);
    for task in attacking.into_iter().chain([watching]) {
        task.abort();
        let _ = task.await;
    }
    suffered
}
