//! The `kindsmith` binary, as fresh as its sources.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    time::SystemTime,
};

use anyhow::{Context, Result, bail};

use crate::{binary::say, process::command_line};

/// One build at a time in this process; between processes cargo has its own lock.
static BUILDING: Mutex<()> = Mutex::new(());

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// The `kindsmith` binary of the same profile as the running program; built first if a source is newer. Blocks.
///
/// # Errors
/// The running program is not in a target folder, or the build fails.
pub fn obtain() -> Result<PathBuf> {
    let _one = BUILDING.lock();
    let program = env::current_exe().context("finding the running program")?;
    let mut profile = program.parent().context("the running program is in no folder")?;
    if profile.ends_with("deps") {
        profile = profile.parent().context("the running program is in no target folder")?;
    }
    let kindsmith = profile.join("kindsmith");
    if is_fresh(&kindsmith)? {
        return Ok(kindsmith);
    }
    say("building kindsmith: a source is newer than the binary");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // All packages, so that dependencies have the features of a build of the whole workspace, which is there already.
    cargo.args(["build", "--workspace", "--bin", "kindsmith"]).current_dir(workspace());
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let target = profile.parent().context("the running program is in no target folder")?;
    cargo.env("CARGO_TARGET_DIR", target);
    let output = cargo.output().context("starting cargo")?;
    if !output.status.success() {
        bail!("{} failed:\n{}", command_line(&cargo), String::from_utf8_lossy(&output.stderr));
    }
    Ok(kindsmith)
}

/// Whether the binary is newer than every source that cargo says it is made of.
fn is_fresh(binary: &Path) -> Result<bool> {
    let Ok(sources) = fs::read_to_string(binary.with_extension("d")) else {
        return Ok(false);
    };
    let Some(built) = modified(binary) else {
        return Ok(false);
    };
    // One line, `BINARY: SOURCE SOURCE …`, with spaces in names escaped.
    let (_, sources) = sources.split_once(": ").context("cargo's list of sources is not one")?;
    let sources = sources.trim().replace("\\ ", "\0");
    let newer = |source: PathBuf| modified(&source).is_none_or(|changed| changed > built);
    let lock = workspace().join("Cargo.lock");
    Ok(!sources.split(' ').map(|source| PathBuf::from(source.replace('\0', " "))).chain([lock]).any(newer))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}
