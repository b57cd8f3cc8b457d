//! One tenant attacks while another one works, on a kind of ours and on the same kind as a CustomResourceDefinition.
//!
//! Prints a table: what the victim's requests took on each side, what failed of them, how often its watch ended, and the
//! most memory that our apiserver had during the attack. Both sides are attacked in turns, through kube-apiserver.

use std::{
    fs,
    future::Future,
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures::{AsyncBufReadExt as _, StreamExt as _, stream};
use http::{Request, header};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper_util::rt::TokioExecutor;
use kindsmith_tests::{ControlPlane, Kindsmith, wait};
use kube::{
    Client, Config,
    client::{Body, ConfigExt as _},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

/// How long each attack lasts.
const ATTACK: Duration = Duration::from_secs(8);

/// The pause after it, until things are as before.
const REST: Duration = Duration::from_secs(3);

/// How often the victim asks.
const VICTIM_PAUSE: Duration = Duration::from_millis(40);

/// How long the victim waits for an answer.
const VICTIM_PATIENCE: Duration = Duration::from_secs(20);

/// Objects of the attacker, so many bytes each: a list of 18 MB.
const FAT_OBJECTS: usize = 180;
const FAT_BYTES: usize = 100_000;

/// The memory that our manifests have room for, with a margin for the kernel's own.
const RESIDENT_KIB_MAX: u64 = 400 * 1024;

const OURS: &str = "/apis/ours.example.com/v1/namespaces";
const THEIRS: &str = "/apis/theirs.example.com/v1/namespaces";

const RIGHTS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: tenants}
rules:
- {apiGroups: [ours.example.com, theirs.example.com], resources: ['*'], verbs: ['*']}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: tenants}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: tenants}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: tenants}
---
apiVersion: v1
kind: Namespace
metadata: {name: attacker}
---
apiVersion: v1
kind: Namespace
metadata: {name: victim}
";

fn versions() -> Value {
    let spec = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {
        "size": {"type": "integer"}, "pad": {"type": "string"},
        "databases": {"type": "array", "maxItems": 32, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}}}});
    json!([{"name": "v1", "served": true, "storage": true,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}])
}

fn manifests() -> [Value; 2] {
    let chart = json!({"kind": "OCIRepository", "name": "cup", "namespace": "charts"});
    [
        json!({"apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
            "metadata": {"name": "cups.ours.example.com"},
            "spec": {"group": "ours.example.com", "scope": "Namespaced", "names": {"kind": "Cup", "plural": "cups"},
                "versions": versions(), "backend": {"helmRelease": {"chartRef": chart, "prefix": "cup-"}}}}),
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "cups.theirs.example.com"},
            "spec": {"group": "theirs.example.com", "scope": "Namespaced", "versions": versions(),
                "names": {"kind": "Cup", "plural": "cups", "singular": "cup", "listKind": "CupList"}}}),
    ]
}

/// Who attacks, or is attacked, on one side.
#[derive(Clone)]
struct Tenant {
    client: Client,
    namespaces: &'static str,
    namespace: &'static str,
    slowly: Slowly,
}

impl Tenant {
    fn collection(&self) -> String {
        format!("{}/{}/cups", self.namespaces, self.namespace)
    }

    fn cup(&self, name: &str, spec: &Value) -> Value {
        let group = self.namespaces.split('/').nth(2).unwrap_or_default();
        json!({"apiVersion": format!("{group}/v1"), "kind": "Cup", "metadata": {"name": name}, "spec": spec})
    }

    /// The code of an answer, which is read; none where none came.
    async fn ask(&self, method: &str, path: &str, media_type: &str, body: impl Into<Vec<u8>>) -> Option<u16> {
        let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, media_type);
        let answer = self.client.send(request.body(Body::from(body.into())).ok()?).await.ok()?;
        let code = answer.status().as_u16();
        answer.into_body().collect_bytes().await.ok()?;
        Some(code)
    }

    /// An answer that is not read.
    async fn unread(&self, path: &str) -> Option<http::Response<Body>> {
        self.client.send(Request::get(path).body(Body::empty()).ok()?).await.ok()
    }
}

