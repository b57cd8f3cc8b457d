//! Files out of a tar archive, as `helm package` and others make it. Its sizes are bounded: it comes from anywhere.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

/// The most bytes of one file.
pub(super) const FILE_BYTES_MAX: u64 = 4 << 20;

/// The most bytes of an archive, unpacked.
pub(super) const ARCHIVE_BYTES_MAX: u64 = 256 << 20;

/// The most bytes of a long name.
const NAME_BYTES_MAX: u64 = 64 << 10;

/// A block of an archive, in bytes.
const BLOCK_BYTES: usize = 512;

/// What is taken of archives, all together, in bytes.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) bytes_left: u64,
}

/// Which files are wanted of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    No,
    /// If there is room for it.
    Perhaps,
    Yes,
}

/// The files `<chart>/<path>` whose paths are wanted. One folder has them all, and no entry is outside of it.
pub(super) fn read(
    unpacked: impl Read,
    bytes_max: u64,
    room: &mut Room,
    wanted: impl Fn(&str) -> Wanted,
) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut unpacked = unpacked.take(bytes_max);
    let mut files = BTreeMap::new();
    let mut folder: Option<String> = None;
    // The name of the next file, where a header of its own says it.
    let mut long_name: Option<String> = None;
    while let Some(header) = Header::read(&mut unpacked)? {
        let size = header.size()?;
        let mut contents = (&mut unpacked).take(size);
        match header.kind() {
            b'x' => long_name = pax_path(&bytes(&mut contents, NAME_BYTES_MAX)?).or(long_name),
            b'L' => long_name = Some(text_before_nul(&bytes(&mut contents, NAME_BYTES_MAX)?)),
            // What holds for all files, and a long target of a link.
            b'g' | b'K' => {}
            kind => {
                let name = long_name.take().unwrap_or_else(|| header.name());
                let found = inside(&name)?.filter(|_| matches!(kind, b'0' | 0));
                let found = found.map(|(top, path)| (top, path, wanted(path)));
                if let Some((top, path, wanted)) = found.filter(|(_, _, wanted)| *wanted != Wanted::No) {
                    if folder.get_or_insert_with(|| top.to_owned()) != top {
                        return Err(io::Error::other("it holds more than one chart"));
                    }
                    if let Some(taken) = room.take(&mut contents, size, wanted)? {
                        files.entry(path.to_owned()).or_insert(taken);
                    }
                }
            }
        }
        io::copy(&mut contents, &mut io::sink())?;
        let is_cut_short = contents.limit() > 0;
        let padding = size.next_multiple_of(BLOCK_BYTES as u64) - size;
        io::copy(&mut (&mut unpacked).take(padding), &mut io::sink())?;
        if unpacked.limit() == 0 {
            return Err(io::Error::other(format!("it is larger than {} MiB", bytes_max >> 20)));
        }
        if is_cut_short {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(files)
}

impl Room {
    /// A file of a size, as far as there is room for it.
    pub(super) fn take(&mut self, file: impl Read, size: u64, wanted: Wanted) -> io::Result<Option<Vec<u8>>> {
        if wanted != Wanted::Yes && size > self.bytes_left.min(FILE_BYTES_MAX) {
            return Ok(None);
        }
        let taken = bytes(file, FILE_BYTES_MAX)?;
        self.bytes_left = self.bytes_left.saturating_sub(taken.len() as u64);
        Ok(Some(taken))
    }
}

fn bytes(file: impl Read, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > bytes_max {
        return Err(io::Error::other(format!("a file is larger than {} KiB", bytes_max >> 10)));
    }
    Ok(bytes)
}

/// The folder at the top and the path in it. A path that leads out of the folder is refused, as Helm does.
fn inside(name: &str) -> io::Result<Option<(&str, &str)>> {
    let is_outside = name.starts_with('/') || name.contains('\\') || name.split('/').any(|part| part == "..");
    if is_outside {
        return Err(io::Error::other(format!("{name:?} is outside of the chart")));
    }
    Ok(name.trim_start_matches("./").split_once('/'))
}

/// A block that tells what comes after it.
struct Header([u8; BLOCK_BYTES]);

impl Header {
    /// The next one. An archive ends with empty blocks, or without.
    fn read(unpacked: &mut impl Read) -> io::Result<Option<Self>> {
        let mut block = [0; BLOCK_BYTES];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match unpacked.read(rest) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(block.iter().any(|byte| *byte != 0).then_some(Self(block)))
    }

    fn field(&self, from: usize, to: usize) -> String {
        text_before_nul(self.0.get(from..to).unwrap_or_default())
    }

    fn kind(&self) -> u8 {
        self.0[156]
    }

    fn size(&self) -> io::Result<u64> {
        let wrong = |_| io::Error::other("the size of a file in the archive is no number");
        u64::from_str_radix(self.field(124, 136).trim(), 8).map_err(wrong)
    }

    /// The name, of which POSIX keeps the folders of a long one apart.
    fn name(&self) -> String {
        let prefix = if self.field(257, 262) == "ustar" && self.field(257, 265) != "ustar  " {
            self.field(345, 500)
        } else {
            String::new()
        };
        if prefix.is_empty() { self.field(0, 100) } else { format!("{prefix}/{}", self.field(0, 100)) }
    }
}

fn text_before_nul(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// `path` among records of the form `<length> <key>=<value>\n`.
fn pax_path(mut records: &[u8]) -> Option<String> {
    let mut path = None;
    while let Some(space) = records.iter().position(|byte| *byte == b' ') {
        let length: usize = std::str::from_utf8(records.get(..space)?).ok()?.parse().ok()?;
        let record = records.get(space + 1..length)?.strip_suffix(b"\n")?;
        if let Some(value) = record.strip_prefix(b"path=") {
            path = Some(String::from_utf8_lossy(value).into_owned());
        }
        records = records.get(length..)?;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: u8, name: &str, contents: &[u8]) -> Vec<u8> {
        let mut header = vec![0_u8; BLOCK_BYTES];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", contents.len()).as_bytes());
        header[156] = kind;
        header[257..262].copy_from_slice(b"ustar");
        header.extend(contents);
        header.resize(header.len().next_multiple_of(BLOCK_BYTES), 0);
        header
    }

    fn unpacked(archive: impl Read) -> io::Result<BTreeMap<String, Vec<u8>>> {
        let wanted = |path: &str| match path {
            "Chart.yaml" | "values.yaml" => Wanted::Yes,
            path if path.starts_with("templates/") => Wanted::Perhaps,
            _ => Wanted::No,
        };
        read(archive, ARCHIVE_BYTES_MAX, &mut Room { bytes_left: 10 }, wanted)
    }

    fn files(entries: &[Vec<u8>]) -> io::Result<BTreeMap<String, Vec<u8>>> {
        unpacked(entries.concat().as_slice())
    }

    #[test]
    fn only_files_of_the_chart_itself_count() {
        let found = files(&[
            entry(b'5', "redis/", b""),
            entry(b'0', "redis/charts/sub/values.yaml", b"not: this"),
            entry(b'2', "redis/Chart.yaml", b""),
            entry(b'0', "./redis/values.yaml", b"a: 1"),
            vec![0; 2 * BLOCK_BYTES],
        ]);
        assert_eq!(found.unwrap(), BTreeMap::from([("values.yaml".to_owned(), b"a: 1".to_vec())]));
    }

    #[test]
    fn long_names_are_read_as_pax_and_gnu_write_them() {
        let long = format!("{}/values.yaml", "x".repeat(120));
        let record = format!(" path={long}\n");
        let length = record.len() + 3;
        let pax = format!("30 mtime=1350244992.023960108\n{length}{record}");
        let mut split = entry(b'0', "values.yaml", b"c: 3");
        split[345..348].copy_from_slice(b"top");
        for (entries, wanted) in [
            (
                vec![
                    entry(b'g', "pax_global_header", b"16 comment=none\n"),
                    entry(b'x', "PaxHeaders/0", pax.as_bytes()),
                    entry(b'0', "cut", b"a: 1"),
                ],
                "a: 1",
            ),
            (vec![entry(b'L', "././@LongLink", format!("{long}\0").as_bytes()), entry(b'0', "cut", b"b: 2")], "b: 2"),
            (vec![split], "c: 3"),
        ] {
            assert_eq!(files(&entries).unwrap().get("values.yaml").map(Vec::as_slice), Some(wanted.as_bytes()));
        }
    }

    #[test]
    fn paths_that_lead_outside_are_refused() {
        for name in ["../values.yaml", "/etc/values.yaml", "redis/../../x", "redis\\..\\x"] {
            let error = files(&[entry(b'0', "redis/values.yaml", b"a: 1"), entry(b'0', name, b"")]).unwrap_err();
            assert!(error.to_string().contains("outside"), "{name}: {error}");
        }
    }

    #[test]
    fn archives_that_are_cut_short_or_of_two_charts_are_refused() {
        let whole = entry(b'0', "redis/values.yaml", &[b'#'; 2000]);
        assert!(files(&[whole[..1000].to_vec()]).is_err());
        assert!(files(&[whole.clone(), whole[..100].to_vec()]).is_err());
        assert!(files(&[whole.clone(), entry(b'0', "other/Chart.yaml", b"name: x")]).is_err());
        assert!(files(&[whole]).is_ok());
    }

    #[test]
    fn files_and_archives_that_are_too_large_are_refused() {
        let large = entry(b'0', "redis/values.yaml", &vec![b'#'; (4 << 20) + 1]);
        assert!(files(&[large]).unwrap_err().to_string().contains("larger than"));
        let perhaps = entry(b'0', "redis/templates/a.yaml", &vec![b'#'; (4 << 20) + 1]);
        let found = files(&[perhaps, entry(b'0', "redis/templates/b.yaml", b"0123456789")]).unwrap();
        assert_eq!(found.into_keys().collect::<Vec<_>>(), ["templates/b.yaml"]);
        let mut endless = [entry(b'0', "redis/values.yaml", b"a: 1"), entry(b'0', "redis/big", b"")];
        endless[1][124..135].copy_from_slice(format!("{:011o}", 1_u64 << 32).as_bytes());
        let archive = io::Read::chain(std::io::Cursor::new(endless.concat()), io::repeat(b'x'));
        assert!(unpacked(archive).unwrap_err().to_string().contains("larger than 256 MiB"));
    }
}
