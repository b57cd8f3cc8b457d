//! Debian's packages: downloaded and verified by apt, unpacked into the cache, and not installed.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, anyhow};

use super::Absent;
use crate::{binary, cache};

/// What a node runs besides Kubernetes. They are unpacked wherever they are installed too.
const PACKAGES: [&str; 5] = ["containerd", "runc", "containernetworking-plugins", "nftables", "iproute2"];

/// Folders of programs, below the root of a package.
const PROGRAMS: [&str; 4] = ["usr/sbin", "usr/bin", "sbin", "bin"];

/// Unpacked packages.
#[derive(Debug, Clone)]
pub(super) struct Packages {
    root: PathBuf,
}

impl Packages {
    /// Finds them in the cache, or has apt download them with whatever they depend on and is not installed.
    pub(super) fn obtain() -> Result<Packages, Absent> {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let cache = binary::cache_folder()?.join("node-packages");
        let key = binary::hash_text(&[&PACKAGES.concat(), &release]);
        let what = format!("fetching Debian's {} for a node, which are not installed", PACKAGES.join(", "));
        let root = cache::obtain(&cache, &key, &what, unpack)?;
        Ok(Packages { root })
    }

    /// The folders of their programs, in front of the system's.
    pub(super) fn path(&self) -> Result<String, Absent> {
        let own = PROGRAMS.iter().map(|folder| self.root.join(folder));
        let system = env::var_os("PATH").unwrap_or_default();
        // Of an ordinary user they are not in PATH.
        let administrator = ["/usr/sbin", "/sbin"].map(PathBuf::from);
        let all = env::join_paths(own.chain(env::split_paths(&system)).chain(administrator));
        let all = all.context("joining the folders of programs")?;
        Ok(all.to_string_lossy().into_owned())
    }

    /// The folder of libraries that were not installed.
    pub(super) fn libraries(&self) -> String {
        let triplet = format!("{}-linux-gnu", env::consts::ARCH);
        let folders = ["usr/lib", "lib"].map(|folder| self.root.join(folder).join(&triplet));
        folders.map(|folder| folder.display().to_string()).join(":")
    }

    /// A program.
    pub(super) fn program(&self, name: &str) -> Result<PathBuf, Absent> {
        let found = PROGRAMS.iter().map(|folder| self.root.join(folder).join(name)).find(|path| path.exists());
        Ok(found.with_context(|| format!("no package has the program {name}"))?)
    }

    /// The folder of the programs that connect pods.
    pub(super) fn network_plugins(&self) -> PathBuf {
        self.root.join("usr/lib/cni")
    }
}

fn unpack(root: &Path) -> Result<(), Absent> {
    let archives = tempfile::tempdir().context("creating a folder for packages")?;
    let mut download = apt("apt-get");
    download.arg("download").args(wanted()?).current_dir(archives.path());
    // As root apt hands over to a user who may not write there.
    download.args(["-o", "APT::Sandbox::User=root"]);
    run(&mut download)?;
    for archive in fs::read_dir(archives.path()).context("listing packages")? {
        let archive = archive.context("listing packages")?.path();
        run(Command::new("dpkg").arg("-x").arg(archive).arg(root))?;
    }
    Ok(())
}

/// The packages, and those that would be installed with them.
fn wanted() -> Result<BTreeSet<String>, Absent> {
    let mut simulate = apt("apt-get");
    simulate.args(["install", "--simulate", "--no-install-recommends"]).args(PACKAGES);
    let told = run(&mut simulate)?;
    // `Inst NAME (VERSION SOURCE [ARCHITECTURE])`, with `[OLD VERSION]` in between where one is installed.
    let named =
        told.lines().filter_map(|line| line.strip_prefix("Inst ")?.split_whitespace().next().map(str::to_owned));
    Ok(named.chain(PACKAGES.map(str::to_owned)).collect())
}

fn apt(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Runs one of Debian's programs, without which there is no node.
fn run(command: &mut Command) -> Result<String, Absent> {
    binary::output(command).map_err(|error| {
        Absent::NotHere(anyhow!("Debian's packages cannot be had, perhaps `apt-get update` was never run: {error:#}"))
    })
}