type Attack = fn(Tenant) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Asks again and again, so many at a time.
fn again(
    tenant: Tenant,
    at_once: usize,
    request: (&'static str, String, &'static str, Vec<u8>),
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
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
fn steps(tenant: Tenant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let mut steps = vec![json!({"op": "add", "path": "/spec/zz", "value": vec![0; 1_200_000]})];
    steps.extend((0..9_990).map(|_| json!({"op": "add", "path": "/spec/zz/0", "value": 1})));
    steps.push(json!({"op": "remove", "path": "/spec/zz"}));
    let path = format!("{}/own", tenant.collection());
    again(tenant, 3, ("PATCH", path, "application/json-patch+json", json!(steps).to_string().into_bytes()))
}

fn far_too_many_items(tenant: Tenant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let databases: Vec<Value> = (0..150_000).map(|at| json!({"name": format!("d{at}")})).collect();
    let body = tenant.cup("x", &json!({"databases": databases})).to_string();
    let path = tenant.collection();
    again(tenant, 6, ("POST", path, "application/json", body.into_bytes()))
}

fn large_dry_runs(tenant: Tenant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let body = tenant.cup("x", &json!({"zz": vec![0; 600_000]})).to_string();
    let path = format!("{}?dryRun=All", tenant.collection());
    again(tenant, 6, ("POST", path, "application/json", body.into_bytes()))
}

fn pretty_lists(tenant: Tenant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let path = format!("{}?resourceVersion=0&pretty=true", tenant.collection());
    again(tenant, 20, ("GET", path, "application/json", Vec::new()))
}

fn consistent_lists(tenant: Tenant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let path = tenant.collection();
    again(tenant, 20, ("GET", path, "application/json", Vec::new()))
}

/// Lists that are asked for and not read.
fn stalled_readers(tenant: Tenant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let path = format!("{}?resourceVersion=0", tenant.collection());
        let held = stream::iter(0..60).map(|_| tenant.unread(&path)).buffer_unordered(20).collect::<Vec<_>>().await;
        std::future::pending::<()>().await;
        drop(held);
    })
}

/// Bodies of which one byte comes.
fn slow_bodies(tenant: Tenant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let mut running = JoinSet::new();
        for _ in 0..210 {
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

/// Posts a body to a path of which all but the first byte does not come.
type Slowly = Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

async fn slowly(kubeconfig: &Path) -> Result<Slowly> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let server = config.cluster_url.to_string();
    let client =
        hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(config.rustls_https_connector()?);
    Ok(Arc::new(move |path| {
        let first = stream::once(async { Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"{"))) });
        let body = StreamBody::new(first.chain(stream::pending()).boxed());
        let request = Request::post(format!("{}{path}", server.trim_end_matches('/')))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, "1000")
            .body(body);
        let client = client.clone();
        Box::pin(async move {
            client.request(request?).await?;
            Ok(())
        })
    }))
}

