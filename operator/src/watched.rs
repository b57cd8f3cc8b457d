//! A definition as the store keeps it: its metadata, its status as written, and the rest as text.
//!
//! A definition is read as a whole once a generation and looked at all the time. As text it takes a seventh of what it
//! takes as a tree, and there may be a thousand of them.

use std::{fmt, sync::Arc};

use kindsmith_crds::ApplicationDefinitionStatus;
use kindsmith_schema::form::DefinitionForm;
use kube::{api::Object, core::ObjectMeta};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

/// Annotations that repeat the whole object; nobody here reads them.
const REPEATING_ANNOTATIONS: [&str; 1] = ["kubectl.kubernetes.io/last-applied-configuration"];

/// A definition of either form.
pub(crate) type WatchedDefinition = Object<SpecText, WrittenStatus>;

/// The spec of a definition, as JSON; empty when it has none.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SpecText(Box<str>);

impl SpecText {
    /// The spec.
    fn value(&self) -> Option<Value> {
        serde_json::from_str(&self.0).ok()
    }
}

impl fmt::Debug for SpecText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpecText({} bytes)", self.0.len())
    }
}

impl<'de> Deserialize<'de> for SpecText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // An option, for one without a spec must not hide all the others.
        let spec = Option::<Value>::deserialize(deserializer)?;
        Ok(Self(spec.map(|spec| spec.to_string()).unwrap_or_default().into()))
    }
}

impl Serialize for SpecText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

/// The status of a definition. One that does not parse is empty, and will be written anew.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WrittenStatus(pub(crate) Arc<ApplicationDefinitionStatus>);

impl<'de> Deserialize<'de> for WrittenStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let status = Value::deserialize(deserializer)?;
        Ok(Self(Arc::new(serde_json::from_value(status).unwrap_or_default())))
    }
}

impl Serialize for WrittenStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Takes away what nobody here reads.
pub(crate) fn strip(definition: &mut WatchedDefinition) {
    definition.metadata.managed_fields = None;
    if let Some(annotations) = &mut definition.metadata.annotations {
        annotations.retain(|key, _| !REPEATING_ANNOTATIONS.contains(&key.as_str()));
    }
}

/// The definition as it was written, without its status.
pub(crate) fn whole(form: DefinitionForm, definition: &WatchedDefinition) -> Value {
    let mut whole = json!({
        "apiVersion": format!("{}/{}", form.group(), form.version()),
        "kind": "ApplicationDefinition",
        "metadata": definition.metadata,
    });
    if let Some(spec) = definition.spec.value() {
        whole["spec"] = spec;
    }
    whole
}

/// The text by which a kind of a definition changes: see [`DefinitionForm::state`].
pub(crate) fn state(form: DefinitionForm, metadata: &ObjectMeta) -> String {
    let annotations = metadata.annotations.as_ref().filter(|_| form.reads_annotations());
    form.state(&json!({"metadata": {"generation": metadata.generation, "annotations": annotations}}))
}

#[cfg(test)]
mod tests {
    use kindsmith_schema::compile::OwnStorage;

    use super::*;
    use crate::decide::testing::definition;

    #[test]
    fn a_definition_is_given_back_as_it_was_written() {
        let mut written = definition("redises", "Redis");
        written["metadata"]["annotations"] =
            json!({"a": "b", "kubectl.kubernetes.io/last-applied-configuration": "{}"});
        let mut watched: WatchedDefinition = serde_json::from_value(written.clone()).unwrap();
        strip(&mut watched);
        written["metadata"]["annotations"] = json!({"a": "b"});
        assert_eq!(whole(DefinitionForm::Kindsmith, &watched), written);
    }

    #[test]
    fn neither_a_missing_spec_nor_a_strange_status_hides_a_definition() {
        for strange in
            [json!({"metadata": {"name": "a"}}), json!({"metadata": {"name": "a"}, "spec": null, "status": 3})]
        {
            let watched: WatchedDefinition = serde_json::from_value(strange).unwrap();
            assert_eq!(watched.metadata.name.as_deref(), Some("a"));
            let form = DefinitionForm::Kindsmith;
            assert!(form.compile(&whole(form, &watched), OwnStorage::Absent).is_err());
        }
    }
}
