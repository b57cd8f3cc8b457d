//! The main job: definitions are applied, their kinds are used with kubectl, on a cluster and without one.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kindsmith_tests::{ControlPlane, Dev, Kindsmith, Kubectl, wait};

const REDIS: &str = include_str!("../../../deploy/examples/redis.yaml");
const POSTGRES: &str = include_str!("../../../deploy/examples/postgres.yaml");
const BUCKET: &str = include_str!("../../../deploy/examples/bucket.yaml");

const CACHE: &str = "
apiVersion: apps.example.com/v1alpha1
kind: Redis
metadata: {name: cache, namespace: default, labels: {tier: gold}}
spec: {replicas: 3}
";

const BY_HAND: &str = "
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: redis-hand, namespace: default}
spec:
  interval: 1m
  suspend: true
  chartRef: {kind: OCIRepository, name: redis, namespace: charts}
  values: {replicas: 7}
";

/// Makes calls of kubectl on whatever serves.
type Call<'a> = &'a dyn Fn(&[&str]) -> Kubectl;

/// Applies the three definitions and waits until all clients can see their kinds.
pub(crate) async fn apply_definitions(call: Call<'_>) -> Result<()> {
    for definition in [REDIS, POSTGRES, BUCKET] {
        call(&["apply", "-f", "-"]).stdin(definition).ok().await?;
    }
    let began = Instant::now();
    let wanted = ["buckets.apps.example.com", "postgreses.apps.example.com", "redises.apps.example.com"];
    wait::until("the kinds in discovery", Duration::from_secs(90), || async {
        let output =
            call(&["api-resources", "--api-group=apps.example.com", "-o", "name", "--cached=false"]).run().await?;
        let missing: Vec<_> = wanted.iter().filter(|name| !output.stdout.lines().any(|line| line == **name)).collect();
        ensure!(missing.is_empty(), "not there yet: {missing:?}; kubectl complained {:?}", output.stderr);
        Ok(())
    })
    .await?;
    println!("three kinds were in discovery {} ms after kubectl apply returned", began.elapsed().as_millis());
    Ok(())
}

