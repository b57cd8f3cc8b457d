//! What a definition computes from a release for the status of its instance: CEL over `release`.

use serde_json::{Value, json};

use crate::{
    cel::{computed::Computed, declare::Place},
    field::FieldPath,
    structural::{Dialect, Schema},
};

/// The name of the release in expressions.
const RELEASE: &str = "release";

/// A field of the status that is computed.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusValue {
    name: String,
    value: Computed,
}

impl StatusValue {
    /// Compiles an expression over releases whose values have the schema of `spec` of an instance.
    ///
    /// # Errors
    /// What is wrong with the expression.
    pub(crate) fn compile(name: &str, expression: &str, instance: &Schema) -> Result<Self, String> {
        let values = instance.raw().pointer("/properties/spec").cloned();
        // What expressions could not see anyway makes no difference to them.
        let schema = Schema::compile_dialect(&release(values), &FieldPath::root(), Dialect::ChartValues)
            .or_else(|_| Schema::compile_dialect(&release(None), &FieldPath::root(), Dialect::ChartValues))
            .map_err(|_| "the schema of releases does not compile".to_owned())?;
        let root = schema.root().properties.get(RELEASE).ok_or_else(|| "there is no release".to_owned())?;
        let value = Computed::compile_over(RELEASE, expression, root, Place::Inside)?;
        Ok(Self { name: name.to_owned(), value })
    }

    /// The name of the field.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value for a release; none where the expression has none, fails, or costs too much.
    #[must_use]
    pub fn of(&self, release: &Value) -> Option<Value> {
        self.value.value(release)
    }
}

/// What expressions see of a release: a field of a schema, as at a root metadata cannot be described.
fn release(values: Option<Value>) -> Value {
    let text = || json!({"type": "string"});
    let number = || json!({"type": "integer"});
    let time = || json!({"type": "string", "format": "date-time"});
    let texts = || json!({"type": "object", "additionalProperties": {"type": "string"}});
    let reference = || json!({"type": "object", "properties": {"kind": text(), "name": text(), "namespace": text()}});
    let mut spec = json!({
        "chartRef": reference(),
        "chart": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "chart": text(), "version": text(), "sourceRef": reference()}}}},
        "interval": text(), "timeout": text(), "suspend": {"type": "boolean"}, "releaseName": text(),
        "serviceAccountName": text(), "storageNamespace": text(), "targetNamespace": text()
    });
    if let Some(values) = values {
        spec["values"] = values;
    }
    let release = json!({"type": "object", "properties": {
        "metadata": {"type": "object", "properties": {
            "name": text(), "namespace": text(), "uid": text(), "generation": number(), "creationTimestamp": time(),
            "deletionTimestamp": time(), "labels": texts(), "annotations": texts()}},
        "spec": {"type": "object", "properties": spec},
        "status": {"type": "object", "properties": {
            "observedGeneration": number(), "lastAttemptedGeneration": number(), "lastAttemptedRevision": text(),
            "lastAttemptedReleaseAction": text(), "helmChart": text(), "storageNamespace": text(), "failures": number(),
            "installFailures": number(), "upgradeFailures": number(),
            "conditions": {"type": "array", "items": {"type": "object", "properties": {
                "type": text(), "status": text(), "reason": text(), "message": text(), "observedGeneration": number(),
                "lastTransitionTime": time()}}},
            "history": {"type": "array", "items": {"type": "object", "properties": {
                "name": text(), "namespace": text(), "version": number(), "status": text(), "chartName": text(),
                "chartVersion": text(), "appVersion": text(), "firstDeployed": time(), "lastDeployed": time()}}}}}
    }});
    json!({"type": "object", "properties": {RELEASE: release}})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(expression: &str, release: &Value) -> Result<Option<Value>, String> {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "replicas": {"type": "integer"}}}}});
        let schema = Schema::compile(&schema, &FieldPath::root()).unwrap();
        StatusValue::compile("x", expression, &schema).map(|value| value.of(release))
    }

    #[test]
    fn a_value_is_computed_from_metadata_values_and_status() {
        let release = json!({"metadata": {"name": "redis-a", "namespace": "team", "labels": {"l": "1"}},
            "spec": {"values": {"replicas": 3}}, "status": {"history": [{"version": 7, "chartVersion": "1.0.0"}]}});
        for (expression, wanted) in [
            ("release.metadata.name + '.' + release.metadata.namespace", json!("redis-a.team")),
            ("release.spec.values.replicas * 2", json!(6)),
            ("release.status.history[0].version", json!(7)),
            ("release.metadata.labels['l'] == '1'", json!(true)),
        ] {
            assert_eq!(value(expression, &release).unwrap(), Some(wanted), "{expression}");
        }
        assert_eq!(value("release.status.helmChart", &release).unwrap(), None);
    }

    #[test]
    fn what_releases_do_not_have_is_told() {
        let fault = value("release.spec.vlaues", &json!({})).unwrap_err();
        assert!(fault.starts_with("compilation failed: ") && fault.contains("undefined field 'vlaues'"), "{fault}");
    }
}
