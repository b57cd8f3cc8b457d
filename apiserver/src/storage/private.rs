//! Folders and files that only their owner can read, also where they were there before.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

/// The mode of a folder: values of instances may be secret. etcd asks for the same.
const FOLDER_MODE: u32 = 0o700;

/// The mode of a file.
const FILE_MODE: u32 = 0o600;

/// Makes a folder, and takes it from others where it was there before.
///
/// # Errors
/// It cannot be made, or belongs to somebody else.
pub fn folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(FOLDER_MODE))
}

/// Takes a file that is there from others.
///
/// # Errors
/// It is not there, or belongs to somebody else.
pub fn keep(file: &Path) -> io::Result<()> {
    fs::set_permissions(file, fs::Permissions::from_mode(FILE_MODE))
}

/// Writes a file as a whole: another is written beside it and takes its place, so that nobody reads a part of it, and one
/// that others could read is not filled before it is taken from them. A link leads to the file that is written.
///
/// # Errors
/// It cannot be written; then it is as it was.
pub fn write(file: &Path, text: &str) -> io::Result<()> {
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
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
        fs::write(inner.join("store"), "").unwrap();
        fs::set_permissions(inner.join("store"), fs::Permissions::from_mode(0o644)).unwrap();
        keep(&inner.join("store")).unwrap();
        assert_eq!(mode(&inner.join("store")), 0o600);
        assert_eq!((mode(&inner), mode(&file)), (0o700, 0o600));
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 2, "nothing is left beside it");
    }
}
