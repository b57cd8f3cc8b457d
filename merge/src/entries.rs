//! `metadata.managedFields`: from entries to sets and back.
//!
//! Follows managedfields/internal/managedfields.go of apimachinery.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::set::Set;
use super::updater::{Managers, VersionedSet};
use super::wire::WireError;
use kindsmith_text::print;

/// How a manager came to own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// By server-side apply.
    Apply,
    /// By any other write.
    Update,
}

impl Operation {
    /// The name in entries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Apply, Self::Update].into_iter().find(|operation| operation.name() == name)
    }
}

/// Why entries are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntriesError {
    /// An entry has no operation that is known.
    #[error("operation must be `Apply` or `Update`")]
    Operation,
    /// An entry has no version.
    #[error("apiVersion must not be empty")]
    Version,
    /// An entry does not say in which form its fields are.
    #[error("missing fieldsType in managed fields entry {0}")]
    NoFieldsType(usize),
    /// An entry has its fields in a form that is not known.
    #[error("invalid fieldsType {} in managed fields entry {entry}", print::quoted(.name))]
    FieldsType {
        /// The form.
        name: String,
        /// The place of the entry.
        entry: usize,
    },
    /// The fields of an entry are none.
    #[error("error decoding versioned set: error decoding set: {0}")]
    Fields(#[from] WireError),
}

/// Who a manager is: what tells its entries from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) manager: String,
    pub(super) operation: Operation,
    /// Empty for appliers, who have one entry for all versions.
    pub(super) api_version: String,
    pub(super) subresource: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawIdentity {
    #[serde(default)]
    manager: String,
    operation: String,
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    subresource: String,
}

impl Identity {
    /// The identifier: JSON, as upstream has it, since identifiers are sorted as texts.
    pub(super) fn identifier(&self) -> String {
        let mut out = String::from("{");
        let version = if self.operation == Operation::Apply { "" } else { &self.api_version };
        let fields = [
            ("manager", self.manager.as_str()),
            ("operation", self.operation.name()),
            ("apiVersion", version),
            ("subresource", &self.subresource),
        ];
        for (name, text) in fields {
            if text.is_empty() {
                continue;
            }
            if out.len() > 1 {
                out.push(',');
            }
            out.push('"');
            out.push_str(name);
            out.push_str("\":");
            print::write_json_string(&mut out, text);
        }
        out.push('}');
        out
    }

    pub(super) fn parse(identifier: &str) -> Option<Self> {
        let raw: RawIdentity = serde_json::from_str(identifier).ok()?;
        Some(Self {
            manager: raw.manager,
            operation: Operation::named(&raw.operation)?,
            api_version: raw.api_version,
            subresource: raw.subresource,
        })
    }
}

/// Managers and the seconds in which they last wrote.
#[derive(Debug, Clone, Default)]
pub(super) struct Managed {
    pub(super) fields: Managers,
    pub(super) times: BTreeMap<String, i64>,
}

/// The entries of an object as they are written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entries {
    /// None, or none that can be read.
    Absent,
    Listed(Vec<Entry>),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Entry {
    manager: String,
    operation: String,
    api_version: String,
    time: Option<i64>,
    fields_type: String,
    fields: Option<Value>,
    subresource: String,
}

impl Entry {
    fn read(entry: &Value) -> Option<Self> {
        let map = entry.as_object()?;
        let text = |name| match map.get(name) {
            None | Some(Value::Null) => Some(String::new()),
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => None,
        };
        let time = match map.get("time") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.parse::<Timestamp>().ok()?.as_second()),
            Some(_) => return None,
        };
        Some(Self {
            manager: text("manager")?,
            operation: text("operation")?,
            api_version: text("apiVersion")?,
            time,
            fields_type: text("fieldsType")?,
            fields: map.get("fieldsV1").filter(|fields| !fields.is_null()).cloned(),
            subresource: text("subresource")?,
        })
    }
}

impl Entries {
    /// The entries of an object; one that cannot be read spoils them all.
    pub(super) fn of(object: &Value) -> Self {
        let entries = object.get("metadata").and_then(|metadata| metadata.get("managedFields"));
        let Some(Value::Array(entries)) = entries else { return Self::Absent };
        entries.iter().map(Entry::read).collect::<Option<_>>().map_or(Self::Absent, Self::Listed)
    }