/// Everything that a tenant does with kubectl.
pub(crate) async fn use_kinds(call: Call<'_>) -> Result<()> {
    let began = Instant::now();
    let explain = || async { call(&["explain", "redises.spec", "--recursive"]).ok().await };
    let explained = wait::until("kubectl explain", Duration::from_secs(90), explain).await?;
    println!("kubectl explain worked after another {} ms", began.elapsed().as_millis());
    for field in ["replicas\t<integer>", "config\t<map[string]string>", "enum: none, rdb, aof"] {
        ensure!(explained.contains(field), "explain does not show {field:?}: {explained}");
    }

    let mut watched = call(&["get", "redises", "--watch", "--output-watch-events"]).spawn()?;
    let created = call(&["create", "-f", "-"]).stdin(CACHE).ok().await?;
    ensure!(created == "redis.apps.example.com/cache created\n", "kubectl printed {created:?}");
    let heading = watched.next_line().await?.unwrap_or_default();
    ensure!(heading.starts_with("EVENT"), "the watch printed {heading:?}");
    let line = watched.next_line().await?.unwrap_or_default();
    ensure!(line.contains("ADDED") && line.contains("cache"), "the watch printed {line:?}");

    let release = call(&["get", "helmrelease", "redis-cache", "-o", "jsonpath={.spec.values}"]).ok().await?;
    ensure!(release.contains(r#""replicas":3"#) && release.contains(r#""size":"1Gi""#), "the release has {release}");
    let labels = call(&["get", "helmrelease", "redis-cache", "-o", "jsonpath={.metadata.labels}"]).ok().await?;
    ensure!(labels.contains(r#""apps.example.com-tier":"gold""#), "the release has labels {labels}");

    call(&["patch", "redis", "cache", "--type=merge", "-p", r#"{"spec":{"replicas":4}}"#]).ok().await?;
    let line = watched.next_line().await?.unwrap_or_default();
    ensure!(line.contains("MODIFIED"), "the watch printed {line:?}");
    let json_patch =
        r#"[{"op":"test","path":"/spec/replicas","value":4},{"op":"replace","path":"/spec/size","value":"2Gi"}]"#;
    call(&["patch", "redis", "cache", "--type=json", "-p", json_patch]).ok().await?;
    call(&["label", "redis", "cache", "stage=test"]).ok().await?;
    call(&["annotate", "redis", "cache", "example.com/note=x"]).ok().await?;
    call(&["edit", "redis", "cache"]).env("KUBE_EDITOR", "sed -i s/replicas:.4/replicas:\\ 5/").ok().await?;
    call(&["wait", "--for=jsonpath={.spec.replicas}=5", "redis/cache", "--timeout=10s"]).ok().await?;

    let yaml = call(&["get", "redises", "-A", "-o", "yaml"]).ok().await?;
    ensure!(yaml.contains("kind: Redis\n") && yaml.contains("size: 2Gi"), "kubectl printed {yaml}");
    let wide = call(&["get", "redises", "-A", "-o", "wide"]).ok().await?;
    let headings: Vec<&str> = wide.lines().next().unwrap_or_default().split_whitespace().collect();
    ensure!(headings == ["NAMESPACE", "NAME", "READY", "AGE", "VERSION"], "the headings are {headings:?}");
    let name = call(&["get", "rd", "-o", "name"]).ok().await?;
    ensure!(name == "redis.apps.example.com/cache\n", "kubectl printed {name:?}");
    let path = "jsonpath={.items[*].metadata.labels.stage}";
    for selector in ["-l=tier=gold,stage in (test)", "--field-selector=metadata.name=cache"] {
        let found = call(&["get", "redises", selector, "-o", path]).ok().await?;
        ensure!(found == "test", "{selector} found {found:?}");
    }
    let none = call(&["get", "redises", "-l", "tier=silver", "-o", "name"]).ok().await?;
    ensure!(none.is_empty(), "another label found {none:?}");

    let invalid =
        call(&["patch", "redis", "cache", "--type=merge", "-p", r#"{"spec":{"replicas":99}}"#]).fails().await?;
    ensure!(
        invalid.contains("spec.replicas in body should be less than or equal to 9"),
        "kubectl complained {invalid}"
    );
    let unknown = CACHE.replace("replicas: 3", "replicaz: 3").replace("name: cache", "name: other");
    let unknown = call(&["create", "-f", "-"]).stdin(&unknown).fails().await?;
    ensure!(unknown.contains(r#"unknown field "spec.replicaz""#), "kubectl complained {unknown}");

    by_hand(call).await?;
    is_told_how_to_use_it(call).await?;

    call(&["delete", "redis", "cache", "--timeout=20s"]).ok().await?;
    let gone = call(&["get", "redis", "cache"]).fails().await?;
    ensure!(gone.contains(r#"redises.apps.example.com "cache" not found"#), "kubectl complained {gone}");
    let release = call(&["get", "helmrelease", "redis-cache"]).fails().await?;
    ensure!(release.contains("not found"), "kubectl complained {release}");
    Ok(())
}

/// A release that somebody made with the chart and the prefix is an instance, and stays the way they made it.
async fn by_hand(call: Call<'_>) -> Result<()> {
    call(&["create", "-f", "-"]).stdin(BY_HAND).ok().await?;
    call(&["wait", "--for=jsonpath={.spec.replicas}=7", "redis/hand", "--timeout=10s"]).ok().await?;
    call(&["patch", "redis", "hand", "--type=merge", "-p", r#"{"spec":{"replicas":2}}"#]).ok().await?;
    let release = call(&["get", "helmrelease", "redis-hand", "-o", "jsonpath={.spec.suspend} {.spec.values.replicas}"]);
    let release = release.ok().await?;
    ensure!(release == "true 2", "the release is {release:?}");
    let (ours, theirs) = ("jsonpath={.metadata.uid} {.metadata.resourceVersion}", ["helmrelease", "redis-hand"]);
    let instance = call(&["get", "redis", "hand", "-o", ours]).ok().await?;
    let release = call(&["get", theirs[0], theirs[1], "-o", ours]).ok().await?;
    ensure!(instance == release, "uid and resourceVersion are {instance}, not the release's {release}");
    call(&["delete", "redis", "hand", "--timeout=20s"]).ok().await?;
    Ok(())
}

/// The status says how an instance is used, wherever a status is shown; nobody writes it, and nobody owns it.
async fn is_told_how_to_use_it(call: Call<'_>) -> Result<()> {
    let names = "jsonpath={.status.access[*].name} {.status.access[?(@.name==\"primary\")].url}";
    let told = || async { call(&["get", "redis", "cache", "-o", names]).ok().await };
    let wanted = "primary replicas password redis://redis-cache.default.svc:6379";
    ensure!(told().await? == wanted, "the access is {}", told().await?);
    let described = call(&["describe", "redis", "cache"]).ok().await?;
    for line in ["Redis cache has 5 servers; clients in the cluster use the primary:", "Key:   redis-password"] {
        ensure!(described.contains(line), "{line:?} is not in {described}");
    }
    let explained = call(&["explain", "redis.status.access.secret"]).ok().await?;
    ensure!(explained.contains("The name of the Secret."), "kubectl explained {explained}");

    let mut watched = call(&["get", "redis", "cache", "--watch", "-o", &format!("{names}{{\"\\n\"}}")]).spawn()?;
    let line = watched.next_line().await?.unwrap_or_default();
    ensure!(line == wanted, "the watch printed {line:?}");
    let patch = r#"{"spec":{"replicas":1},"status":{"notes":"mine","access":[]}}"#;
    call(&["patch", "redis", "cache", "--type=merge", "-p", patch]).ok().await?;
    let fewer = "primary password redis://redis-cache.default.svc:6379";
    ensure!(told().await? == fewer, "the access is {}", told().await?);
    let line = watched.next_line().await?.unwrap_or_default();
    ensure!(line == fewer, "the watch printed {line:?}");
    let owned = call(&["get", "redis", "cache", "-o", "json", "--show-managed-fields"]).ok().await?;
    ensure!(owned.contains("Redis cache has 1 servers") && !owned.contains("f:notes"), "kubectl printed {owned}");

    let orders = "{apiVersion: apps.example.com/v1alpha1, kind: Postgres, metadata: {name: orders}}";
    call(&["create", "-f", "-"]).stdin(orders).ok().await?;
    let wide = call(&["get", "postgreses", "-o", "wide"]).ok().await?;
    ensure!(wide.contains("HOST") && wide.contains("postgres-orders.default.svc"), "kubectl printed {wide}");
    call(&["delete", "postgres", "orders", "--timeout=20s"]).ok().await?;
    Ok(())
}

#[tokio::test]
async fn kinds_are_used_with_kubectl_through_kube_apiserver() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let _kindsmith = Kindsmith::start(&control_plane).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    apply_definitions(&call).await?;
    use_kinds(&call).await?;

    let faulty = BUCKET.replace("up to ${self.spec.quota}", "up to ${self.spec.qouta}");
    call(&["apply", "-f", "-"]).stdin(&faulty).ok().await?;
    let definition = "appdef/buckets.apps.example.com";
    call(&["wait", "--for=condition=Accepted=false", definition, "--timeout=20s"]).ok().await?;
    let message = "jsonpath={.status.conditions[?(@.type==\"Accepted\")].message}";
    let message = call(&["get", definition, "-o", message]).ok().await?;
    let wanted = "spec.versions[0].notes: Invalid value: \"self.spec.qouta\": compilation failed: ERROR: <input>:1:88: \
        undefined field 'qouta'";
    ensure!(message.starts_with(wanted), "the definition says {message}");
    Ok(())
}

#[tokio::test]
async fn kinds_are_used_with_kubectl_without_a_cluster_and_outlive_a_restart() -> Result<()> {
    let mut dev = Dev::start(Vec::<String>::new()).await?;
    wait::until("the examples", Duration::from_secs(20), || async {
        dev.kubectl(["get", "redis/cache", "postgres/orders", "bucket/uploads"]).ok().await
    })
    .await?;
    dev.kubectl(["delete", "redises,postgreses,buckets", "--all"]).ok().await?;
    dev.kubectl(["delete", "applicationdefinitions", "--all"]).ok().await?;
    {
        let call = |args: &[&str]| dev.kubectl(args.iter().copied());
        wait::until("the kinds to be gone", Duration::from_secs(5), || async {
            let left =
                call(&["api-resources", "--api-group=apps.example.com", "-o", "name", "--cached=false"]).run().await?;
            ensure!(left.stdout.is_empty(), "still there: {}", left.stdout);
            Ok(())
        })
        .await?;
        apply_definitions(&call).await?;
        use_kinds(&call).await?;
        call(&["create", "-f", "-"]).stdin(CACHE).ok().await?;
    }
    let uid = dev.kubectl(["get", "redis", "cache", "-o", "jsonpath={.metadata.uid}"]).ok().await?;
    dev.restart().await?;
    let kept = dev.kubectl(["get", "redis", "cache", "-o", "jsonpath={.metadata.uid}"]).ok().await?;
    ensure!(uid == kept, "the uid was {uid} and is {kept} after the restart");
    Ok(())
}

#[tokio::test]
async fn a_namespace_without_a_cluster_is_made_and_goes_with_what_is_in_it() -> Result<()> {
    let dev = Dev::start(Vec::<String>::new()).await?;
    wait::until("the examples", Duration::from_secs(20), || async {
        dev.kubectl(["get", "bucket", "uploads"]).ok().await
    })
    .await?;
    dev.kubectl(["create", "namespace", "team"]).ok().await?;
    let generated = CACHE.replace("name: cache, namespace: default", "generateName: cache-, namespace: team");
    dev.kubectl(["create", "-f", "-"]).stdin(&generated).ok().await?;
    dev.kubectl(["delete", "namespace", "team", "--timeout=20s"]).ok().await?;
    let left = dev.kubectl(["get", "redises,helmreleases", "-n", "team", "-o", "name"]).ok().await?;
    ensure!(left.is_empty(), "left behind: {left}");
    let refused = dev.kubectl(["create", "-f", "-"]).stdin(&generated).fails().await?;
    ensure!(refused.contains(r#"namespaces "team" not found"#), "kubectl complained {refused}");
    Ok(())
}
