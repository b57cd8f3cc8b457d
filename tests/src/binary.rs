//! Where the Go binary comes from: found in a cache, or built into it.
//!
//! # Flow
//! The key is a hash of the Go sources and of the flags. A folder of that name in the cache holds the finished binary
//! and Flux's CRDs. If it is absent, they are built beside it and renamed into place, under a lock that other test
//! processes wait for. The cache is outside cargo's target folder, so that `cargo clean` does not cost the minutes of a
//! build.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow, bail};
use sha2::{Digest, Sha256};

use crate::{cache, process::command_line};

/// Names the cache folder, in place of `kindsmith/controlplane` in the user's cache.
pub const CACHE_VARIABLE: &str = "KINDSMITH_CONTROLPLANE_CACHE";

/// The oldest Go that can build the sources, as (major, minor).
const GO_MINIMUM: (u32, u32) = (1, 26);

/// The Kubernetes version that the servers and kubectl say they are; go.mod names the sources of the same.
const KUBERNETES: (&str, &str, &str) = ("1", "37", "v1.37.2");

/// What is said to people who wait for the build.
const BUILDING: &str = "building the test control plane (etcd, kube-apiserver, kube-controller-manager, kubectl, helm) from \
    its Go sources: once, about 7 minutes on 2 cores, 1 to 2 with a warm Go cache";

/// The Go package whose types become Flux's CRDs.
const FLUX_TYPES: &str = "github.com/fluxcd/helm-controller/api/v2";

/// What was built.
#[derive(Debug, Clone)]
pub struct Binary {
    folder: PathBuf,
}

impl Binary {
    /// The binary of the control plane.
    pub fn path(&self) -> PathBuf {
        self.folder.join("controlplane")
    }

    /// The folder of Flux's CRDs.
    pub fn crds(&self) -> PathBuf {
        self.folder.join("crds")
    }

    /// Calls one of the programs that the binary is: `etcd`, `kube-apiserver`, `kube-controller-manager`, `kubectl`,
    /// `helm`, `guard`.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.path());
        command.arg(program);
        command
    }
}

/// The binary for the sources as they are now; builds it if no test has yet. Blocks, for minutes if it must build.
///
/// # Errors
/// Go is absent or too old, or the build fails.
pub fn obtain() -> Result<Binary> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("controlplane");
    let key = control_plane_hash(&sources)?;
    let folder = cache::obtain(&cache_folder()?, &key, BUILDING, |folder| build(&sources, folder))?;
    Ok(Binary { folder })
}

fn build(sources: &Path, folder: &Path) -> Result<()> {
    let go = find_go()?;
    let mut binary = Command::new(&go);
    binary.args(["build", "-buildvcs=false", "-ldflags", &linker_flags(), "-o"]);
    run(binary.arg(folder.join("controlplane")).arg(".").current_dir(sources))?;

    let crds = folder.join("crds");
    fs::create_dir(&crds).context("creating the folder of the CRDs")?;
    let mut generator = Command::new(go);
    generator.args(["tool", "controller-gen", "crd", &format!("paths={FLUX_TYPES}")]);
    run(generator.arg(format!("output:crd:dir={}", crds.display())).current_dir(sources.join("crds")))
}

/// Runs a command to its end; its standard error is in the error.
///
/// # Errors
/// The command cannot be started, or fails.
pub fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Runs a command to its end, and returns what it printed.
///
/// # Errors
/// As [`run`].
pub fn output(command: &mut Command) -> Result<String> {
    let line = command_line(command);
    let output = command.output().with_context(|| format!("starting {line}"))?;
    if !output.status.success() {
        bail!("{line}\nended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Without these, clients cannot parse the version of the server, nor the server its own.
pub(crate) fn linker_flags() -> String {
    let (major, minor, version) = KUBERNETES;
    let values = [
        ("gitVersion", version),
        ("gitMajor", major),
        ("gitMinor", minor),
        ("gitCommit", "unknown"),
        ("gitTreeState", "clean"),
        ("buildDate", "1970-01-01T00:00:00Z"),
    ];
    let set = values.map(|(name, value)| format!("-X k8s.io/component-base/version.{name}={value}"));
    format!("-s -w {}", set.join(" "))
}

/// The folder that finished programs are kept in.
pub(crate) fn cache_folder() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = set(CACHE_VARIABLE) {
        return std::path::absolute(folder).context("making the cache folder's path absolute");
    }
    let user = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    let user = user.with_context(|| format!("none of {CACHE_VARIABLE}, XDG_CACHE_HOME and HOME is set"))?;
    Ok(user.join("kindsmith/controlplane"))
}

/// A name for Go sources in folders, which changes with them.
pub(crate) fn hash(folders: &[&Path]) -> Result<String> {
    hashed(String::new(), folders)
}

/// The same of the control plane, and of the flags that it is built with.
fn control_plane_hash(sources: &Path) -> Result<String> {
    hashed(linker_flags(), &[sources, &sources.join("crds")])
}

/// As [`hash`], of sources that are built with flags.
pub(crate) fn hashed(flags: String, folders: &[&Path]) -> Result<String> {
    let mut files = Vec::new();
    for folder in folders {
        for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
            let path = entry.context("listing the Go sources")?.path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if matches!(extension, Some("go" | "mod" | "sum")) {
                files.push(path);
            }
        }
    }
    files.sort();
    let root = folders.first().context("there are no Go sources")?;
    let mut hash = Sha256::new();
    hash.update(flags);
    for path in files {
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let name = path.strip_prefix(root).context("naming a Go source")?;
        hash.update(format!("\n{} {}\n", name.display(), text.len()));
        hash.update(text);
    }
    Ok(short(&hash.finalize()))
}

/// A name for texts, which changes with them.
pub(crate) fn hash_text(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(format!("\n{}\n{text}", text.len()));
    }
    short(&hash.finalize())
}

fn short(digest: &[u8]) -> String {
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The `go` on PATH, if it is new enough.
///
/// # Errors
/// There is none, or it is too old.
pub fn find_go() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let go = env::split_paths(&path).map(|folder| folder.join("go")).find(|file| file.is_file());
    let go = go.ok_or_else(|| go_needed("no `go` was found on PATH"))?;
    let output = Command::new(&go).args(["env", "GOVERSION"]).output().context("asking Go for its version")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if parse_version(&version).is_none_or(|found| found < GO_MINIMUM) {
        return Err(go_needed(&format!("{} is {version}", go.display())));
    }
    Ok(go)
}

fn go_needed(found: &str) -> anyhow::Error {
    let (major, minor) = GO_MINIMUM;
    anyhow!(
        "Go {major}.{minor} or newer is needed for the tests on the real control plane: {found}. Install Go from \
         https://go.dev/dl/ or with the system's package manager, and put it on PATH."
    )
}

/// `go1.26.8`, `go1.27rc1` → (1, 26), (1, 27).
fn parse_version(version: &str) -> Option<(u32, u32)> {
    let (major, rest) = version.strip_prefix("go")?.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// To standard error itself: the test runner would hold back what the print macros write, for as long as the build
/// lasts.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "kindsmith-tests: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(parse_version("go1.26.8"), Some((1, 26)));
        assert_eq!(parse_version("go1.27rc1"), Some((1, 27)));
        assert_eq!(parse_version("devel"), None);
        assert!(parse_version("go1.9") < Some(GO_MINIMUM));
    }
}
