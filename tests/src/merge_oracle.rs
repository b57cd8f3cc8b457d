//! The oracle of server-side apply: a Go program with the real implementation, which writes what that does as data.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::binary;

/// Calls the oracle and gives every line of its output to `visit`. Go keeps the program it builds in its cache.
///
/// # Errors
/// Go is absent or too old, the build fails, the oracle fails, or `visit` does.
pub fn each_line(arguments: &[&str], mut visit: impl FnMut(Value) -> Result<()>) -> Result<()> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("controlplane/merge");
    let folder = tempfile::tempdir().context("creating a folder for the oracle")?;
    let program = folder.path().join("merge");
    let go = binary::find_go()?;
    let mut build = Command::new(go);
    build.args(["build", "-buildvcs=false", "-o"]).arg(&program).arg(".").current_dir(&sources);
    binary::run(&mut build)?;

    let mut oracle = Command::new(&program);
    oracle.args(arguments).current_dir(&sources).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut oracle = oracle.spawn().context("starting the oracle")?;
    let (stdout, stderr) = (oracle.stdout.take(), oracle.stderr.take());
    let (Some(stdout), Some(mut stderr)) = (stdout, stderr) else { bail!("the oracle has no output") };
    // What it complains about must not fill the pipe while its output is read.
    let complaints = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text);
        text
    });
    let mut outcome = Ok(());
    for line in BufReader::new(stdout).lines() {
        let line = line.context("reading from the oracle")?;
        outcome = serde_json::from_str(&line).context("reading a line of the oracle").and_then(&mut visit);
        if outcome.is_err() {
            let _ = oracle.kill();
            break;
        }
    }
    let status = oracle.wait().context("waiting for the oracle")?;
    outcome?;
    if !status.success() {
        bail!("the oracle ended with {status}:\n{}", complaints.join().unwrap_or_default());
    }
    Ok(())
}
