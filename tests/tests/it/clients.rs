//! Clients that controllers and people use, on kinds of ours behind kube-apiserver: client-go, kube-rs, kubectl,
//! kube-controller-manager.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt as _;
use kindsmith_tests::{ControlPlane, Kindsmith, Kubectl, go_clients::GoClient, wait};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
    core::GroupVersionKind,
};
use kube_runtime::{WatchStreamExt as _, reflector, watcher};
use serde_json::{Value, json};

const RESOURCE: &str = "clients.example.com/v1/workers";

/// How long a new kind may take until every client of the cluster knows it.
const KNOWN_MAX: Duration = Duration::from_secs(150);

fn definition() -> String {
    json!({
        "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": "workers.clients.example.com"},
        "spec": {"group": "clients.example.com", "scope": "Namespaced",
            "names": {"kind": "Worker", "plural": "workers"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "subresources": {"scale": {
                    "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
                    "labelSelectorPath": ".spec.selector"}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {
                        "replicas": {"type": "integer", "default": 1}, "selector": {"type": "string", "default": "app=w"},
                        "note": {"type": "string"}, "image": {"type": "string"}}},
                    "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}}}}}}],
            "backend": {"helmRelease": {
                "chartRef": {"kind": "OCIRepository", "name": "worker", "namespace": "charts"}, "prefix": "worker-"}}},
    })
    .to_string()
}

fn worker(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "clients.example.com/v1", "kind": "Worker",
        "metadata": {"name": name, "namespace": "default"}, "spec": spec})
}

/// Makes calls of kubectl.
type Call<'a> = &'a dyn Fn(&[&str]) -> Kubectl;

async fn define(call: Call<'_>) -> Result<()> {
    call(&["apply", "-f", "-"]).stdin(&definition()).ok().await?;
    wait::until("the kind to be served", KNOWN_MAX, || async { call(&["get", "workers"]).ok().await.map(drop) }).await
}

async fn create(call: Call<'_>, name: &str, replicas: u32) -> Result<()> {
    call(&["create", "-f", "-"]).stdin(&worker(name, &json!({"replicas": replicas})).to_string()).ok().await?;
    Ok(())
}

async fn replicas(call: Call<'_>, name: &str) -> Result<String> {
    call(&["get", "worker", name, "-o", "jsonpath={.spec.replicas}"]).ok().await
}

