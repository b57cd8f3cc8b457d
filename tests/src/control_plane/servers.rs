//! The command lines of etcd, kube-apiserver and kube-controller-manager.

use std::{net::Ipv4Addr, path::Path};

use anyhow::Result;

use crate::{
    binary::Binary,
    instance::{ADMIN, FRONT_PROXY, Instance},
    process::Process,
};

/// Where an instance listens, on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) etcd: u16,
    pub(super) peer: u16,
    pub(super) apiserver: u16,
}

/// When etcd answers a write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Writes {
    /// When it is written: what a test holds need not survive a power cut.
    #[default]
    Fast,
    /// When the disk has it, as in every cluster.
    Durable,
}

/// From where an instance is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Reach {
    /// From this machine: there are no nodes.
    #[default]
    Local,
    /// From a node and its pods, at this address.
    Node(Ipv4Addr),
}

impl Ports {
    pub(super) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.apiserver)
    }
}

/// Services have these addresses; kube-apiserver's own is the first.
const SERVICES: &str = "10.0.0.0/24";

/// The controllers that a cluster without nodes has work for.
const CONTROLLERS: &str = "namespace-controller,garbage-collector-controller,serviceaccount-controller,\
    serviceaccount-token-controller,clusterrole-aggregation-controller,root-ca-certificate-publisher-controller";

/// Whether a start failed because another program has taken a port.
pub(super) fn is_port_taken(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains("address already in use")
}

pub(super) fn etcd(binary: &Binary, instance: &Instance, ports: &Ports, writes: Writes) -> Result<Process> {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.peer);
    let mut command = binary.command("etcd");
    command.arg("--data-dir").arg(instance.folder().join("etcd"));
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("default={peer}")]);
    if writes == Writes::Fast {
        command.arg("--unsafe-no-fsync");
    }
    Process::start("etcd", &mut command, &instance.log("etcd"))
}

pub(super) fn apiserver(binary: &Binary, instance: &Instance, ports: &Ports, reach: Reach) -> Result<Process> {
    let mut command = binary.command("kube-apiserver");
    command.arg(format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd));
    command.arg(format!("--secure-port={}", ports.apiserver));
    match reach {
        Reach::Local => {
            command.args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"]);
            command.args(["--endpoint-reconciler-type=none", "--authorization-mode=RBAC"]);
        }
        Reach::Node(address) => {
            command.args([&format!("--advertise-address={address}"), "--authorization-mode=Node,RBAC"]);
            command
                .args(["--enable-admission-plugins=NodeRestriction", "--kubelet-preferred-address-types=InternalIP"]);
            // As whom kubelet is asked, for logs of pods.
            let (user, groups) = ADMIN;
            instance.cluster.client(user, groups)?.write(&instance.pki(""), "kubelet-client")?;
            command.arg(format!("--kubelet-client-certificate={}", instance.pki("kubelet-client.crt").display()));
            command.arg(format!("--kubelet-client-key={}", instance.pki("kubelet-client.key").display()));
        }
    }
    command.arg(format!("--service-cluster-ip-range={SERVICES}"));
    command.arg(format!("--requestheader-allowed-names={FRONT_PROXY}"));
    command.args(["--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group"]);
    command.arg("--requestheader-extra-headers-prefix=X-Remote-Extra-");
    command.arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local");
    for (flag, file) in [
        ("tls-cert-file", "kube-apiserver.crt"),
        ("tls-private-key-file", "kube-apiserver.key"),
        ("client-ca-file", "cluster-ca.crt"),
        ("requestheader-client-ca-file", "front-proxy-ca.crt"),
        ("proxy-client-cert-file", "front-proxy-client.crt"),
        ("proxy-client-key-file", "front-proxy-client.key"),
        ("service-account-key-file", "service-accounts.pub"),
        ("service-account-signing-key-file", "service-accounts.key"),
    ] {
        command.arg(format!("--{flag}={}", instance.pki(file).display()));
    }
    Process::start("kube-apiserver", &mut command, &instance.log("kube-apiserver"))
}

pub(super) fn controller_manager(
    binary: &Binary,
    instance: &Instance,
    kubeconfig: &Path,
    reach: Reach,
) -> Result<Process> {
    let mut command = binary.command("kube-controller-manager");
    command.arg(format!("--kubeconfig={}", kubeconfig.display()));
    if reach == Reach::Local {
        command.arg(format!("--controllers={CONTROLLERS}"));
    }
    command.args(["--leader-elect=false", "--secure-port=0", "--use-service-account-credentials=true"]);
    for (flag, file) in
        [("root-ca-file", "cluster-ca.crt"), ("service-account-private-key-file", "service-accounts.key")]
    {
        command.arg(format!("--{flag}={}", instance.pki(file).display()));
    }
    Process::start("kube-controller-manager", &mut command, &instance.log("kube-controller-manager"))
}
