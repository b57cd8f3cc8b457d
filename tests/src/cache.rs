//! What is made once and stays: a folder of the cache that outlives tests, named after what it is made of.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context as _;

use crate::binary::say;

/// Returns the folder `key` of a cache. If it is absent, `make` fills a folder, which is then named so; other processes
/// wait meanwhile. `what` says for people what is made, and how long that takes.
///
/// # Errors
/// As `make`, or a folder cannot be created.
pub(crate) fn obtain<E: From<anyhow::Error>>(
    cache: &Path,
    key: &str,
    what: &str,
    make: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<PathBuf, E> {
    let folder = cache.join(key);
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(cache).with_context(|| format!("creating {}", cache.display()))?;
    let lock = File::create(cache.join(format!("{key}.lock"))).context("creating the lock of the build")?;
    if lock.try_lock().is_err() {
        say(&format!("another process is at this; waiting for it: {what}"));
        lock.lock().context("waiting for the build")?;
    }
    if folder.is_dir() {
        return Ok(folder);
    }
    let began = Instant::now();
    say(what);
    let unfinished = tempfile::tempdir_in(cache).context("creating a folder for the build")?;
    make(unfinished.path())?;
    fs::rename(unfinished.keep(), &folder).with_context(|| format!("naming {}", folder.display()))?;
    say(&format!("that took {} s; it stays in {}", began.elapsed().as_secs(), folder.display()));
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use anyhow::{Result, bail};

    use super::*;

    #[test]
    fn what_is_there_is_not_made_again_and_what_failed_is_not_there() -> Result<()> {
        let cache = tempfile::tempdir()?;
        let failed: Result<_> = obtain(cache.path(), "a", "trying", |_| bail!("no"));
        assert!(failed.is_err() && !cache.path().join("a").exists());
        let made =
            obtain(cache.path(), "a", "making", |folder| -> Result<()> { Ok(fs::write(folder.join("file"), "1")?) })?;
        let found = obtain(cache.path(), "a", "making", |_| -> Result<()> { bail!("it is there") })?;
        assert_eq!(made, found);
        assert_eq!(fs::read_to_string(found.join("file"))?, "1");
        Ok(())
    }
}
