//! A compiled kind as server-side apply sees it: the types of its versions, what its endpoints do not write, its Scale.
//!
//! Follows k8s.io/apiextensions-apiserver: pkg/registry/customresource/{strategy,status_strategy}.go for what is reset,
//! pkg/apiserver/conversion/converter.go for conversion without a webhook.

use kindsmith_merge::{ConvertError, HostPart, Kinds, ObjectType, PathElement, ScalePaths, Set, own_from_outside};
use kindsmith_text::print::quoted;
use std::{borrow::Cow, collections::BTreeMap, sync::LazyLock};

use serde_json::{Value, json};

use crate::{
    convert::release::{OWNERS_ANNOTATION, SETTINGS_ANNOTATION},
    field::FieldPath,
    kind::{Kind, KindBackend, KindVersion, StatusRole},
    structural::Schema,
};

/// The manager by which host objects are written, whoever asked for it.
pub const HOST_FIELD_MANAGER: &str = "kindsmith";

/// Where a release holds the spec of an instance.
const RELEASE_VALUES: HostPart<'_> = HostPart { from: &["spec", "values"], field: "spec", keeper: HOST_FIELD_MANAGER };

/// Which endpoint of a kind writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The object itself.
    Main,
    /// `/status`.
    Status,
}

impl Kind {
    /// The version of an `apiVersion`.
    pub(crate) fn version_of(&self, api_version: &str) -> Option<&KindVersion> {
        self.versions.iter().find(|version| self.api_version(&version.name) == api_version)
    }

    /// What an endpoint of a version does not write (`GetResetFields`).
    #[must_use]
    pub fn reset_fields(&self, api_version: &str, endpoint: Endpoint) -> BTreeMap<String, Set> {
        match endpoint {
            Endpoint::Main => self
                .version_of(api_version)
                .filter(|version| version.status != StatusRole::Field)
                .map(|_| (api_version.to_owned(), Set::of_fields(&["status"])))
                .into_iter()
                .collect(),
            Endpoint::Status => self
                .versions
                .iter()
                .filter(|version| version.status != StatusRole::Field)
                .map(|version| {
                    let reset = Set::of_fields(&["metadata"]).union(&Set::of_fields(&["spec"]));
                    (self.api_version(&version.name), reset)
                })
                .collect(),
        }
    }

    /// Gives an instance that was read out of a release the owners that only the release knows: those who wrote its
    /// values there. Before defaults are filled in, which nobody wrote.
    pub fn own_from_release(&self, instance: &mut Value, release: &Value) {
        let entries = release.pointer("/metadata/managedFields");
        let (Some(entries), Some(version)) = (entries, self.storage_version()) else { return };
        let api_version = self.api_version(&version.name);
        let list = entries.as_array().map(Vec::as_slice).unwrap_or_default();
        let news: Cow<'_, Value> = if list.iter().any(|entry| has_brought(entry, release)) {
            Cow::Owned(list.iter().filter(|entry| !has_brought(entry, release)).cloned().collect())
        } else {
            Cow::Borrowed(entries)
        };
        own_from_outside(instance, version.object_and_more_type(), &api_version, &news, RELEASE_VALUES);
    }

    /// Where the replicas are in each version.
    #[must_use]
    pub fn replicas_paths(&self) -> ScalePaths {
        let path = |version: &KindVersion| {
            let fields = version.scale.as_ref()?.spec_replicas.fields();
            Some(fields.iter().map(|field| PathElement::field(field)).collect())
        };
        self.versions.iter().map(|version| (self.api_version(&version.name), path(version))).collect()
    }
}

/// Whether an entry of a release is of somebody who made it from a copy, a backup for example: with values came who owns
/// them, and nothing was written since.
fn has_brought(entry: &Value, release: &Value) -> bool {
    let annotations = release.pointer("/metadata/annotations");
    let owned = entry.pointer("/fieldsV1/f:metadata/f:annotations");
    entry.get("manager").and_then(Value::as_str) != Some(HOST_FIELD_MANAGER)
        && entry.get("time") == release.pointer("/metadata/creationTimestamp")
        && annotations.is_some_and(|held| held.get(OWNERS_ANNOTATION).is_some())
        && owned.is_some_and(|owned| {
            [OWNERS_ANNOTATION, SETTINGS_ANNOTATION].iter().any(|key| owned.get(format!("f:{key}")).is_some())
        })
}

impl KindVersion {
    /// Which lists and maps of its objects merge; made when somebody first writes one.
    pub fn object_type(&self) -> &ObjectType {
        self.merge_type.get_or_init(|| ObjectType::of_schema(&self.schema.raw()))
    }

    /// The same for objects that may hold more than the schema knows, as those do that others write too.
    pub fn object_and_more_type(&self) -> &ObjectType {
        self.merge_and_more_type.get_or_init(|| ObjectType::of_schema_and_more(&self.schema.raw()))
    }
}

/// The one version of Scale.
#[derive(Clone, Copy, Debug)]
pub struct ScaleKind;

