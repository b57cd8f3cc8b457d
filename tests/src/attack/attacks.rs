//! What one tenant can do to take a server from the others.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::Tenant;

/// What a tenant does, without an end.
pub type Attack = fn(Tenant, Strength) -> Endless;

/// How many attack at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// As many as the name of the attack says.
    Full,
    /// A quarter of them, beside other tests.
    Quarter,
}

impl Strength {
    fn of(self, count: usize) -> usize {
        match self {
            Self::Full => count,
            Self::Quarter => count.div_ceil(4),
        }
    }
}

/// What an attack does.
pub type Endless = Pin<Box<dyn Future<Output = ()> + Send>>;

/// All attacks, by what is seen of them.
pub const ATTACKS: [(&str, Attack); 8] = [
    ("3 JSON patches of 2.4 MB", steps),
    ("6 bodies of 150,000 items", far_too_many_items),
    ("6 dry runs of 1.2 MB", large_dry_runs),
    ("20 indented lists", indented_lists),
    ("20 consistent lists", consistent_lists),
    ("60 lists that are not read", stalled_readers),
    ("210 bodies that do not come", slow_bodies),
    ("40 clients that give up", cancelled),
];

/// Asks again and again, so many at a time.
fn again(tenant: Tenant, at_once: usize, request: (&'static str, String, &'static str, Vec<u8>)) -> Endless {
    Box::pin(async move {
        let request = Arc::new(request);
        let mut running = JoinSet::new();
        for _ in 0..at_once {
            let (tenant, request) = (tenant.clone(), Arc::clone(&request));
            running.spawn(async move {
                loop {
                    let (method, path, media_type, body) = &*request;
                    tenant.ask(method, path, media_type, body.clone()).await;
                }
            });
        }
        running.join_all().await;
    })
}

/// A list of which items are added and removed at its beginning.
fn steps(tenant: Tenant, strength: Strength) -> Endless {
    let mut steps = vec![json!({"op": "add", "path": "/spec/zz", "value": vec![0; 1_200_000]})];
    steps.extend((0..9_990).map(|_| json!({"op": "add", "path": "/spec/zz/0", "value": 1})));
    steps.push(json!({"op": "remove", "path": "/spec/zz"}));
    let path = format!("{}/own", tenant.collection());
    again(tenant, strength.of(3), ("PATCH", path, "application/json-patch+json", json!(steps).to_string().into_bytes()))
}

fn far_too_many_items(tenant: Tenant, strength: Strength) -> Endless {
    let databases: Vec<Value> = (0..150_000).map(|at| json!({"name": format!("d{at}")})).collect();
    let body = tenant.cup("x", &json!({"databases": databases})).to_string();
    let path = tenant.collection();
    again(tenant, strength.of(6), ("POST", path, "application/json", body.into_bytes()))
}

fn large_dry_runs(tenant: Tenant, strength: Strength) -> Endless {
    let body = tenant.cup("x", &json!({"zz": vec![0; 600_000]})).to_string();
    let path = format!("{}?dryRun=All", tenant.collection());
    again(tenant, strength.of(6), ("POST", path, "application/json", body.into_bytes()))
}

fn indented_lists(tenant: Tenant, strength: Strength) -> Endless {
    let path = format!("{}?resourceVersion=0&pretty=true", tenant.collection());
    again(tenant, strength.of(20), ("GET", path, "application/json", Vec::new()))
}

fn consistent_lists(tenant: Tenant, strength: Strength) -> Endless {
    let path = tenant.collection();
    again(tenant, strength.of(20), ("GET", path, "application/json", Vec::new()))
}

/// Lists that are asked for and not read.
fn stalled_readers(tenant: Tenant, strength: Strength) -> Endless {
    Box::pin(async move {
        let path = format!("{}?resourceVersion=0", tenant.collection());
        let held = stream::iter(0..strength.of(60))
            .map(|_| tenant.unread(&path))
            .buffer_unordered(20)
            .collect::<Vec<_>>()
            .await;
        std::future::pending::<()>().await;
        drop(held);
    })
}

/// Bodies of which one byte comes.
fn slow_bodies(tenant: Tenant, strength: Strength) -> Endless {
    Box::pin(async move {
        let mut running = JoinSet::new();
        for _ in 0..strength.of(210) {
            let tenant = tenant.clone();
            running.spawn(async move {
                loop {
                    let _ = (tenant.slowly)(tenant.collection()).await;
                    sleep(Duration::from_millis(100)).await;
                }
            });
        }
        running.join_all().await;
    })
}

/// Requests that are given up as soon as they are sent.
fn cancelled(tenant: Tenant, strength: Strength) -> Endless {
    Box::pin(async move {
        let mut running = JoinSet::new();
        for _ in 0..strength.of(40) {
            let tenant = tenant.clone();
            running.spawn(async move {
                loop {
                    let path = tenant.collection();
                    let asked = tenant.ask("GET", &path, "application/json", Vec::new());
                    let _ = timeout(Duration::from_millis(2), asked).await;
                }
            });
        }
        running.join_all().await;
    })
}
