//! A chart's files, from a folder or an archive, and those of its subcharts.

use std::{collections::BTreeMap, fs, fs::File, io, path::Path};

use anyhow::{Context as _, bail};
use flate2::read::GzDecoder;
use kindsmith_schema::yaml::{self, YamlError};
use serde_json::Value;

use super::archive::{self, Room, Wanted};

/// The files of a chart that must be readable.
const FILES: [&str; 3] = ["Chart.yaml", "values.yaml", "values.schema.json"];

/// The subcharts of an old chart.
const REQUIREMENTS: &str = "requirements.yaml";

/// What is read of templates and subcharts at most, in bytes.
const ROOM_BYTES_MAX: u64 = 64 << 20;

/// The most bytes of an archive within the chart, unpacked.
const SUBCHART_BYTES_MAX: u64 = 32 << 20;

/// How many subcharts are read, and how deep they may be.
const SUBCHARTS_MAX: usize = 50;
const SUBCHARTS_DEEP_MAX: usize = 6;

/// How deep folders are looked into, and how many files they may have.
const FOLDERS_DEEP_MAX: usize = 24;
const FILES_MAX: usize = 20_000;

/// What matters of a chart.
#[derive(Debug, Default)]
pub(super) struct Chart {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) values: Value,
    /// With its comments.
    pub(super) values_text: String,
    pub(super) schema: Option<Value>,
    /// By path, in an order that is always the same. What is no text is not among them.
    pub(super) templates: Vec<(String, String)>,
    /// Whether other charts use its templates, and it has no objects of its own.
    pub(super) is_library: bool,
    /// Those that are there.
    pub(super) subcharts: Vec<Chart>,
    /// The charts it is made of, whether they are there or not.
    pub(super) dependencies: Vec<Dependency>,
}

/// A chart of which another is made.
#[derive(Debug)]
pub(super) struct Dependency {
    name: String,
    /// The key that has its values.
    pub(super) key: String,
}

/// Files by their path in the chart.
type Files = BTreeMap<String, Vec<u8>>;

/// What may be read yet.
struct Limits {
    room: Room,
    subcharts_left: usize,
}

impl Chart {
    /// Reads a chart from a folder or an archive.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let mut limits = Limits { room: Room { bytes_left: ROOM_BYTES_MAX }, subcharts_left: SUBCHARTS_MAX };
        let files = if path.is_dir() {
            folder(path, &mut limits.room).with_context(|| format!("{shown} cannot be read"))?
        } else {
            let file = File::open(path).with_context(|| format!("{shown} cannot be opened"))?;
            archive::read(GzDecoder::new(file), archive::ARCHIVE_BYTES_MAX, &mut limits.room, wanted)
                .with_context(|| format!("{shown} is no archive of a chart"))?
        };
        if !files.contains_key(FILES[0]) {
            bail!("{shown} is no chart: it has no Chart.yaml");
        }
        Self::of(files, &mut limits, 0)
    }

    fn of(mut files: Files, limits: &mut Limits, depth: usize) -> anyhow::Result<Self> {
        let mut file = |name: &str| -> anyhow::Result<Option<String>> {
            let text = files.remove(name).map(String::from_utf8);
            text.transpose().with_context(|| format!("{name} is not UTF-8"))
        };
        let chart = yaml(&file(FILES[0])?.unwrap_or_default()).context("Chart.yaml cannot be read")?;
        let text = |member: &str| chart.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
        if text("name").is_empty() {
            bail!("Chart.yaml names no chart");
        }
        let values_text = file(FILES[1])?.unwrap_or_default();
        let values = yaml(&values_text).context("values.yaml cannot be read")?;
        if !values.is_object() && !values.is_null() {
            bail!("values.yaml must be a map of values");
        }
        let schema = file(FILES[2])?.map(|text| serde_json::from_str(&text));
        let schema = schema.transpose().context("values.schema.json cannot be read")?;
        let requirements = file(REQUIREMENTS).ok().flatten().and_then(|text| yaml(&text).ok());
        let lists = [Some(&chart), requirements.as_ref()].into_iter().flatten();
        let dependencies = lists.filter_map(|of| of.get("dependencies")?.as_array()).flatten();
        Ok(Self {
            name: text("name"),
            description: text("description"),
            values,
            values_text,
            schema,
            is_library: text("type") == "library",
            dependencies: dependencies.filter_map(Dependency::of).collect(),
            subcharts: subcharts(&mut files, limits, depth),
            templates: files
                .into_iter()
                .filter(|(path, _)| path.starts_with("templates/"))
                .filter_map(|(path, text)| Some((path, String::from_utf8(text).ok()?)))
                .collect(),
        })
    }

    /// The keys that have the values of a subchart: as often as the chart is made of it.
    pub(super) fn keys_of<'c>(&'c self, subchart: &'c Self) -> Vec<&'c str> {
        let of_it = self.dependencies.iter().filter(|dependency| dependency.name == subchart.name);
        let keys: Vec<&str> = of_it.map(|dependency| dependency.key.as_str()).collect();
        if keys.is_empty() { vec![&subchart.name] } else { keys }
    }
}