impl Kinds for ScaleKind {
    fn object_type(&self, api_version: &str) -> Option<&ObjectType> {
        static SCALE: LazyLock<Option<ObjectType>> = LazyLock::new(|| {
            let replicas = json!({"type": "integer", "format": "int32"});
            let schema = json!({"type": "object", "properties": {
                "spec": {"type": "object", "properties": {"replicas": replicas}},
                "status": {"type": "object", "properties": {"replicas": replicas, "selector": {"type": "string"}}},
            }});
            Schema::compile(&schema, &FieldPath::root()).ok().map(|schema| ObjectType::of_schema(&schema.raw()))
        });
        SCALE.as_ref().filter(|_| api_version == "autoscaling/v1")
    }

    fn convert(&self, _object: &Value, api_version: &str) -> Result<Value, ConvertError> {
        Err(ConvertError::MissingVersion(format!(
            "no kind \"Scale\" is registered for version {}",
            quoted(api_version)
        )))
    }

    fn default(&self, _object: &mut Value) {}
}

impl Kinds for Kind {
    fn object_type(&self, api_version: &str) -> Option<&ObjectType> {
        self.version_of(api_version).map(|version| match self.backend {
            KindBackend::Release(_) => version.object_and_more_type(),
            KindBackend::Stored => version.object_type(),
        })
    }

    fn config_type(&self, api_version: &str) -> Option<&ObjectType> {
        self.version_of(api_version).map(KindVersion::object_type)
    }

    fn convert(&self, object: &Value, api_version: &str) -> Result<Value, ConvertError> {
        if self.version_of(api_version).is_none() {
            return Err(ConvertError::Failed(format!(
                "request to convert CR to an invalid group/version: {api_version}"
            )));
        }
        let mut converted = object.clone();
        converted["apiVersion"] = json!(api_version);
        Ok(converted)
    }

    fn default(&self, object: &mut Value) {
        let version = object.get("apiVersion").and_then(Value::as_str).and_then(|version| self.version_of(version));
        if let Some(schema) = version.map(|version| version.schema.clone()) {
            schema.fill_in(object);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{compile::OwnStorage, form::DefinitionForm, kind::KindBackend};

    #[test]
    fn a_value_that_somebody_changed_on_the_release_is_theirs_in_the_instance() {
        let definition = json!({
            "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
            "metadata": {"name": "workers.example.com"},
            "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Worker", "plural": "workers"},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                        "spec": {"type": "object", "properties": {
                            "replicas": {"type": "integer", "default": 1}, "note": {"type": "string"}}},
                        "status": {"type": "object", "properties": {"replicas": {"type": "integer"}}}}}}}],
                "backend": {"helmRelease": {
                    "chartRef": {"kind": "OCIRepository", "name": "worker", "namespace": "charts"}, "prefix": "worker-"}}},
        });
        let kind = DefinitionForm::default().compile(&definition, OwnStorage::Available).unwrap();
        let KindBackend::Release(template) = &kind.backend else { panic!("the kind is not kept in releases") };
        let entry = |manager: &str, fields: &serde_json::Value| {
            json!({"manager": manager, "operation": "Update", "apiVersion": "helm.toolkit.fluxcd.io/v2",
                "time": "2026-11-23T18:07:17Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:values": fields}}})
        };
        let release = json!({"metadata": {"name": "worker-a", "managedFields": [
                entry("flux-edit", &json!({"f:replicas": {}})),
                entry("kindsmith", &json!({".": {}, "f:note": {}}))]},
            "spec": {"values": {"note": "mine", "replicas": 7}}, "status": {"observedGeneration": -1}});
        let mut instance = template.get(&release);
        kind.own_from_release(&mut instance, &release);
        let managers = &instance["metadata"]["managedFields"];
        assert_eq!(managers[0]["manager"], "flux-edit", "{instance:#}");
        assert_eq!(managers[0]["fieldsV1"], json!({"f:spec": {"f:replicas": {}}}));

        // Somebody brings a copy of a release, with who owns what.
        let own = json!([{"manager": "tenant", "operation": "Apply", "apiVersion": "example.com/v1",
            "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
        let mut copier = entry("kubectl-create", &json!({".": {}, "f:replicas": {}}));
        copier["fieldsV1"]["f:metadata"] = json!({"f:annotations": {".": {}, "f:kindsmith.dev/managed-fields": {}}});
        let mut copy = json!({"metadata": {"name": "worker-a", "creationTimestamp": "2026-11-23T18:07:17Z",
                "annotations": {"kindsmith.dev/managed-fields": own.to_string()}, "managedFields": [copier]},
            "spec": {"values": {"replicas": 7}}});
        let owners = |release: &serde_json::Value| {
            let mut instance = template.get(release);
            kind.own_from_release(&mut instance, release);
            instance["metadata"]["managedFields"].clone()
        };
        assert_eq!(owners(&copy), own);
        // What they write later is theirs.
        copy["metadata"]["managedFields"][0]["time"] = json!("2026-11-23T18:07:18Z");
        assert_eq!(owners(&copy)[0]["manager"], "kubectl-create");
    }
}
