//! What a cluster takes as the `spec` of a HelmRelease: the schema of its CustomResourceDefinition.
//!
//! What kube-apiserver would refuse with each instance is refused with the definition. Where the cluster's own schema is not
//! known there is one that is built in, of the version of Flux that the tests run with.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    convert::release::{RELEASE_API_VERSION, RELEASE_KIND},
    field::{FieldError, FieldPath},
    structural::Schema,
};

/// The schema of `spec` in the CustomResourceDefinition of Flux' helm-controller, as its field `source` says.
const BUILT_IN: &str = include_str!("release_schema/built_in.json");

/// The field of a fault that is of none.
const NO_FIELD: &str = "<nil>";

static BUILT_IN_SCHEMA: LazyLock<ReleaseSchema> = LazyLock::new(|| {
    let spec = built_in_spec();
    ReleaseSchema::of_spec(&spec).unwrap_or_else(|_| ReleaseSchema::that_judges_nothing())
});

/// What a cluster takes as the `spec` of a HelmRelease. Cheap to clone; two are equal when they were read from the same text.
#[derive(Clone, Debug)]
pub struct ReleaseSchema {
    /// None judges nothing.
    schema: Option<Schema>,
    digest: Arc<str>,
}

/// Why a document has no schema of releases.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseSchemaError {
    /// It has none of the version that is used.
    #[error("there is no schema of {RELEASE_KIND} {RELEASE_API_VERSION}")]
    Absent,
    /// It has one that does not compile.
    #[error("the schema of {RELEASE_KIND} does not compile: {0}")]
    Faulty(String),
}

impl PartialEq for ReleaseSchema {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for ReleaseSchema {}

impl Default for ReleaseSchema {
    fn default() -> Self {
        Self::built_in()
    }
}

/// The schema of `spec` that is built in, as JSON.
#[must_use]
pub fn built_in_spec() -> Value {
    let document: Value = serde_json::from_str(BUILT_IN).unwrap_or_default();
    document.get("spec").cloned().unwrap_or_default()
}

impl ReleaseSchema {
    /// The one that is built in.
    #[must_use]
    pub fn built_in() -> Self {
        BUILT_IN_SCHEMA.clone()
    }

    fn that_judges_nothing() -> Self {
        Self { schema: None, digest: Arc::from("") }
    }

    /// Reads the schema out of the CustomResourceDefinition of HelmReleases.
    ///
    /// # Errors
    /// The version that is used is not served, or its schema does not compile.
    pub fn of_custom_resource_definition(crd: &Value) -> Result<Self, ReleaseSchemaError> {
        let wanted = RELEASE_API_VERSION.rsplit('/').next();
        let versions = crd.pointer("/spec/versions").and_then(Value::as_array);
        let version = versions.into_iter().flatten().find(|version| version["name"].as_str() == wanted);
        let spec = version.and_then(|version| version.pointer("/schema/openAPIV3Schema/properties/spec"));
        Self::of_spec(spec.ok_or(ReleaseSchemaError::Absent)?)
    }

    /// Reads the schema out of the OpenAPI v3 document of the group-version of HelmReleases.
    ///
    /// # Errors
    /// There is none in it, or it does not compile.
    pub fn of_open_api(document: &Value) -> Result<Self, ReleaseSchemaError> {
        let (group, version) = RELEASE_API_VERSION.split_once('/').unwrap_or_default();
        let named = json!({"group": group, "version": version, "kind": RELEASE_KIND});
        let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
        let is_wanted = |schema: &&Value| {
            let kinds = schema.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
            kinds.is_some_and(|kinds| kinds.contains(&named))
        };
        let schema = schemas.into_iter().flat_map(|schemas| schemas.values()).find(is_wanted);
        let spec = schema.and_then(|schema| schema.pointer("/properties/spec"));
        Self::of_spec(spec.ok_or(ReleaseSchemaError::Absent)?)
    }

