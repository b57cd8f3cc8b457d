//! The generation of a definition that was accepted last, as a ControllerRevision keeps it.
//!
//! A ControllerRevision is what Kubernetes' own controllers keep former templates in: its data cannot be changed, it is
//! collected with its owner, and it has no place in the definition, whose annotations are the users' and are limited.
//! The definition is compressed, since both processes hold the records of all definitions.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::{
    compile::OwnStorage,
    deflate::{self, Effort},
    form::{DefinitionError, DefinitionForm},
    kind::Kind,
};

/// The label that every record has; its value is the uid of the definition.
pub const RECORD_LABEL: &str = "kindsmith.dev/accepted-generation-of";

/// What is unpacked at most; etcd takes objects of 1.5 MiB.
const UNPACKED_BYTES_MAX: usize = 4 << 20;

/// What is kept of a definition's metadata.
const METADATA_KEPT: [&str; 5] = ["name", "uid", "generation", "creationTimestamp", "annotations"];

/// An annotation that repeats the whole definition.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is not what was packed.
    #[error("the record of the accepted generation cannot be unpacked")]
    Unreadable,
    /// Its definition is not accepted any more.
    #[error("the recorded generation does not compile any more: {0}")]
    Definition(#[from] DefinitionError),
}

/// A generation that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedGeneration {
    /// The form of the definition.
    pub form: DefinitionForm,
    /// The uid of the definition.
    pub uid: String,
    /// The name of the definition.
    pub name: String,
    /// What was accepted: see [`DefinitionForm::state`].
    pub state: String,
    /// Which of several records is the last.
    pub revision: i64,
    packed: String,
}

impl AcceptedGeneration {
    /// Packs a definition that was accepted.
    ///
    /// # Errors
    /// It has no metadata, or is too large.
    pub fn pack(form: DefinitionForm, definition: &Value, revision: i64) -> Result<Self, RecordError> {
        let metadata = definition.get("metadata").and_then(Value::as_object).ok_or(RecordError::Unreadable)?;
        let mut kept: Map<String, Value> =
            metadata.iter().filter(|(key, _)| METADATA_KEPT.contains(&key.as_str())).map(owned).collect();
        if let Some(annotations) = kept.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
        }
        let text = |key: &str| kept.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (uid, name) = (text("uid"), text("name"));
        let state = form.state(definition);
        let object = definition.as_object().ok_or(RecordError::Unreadable)?;
        let rest = object.iter().filter(|(key, _)| *key != "metadata" && *key != "status").map(owned);
        let mut whole: Map<String, Value> = rest.collect();
        whole.insert("metadata".to_owned(), Value::Object(kept));
        let text = Value::Object(whole).to_string();
        if text.len() > UNPACKED_BYTES_MAX {
            return Err(RecordError::Unreadable);
        }
        let packed = STANDARD.encode(deflate::gzip(text.as_bytes(), Effort::Small));
        Ok(Self { form, uid, name, state, revision, packed })
    }

    /// The name of its ControllerRevision: two who record the same revision meet there.
    #[must_use]
    pub fn object_name(&self) -> String {
        format!("definition-{}-{}", self.uid, self.revision)
    }

    /// The ControllerRevision. It goes with the definition.
    #[must_use]
    pub fn object(&self, namespace: &str) -> Value {
        json!({
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": self.object_name(),
                "namespace": namespace,
                "labels": {"app.kubernetes.io/managed-by": "kindsmith", RECORD_LABEL: self.uid},
                "ownerReferences": [{
                    "apiVersion": format!("{}/{}", self.form.group(), self.form.version()),
                    "kind": "ApplicationDefinition",
                    "name": self.name,
                    "uid": self.uid,
                }],
            },
            "data": {
                "form": self.form.to_string(),
                "uid": self.uid,
                "name": self.name,
                "state": self.state,
                "definition": self.packed,
            },
            "revision": self.revision,
        })
    }

    /// Reads a ControllerRevision; its metadata is not looked at. None when it is no record.
    #[must_use]
    pub fn read(object: &Value) -> Option<Self> {
        let text = |key: &str| object.get("data")?.get(key)?.as_str().map(str::to_owned);
        Some(Self {
            form: text("form")?.parse().ok()?,
            uid: text("uid")?,
            name: text("name")?,
            state: text("state")?,
            revision: object.get("revision")?.as_i64()?,
            packed: text("definition")?,
        })
    }

    /// The kind of that generation; rules that came after it was accepted do not count.
    ///
    /// # Errors
    /// It cannot be unpacked, or there is no kind in it any more.
    pub fn kind(&self, own_storage: OwnStorage) -> Result<Kind, RecordError> {
        let packed = STANDARD.decode(&self.packed).map_err(|_| RecordError::Unreadable)?;
        let text = deflate::gunzip(&packed, UNPACKED_BYTES_MAX).map_err(|_| RecordError::Unreadable)?;
        let definition: Value = serde_json::from_slice(&text).map_err(|_| RecordError::Unreadable)?;
        Ok(self.form.recompile(&definition, own_storage)?.kind)
    }
}

fn owned((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}
