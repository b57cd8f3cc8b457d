//! A layer of an image: files in an order and with times that do not depend on who makes it, in tar and gzip.

use std::io::{self, Write as _};

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

/// A layer.
pub(crate) struct Layer {
    /// The archive as it is sent.
    pub(crate) gzip: Vec<u8>,
    /// The archive as it is unpacked, by whose digest an image knows it.
    pub(crate) tar: Vec<u8>,
}

/// What stands at a path of a layer.
pub(crate) enum Entry<'a> {
    /// A folder with those rights.
    Folder(u32),
    /// A file with those rights.
    File(u32, &'a [u8]),
}

/// Packs entries, whose folders stand in front of what is in them. Everything is of the user 0, so that nobody who runs
/// the image can change it.
///
/// # Errors
/// A path is too long.
pub(crate) fn pack(entries: &[(&str, Entry<'_>)]) -> io::Result<Layer> {
    let mut archive = Builder::new(Vec::new());
    for (path, entry) in entries {
        append(&mut archive, path, entry)?;
    }
    let tar = archive.into_inner()?;
    // Neither a time nor a name is in the header.
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
    gzip.write_all(&tar)?;
    Ok(Layer { gzip: gzip.finish()?, tar })
}

/// Adds an entry to an archive, without a time, and of the user 0.
///
/// # Errors
/// The path is too long, or the archive cannot be written.
pub(crate) fn append(archive: &mut Builder<impl io::Write>, path: &str, entry: &Entry<'_>) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    let (kind, rights, bytes): (EntryType, u32, &[u8]) = match entry {
        Entry::Folder(rights) => (EntryType::Directory, *rights, &[]),
        Entry::File(rights, bytes) => (EntryType::Regular, *rights, bytes),
    };
    header.set_entry_type(kind);
    header.set_mode(rights);
    header.set_size(u64::try_from(bytes.len()).map_err(io::Error::other)?);
    archive.append_data(&mut header, path, bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn a_layer_is_the_same_each_time_and_has_what_was_put_into_it() {
        let entries = || [("etc", Entry::Folder(0o755)), ("etc/passwd", Entry::File(0o644, b"x"))];
        let layer = pack(&entries()).unwrap();
        assert_eq!(layer.gzip, pack(&entries()).unwrap().gzip);
        let mut unpacked = Vec::new();
        GzDecoder::new(&layer.gzip[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, layer.tar);
        let mut archive = tar::Archive::new(&layer.tar[..]);
        let found: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                (entry.path().unwrap().display().to_string(), header.mode().unwrap(), header.mtime().unwrap())
            })
            .collect();
        assert_eq!(found, [("etc".to_owned(), 0o755, 0), ("etc/passwd".to_owned(), 0o644, 0)]);
    }
}