    fn of_spec(spec: &Value) -> Result<Self, ReleaseSchemaError> {
        let whole = json!({"type": "object", "properties": {"spec": spec}});
        let schema = Schema::compile(&whole, &FieldPath::root()).map_err(|errors| {
            ReleaseSchemaError::Faulty(errors.first().map(ToString::to_string).unwrap_or_default())
        })?;
        Ok(Self { schema: Some(schema), digest: format!("{:x}", Sha256::digest(spec.to_string())).into() })
    }

    /// What is wrong with the `spec` of a release, each fault below `at`. A field that the schema does not know is a fault:
    /// kube-apiserver would drop it without a word.
    #[must_use]
    pub fn faults(&self, spec: &Map<String, Value>, at: &FieldPath) -> Vec<FieldError> {
        let Some(schema) = &self.schema else { return Vec::new() };
        let mut release = json!({"spec": spec});
        let below = |field: &str| format!("{at}{}", field.strip_prefix("spec").unwrap_or_default());
        let unknown = schema.prune(&mut release);
        let unknown = unknown.into_iter().map(|field| FieldError {
            field: below(&field),
            ..FieldError::forbidden(at, "no such field in the HelmReleases of this cluster")
        });
        // Nulls are dropped, as kube-apiserver drops them from a release.
        schema.default(&mut release);
        // What is said of no field is that rules were not looked at.
        let faults = schema.validate(&release).into_iter().filter(|fault| fault.field != NO_FIELD);
        unknown.chain(faults.map(|fault| FieldError { field: below(&fault.field), ..fault })).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crd(change: impl Fn(&mut Value)) -> Value {
        let mut spec = built_in_spec();
        change(&mut spec);
        json!({"spec": {"versions": [
            {"name": "v2beta1", "schema": {"openAPIV3Schema": {"type": "object"}}},
            {"name": "v2", "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}]}})
    }

    #[test]
    fn the_schema_of_a_cluster_is_read_from_either_document() {
        let newer = crd(|spec| spec["properties"]["later"] = json!({"type": "string", "enum": ["a"]}));
        let read = ReleaseSchema::of_custom_resource_definition(&newer).unwrap();
        assert_ne!(read, ReleaseSchema::built_in());
        let root = newer.pointer("/spec/versions/1/schema/openAPIV3Schema").unwrap();
        let mut root = root.clone();
        root["x-kubernetes-group-version-kind"] =
            json!([{"group": "helm.toolkit.fluxcd.io", "version": "v2", "kind": "HelmRelease"}]);
        let document = json!({"components": {"schemas": {"other": {"type": "object"}, "io.fluxcd.HelmRelease": root}}});
        assert_eq!(ReleaseSchema::of_open_api(&document).unwrap(), read);
        let chart = json!({"kind": "OCIRepository", "name": "c"});
        let faults = |schema: &ReleaseSchema, later: &str| {
            let spec = json!({"interval": "5m", "chartRef": chart, "later": later});
            let faults = schema.faults(spec.as_object().unwrap(), &FieldPath::root().child("at"));
            faults.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(faults(&read, "a"), Vec::<String>::new());
        assert_eq!(faults(&read, "b"), ["at.later: Unsupported value: \"b\": supported values: \"a\""]);
        let unknown = "at.later: Forbidden: no such field in the HelmReleases of this cluster";
        assert_eq!(faults(&ReleaseSchema::built_in(), "a"), [unknown]);
    }

    #[test]
    fn what_has_no_schema_of_releases_is_told() {
        let none = Err(ReleaseSchemaError::Absent);
        assert_eq!(ReleaseSchema::of_open_api(&json!({"components": {"schemas": {}}})), none);
        assert_eq!(ReleaseSchema::of_custom_resource_definition(&json!({"spec": {"versions": []}})), none);
        let faulty = crd(|spec| spec["properties"]["later"] = json!({"type": "odd"}));
        let faulty = ReleaseSchema::of_custom_resource_definition(&faulty);
        assert!(matches!(faulty, Err(ReleaseSchemaError::Faulty(_))), "{faulty:?}");
        assert!(ReleaseSchema::built_in().schema.is_some());
    }
}
