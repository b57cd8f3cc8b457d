//! The Go programs of a node, from the module in `tests/node`: built once, and cached.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::Absent;
use crate::{binary, cache};

/// What is said to people who wait for the build.
const BUILDING: &str =
    "building kubelet, kube-scheduler and kube-proxy from their Go sources: once, about 5 minutes on 2 cores";

/// The programs.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Finds them in the cache, or builds them.
    pub(super) fn obtain() -> Result<Programs, Absent> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("node");
        let cache = binary::cache_folder()?.join("node");
        let key = binary::hashed(binary::linker_flags(), &[&sources, &sources.join("pause")])?;
        let folder = cache::obtain(&cache, &key, BUILDING, |into| build(&sources, into))?;
        Ok(Programs { folder })
    }

    /// kubelet, kube-scheduler, kube-proxy, and what holds the node, by its first argument.
    pub(super) fn node(&self) -> PathBuf {
        self.folder.join("node")
    }

    /// What holds the namespaces of a pod.
    pub(super) fn pause(&self) -> PathBuf {
        self.folder.join("pause")
    }
}

fn build(sources: &Path, into: &Path) -> Result<(), Absent> {
    let go = binary::find_go().map_err(Absent::NotHere)?;
    let mut fetch = Command::new(&go);
    binary::run(fetch.args(["list", "-deps", "."]).current_dir(sources)).map_err(Absent::NotHere)?;
    let mut build = Command::new(&go);
    // Static: `pause` is alone in its image.
    build.args(["build", "-buildvcs=false", "-ldflags", &binary::linker_flags(), "-o"]).arg(into.join(""));
    Ok(binary::run(build.args([".", "./pause"]).current_dir(sources).env("CGO_ENABLED", "0"))?)
}
