//! Cases: a schema, and what is done with objects of it. They are read from `tests/cases/schema/<feature>.yaml`.
//!
//! A case is an item of the file's list. `schema` is the schema of one field and `values` are values of that field;
//! `root` is the schema of a whole resource and `values` are whole objects, less `apiVersion`, `kind` and `name`. `texts`
//! are values that only JSON can write, such as duplicate fields. `updates` replace an `old` value, which the schema need
//! not allow, by a `new` one. `{$repeat: [item, count]}` is a list.

use std::{fmt, fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

/// Where the schema of a case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the schema of one field.
    Field,
    /// It is the schema of the resource.
    Root,
}

/// Whether the resource has a status of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// It is a field like others.
    #[default]
    Field,
    /// It is written through a path of its own.
    Subresource,
}

/// Through which path an object is updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Via {
    /// The object's.
    #[default]
    Main,
    /// That of its status.
    Status,
}

/// What is done with an object. The texts are JSON: a value of the field, or the members of the object without braces.
#[derive(Debug, Clone)]
pub(super) enum Probe {
    /// It is created.
    Create { text: String },
    /// It exists, and is replaced.
    Update { old: String, new: String, via: Via },
}

/// A schema, and what is done with objects of it.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// `feature/name`, or `feature/number` for cases without a name.
    pub(super) id: String,
    /// The name of the file.
    pub(super) feature: String,
    /// Where the schema stands.
    pub(super) place: Place,
    /// Whether the status is a subresource.
    pub(super) status: Status,
    /// The schema.
    pub(super) schema: Value,
    /// What is done with objects.
    pub(super) probes: Vec<Probe>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Option<String>,
    schema: Option<Value>,
    root: Option<Value>,
    #[serde(default)]
    status: Status,
    #[serde(default)]
    values: Vec<Value>,
    #[serde(default)]
    texts: Vec<String>,
    #[serde(default)]
    updates: Vec<WrittenUpdate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenUpdate {
    old: Value,
    new: Value,
    #[serde(default)]
    via: Via,
}

/// The folder of the cases.
pub(super) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("cases/schema")
}

/// All cases that are written in files, by feature.
pub(super) fn read() -> Result<Vec<Case>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder()).context("listing the cases")? {
        files.push(entry.context("listing the cases")?.path());
    }
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        let feature = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        if feature == super::expected::FILE_STEM {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        // `y` and `on` are texts.
        let options = serde_saphyr::options! { strict_booleans: true };
        let written: Vec<Written> = serde_saphyr::from_str_with_options(&text, options)
            .with_context(|| format!("parsing {}", path.display()))?;
        for (i, written) in written.into_iter().enumerate() {
            cases.push(Case::new(&feature, i, written)?);
        }
    }
    Ok(cases)
}

impl Case {
    fn new(feature: &str, number: usize, written: Written) -> Result<Case> {
        let id = format!("{feature}/{}", written.name.unwrap_or_else(|| number.to_string()));
        let (place, schema) = match (written.schema, written.root) {
            (Some(schema), None) => (Place::Field, schema),
            (None, Some(schema)) => (Place::Root, schema),
            _ => anyhow::bail!("{id} must have one of schema and root"),
        };
        ensure!(place == Place::Root || written.status == Status::Field, "{id}: a field has no status");
        let mut probes = Vec::new();
        for value in &written.values {
            probes.push(Probe::Create { text: place.text(&expanded(value))? });
        }
        probes.extend(written.texts.into_iter().map(|text| Probe::Create { text }));
        for WrittenUpdate { old, new, via } in written.updates {
            probes.push(Probe::Update { old: place.text(&old)?, new: place.text(&new)?, via });
        }
        Ok(Case { id, feature: feature.to_owned(), place, status: written.status, schema, probes })
    }

    /// The schema of a resource that has only this case's.
    pub(super) fn resource_schema(&self) -> Value {
        match self.place {
            Place::Root => self.schema.clone(),
            Place::Field => with_fields([("c".to_owned(), &self.schema)]),
        }
    }
}

/// The value with its `$repeat` written out.
fn expanded(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(expanded).collect(),
        Value::Object(map) => match map.get("$repeat").and_then(Value::as_array).map(Vec::as_slice) {
            Some([item, Value::Number(count)]) => {
                let count = count.as_u64().and_then(|count| count.try_into().ok()).unwrap_or_default();
                Value::Array(vec![expanded(item); count])
            }
            _ => map.iter().map(|(name, value)| (name.clone(), expanded(value))).collect(),
        },
        _ => value.clone(),
    }
}

/// The schema of a resource that has these cases' fields, each as `value` in an object of its own, so that defaults of
/// one case are not filled in for another.
pub(super) fn with_fields<'a>(fields: impl IntoIterator<Item = (String, &'a Value)>) -> Value {
    let field = |schema: &Value| json!({"type": "object", "properties": {"value": schema}});
    let properties: serde_json::Map<_, _> = fields.into_iter().map(|(name, schema)| (name, field(schema))).collect();
    json!({"type": "object", "properties": properties})
}

impl Place {
    /// The text of a value here.
    pub(super) fn text(self, value: &Value) -> Result<String> {
        let text = value.to_string();
        match self {
            Place::Field => Ok(text),
            Place::Root => {
                let members = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
                members.map(str::to_owned).with_context(|| format!("{text} is no object"))
            }
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Probe::Create { text } => write!(f, "create {text}"),
            Probe::Update { old, new, via } => write!(f, "replace {old}\n  by {new} ({via:?})"),
        }
    }
}
