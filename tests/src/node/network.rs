//! The network of the node: a bridge whose address is the node's, and one that pods are connected to.

use std::{fs, net::Ipv4Addr, path::Path, process::Command};

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::binary;

/// The node's address, and kube-apiserver's.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 250, 0, 1);

/// Pods have these addresses.
pub(super) const PODS: &str = "10.251.0.0/24";

/// Sets up the node's network, and writes down how pods are connected.
pub(super) fn set_up(folder: &Path) -> Result<()> {
    ip("link set lo up")?;
    ip("link add name node type bridge")?;
    ip(&format!("address add {ADDRESS}/24 dev node"))?;
    ip("link set node up")?;
    // Nothing is there; but without a route that matches, addresses of Services are refused before they are looked at.
    ip("route add default via 10.250.0.254 dev node")?;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("forwarding packets of pods")?;
    let configurations = folder.join("network");
    fs::create_dir_all(&configurations).context("creating the folder of the pods' network")?;
    let range = json!({"type": "host-local", "dataDir": folder.join("addresses"),
        "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}]});
    let bridge = json!({"type": "bridge", "bridge": "pods", "isGateway": true, "hairpinMode": true, "ipam": range});
    let network = json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]});
    fs::write(configurations.join("10-pods.conflist"), network.to_string()).context("writing the pods' network")
}

fn ip(arguments: &str) -> Result<()> {
    binary::run(Command::new("ip").args(arguments.split(' ')))
}
