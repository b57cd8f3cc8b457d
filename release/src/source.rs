//! The sources that a release is made of: where they are, and as of when.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Context as _;

/// The folder of the workspace.
pub(crate) fn workspace() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().map_or(own.clone(), PathBuf::from)
}

/// A file of the workspace.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read(path: &str) -> anyhow::Result<Vec<u8>> {
    let path = workspace().join(path);
    fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))
}

/// When the commit that is checked out was made: the only time that a release knows. `SOURCE_DATE_EPOCH` says another.
///
/// # Errors
/// Neither is known.
pub(crate) fn commit_time() -> anyhow::Result<String> {
    let seconds = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(said) => said,
        Err(_) => {
            let output = Command::new("git")
                .args(["log", "-1", "--format=%ct"])
                .current_dir(workspace())
                .output()
                .context("git cannot be started; set SOURCE_DATE_EPOCH to the time of the release")?;
            anyhow::ensure!(
                output.status.success(),
                "there is no commit here; set SOURCE_DATE_EPOCH to the time of the release"
            );
            String::from_utf8(output.stdout).context("git says no time")?
        }
    };
    let seconds: i64 = seconds.trim().parse().with_context(|| format!("{seconds:?} is no number of seconds"))?;
    Ok(jiff::Timestamp::from_second(seconds).context("the time of the release is out of bounds")?.to_string())
}