/// Requests that are given up as soon as they are sent.
fn cancelled(tenant: Tenant) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let mut running = JoinSet::new();
        for _ in 0..40 {
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

/// What became of the victim's requests.
#[derive(Default)]
struct Suffered {
    times: Vec<Duration>,
    failed: Vec<String>,
    watch_ended: usize,
}

impl Suffered {
    fn percentile(&self, of_hundred: usize) -> f64 {
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

/// The most memory that a process had since it was forgotten last, in KiB.
fn most_resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

async fn suffer(attacker: &Tenant, victim: &Tenant, attack: Option<Attack>) -> Suffered {
    let (over, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let watching = tokio::spawn(watch(victim.clone(), Arc::clone(&ended)));
    let attacking = attack.map(|attack| tokio::spawn(attack(attacker.clone())));
    let working = {
        let (victim, over) = (victim.clone(), Arc::clone(&over));
        tokio::spawn(async move { work(&victim, &over).await })
    };
    sleep(ATTACK).await;
    over.store(true, Ordering::SeqCst);
    let mut suffered = working.await.unwrap_or_default();
    suffered.watch_ended = ended.load(Ordering::SeqCst);
    for task in attacking.into_iter().chain([watching]) {
        task.abort();
        let _ = task.await;
    }
    suffered
}

async fn available(admin: &Client) -> Result<bool> {
    let path = "/apis/apiregistration.k8s.io/v1/apiservices/v1.ours.example.com";
    let service: Value = admin.request(Request::get(path).body(Vec::new())?).await?;
    let conditions = service["status"]["conditions"].as_array().cloned().unwrap_or_default();
    Ok(conditions.iter().any(|it| it["type"] == "Available" && it["status"] == "True"))
}

async fn run() -> Result<()> {
    let control_plane = ControlPlane::builder().start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Kindsmith::start(&control_plane).await?;
    control_plane.apply(RIGHTS).await?;
    for manifest in manifests() {
        control_plane.apply(&manifest.to_string()).await?;
    }
    let admin = control_plane.client().await?;
    let apiserver = kindsmith.apiserver_id().context("the apiserver does not run")?;
    let mut sides = Vec::new();
    for namespaces in [OURS, THEIRS] {
        let tenant = async |user: &str, namespace: &'static str| -> Result<Tenant> {
            let groups = ["tenants", "system:authenticated"];
            let client = control_plane.client_as(user, &groups).await?;
            let slowly = slowly(&control_plane.kubeconfig_as(user, &groups)?).await?;
            Ok(Tenant { client, namespaces, namespace, slowly })
        };
        let (attacker, victim) = (tenant("alice", "attacker").await?, tenant("vic", "victim").await?);
        wait::until("the kind to be served", Duration::from_secs(60), || async {
            let code = victim.ask("GET", &victim.collection(), "application/json", Vec::new()).await;
            anyhow::ensure!(code == Some(200), "{code:?}");
            Ok(())
        })
        .await?;
        for tenant in [&attacker, &victim] {
            let own = tenant.cup("own", &json!({"size": 0})).to_string();
            tenant.ask("POST", &tenant.collection(), "application/json", own).await;
        }
        for at in 0..FAT_OBJECTS {
            let fat = attacker.cup(&format!("fat{at}"), &json!({"pad": "x y".repeat(FAT_BYTES / 3)})).to_string();
            attacker.ask("POST", &attacker.collection(), "application/json", fat).await;
        }
        sides.push((attacker, victim));
    }
    let attacks: [(&str, Option<Attack>); 9] = [
        ("nothing", None),
        ("3 JSON patches of 2.8 MB", Some(steps)),
        ("6 bodies of 150,000 items", Some(far_too_many_items)),
        ("6 dry runs of 1.2 MB", Some(large_dry_runs)),
        ("20 indented lists of 18 MB", Some(pretty_lists)),
        ("20 consistent lists of 18 MB", Some(consistent_lists)),
        ("60 lists that are not read", Some(stalled_readers)),
        ("210 bodies that do not come", Some(slow_bodies)),
        ("40 clients that give up", Some(cancelled)),
    ];
    println!(
        "{:<30} | {:^34} | {:^34} | {:>6} {:>9}  available",
        "the victim, ms", "ours", "theirs", "p99", "VmHWM MiB"
    );
    println!(
        "{:<30} | {1:>7} {2:>8} {3:>6} {4:>9} | {1:>7} {2:>8} {3:>6} {4:>9} |",
        "attack", "p50", "p99", "failed", "watches"
    );
    let mut broken = Vec::new();
    for (name, attack) in attacks {
        // The most memory so far is forgotten.
        fs::write(format!("/proc/{apiserver}/clear_refs"), "5").context("forgetting the most memory")?;
        let mut outcomes = Vec::new();
        let mut resident = 0;
        let mut is_available = true;
        for (attacker, victim) in &sides {
            outcomes.push(suffer(attacker, victim, attack).await);
            if victim.namespaces == OURS {
                resident = most_resident_kib(apiserver);
                is_available = available(&admin).await?;
            }
            sleep(REST).await;
        }
        let [ours, theirs] = &outcomes[..] else { anyhow::bail!("there are two sides") };
        let ratio = ours.percentile(99) / theirs.percentile(99);
        let told = |side: &Suffered| {
            format!(
                "{:>7.1} {:>8.1} {:>6} {:>9}",
                side.percentile(50),
                side.percentile(99),
                format!("{}/{}", side.failed.len(), side.times.len() + side.failed.len()),
                side.watch_ended
            )
        };
        println!(
            "{name:<30} | {} | {} | {ratio:>5.1}x {:>9}  {is_available}",
            told(ours),
            told(theirs),
            resident / 1024
        );
        if !ours.failed.is_empty() {
            println!("{:<30}   ours failed: {}", "", ours.failed.join(", ").chars().take(120).collect::<String>());
        }
        let goals = [
            (ours.failed.is_empty(), "something of the victim's failed"),
            (ours.watch_ended == 0, "a watch of the victim's ended"),
            (ratio <= 2.0, "the victim's p99 is more than twice that beside"),
            (resident <= RESIDENT_KIB_MAX, "more than 400 MiB"),
            (is_available, "the APIService was not available"),
        ];
        broken.extend(goals.into_iter().filter(|(met, _)| !met).map(|(_, goal)| format!("{name}: {goal}")));
    }
    println!("goals: nothing fails, no watch ends, p99 <= 2x, VmHWM <= 400 MiB, available throughout");
    for goal in broken {
        println!("NOT MET: {goal}");
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    run().await
}
