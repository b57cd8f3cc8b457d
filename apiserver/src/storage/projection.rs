//! Between a host object and an instance as one version of its kind serves it, both ways.

use std::sync::Arc;

use bytes::Bytes;
use kindsmith_crds::Scope;
use kindsmith_schema::{
    kind::{Kind, KindBackend, KindVersion, StorageRole},
    numbers,
    structural::Schema,
};
use serde_json::Value;

use super::{
    cache::{Entry, HeldJson},
    host::encoded,
    kind_store::Read,
    texts::Texts,
    verdicts::{self, Verdicts},
};
use crate::object::admitted::Admitted;

/// How one served version of a kind shows host objects.
#[derive(Clone)]
pub struct Projection {
    kind: Arc<Kind>,
    version: usize,
    verdicts: Arc<Verdicts>,
}

impl Projection {
    /// The projection of the version at an index of `kind.versions`, if there is one.
    #[must_use]
    pub fn new(kind: Arc<Kind>, version: usize) -> Option<Self> {
        (version < kind.versions.len()).then(|| Self { kind, version, verdicts: Arc::default() })
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> &KindVersion {
        &self.kind.versions[self.version]
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> &Arc<Kind> {
        &self.kind
    }

    /// Whether a host object is an instance of the kind.
    #[must_use]
    pub fn matches(&self, host: &Value) -> bool {
        match &self.kind.backend {
            KindBackend::Release(template) => template.matches(host),
            // What a former definition of another scope has left cannot be addressed.
            KindBackend::Stored => {
                let has_namespace =
                    host.pointer("/metadata/namespace").and_then(Value::as_str).is_some_and(|it| !it.is_empty());
                has_namespace == (self.kind.scope == Scope::Namespaced)
            }
        }
    }

    /// The name of the instance in a host object of this name. None where it can be no instance, whatever else it holds.
    #[must_use]
    pub fn instance_name<'a>(&self, host_name: &'a str) -> Option<&'a str> {
        match &self.kind.backend {
            KindBackend::Release(template) => template.instance_name(host_name),
            KindBackend::Stored => Some(host_name),
        }
    }

    /// The instance in a host object, in this version: see [`kindsmith_schema::conversion`].
    #[must_use]
    pub fn instance(&self, host: &Value) -> Value {
        self.shown(host, Verdicts::told)
    }

    fn shown(&self, host: &Value, judge: impl Fn(&Verdicts, &Value, &Schema) -> Option<Arc<str>>) -> Value {
        let mut instance = self.kind.decode(host);
        self.kind.convert(&mut instance, self.version());
        if matches!(self.kind.backend, KindBackend::Release(_))
            && let Some(fault) = judge(&self.verdicts, &instance, &self.version().schema)
        {
            verdicts::add_condition(&mut instance, &fault);
        }
        // Last, since its texts see the rest.
        if let Some(usage) = &self.version().usage {
            usage.show(&mut instance);
        }
        instance
    }

    /// The host object of a new instance of this version.
    #[must_use]
    pub fn new_host(&self, admitted: Admitted) -> Value {
        let mut instance = admitted.into_object();
        numbers::write_whole(&mut instance);
        self.kind.encode(&mut instance, None);
        match &self.kind.backend {
            KindBackend::Release(template) => template.create(&instance),
            KindBackend::Stored => instance,
        }
    }

    /// The host object once an instance of this version replaces the one that was read.
    #[must_use]
    pub fn changed_host(&self, admitted: Admitted, read: &Read) -> Value {
        let mut instance = admitted.into_object();
        numbers::write_whole(&mut instance);
        let KindBackend::Release(template) = &self.kind.backend else {
            self.kind.encode(&mut instance, None);
            return instance;
        };
        // What was shown in this version lacks what other versions alone declare: the two are compared in the storage
        // version.
        let decoded = self.is_converted().then(|| self.kind.decode(&read.host));
        let shown = decoded.as_ref().unwrap_or(&read.instance);
        self.kind.encode(&mut instance, Some(shown));
        template.put_changes(&instance, shown, read.host.clone())
    }

    /// Whether instances of this version are converted on their way to the backend.
    fn is_converted(&self) -> bool {
        self.version().storage == StorageRole::Converted
    }

    /// The host object's name for an instance.
    #[must_use]
    pub fn host_name(&self, instance: &str) -> String {
        match &self.kind.backend {
            KindBackend::Release(template) => template.release_name(instance),
            KindBackend::Stored => instance.to_owned(),
        }
    }

    /// The entry of a host object in the cache, as the host told it: what is found about its values is remembered. Where the
    /// instance is the host object, they share its encoding.
    #[must_use]
    pub fn entry(&self, host: &Value, json: Option<&Bytes>, revision: u64) -> Arc<Entry> {
        let mut entry = self.encode(&self.shown(host, Verdicts::noted), revision);
        let shared = json.filter(|json| entry.json.text().as_ref() == Some(*json));
        entry.json = shared.map_or_else(|| entry.json.deflated(), |json| HeldJson::from(json.clone()));
        Arc::new(entry)
    }

    /// The entry of an instance that is already in this version.
    #[must_use]
    pub fn encode(&self, instance: &Value, revision: u64) -> Entry {
        let text = |pointer: &str| instance.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let labels = match instance.pointer("/metadata/labels") {
            Some(Value::Object(labels)) => {
                labels.iter().filter_map(|(key, value)| value.as_str().map(|value| (key.as_str(), value))).collect()
            }
            _ => Texts::default(),
        };
        let fields = self
            .version()
            .selectable_fields
            .iter()
            .map(|field| {
                let value = match field.path.find(instance).first().map(AsRef::as_ref) {
                    None | Some(Value::Null) => String::new(),
                    Some(Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                };
                (field.name.as_str(), value)
            })
            .collect();
        Entry {
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name").unwrap_or_default(),
            revision,
            labels,
            fields,
            json: encoded(instance).into(),
        }
    }
}
