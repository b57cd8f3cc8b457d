//! Between the version of a kind that is stored and the one that is asked for: by `apiVersion` alone, as a custom resource
//! with the conversion strategy `None` does it.
//!
//! - writing: the object is pruned and defaulted by the version of the request; [`Kind::encode`] prunes it by the storage
//!   version
//! - reading: [`Kind::decode`] prunes it by the version in which it is stored, and fills in the defaults of that version;
//!   [`Kind::convert`] prunes it by the version that is asked for
//!
//! So what is stored is never shown by a schema that does not know it, also when the schema has changed since.
//!
//! Two things are otherwise for instances on releases. The values of a release are complete: the defaults of the storage
//! version are among them from the beginning, where a custom resource gets them with each reading. And what no version
//! declares was put there by others: it is shown in all versions, and kept when it comes back as it was.
//!
//! Follows k8s.io/apiextensions-apiserver/pkg/apiserver/customresource_handler.go (`crdConversionRESTOptionsGetter`,
//! `schemaCoercingDecoder`, `schemaCoercingConverter`, `unstructuredDefaulter`).

mod held;
mod lost;

use serde_json::{Value, json};

pub use held::keep_held;
pub use lost::{Lost, LostField};

use crate::{
    kind::{Kind, KindBackend, KindVersion},
    structural::Schema,
};

impl Kind {
    /// The instance in a host object, in the version in which it is stored.
    #[must_use]
    pub fn decode(&self, host: &Value) -> Value {
        let KindBackend::Release(template) = &self.backend else {
            let mut object = host.clone();
            if let Some(version) = self.stored_version(host) {
                object["apiVersion"] = json!(self.api_version(&version.name));
                version.schema.keep_known(&mut object);
                version.schema.default(&mut object);
            }
            object["kind"] = json!(self.names.kind);
            return object;
        };
        let mut instance = template.get(host);
        instance["kind"] = json!(self.names.kind);
        if let Some(version) = self.storage_version() {
            instance["apiVersion"] = json!(self.api_version(&version.name));
            self.drop_of_others(&mut instance, version);
            self.own_from_release(&mut instance, host);
            version.schema.default(&mut instance);
        }
        instance
    }

    /// Makes an instance, decoded from the backend, one of a version.
    pub fn convert(&self, instance: &mut Value, version: &KindVersion) {
        if !self.change_version(instance, version) {
            return;
        }
        match self.backend {
            KindBackend::Release(_) => self.drop_of_others(instance, version),
            KindBackend::Stored => version.schema.keep_known(instance),
        }
        version.schema.drop_nulls(instance);
    }

    /// Makes an instance of any version what the backend holds: one of the storage version. `decoded` is what the backend
    /// held before, as [`Kind::decode`] shows it.
    pub fn encode(&self, instance: &mut Value, decoded: Option<&Value>) {
        let Some(version) = self.storage_version() else { return };
        if !self.change_version(instance, version) {
            return;
        }
        match self.backend {
            KindBackend::Release(_) => {
                let sent = instance.clone();
                version.schema.keep_known(instance);
                if let Some(decoded) = decoded {
                    keep_held(instance, &sent, decoded);
                }
                version.schema.default(instance);
            }
            KindBackend::Stored => {
                version.schema.keep_known(instance);
                version.schema.drop_nulls(instance);
            }
        }
    }

    /// Whether what others put into a host object is shown and kept although no version declares it.
    #[must_use]
    pub fn keeps_foreign_fields(&self) -> bool {
        matches!(self.backend, KindBackend::Release(_))
    }

    /// Sets `apiVersion`. Returns whether it was another.
    fn change_version(&self, object: &mut Value, version: &KindVersion) -> bool {
        let api_version = self.api_version(&version.name);
        if object.get("apiVersion").and_then(Value::as_str) == Some(&api_version) {
            return false;
        }
        object["apiVersion"] = json!(api_version);
        true
    }

    /// The version in which an object says that it is stored; the storage version, if the kind has that no more.
    fn stored_version(&self, object: &Value) -> Option<&KindVersion> {
        let named = object.get("apiVersion").and_then(Value::as_str);
        named.and_then(|named| self.version_of(named)).or_else(|| self.storage_version())
    }

    /// Drops the fields that are of other versions alone.
    fn drop_of_others(&self, instance: &mut Value, version: &KindVersion) {
        let others: Vec<&Schema> =
            self.versions.iter().filter(|other| other.name != version.name).map(|other| &other.schema).collect();
        if !others.is_empty() {
            version.schema.drop_declared_by(instance, &others);
        }
    }
}

#[cfg(test)]
mod tests;