impl Dependency {
    fn of(entry: &Value) -> Option<Self> {
        let text = |member: &str| entry.get(member).and_then(Value::as_str).filter(|text| !text.is_empty());
        let name = text("name")?.to_owned();
        Some(Self { key: text("alias").unwrap_or(&name).to_owned(), name })
    }
}

/// The charts in `charts/`, as folders or archives. What cannot be read as one is left out.
fn subcharts(files: &mut Files, limits: &mut Limits, depth: usize) -> Vec<Chart> {
    let mut by_folder: BTreeMap<String, Files> = BTreeMap::new();
    let (of_subcharts, own): (Files, Files) =
        std::mem::take(files).into_iter().partition(|(path, _)| path.starts_with("charts/"));
    *files = own;
    for (path, contents) in of_subcharts {
        let inner = path.strip_prefix("charts/").unwrap_or_default();
        match inner.split_once('/') {
            Some((folder, inner)) => {
                by_folder.entry(folder.to_owned()).or_default().insert(inner.to_owned(), contents);
            }
            None if limits.subcharts_left > 0 => {
                let unpacked = GzDecoder::new(contents.as_slice());
                if let Ok(files) = archive::read(unpacked, SUBCHART_BYTES_MAX, &mut limits.room, wanted) {
                    by_folder.insert(inner.to_owned(), files);
                }
            }
            None => {}
        }
    }
    let mut subcharts = Vec::new();
    for files in by_folder.into_values() {
        if depth < SUBCHARTS_DEEP_MAX && limits.subcharts_left > 0 {
            limits.subcharts_left -= 1;
            subcharts.extend(Chart::of(files, limits, depth + 1).ok());
        }
    }
    subcharts
}

/// Which files of a chart matter.
fn wanted(path: &str) -> Wanted {
    if FILES.contains(&path) {
        return Wanted::Yes;
    }
    let mut inner = path;
    while let Some(of_subchart) = inner.strip_prefix("charts/") {
        match of_subchart.split_once('/') {
            Some((_, deeper)) => inner = deeper,
            None if of_subchart.ends_with(".tgz") => return Wanted::Perhaps,
            None => return Wanted::No,
        }
    }
    if FILES.contains(&inner) || inner == REQUIREMENTS || inner.starts_with("templates/") {
        Wanted::Perhaps
    } else {
        Wanted::No
    }
}

/// YAML as Helm reads it, which is as Kubernetes does: the last of equal keys counts, 0644 is octal, `yes` is true.
pub(super) fn yaml(text: &str) -> Result<Value, YamlError> {
    yaml::read(text.as_bytes()).map(|document| document.value)
}

