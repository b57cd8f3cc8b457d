//! Folders and files that only their owner can read.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use anyhow::Context as _;

/// The mode of a folder.
const FOLDER_MODE: u32 = 0o700;

/// The mode of a file.
const FILE_MODE: u32 = 0o600;

/// Makes a folder, and takes it from others where it was there before.
pub(super) fn folder(path: &Path) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path);
    made.and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(FOLDER_MODE)))
        .with_context(|| format!("{} cannot be created and kept private", path.display()))
}

/// Writes a file as a whole: another is written beside it and takes its place, so that nobody reads a part of it, and one
/// that others could read is not filled before it is taken from them. A link leads to the file that is written.
pub(super) fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let written = || -> std::io::Result<()> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let beside = file.with_file_name(format!(".{name}.{}", std::process::id()));
        let _ = fs::remove_file(&beside);
        let opened = fs::OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&beside);
        let replaced = opened
            .and_then(|mut opened| {
                opened.write_all(text.as_bytes())?;
                opened.sync_all()
            })
            .and_then(|()| fs::rename(&beside, &file));
        if replaced.is_err() {
            let _ = fs::remove_file(&beside);
        }
        replaced
    };
    written().with_context(|| format!("{} cannot be written", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_was_there_before_is_taken_from_others() {
        let place = tempfile::tempdir().unwrap();
        let (inner, file, link) = (place.path().join("a"), place.path().join("a/key"), place.path().join("link"));
        fs::create_dir(&inner).unwrap();
        fs::write(&file, "old and longer").unwrap();
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        folder(&inner).unwrap();
        write(&link, "new").unwrap();
        assert_eq!((mode(&inner), mode(&file)), (0o700, 0o600));
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 1, "nothing is left beside it");
    }
}
