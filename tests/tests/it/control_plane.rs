//! The control plane itself: it works, shares nothing, and leaves nothing behind.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kindsmith_tests::{ControlPlane, binary::CACHE_VARIABLE, wait};
use kube::{
    Api,
    api::{DeleteParams, ListParams, PostParams},
};

const CRD: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: kettles.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {plural: kettles, singular: kettle, kind: Kettle}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {litres: {type: integer}}}}}}
";

#[tokio::test]
async fn a_crd_is_served_to_kubectl() -> Result<()> {
    let began = Instant::now();
    let control_plane = ControlPlane::start().await?;
    println!("etcd and kube-apiserver were ready after {} ms", began.elapsed().as_millis());
    control_plane.apply(CRD).await?;
    control_plane.kubectl(["wait", "--for=condition=Established", "crd/kettles.example.org"]).ok().await?;
    let kettle = "{apiVersion: example.org/v1, kind: Kettle, metadata: {name: small}, spec: {litres: 1}}";
    control_plane.kubectl(["create", "-f", "-"]).stdin(kettle).ok().await?;
    let names = control_plane.kubectl(["get", "kettles", "-o", "name"]).ok().await?;
    ensure!(names == "kettle.example.org/small\n", "kubectl printed {names:?}");

    let missing = control_plane.kubectl(["get", "kettles", "large"]).fails().await?;
    ensure!(missing.contains(r#"kettles.example.org "large" not found"#), "kubectl complained {missing:?}");
    let helm = control_plane.helm(["version", "--template", "{{.Version}} {{.KubeClientVersion}}"]).ok().await?;
    ensure!(helm == "v4.3 v1.37", "helm is {helm:?}");
    let version = control_plane.client().await?.apiserver_version().await?;
    ensure!(version.git_version == "v1.37.2", "the server is {}", version.git_version);
    Ok(())
}

#[tokio::test]
async fn flux_crds_are_established_and_data_outlives_the_api_server() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    control_plane.install_flux_crds().await?;
    let kinds =
        control_plane.kubectl(["api-resources", "--api-group=helm.toolkit.fluxcd.io", "-o", "name"]).ok().await?;
    ensure!(kinds == "helmreleases.helm.toolkit.fluxcd.io\n", "kubectl printed {kinds:?}");

    control_plane.stop_api_server()?;
    let refused = control_plane.kubectl(["get", "namespaces"]).fails().await?;
    ensure!(refused.contains("refused"), "kubectl complained {refused:?}");
    control_plane.start_api_server().await?;
    control_plane.kubectl(["get", "crd", "helmreleases.helm.toolkit.fluxcd.io"]).ok().await?;
    Ok(())
}

#[tokio::test]
async fn instances_share_nothing() -> Result<()> {
    let (one, other) = tokio::try_join!(ControlPlane::start(), ControlPlane::start())?;
    ensure!(one.url() != other.url() && one.folder() != other.folder());
    one.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: mark, namespace: default}}").await?;
    let maps: Api<ConfigMap> = Api::namespaced(other.client().await?, "default");
    ensure!(maps.get_opt("mark").await?.is_none(), "what one stores is seen in the other");

    let stranger = other.kubectl(["get", "namespaces", "--server", &one.url(), "--insecure-skip-tls-verify"]);
    let refused = stranger.args(["--certificate-authority="]).fails().await?;
    ensure!(refused.contains("Unauthorized") || refused.contains("logged in"), "kubectl complained {refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_user_may_do_what_rbac_says() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    let maps: Api<ConfigMap> = Api::namespaced(control_plane.client_as("ann", &["blue", "green"]).await?, "default");
    let refused = maps.list(&ListParams::default()).await.err().context("a user without a role may list")?;
    ensure!(matches!(&refused, kube::Error::Api(status) if status.code == 403), "the answer was {refused}");

    let role = ["create", "role", "reader", "--verb=list", "--resource=configmaps"];
    control_plane.kubectl(role).ok().await?;
    for (name, group) in [("first", "blue"), ("second", "green")] {
        let group = format!("--group={group}");
        let bind = ["create", "rolebinding", name, "--role=reader", &group];
        control_plane.kubectl(bind).ok().await?;
        let listed = || async { maps.list(&ListParams::default()).await.context("listing").map(drop) };
        wait::until("the role to be bound", Duration::from_secs(10), listed).await?;
        control_plane.kubectl(["delete", "rolebinding", name]).ok().await?;
        let lost = || async {
            ensure!(maps.list(&ListParams::default()).await.is_err(), "the user may still list");
            Ok(())
        };
        wait::until("the role to be lost", Duration::from_secs(10), lost).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_controller_manager_deletes_namespaces() -> Result<()> {
    let control_plane = ControlPlane::builder().controller_manager().start().await?;
    let client = control_plane.client().await?;
    let namespaces: Api<Namespace> = Api::all(client);
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some("short-lived".to_owned());
    namespaces.create(&PostParams::default(), &namespace).await?;
    namespaces.delete("short-lived", &DeleteParams::default()).await?;
    let gone = || async {
        ensure!(namespaces.get_opt("short-lived").await?.is_none(), "it is still there");
        Ok(())
    };
    wait::until("the namespace to be gone", Duration::from_secs(30), gone).await
}

#[test]
fn a_panic_leaves_no_process_and_keeps_the_logs() -> Result<()> {
    let (send, receive) = std::sync::mpsc::channel();
    let panicking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let control_plane = ControlPlane::builder().controller_manager().start().await.unwrap();
            send.send((control_plane.process_ids(), control_plane.folder().to_owned())).unwrap();
            panic!("a test fails");
        });
    });
    let (processes, folder) = receive.recv().context("the control plane did not start")?;
    ensure!(processes.len() == 3, "there are {} processes", processes.len());
    ensure!(panicking.join().is_err(), "the thread did not panic");
    for process in processes {
        ensure!(!is_alive(process)?, "process {process} outlived the panic");
    }
    ensure!(folder.join("logs/kube-apiserver.log").is_file(), "the logs are gone");
    fs::remove_dir_all(folder)?;
    Ok(())
}

