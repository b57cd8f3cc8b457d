//! Where a node can be: what it needs is looked for first, so that tests can say what is missing.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context as _, Result, anyhow, ensure};

use super::{image, packages::Packages, programs::Programs};
use crate::binary;

/// What names of cgroups begin with; the id of the holder follows.
const PREFIX: &str = "kindsmith-node-";

/// Names the folder of the node, for the program that is held.
const FOLDER_VARIABLE: &str = "KINDSMITH_NODE_FOLDER";

/// What the kernel must be able to do, and how that is tried in namespaces that end at once.
const FEATURES: [(&str, &str); 5] = [
    ("bridges of networks", "ip link add name probe type bridge"),
    ("pairs of network devices", "ip link add name one type veth peer name other"),
    ("nftables", "nft add table ip probe && nft add chain ip probe c '{ type nat hook output priority -100; }'"),
    ("nftables that pick at random", "nft add rule ip probe c numgen random mod 2 vmap '{ 0 : accept, 1 : return }'"),
    (
        "overlays of folders",
        "mount -t tmpfs probe /run && mkdir /run/l /run/u /run/w /run/m && \
         mount -t overlay -o lowerdir=/run/l,upperdir=/run/u,workdir=/run/w probe /run/m",
    ),
];

/// Why there is no node.
#[derive(Debug, thiserror::Error)]
pub enum Absent {
    /// This machine lacks something: nothing of ours is wrong.
    #[error("{0:#}")]
    NotHere(anyhow::Error),
    /// Something is there and does not work.
    #[error(transparent)]
    Broken(#[from] anyhow::Error),
}

/// A machine that can be a node, and the programs for it.
#[derive(Debug, Clone)]
pub struct Place {
    pub(super) packages: Packages,
    pub(super) programs: Programs,
}

/// The folder of the node, if this program is held by a place.
pub fn held_folder() -> Option<PathBuf> {
    env::var_os(FOLDER_VARIABLE).map(PathBuf::from)
}

impl Place {
    /// Looks whether there can be a node, and builds and downloads what is not in the cache. Blocks, for minutes the first
    /// time.
    ///
    /// # Errors
    /// This machine lacks something, or a build fails.
    pub fn find() -> Result<Place, Absent> {
        let lacking = |what: &str| Err(Absent::NotHere(anyhow!("{what}")));
        if !cfg!(target_os = "linux") {
            return lacking("a node runs on Linux");
        }
        if !rustix::process::geteuid().is_root() {
            return lacking("a node needs root's rights");
        }
        let path = env::var_os("PATH").unwrap_or_default();
        for program in ["apt-get", "dpkg", "mount", "sh"] {
            if !env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
                return lacking(&format!("a node needs Debian's {program}, which is not on PATH"));
            }
        }
        let place = Place { packages: Packages::obtain()?, programs: Programs::obtain()? };
        binary::obtain()?;
        image::prepare()?;
        place.probe()?;
        Ok(place)
    }

    /// Finds again what [`Place::find`] left in the cache, in a program that is held.
    ///
    /// # Errors
    /// It is gone.
    pub fn again() -> Result<Place, Absent> {
        Ok(Place { packages: Packages::obtain()?, programs: Programs::obtain()? })
    }

    /// Runs a command in network, mount and process namespaces of its own until it ends, with a folder for the node and
    /// the unpacked programs on its PATH. Nothing of it is left then.
    ///
    /// # Errors
    /// It cannot be started, or something is left.
    pub fn hold(&self, command: &Command, folder: &Path) -> Result<ExitStatus> {
        let mut holder = self.holder(PREFIX, command)?;
        let mut running =
            holder.env(FOLDER_VARIABLE, folder).stdin(Stdio::piped()).spawn().context("holding a node")?;
        let (name, input) = (format!("{PREFIX}{}", running.id()), running.stdin.take());
        let status = running.wait().context("waiting for a node")?;
        drop(input);
        let left = left(&name, folder);
        ensure!(left.is_empty(), "the node left {}", left.join(", "));
        Ok(status)
    }

    /// The command that holds another one; it ends with its standard input. Names of its cgroups begin with a prefix.
    ///
    /// # Errors
    /// Paths cannot be joined.
    pub fn holder(&self, prefix: &str, command: &Command) -> Result<Command> {
        let mut holder = Command::new(self.programs.node());
        holder.args(["hold", prefix]).arg(command.get_program()).args(command.get_args());
        holder.env("PATH", self.packages.path()?).env("LD_LIBRARY_PATH", self.packages.libraries());
        Ok(holder)
    }

    fn probe(&self) -> Result<(), Absent> {
        let tries = FEATURES.map(|(what, with)| format!("{{ {with}; }} || {{ echo 'KERNEL: {what}'; exit 1; }}"));
        let programs = "runc --version >/dev/null && containerd --version >/dev/null || exit 2".to_owned();
        let mut shell = Command::new("sh");
        shell.args(["-c", &tries.into_iter().chain([programs]).collect::<Vec<_>>().join("\n")]);
        let mut holder = self.holder("kindsmith-probe-", &shell)?;
        let tried = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        // Its standard input stays open until it has ended.
        let mut tried = tried.context("trying what the kernel can do")?;
        let input = tried.stdin.take();
        let output = tried.wait_with_output().context("trying what the kernel can do")?;
        drop(input);
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        let told = String::from_utf8_lossy(&output.stdout);
        Err(Absent::NotHere(match told.lines().find_map(|line| line.strip_prefix("KERNEL: ")) {
            Some(feature) => anyhow!("the kernel has no {feature} for a node: {said}"),
            None => anyhow!("namespaces or programs of a node do not work ({}): {said}", output.status),
        }))
    }
}

/// What a node left on this machine: cgroups, mounts and processes.
pub fn left(cgroup: &str, folder: &Path) -> Vec<String> {
    let mut left = super::cgroups::of(cgroup).iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    let folder = folder.to_string_lossy();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    left.extend(mounts.lines().filter(|line| line.contains(&*folder)).map(|line| format!("the mount {line}")));
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes.filter(|it| it.file_name() != *std::process::id().to_string()) {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&*folder) {
            left.push(format!("the process {line}"));
        }
    }
    left
}
