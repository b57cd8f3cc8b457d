//! A chart's files, from a folder or an archive.

use std::{collections::HashMap, fs::File, io, path::Path};

use anyhow::{Context as _, bail};
use flate2::read::GzDecoder;
use kindsmith_schema::yaml::{self, YamlError};
use serde_json::Value;

use super::archive;

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
            archive::read(GzDecoder::new(file), &FILES).with_context(|| format!("{shown} is no archive of a chart"))?
        };
        let Some(chart) = files.remove(FILES[0]) else { bail!("{shown} is no chart: it has no Chart.yaml") };
        let chart = yaml(&chart).context("Chart.yaml cannot be read")?;
        let text = |member: &str| chart.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
        if text("name").is_empty() {
            bail!("Chart.yaml names no chart");
        }
        let values_text = files.remove(FILES[1]).unwrap_or_default();
        let values = yaml(&values_text).context("values.yaml cannot be read")?;
        if !values.is_object() && !values.is_null() {
            bail!("values.yaml must be a map of values");
        }
        let schema = files.remove(FILES[2]).map(|text| serde_json::from_str(&text));
        let schema = schema.transpose().context("values.schema.json cannot be read")?;
        Ok(Self { name: text("name"), description: text("description"), values, values_text, schema })
    }
}

/// YAML as Helm reads it, which is as Kubernetes does: the last of equal keys counts, 0644 is octal, `yes` is true.
pub(super) fn yaml(text: &str) -> Result<Value, YamlError> {
    yaml::read(text.as_bytes()).map(|document| document.value)
}

fn folder(path: &Path) -> io::Result<HashMap<String, String>> {
    let mut files = HashMap::new();
    for name in FILES {
        match File::open(path.join(name)) {
            Ok(file) => drop(files.insert(name.to_owned(), archive::text(file)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
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
    fn values_may_be_missing_and_must_be_a_map() {
        assert_eq!(chart("").unwrap().values, Value::Null);
        assert_eq!(chart("# only\n\n  # comments\n").unwrap().values, Value::Null);
        assert!(chart("- a\n").unwrap_err().to_string().contains("must be a map"));
        assert!(Chart::read(Path::new("/nowhere")).is_err());
    }
}