fn folder(path: &Path, room: &mut Room) -> io::Result<Files> {
    let mut files = Files::new();
    for name in FILES.into_iter().chain([REQUIREMENTS]) {
        match File::open(path.join(name)) {
            Ok(file) => drop(room.take(file, 0, Wanted::Yes)?.map(|taken| files.insert(name.to_owned(), taken))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let mut files_left = FILES_MAX;
    for name in ["templates", "charts"] {
        walk(&path.join(name), name, room, &mut files, &mut files_left, 0);
    }
    Ok(files)
}

/// Takes what matters of a folder. What cannot be read, and folders behind links, are left out.
fn walk(path: &Path, name: &str, room: &mut Room, files: &mut Files, files_left: &mut usize, depth: usize) {
    let Ok(entries) = fs::read_dir(path) else { return };
    if depth > FOLDERS_DEEP_MAX {
        return;
    }
    for entry in entries.flatten() {
        let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
        let Some(name) = entry.file_name().to_str().map(|own| format!("{name}/{own}")) else { continue };
        if *files_left == 0 {
            return;
        }
        *files_left -= 1;
        if kind.is_dir() {
            walk(&path, &name, room, files, files_left, depth + 1);
            continue;
        }
        // Of no pipe and no device there is an end.
        let Some(size) = fs::metadata(&path).ok().filter(fs::Metadata::is_file).map(|file| file.len()) else {
            continue;
        };
        if wanted(&name) != Wanted::No
            && let Ok(Some(taken)) = File::open(&path).and_then(|file| room.take(file, size, Wanted::Perhaps))
        {
            files.insert(name, taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chart(values: &str) -> anyhow::Result<Chart> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("Chart.yaml"), "name: redis\ndescription: d\n")?;
        std::fs::write(folder.path().join("values.yaml"), values)?;
        Chart::read(folder.path())
    }

    #[test]
    fn values_are_read_as_helm_does() {
        let values =
            "mode: 0644\non: yes\na: 1\na: 2\nbase: &base {x: 1, z: 2}\nmerged:\n  <<: *base\n  z: 3\nsame: *base\n";
        let wanted = json!({
            "mode": 420, "true": true, "a": 2, "base": {"x": 1, "z": 2}, "merged": {"x": 1, "z": 3},
            "same": {"x": 1, "z": 2}
        });
        assert_eq!(chart(values).unwrap().values, wanted);
    }

    #[test]
    fn long_comments_are_no_obstacle() {
        let comments = "  # text\n".repeat(10_000);
        assert_eq!(chart(&format!("a:\n{comments}  b: 1\n")).unwrap().values, json!({"a": {"b": 1}}));
        assert_eq!(chart(&format!("a:\n{comments}")).unwrap().values, json!({"a": null}));
    }

    #[test]
    fn subcharts_have_their_values_under_their_names_or_aliases() {
        let place = tempfile::tempdir().unwrap();
        let files = [
            ("Chart.yaml", "name: web\ndependencies: [{name: redis, alias: cache}, {name: redis}, {name: away}]\n"),
            ("templates/a.yaml", "a"),
            ("charts/redis/Chart.yaml", "name: redis\n"),
            ("charts/redis/values.yaml", "size: 1\n"),
            ("charts/redis/templates/b.yaml", "b"),
            ("charts/redis/files/c.yaml", "c"),
            ("charts/redis/charts/common/Chart.yaml", "name: common\ntype: library\n"),
            ("charts/broken/Chart.yaml", "a: b: c"),
            ("charts/words.tgz", "no archive"),
        ];
        for (path, text) in files {
            std::fs::create_dir_all(place.path().join(path).parent().unwrap()).unwrap();
            std::fs::write(place.path().join(path), text).unwrap();
        }
        let chart = Chart::read(place.path()).unwrap();
        let [redis] = &chart.subcharts[..] else { panic!("{chart:?}") };
        assert_eq!(
            (chart.keys_of(redis), redis.keys_of(&redis.subcharts[0])),
            (vec!["cache", "redis"], vec!["common"])
        );
        assert_eq!((&redis.values, redis.subcharts[0].is_library), (&json!({"size": 1}), true));
        assert_eq!(redis.templates, [("templates/b.yaml".to_owned(), "b".to_owned())]);
        assert_eq!(chart.templates, [("templates/a.yaml".to_owned(), "a".to_owned())]);
        assert_eq!(chart.dependencies.len(), 3);
    }

    #[test]
    fn values_may_be_missing_and_must_be_a_map() {
        assert_eq!(chart("").unwrap().values, Value::Null);
        assert_eq!(chart("# only\n\n  # comments\n").unwrap().values, Value::Null);
        assert!(chart("- a\n").unwrap_err().to_string().contains("must be a map"));
        assert!(Chart::read(Path::new("/nowhere")).is_err());
    }
}
