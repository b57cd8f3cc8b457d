//! Limits of pods: the cgroups that kubelet makes pods' in, and what the containers in them use.
//!
//! With version 1 each resource has a hierarchy of its own, with version 2 there is one.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::process;

/// Names the cgroup, for the program that is held. Who holds it removes the cgroup.
pub(super) const VARIABLE: &str = "CGROUP";

/// Where hierarchies are mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// The files of a group that say which processors and which memory its processes may use: empty at first with version 1.
const INHERITED: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// What kubelet needs of version 2 in the group of the node, where there is such a thing at all.
///
/// Source: k8s.io/kubernetes/pkg/kubelet/cm/cgroup_manager_linux.go (`getSupportedUnifiedControllers`).
const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "hugetlb", "memory", "pids"];

/// What a container uses of memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// What its processes have resident now.
    pub resident: u64,
    /// The most so far, with what the kernel keeps for them.
    pub peak: u64,
    /// What it may use.
    pub limit: u64,
    /// How often the kernel killed a process for it.
    pub killed: u64,
}

/// Makes the cgroup of this node in each hierarchy, and returns its path in all of them.
pub(super) fn create() -> Result<String> {
    let name = env::var(VARIABLE).context("the name of the cgroups is not told")?;
    if let Ok(controllers) = fs::read_to_string(Path::new(ROOT).join("cgroup.controllers")) {
        let wanted = controllers.split_whitespace().filter(|controller| CONTROLLERS.contains(controller));
        let wanted = wanted.map(|controller| format!("+{controller}")).collect::<Vec<_>>().join(" ");
        let file = Path::new(ROOT).join("cgroup.subtree_control");
        fs::write(&file, wanted).with_context(|| format!("writing {}", file.display()))?;
    }
    for hierarchy in hierarchies()? {
        let group = hierarchy.join(&name);
        fs::create_dir_all(&group).with_context(|| format!("creating {}", group.display()))?;
        for file in INHERITED.into_iter().filter(|file| hierarchy != Path::new(ROOT) && group.join(file).exists()) {
            let value = fs::read(hierarchy.join(file)).with_context(|| format!("reading {file}"))?;
            fs::write(group.join(file), value).with_context(|| format!("writing {file}"))?;
        }
    }
    Ok(format!("/{name}"))
}

/// The groups of a name.
pub(super) fn of(name: &str) -> Vec<PathBuf> {
    let groups = hierarchies().unwrap_or_default().into_iter().map(|hierarchy| hierarchy.join(name));
    groups.filter(|group| group.exists()).collect()
}

fn hierarchies() -> Result<Vec<PathBuf>> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").is_file() {
        return Ok(vec![root.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(root).context("listing the hierarchies of cgroups")? {
        let entry = entry.context("listing the hierarchies of cgroups")?;
        // Others are links to these.
        if entry.file_type().context("looking at a hierarchy of cgroups")?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

impl Memory {
    /// What the container `id` of the pod with a uid uses, below the cgroup of a node.
    pub(super) fn find(node: &str, pod: &str, id: &str) -> Result<Memory> {
        let group = group(node, pod, id)?;
        let read = |names: [&str; 2]| {
            let text = names.into_iter().find_map(|name| fs::read_to_string(group.join(name)).ok());
            text.with_context(|| format!("{} has none of {names:?}", group.display()))
        };
        let bytes = |names| -> Result<u64> { Ok(read(names)?.trim().parse().unwrap_or(u64::MAX)) };
        let events = read(["memory.oom_control", "memory.events"])?;
        let killed = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        let processes = fs::read_to_string(group.join("cgroup.procs")).context("listing processes")?;
        let processes = processes.lines().filter_map(|id| process::resident_bytes(id.trim().parse().ok()?));
        Ok(Memory {
            resident: processes.sum(),
            peak: bytes(["memory.max_usage_in_bytes", "memory.peak"])?,
            limit: bytes(["memory.limit_in_bytes", "memory.max"])?,
            killed: killed.and_then(|count| count.trim().parse().ok()).unwrap_or_default(),
        })
    }
}

/// Pods of the quality `Guaranteed` are in the group of all pods, the others in one of their quality.
fn group(node: &str, pod: &str, id: &str) -> Result<PathBuf> {
    let pods = match Path::new(ROOT).join("cgroup.controllers").is_file() {
        true => Path::new(ROOT).join(node),
        false => Path::new(ROOT).join("memory").join(node),
    };
    let qualities = ["kubepods", "kubepods/burstable", "kubepods/besteffort"];
    let groups = qualities.iter().map(|quality| pods.join(quality).join(format!("pod{pod}")).join(id));
    groups.into_iter().find(|group| group.is_dir()).with_context(|| format!("there is no cgroup of the pod {pod}"))
}
