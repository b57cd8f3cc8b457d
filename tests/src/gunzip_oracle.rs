//! Go's gzip, which kube-apiserver and kubectl read our answers with.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::binary;

/// Has Go unpack gzip files and compare each with its text. Blocks.
///
/// # Errors
/// Go is absent or too old, a file is no gzip file to it, or its text is another one.
pub fn compare(pairs: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("controlplane/gunzip");
    let folder = tempfile::tempdir().context("creating a folder for the program")?;
    let program = folder.path().join("gunzip");
    let mut build = Command::new(binary::find_go()?);
    build.args(["build", "-buildvcs=false", "-o"]).arg(&program).arg(".").current_dir(&sources);
    binary::run(&mut build)?;

    let mut reader = Command::new(&program);
    let mut reader = reader.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = reader.stdin.take().context("the program has no input")?;
    // It writes nothing before it has read all, or has failed.
    let written = pairs.iter().flat_map(|(file, text)| [file, text]).try_for_each(|half| {
        let length = u32::try_from(half.len()).map_err(std::io::Error::other)?;
        stdin.write_all(&length.to_le_bytes())?;
        stdin.write_all(half)
    });
    drop(stdin);
    let output = reader.wait_with_output().context("waiting for the program")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "Go reads something else: {complaint}");
    written.context("writing to the program")?;
    let read = String::from_utf8_lossy(&output.stdout);
    ensure!(read.trim() == pairs.len().to_string(), "Go has read {read} files of {}", pairs.len());
    Ok(())
}
