//! A chart's files, from a folder or an archive. Sizes are bounded: an archive comes from anywhere.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

use anyhow::{Context as _, bail};
use flate2::read::GzDecoder;
use serde_json::Value;

/// The most bytes of one file.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The most bytes of an archive, unpacked.
const ARCHIVE_BYTES_MAX: u64 = 256 << 20;

/// A block of an archive, in bytes.
const BLOCK_BYTES: usize = 512;

/// The files that matter.
const FILES: [&str; 3] = ["Chart.yaml", "values.yaml", "values.schema.json"];

/// What matters of a chart.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) values: Value,
    /// With its comments.
    pub(super) values_text: String,
    pub(super) schema: Option<Value>,
}

impl Chart {
    /// Reads a chart from a folder or an archive.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let mut files = if path.is_dir() {
            folder(path).with_context(|| format!("{shown} cannot be read"))?
        } else {
            let file = File::open(path).with_context(|| format!("{shown} cannot be opened"))?;
            archive(GzDecoder::new(file)).with_context(|| format!("{shown} is no archive of a chart"))?
        };
        let Some(chart) = files.remove(FILES[0]) else { bail!("{shown} is no chart: it has no Chart.yaml") };
        let chart: Value = serde_saphyr::from_str(&chart).context("Chart.yaml cannot be read")?;
        let text = |member: &str| chart.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
        if text("name").is_empty() {
            bail!("Chart.yaml names no chart");
        }
        let values_text = files.remove(FILES[1]).unwrap_or_default();
        let values = if values_text.trim().is_empty() {
            Value::Null
        } else {
            serde_saphyr::from_str(&values_text).context("values.yaml cannot be read")?
        };
        let schema = files.remove(FILES[2]).map(|text| serde_json::from_str(&text));
        let schema = schema.transpose().context("values.schema.json cannot be read")?;
        Ok(Self { name: text("name"), description: text("description"), values, values_text, schema })
    }
}

fn folder(path: &Path) -> io::Result<HashMap<String, String>> {
    let mut files = HashMap::new();
    for name in FILES {
        match File::open(path.join(name)) {
            Ok(file) => drop(files.insert(name.to_owned(), text(file)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

fn text(file: impl Read) -> io::Result<String> {
    let mut text = String::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("a file is larger than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    Ok(text)
}

/// The files `<chart>/<name>` of a tar archive (POSIX ustar; what else its headers can say is of no matter here).
fn archive(packed: impl Read) -> io::Result<HashMap<String, String>> {
    let mut unpacked = packed.take(ARCHIVE_BYTES_MAX);
    let mut files = HashMap::new();
    let mut header = [0_u8; BLOCK_BYTES];
    loop {
        if let Err(error) = unpacked.read_exact(&mut header) {
            // Some archives lack the two empty blocks at their end.
            let ended = error.kind() == io::ErrorKind::UnexpectedEof && !files.is_empty();
            return if ended { Ok(files) } else { Err(error) };
        }
        if header.iter().all(|byte| *byte == 0) {
            return Ok(files);
        }
        let field = |from: usize, to: usize| {
            let bytes = header.get(from..to).unwrap_or_default();
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
        };
        let size = u64::from_str_radix(field(124, 136).trim(), 8)
            .map_err(|_| io::Error::other("the size of a file in the archive is no number"))?;
        let (name, is_file) = (field(0, 100), matches!(header[156], b'0' | 0));
        let mut contents = (&mut unpacked).take(size.next_multiple_of(BLOCK_BYTES as u64));
        let wanted = name.trim_start_matches("./").split_once('/').map(|(_, file)| file.to_owned());
        if let Some(file) = wanted.filter(|file| is_file && FILES.contains(&file.as_str())) {
            files.entry(file).or_insert(text((&mut contents).take(size))?);
        }
        io::copy(&mut contents, &mut io::sink())?;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn entry(name: &str, text: &str) -> Vec<u8> {
        let mut header = vec![0_u8; BLOCK_BYTES];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", text.len()).as_bytes());
        header[156] = b'0';
        header.extend(text.as_bytes());
        header.resize(header.len().next_multiple_of(BLOCK_BYTES), 0);
        header
    }

    #[test]
    fn a_packed_chart_is_the_same_as_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let files =
            [("Chart.yaml", "name: redis\ndescription: d\n"), ("values.yaml", "a: 1\n"), ("values.schema.json", "{}")];
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(&entry("redis/templates/values.yaml", "not: this")).unwrap();
        packed.write_all(&entry("redis/charts/sub/Chart.yaml", "name: sub")).unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
            packed.write_all(&entry(&format!("redis/{name}"), text)).unwrap();
        }
        packed.write_all(&[0; 2 * BLOCK_BYTES]).unwrap();
        let tgz = folder.path().join("redis-1.0.0.tgz");
        std::fs::write(&tgz, packed.finish().unwrap()).unwrap();
        let (one, other) = (Chart::read(folder.path()).unwrap(), Chart::read(&tgz).unwrap());
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
        assert_eq!((one.name.as_str(), one.values["a"].as_i64()), ("redis", Some(1)));
        assert!(Chart::read(&folder.path().join("values.yaml")).is_err());
        assert!(Chart::read(&folder.path().join("missing")).is_err());
    }
}