#[tokio::test]
async fn an_end_in_peace_removes_the_folder() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    let folder = control_plane.folder().to_owned();
    ensure!(folder.is_dir());
    drop(control_plane);
    ensure!(!folder.exists(), "{} is still there", folder.display());
    Ok(())
}

#[tokio::test]
async fn a_killed_starter_leaves_no_server() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut up = Command::new(env!("CARGO_BIN_EXE_controlplane"));
    up.args(["up", "--dir"]).arg(folder.path()).stdout(Stdio::null());
    let mut up = up.spawn()?;
    // kubectl is linked last of all; or never, if the start fails.
    let started = loop {
        if fs::symlink_metadata(folder.path().join("kubectl")).is_ok() {
            break true;
        }
        if up.try_wait()?.is_some() {
            break false;
        }
        tokio::time::sleep(wait::INTERVAL).await;
    };
    up.kill()?;
    up.wait()?;
    ensure!(started, "the control plane did not start");
    let client = kindsmith_tests::kubeconfig::client(&folder.path().join("kubeconfig")).await?;
    let ended = || async {
        ensure!(kindsmith_tests::kubeconfig::ready(&client).await.is_err(), "kube-apiserver still answers");
        Ok(())
    };
    wait::until("the servers to end", Duration::from_secs(10), ended).await
}

#[test]
fn without_go_the_message_says_what_to_install() -> Result<()> {
    let empty = tempfile::tempdir()?;
    let mut up = Command::new(env!("CARGO_BIN_EXE_controlplane"));
    up.args(["up", "--dir"]).arg(empty.path().join("instance"));
    up.env("PATH", "").env(CACHE_VARIABLE, empty.path().join("cache"));
    let output = up.output()?;
    let message = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success(), "it started without Go");
    let expected = "Go 1.26 or newer is needed for the tests on the real control plane: no `go` was found on PATH";
    ensure!(message.contains(expected), "the message is {message:?}");
    Ok(())
}

fn is_alive(process: u32) -> Result<bool> {
    let mut kill = Command::new("kill");
    kill.args(["-0", &process.to_string()]).stderr(Stdio::null());
    Ok(kill.status().context("asking for a process")?.success())
}
