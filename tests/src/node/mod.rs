//! A real node on this machine: containerd, kubelet, kube-scheduler and kube-proxy, in namespaces of their own.
//!
//! # Flow
//! A program calls [`Place::find`], which says what is missing where there can be no node, and builds what is not in the
//! cache. [`Place::hold`] runs a program, which is the caller itself again, in network, mount and process namespaces
//! of its own; there [`Node::start`] starts the control plane and the node. The test is beside the node in its network, so
//! that it reaches kube-apiserver, Services and pods as the node does.
//!
//! # Guarantees
//! - All processes, containers too, are in one process namespace. Its first process ends when the program that was held
//!   ends, or when the one that holds it is killed, and the kernel takes the others along. With them go mounts and network
//!   devices.
//! - Nothing is installed, and nothing outside of the namespaces is set, but for cgroups of one name; these are removed in
//!   the end, or, if the holder itself was killed, at the next start.
//!
//! # Needs
//! Linux with root's rights, Debian's packages by apt, Go. cgroups of version 1 and 2 are known.

use std::{
    env,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    ControlPlane, Helm, Kubectl, binary,
    process::{self, Process},
    wait,
};

/// Debian's packages, unpacked.
mod packages;

/// The Go programs of a node.
mod programs;

/// Where a node can be, and what is held there.
mod place;

/// Images as archives.
mod archive;

/// The image of Kindsmith.
mod image;

/// What is mounted.
mod mounts;

/// What pods and kube-apiserver are reached by.
mod network;

/// Limits of pods, and what they use.
mod cgroups;

/// What runs containers.
mod containerd;

/// kubelet, kube-scheduler and kube-proxy.
mod servers;

pub use archive::Reference;
pub use cgroups::Memory;
pub use image::IMAGE_VARIABLE;
pub use network::ADDRESS;
pub use place::{Absent, Place, held_folder, left};

/// The node's name.
pub const NAME: &str = "node1";

/// How long the node may take to be ready, on a machine that does other things too.
const READY_DEADLINE: Duration = Duration::from_secs(120);

/// A cluster with one node, running; everything ends when it is dropped.
#[derive(Debug)]
pub struct Node {
    // In the order in which they end: what runs pods first, what it asks last.
    kubelet: Process,
    _proxy: Process,
    _scheduler: Process,
    containerd: containerd::Containerd,
    control_plane: ControlPlane,
    kindsmith: Reference,
    started: Duration,
}

impl Node {
    /// Starts the control plane and the node in a folder, and returns when the node is ready. Images are loaded: Kindsmith's
    /// and that of pods themselves.
    ///
    /// # Errors
    /// The program is not held by a [`Place`], or something does not start; the error carries the end of its log.
    pub async fn start(place: &Place, folder: &Path) -> Result<Node> {
        ensure!(held_folder().is_some(), "a node is started in namespaces of its own");
        let began = Instant::now();
        mounts::set_up(folder)?;
        network::set_up(folder)?;
        let cgroup = cgroups::create()?;
        let image = image::obtain(folder).await?;
        let guard = tokio::task::spawn_blocking(binary::obtain).await.context("waiting for the binary")??;
        let control_plane = ControlPlane::builder().folder(&folder.join("control-plane")).node(ADDRESS).start();
        let containerd = containerd::Containerd::start(&guard, place, folder, &image.archive);
        let (control_plane, containerd) = tokio::try_join!(control_plane, containerd)?;
        let mut kubelet = servers::kubelet(place, &control_plane, folder, &cgroup, &containerd)?;
        let scheduler = servers::scheduler(place, &control_plane, folder)?;
        let registered = wait::until("the node to be registered", READY_DEADLINE, || async {
            control_plane.kubectl(["get", "node", NAME]).ok().await.map(drop)
        });
        process::alive(registered, [&mut kubelet]).await?;
        // kube-proxy ends when the addresses of its node change.
        let mut proxy = servers::proxy(place, &control_plane, folder)?;
        let ready = wait::until("the node to be ready", READY_DEADLINE, || async {
            let wait = ["wait", "--for=condition=Ready", "--timeout=1s", "node", NAME];
            control_plane.kubectl(wait).ok().await.map(drop)
        });
        process::alive(ready, [&mut kubelet, &mut proxy]).await?;
        let started = began.elapsed();
        Ok(Node {
            kubelet,
            _proxy: proxy,
            _scheduler: scheduler,
            containerd,
            control_plane,
            kindsmith: image.reference,
            started,
        })
    }

    /// The control plane.
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// kubectl for the administrator.
    pub fn kubectl<I: IntoIterator<Item: Into<String>>>(&self, args: I) -> Kubectl {
        self.control_plane.kubectl(args)
    }

    /// Helm for the administrator.
    pub fn helm<I: IntoIterator<Item: Into<String>>>(&self, args: I) -> Helm {
        self.control_plane.helm(args)
    }

    /// The name under which the image of Kindsmith is loaded.
    pub fn kindsmith(&self) -> &Reference {
        &self.kindsmith
    }

    /// How long the start took.
    pub fn started(&self) -> Duration {
        self.started
    }

    /// kubelet's log.
    pub fn kubelet_log(&self) -> PathBuf {
        self.kubelet.log().to_owned()
    }

    /// What containers run, as containerd tells: a line each.
    ///
    /// # Errors
    /// containerd does not answer.
    pub fn tasks(&self) -> Result<String> {
        self.containerd.ctr(&["tasks", "ls"])
    }

    /// What a container uses, by its pod's uid and its own id.
    ///
    /// # Errors
    /// There is none.
    pub fn memory(&self, pod: &str, container: &str) -> Result<Memory> {
        let name = env::var(cgroups::VARIABLE).context("the name of the cgroups is not told")?;
        Memory::find(&name, pod, container)
    }
}