    /// Whether a client asks to forget all owners: no entry, or one that is empty.
    pub(super) fn is_reset(&self) -> bool {
        match self {
            Self::Absent => false,
            Self::Listed(entries) => entries.is_empty() || *entries == [Entry::default()],
        }
    }

    pub(super) fn decode(self) -> Result<Managed, EntriesError> {
        let mut managed = Managed::default();
        let Self::Listed(entries) = self else { return Ok(managed) };
        for (at, entry) in entries.into_iter().enumerate() {
            let operation = Operation::named(&entry.operation).ok_or(EntriesError::Operation)?;
            if entry.api_version.is_empty() {
                return Err(EntriesError::Version);
            }
            match entry.fields_type.as_str() {
                "FieldsV1" => {}
                "" => return Err(EntriesError::NoFieldsType(at)),
                _ => return Err(EntriesError::FieldsType { name: entry.fields_type, entry: at }),
            }
            let set = entry.fields.as_ref().map(Set::from_value).transpose()?.unwrap_or_default();
            let version = entry.api_version.as_str().into();
            let identity = Identity {
                manager: entry.manager,
                operation,
                api_version: entry.api_version,
                subresource: entry.subresource,
            };
            let identifier = identity.identifier();
            match entry.time {
                Some(time) => managed.times.insert(identifier.clone(), time),
                None => managed.times.remove(&identifier),
            };
            managed.fields.insert(identifier, VersionedSet { set: set.into(), version, operation });
        }
        Ok(managed)
    }
}

impl Managed {
    /// The managers of an object.
    pub(super) fn of(object: &Value) -> Result<Self, EntriesError> {
        Entries::of(object).decode()
    }

    /// Writes the entries into an object, in their order.
    pub(super) fn write(&self, object: &mut Value) {
        remove(object);
        if self.fields.is_empty() {
            return;
        }
        let mut entries: Vec<_> =
            self.fields.iter().filter_map(|(id, own)| Some((Identity::parse(id)?, id, own))).collect();
        entries.sort_by(|(a, id_a, own_a), (b, id_b, own_b)| {
            let time = |id: &String| self.times.get(id).copied().unwrap_or_default();
            a.operation
                .cmp(&b.operation)
                .then_with(|| time(id_a).cmp(&time(id_b)))
                .then_with(|| a.manager.cmp(&b.manager))
                .then_with(|| own_a.version.cmp(&own_b.version))
                .then_with(|| a.subresource.cmp(&b.subresource))
        });
        let entries = entries.into_iter().map(|(identity, id, own)| entry(identity, own, self.times.get(id))).collect();
        let Value::Object(map) = object else { return };
        let metadata = map.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(metadata) = metadata {
            metadata.insert("managedFields".to_owned(), Value::Array(entries));
        }
    }
}

fn entry(identity: Identity, own: &VersionedSet, time: Option<&i64>) -> Value {
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| map.insert(name.to_owned(), value);
    if !identity.manager.is_empty() {
        put("manager", identity.manager.into());
    }
    put("operation", identity.operation.name().into());
    put("apiVersion", own.version.as_ref().into());
    if let Some(time) = time.and_then(|time| Timestamp::from_second(*time).ok()) {
        put("time", time.to_string().into());
    }
    put("fieldsType", "FieldsV1".into());
    put("fieldsV1", own.set.to_value());
    if !identity.subresource.is_empty() {
        put("subresource", identity.subresource.into());
    }
    Value::Object(map)
}

/// Removes the entries from an object.
pub(super) fn remove(object: &mut Value) {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.remove("managedFields");
    }
}

/// A copy of an object without its entries.
pub(super) fn without(object: &Value) -> Value {
    let Value::Object(map) = object else { return object.clone() };
    let field = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Object(metadata) if name == "metadata" => {
                let kept = metadata.iter().filter(|(name, _)| *name != "managedFields");
                Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
            }
            other => other.clone(),
        };
        (name.clone(), value)
    };
    Value::Object(map.iter().map(field).collect())
}
