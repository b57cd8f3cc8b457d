//! The settings and command lines of kubelet, kube-scheduler and kube-proxy.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{ADDRESS, NAME, Place, containerd::Containerd, network::PODS};
use crate::{ControlPlane, process::Process};

pub(super) fn kubelet(
    place: &Place,
    control_plane: &ControlPlane,
    folder: &Path,
    cgroup: &str,
    containerd: &Containerd,
) -> Result<Process> {
    let own = folder.join("kubelet");
    fs::create_dir_all(&own).context("creating kubelet's folder")?;
    let authority = own.join("cluster-ca.crt");
    fs::write(&authority, control_plane.cluster_ca_pem()).context("writing the cluster's authority")?;
    let settings = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS.to_string(),
        "healthzBindAddress": "127.0.0.1",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": authority},
        },
        "authorization": {"mode": "Webhook"},
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "failSwapOn": false,
        "containerRuntimeEndpoint": containerd.endpoint(),
        "podLogsDir": own.join("logs"),
        // Another program may have filled the disk of this machine.
        "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%", "memory.available": "50Mi"},
        "makeIPTablesUtilChains": false,
        // There are no names of Services; Kindsmith needs none.
        "resolvConf": "",
        "localStorageCapacityIsolation": false,
        "imageGCHighThresholdPercent": 100,
    });
    let mut command = server(place, "kubelet", &own, &settings)?;
    let kubeconfig = control_plane.kubeconfig_as(&format!("system:node:{NAME}"), &["system:nodes"])?;
    command.arg(flag("kubeconfig", &kubeconfig)).arg(flag("root-dir", &own)).arg(flag("cert-dir", &own.join("pki")));
    command.args([format!("--hostname-override={NAME}"), format!("--node-ip={ADDRESS}"), "--v=2".to_owned()]);
    Process::start("kubelet", &mut command, &folder.join("kubelet.log"))
}

pub(super) fn scheduler(place: &Place, control_plane: &ControlPlane, folder: &Path) -> Result<Process> {
    let mut command = Command::new(place.programs.node());
    command.arg("kube-scheduler");
    command.arg(flag("kubeconfig", &control_plane.kubeconfig_as("system:kube-scheduler", &[])?));
    command.args(["--leader-elect=false", "--secure-port=0", "--authentication-skip-lookup"]);
    command.arg("--authorization-always-allow-paths=/healthz");
    Process::start("kube-scheduler", &mut command, &folder.join("kube-scheduler.log"))
}

pub(super) fn proxy(place: &Place, control_plane: &ControlPlane, folder: &Path) -> Result<Process> {
    let own = folder.join("kube-proxy");
    fs::create_dir_all(&own).context("creating kube-proxy's folder")?;
    let settings = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": control_plane.kubeconfig_as("system:kube-proxy", &[])?},
        "mode": "nftables",
        "clusterCIDR": PODS,
        "hostnameOverride": NAME,
        // Limits of the whole machine stay as they are.
        "conntrack": {"maxPerCore": 0, "min": 0},
        "nodePortAddresses": ["127.0.0.0/8"],
    });
    Process::start("kube-proxy", &mut server(place, "kube-proxy", &own, &settings)?, &folder.join("kube-proxy.log"))
}

/// The command of a server, with a file of settings.
fn server(place: &Place, name: &str, own: &Path, settings: &Value) -> Result<Command> {
    // JSON is YAML.
    let path = own.join("config.yaml");
    fs::write(&path, settings.to_string()).with_context(|| format!("writing {}", path.display()))?;
    let mut command = Command::new(place.programs.node());
    command.arg(name).arg(flag("config", &path));
    Ok(command)
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}