/// What people do: follow, wait, apply on the client's side, compare, replace, scale.
async fn use_kubectl(call: Call<'_>) -> Result<()> {
    let mut watched = call(&["get", "workers", "-w", "--output-watch-events"]).spawn()?;
    let first = worker("kept", &json!({"replicas": 2, "note": "one"}));
    call(&["apply", "-f", "-"]).stdin(&first.to_string()).ok().await?;
    let mut line = watched.next_line().await?.unwrap_or_default();
    if line.starts_with("EVENT") {
        line = watched.next_line().await?.unwrap_or_default();
    }
    ensure!(line.starts_with("ADDED") && line.contains("kept"), "the watch printed {line:?}");
    let again = call(&["apply", "-f", "-"]).stdin(&first.to_string()).ok().await?;
    ensure!(again == "worker.clients.example.com/kept unchanged\n", "kubectl printed {again:?}");

    // What the manifest has no more goes; what somebody else has set stays.
    call(&["patch", "worker", "kept", "--type=merge", "-p", r#"{"spec":{"image":"theirs"}}"#]).ok().await?;
    let second = worker("kept", &json!({"replicas": 3})).to_string();
    let difference = call(&["diff", "-f", "-"]).stdin(&second).run().await?;
    let lines: Vec<&str> = difference.stdout.lines().filter(|line| line.starts_with(['+', '-'])).collect();
    for expected in ["-  note: one", "-  replicas: 2", "+  replicas: 3"] {
        ensure!(lines.contains(&expected), "kubectl diff shows {lines:?}: {}", difference.stderr);
    }
    ensure!(replicas(call, "kept").await? == "2", "kubectl diff has changed the object");
    call(&["apply", "-f", "-"]).stdin(&second).ok().await?;
    let spec = call(&["get", "worker", "kept", "-o", "jsonpath={.spec}"]).ok().await?;
    let spec: Value = serde_json::from_str(&spec)?;
    ensure!(spec["note"].is_null() && spec["replicas"] == 3 && spec["image"] == "theirs", "the spec is {spec}");

    let mut waits = call(&["wait", "--for=jsonpath={.spec.replicas}=5", "worker/kept", "--timeout=30s"]).spawn()?;
    call(&["scale", "worker", "kept", "--replicas=5"]).ok().await?;
    let met = waits.next_line().await?.unwrap_or_default();
    ensure!(met.contains("condition met"), "kubectl wait printed {met:?}");

    let mut held: Value = serde_json::from_str(&call(&["get", "worker", "kept", "-o", "json"]).ok().await?)?;
    held["spec"] = json!({"replicas": 7});
    call(&["replace", "-f", "-"]).stdin(&held.to_string()).ok().await?;
    let stale = call(&["replace", "-f", "-"]).stdin(&held.to_string()).fails().await?;
    ensure!(stale.contains("the object has been modified"), "kubectl complained {stale}");
    let spec = call(&["get", "worker", "kept", "-o", "jsonpath={.spec.image}"]).ok().await?;
    ensure!(spec.is_empty() && replicas(call, "kept").await? == "7", "the object was not replaced: {spec}");

    call(&["wait", "--for=jsonpath={.spec.replicas}=7", "worker/kept", "--timeout=10s"]).ok().await?;
    // A finalizer holds the object until kubectl waits. One that begins too late finds nothing, and says nothing.
    let hold = |held: &[&str]| json!({"metadata": {"finalizers": held}}).to_string();
    call(&["patch", "worker", "kept", "--type=merge", "-p", &hold(&["example.com/hold"])]).ok().await?;
    call(&["delete", "worker", "kept", "--wait=false"]).ok().await?;
    let let_go = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        call(&["patch", "worker", "kept", "--type=merge", "-p", &hold(&[])]).ok().await
    };
    let wait = call(&["wait", "--for=delete", "worker/kept", "--timeout=30s"]);
    let (met, let_go) = tokio::join!(wait.ok(), let_go);
    let_go?;
    let met = met?;
    ensure!(met.is_empty() || met.contains("condition met"), "kubectl wait printed {met:?}");
    let left = call(&["get", "worker", "kept", "--ignore-not-found", "-o", "name"]).ok().await?;
    ensure!(left.is_empty(), "kubectl wait ended before {left} was gone");
    Ok(())
}

/// What somebody changes on the release behind an object is theirs: to overwrite it is a conflict.
async fn change_the_release(call: Call<'_>) -> Result<()> {
    let wanted = worker("behind", &json!({"replicas": 2, "note": "mine"})).to_string();
    let apply = ["apply", "--server-side", "--field-manager=platform", "-f", "-"];
    call(&apply).stdin(&wanted).ok().await?;
    let edit = r#"{"spec":{"values":{"replicas":7}}}"#;
    let release = ["helmrelease", "worker-behind", "--type=merge", "--field-manager=flux-edit", "-p", edit];
    call(&[&["patch"], release.as_slice()].concat()).ok().await?;
    let show = "jsonpath={range .metadata.managedFields[*]}{.manager}:{.operation}:{.fieldsV1.f:spec} {end}";
    let owners = async || call(&["get", "worker", "behind", "--show-managed-fields", "-o", show]).ok().await;
    let shown = owners().await?;
    let expected = r#"platform:Apply:{"f:note":{}} flux-edit:Update:{"f:replicas":{}} "#;
    let held = call(&["get", "helmrelease", "worker-behind", "--show-managed-fields", "-o", "json"]).ok().await?;
    ensure!(shown == expected, "the owners are {shown} of {held}");
    let refused = call(&apply).stdin(&wanted).fails().await?;
    ensure!(refused.contains("conflict with \"flux-edit\"") && refused.contains(".spec.replicas"), "{refused}");
    call(&[&apply[..], &["--force-conflicts"]].concat()).stdin(&wanted).ok().await?;
    let shown = owners().await?;
    ensure!(shown == r#"platform:Apply:{"f:note":{},"f:replicas":{}} "#, "the owners are {shown}");
    call(&["delete", "worker", "behind"]).ok().await?;
    Ok(())
}

/// An informer of client-go, with its list as a stream or as a list: it sees everything, once, in order.
async fn inform(control_plane: &ControlPlane, call: Call<'_>, watch_list: &str) -> Result<GoClient> {
    let name = format!("informed-{watch_list}");
    create(call, &name, 1).await?;
    let environment = [("KUBE_FEATURE_WatchListClient", watch_list)];
    let mut informer = GoClient::start(&control_plane.kubeconfig(), "informer", RESOURCE, &[], &environment).await?;
    let (before, synced) = informer.until("synced").await?;
    let requests: Vec<&Value> = before.iter().filter(|told| told["event"] == "request").collect();
    let streamed = requests.iter().any(|request| request["sendInitialEvents"] == "true");
    let listed = requests.iter().any(|request| request["watch"] == "");
    ensure!(streamed == (watch_list == "true") && listed != streamed, "with watch-list {watch_list}: {requests:?}");
    ensure!(synced["objects"] == 1, "the informer has {synced}");

    call(&["patch", "worker", &name, "--type=merge", "-p", r#"{"spec":{"replicas":4}}"#]).ok().await?;
    let (_, updated) = informer.until("updated").await?;
    ensure!(updated["name"] == name.as_str() && updated["replicas"] == 4, "the informer saw {updated}");
    call(&["delete", "worker", &name]).ok().await?;
    let (_, deleted) = informer.until("deleted").await?;
    ensure!(deleted["name"] == name.as_str(), "the informer saw {deleted}");
    Ok(informer)
}

async fn use_client_go(control_plane: &ControlPlane, kindsmith: &Kindsmith, call: Call<'_>) -> Result<()> {
    for watch_list in ["false", "true"] {
        let mut informer = inform(control_plane, call, watch_list).await?;
        // A server that begins anew remembers no older revision: the informer lists again and misses nothing.
        create(call, "again", 1).await?;
        informer.until("added").await?;
        kindsmith.stop_apiserver()?;
        let values = r#"{"spec":{"values":{"replicas":6}}}"#;
        call(&["patch", "helmrelease", "worker-again", "--type=merge", "-p", values]).ok().await?;
        kindsmith.start_apiserver().await?;
        let (_, updated) = informer.until("updated").await?;
        ensure!(updated["name"] == "again" && updated["replicas"] == 6, "the informer saw {updated}");
        wait::until("the kind to be served again", KNOWN_MAX, || async {
            call(&["delete", "worker", "again", "--ignore-not-found"]).ok().await.map(drop)
        })
        .await?;
        informer.until("deleted").await?;
    }

    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        create(call, name, 1).await?;
    }
    let kubeconfig = control_plane.kubeconfig();
    let mut pages = GoClient::start(&kubeconfig, "pages", RESOURCE, &[], &[]).await?;
    let listed = pages.next().await?;
    ensure!(listed["pages"] == 3 && listed["names"] == json!(names), "the pager saw {listed}");
    let expired = GoClient::start(&kubeconfig, "expired", RESOURCE, &[], &[]).await?.next().await?;
    ensure!(expired["recognised"] == true, "client-go does not know what to do with {expired}");
    let arguments = ["--name", "a", "--replicas", "8"];
    let scaled = GoClient::start(&kubeconfig, "scale", RESOURCE, &arguments, &[]).await?.next().await?;
    ensure!(scaled["before"] == 1 && scaled["after"] == 8 && scaled["selector"] == "app=w", "scaled: {scaled}");
    ensure!(replicas(call, "a").await? == "8", "the scale is not in the object");
    let arguments = ["--kind", "Worker", "--name", "applied", "--replicas", "3"];
    let applied = GoClient::start(&kubeconfig, "apply", RESOURCE, &arguments, &[]).await?.next().await?;
    ensure!(applied["extracted"] == json!({"replicas": 2, "note": "mine"}), "client-go extracted {applied}");
    let spec = json!({"replicas": 3, "image": "theirs", "selector": "app=w"});
    ensure!(applied["spec"] == spec && applied["conflict"] == true, "client-go applied {applied}");
    call(&["delete", "workers", "--all"]).ok().await?;
    Ok(())
}

/// kube-rs: a reflector's store follows, with its list as a list and as a stream.
async fn use_kube_rs(client: Client, call: Call<'_>) -> Result<()> {
    let resource =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("clients.example.com", "v1", "Worker"), "workers");
    let workers: Api<DynamicObject> = Api::namespaced_with(client, "default", &resource);
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        create(call, "reflected", 1).await?;
        let writer = reflector::store::Writer::<DynamicObject>::new(resource.clone());
        let store = writer.as_reader();
        let mut stream = reflector::reflector(writer, watcher(workers.clone(), config)).applied_objects().boxed();
        let mut seen = Vec::new();
        for wanted in [1, 2] {
            if wanted == 2 {
                call(&["scale", "worker", "reflected", "--replicas=2"]).ok().await?;
            }
            let next = tokio::time::timeout(Duration::from_secs(20), stream.next());
            let object = next.await.context("waiting for the watcher")?.context("the watcher ended")??;
            seen.push(object.data["spec"]["replicas"].clone());
        }
        ensure!(seen == [1, 2], "the watcher saw {seen:?}");
        store.wait_until_ready().await?;
        let held: BTreeSet<String> = store.state().iter().filter_map(|object| object.metadata.name.clone()).collect();
        ensure!(held == BTreeSet::from(["reflected".to_owned()]), "the store holds {held:?}");
        call(&["delete", "worker", "reflected"]).ok().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_client_go_and_kube_rs_work_with_kinds_of_ours() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let kindsmith = Kindsmith::start(&control_plane).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    define(&call).await?;
    use_kubectl(&call).await.context("kubectl")?;
    change_the_release(&call).await.context("a change of the release")?;
    use_kube_rs(control_plane.client().await?, &call).await.context("kube-rs")?;
    use_client_go(&control_plane, &kindsmith, &call).await.context("client-go")
}

fn config_map(name: &str, owner: Option<(&str, &str, &str)>) -> String {
    let owners = owner.map(|(api_version, kind, owner)| {
        let (name, uid) = owner.split_once('/').unwrap_or((owner, ""));
        json!([{"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "blockOwnerDeletion": true}])
    });
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default", "ownerReferences": owners}})
    .to_string()
}

async fn until_gone(call: Call<'_>, what: &str) -> Result<()> {
    wait::until(&format!("{what} to be gone"), KNOWN_MAX, || async {
        let left = call(&["get", what, "--ignore-not-found", "-o", "name"]).ok().await?;
        ensure!(left.is_empty(), "still there: {left}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_collected_and_namespaces_end_with_kinds_of_ours() -> Result<()> {
    let control_plane = ControlPlane::builder().controller_manager().start().await?;
    control_plane.install_flux_crds().await?;
    let _kindsmith = Kindsmith::start(&control_plane).await?;
    let call = |args: &[&str]| control_plane.kubectl(args.iter().copied());
    let call: Call<'_> = &call;
    define(call).await?;
    let uid = async |kind: &str, name: &str| -> Result<String> {
        Ok(format!("{name}/{}", call(&["get", kind, name, "-o", "jsonpath={.metadata.uid}"]).ok().await?))
    };

    // An owner of ours, whose dependents go after it, before it, or not at all.
    for (cascade, name) in [("background", "after"), ("foreground", "before"), ("orphan", "not")] {
        create(call, name, 1).await?;
        let owner = uid("worker", name).await?;
        let dependent = format!("of-{name}");
        let manifest = config_map(&dependent, Some(("clients.example.com/v1", "Worker", &owner)));
        call(&["create", "-f", "-"]).stdin(&manifest).ok().await?;
        call(&["delete", "worker", name, &format!("--cascade={cascade}"), "--wait=false"]).ok().await?;
        until_gone(call, &format!("worker/{name}")).await.with_context(|| cascade.to_owned())?;
        let dependent = format!("configmap/{dependent}");
        match cascade {
            "orphan" => {
                let owners = call(&["get", &dependent, "-o", "jsonpath={.metadata.ownerReferences}"]).ok().await?;
                ensure!(owners.is_empty(), "the orphan has owners {owners}");
            }
            "foreground" => {
                let left = call(&["get", &dependent, "--ignore-not-found", "-o", "name"]).ok().await?;
                ensure!(left.is_empty(), "the owner went before {left}");
            }
            _ => until_gone(call, &dependent).await?,
        }
    }

    // A dependent of ours.
    call(&["create", "-f", "-"]).stdin(&config_map("owner", None)).ok().await?;
    let owner = uid("configmap", "owner").await?;
    let (name, uid) = owner.split_once('/').unwrap_or_default();
    let mut owned = worker("owned", &json!({}));
    owned["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid}]);
    call(&["create", "-f", "-"]).stdin(&owned.to_string()).ok().await?;
    call(&["delete", "configmap", "owner"]).ok().await?;
    until_gone(call, "worker/owned").await?;
    until_gone(call, "helmrelease/worker-owned").await?;

    // A namespace takes what is in it along.
    call(&["create", "namespace", "team"]).ok().await?;
    let mut held = worker("held", &json!({}));
    held["metadata"]["namespace"] = json!("team");
    call(&["create", "-f", "-"]).stdin(&held.to_string()).ok().await?;
    call(&["delete", "namespace", "team", "--wait=false"]).ok().await?;
    until_gone(call, "namespace/team").await
}
