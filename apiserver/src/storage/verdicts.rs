//! Whether the values of releases fit the schema of their kind: anybody may have written them.
//!
//! Such an instance is served as it is, with a condition that says what does not fit. Values are judged once a
//! generation.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kindsmith_schema::{
    convert::release::{ConditionReason, ConditionType},
    structural::Schema,
};
use serde_json::{Value, json};

/// The most faults that are told.
const FAULTS_MAX: usize = 8;

/// The most releases that are remembered; then all are judged anew.
const REMEMBERED_MAX: usize = 100_000;

/// What was found about a generation of a release: what does not fit, if anything.
type Verdict = (i64, Option<Arc<str>>);

/// What was found about each release, by its uid.
#[derive(Default)]
pub(super) struct Verdicts {
    known: Mutex<HashMap<String, Verdict>>,
}

impl Verdicts {
    /// What does not fit in the values of an instance that may never come to be: the answer to a dry run has a generation
    /// that another write will have.
    pub(super) fn told(&self, instance: &Value, schema: &Schema) -> Option<Arc<str>> {
        match known_by(instance).and_then(|(uid, generation)| self.known(uid, generation)) {
            Some(verdict) => verdict,
            None => judge(instance, schema),
        }
    }

    /// What does not fit in the values of an instance as it is; it is remembered for its generation.
    pub(super) fn noted(&self, instance: &Value, schema: &Schema) -> Option<Arc<str>> {
        let Some((uid, generation)) = known_by(instance) else { return judge(instance, schema) };
        if let Some(verdict) = self.known(uid, generation) {
            return verdict;
        }
        let verdict = judge(instance, schema);
        let mut known = self.all();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(uid.to_owned(), (generation, verdict.clone()));
        verdict
    }

    fn known(&self, uid: &str, generation: i64) -> Option<Option<Arc<str>>> {
        let known = self.all();
        let (_, verdict) = known.get(uid).filter(|(judged, _)| *judged == generation)?;
        Some(verdict.clone())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Verdict>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn known_by(instance: &Value) -> Option<(&str, i64)> {
    let uid = instance.pointer("/metadata/uid").and_then(Value::as_str)?;
    Some((uid, instance.pointer("/metadata/generation").and_then(Value::as_i64)?))
}

/// Adds to the status of an instance that its values do not fit, and what of them.
pub(super) fn add_condition(instance: &mut Value, fault: &str) {
    let generation = instance.pointer("/metadata/generation").cloned().unwrap_or_default();
    let mut condition = json!({"type": ConditionType::ValuesValid.name(), "status": "False",
        "reason": ConditionReason::SchemaViolation.name(), "message": fault});
    if generation.is_i64() {
        condition["observedGeneration"] = generation;
    }
    let Some(instance) = instance.as_object_mut() else { return };
    let status = instance.entry("status").or_insert_with(|| json!({}));
    let Some(status) = status.as_object_mut() else { return };
    if let Some(conditions) = status.entry("conditions").or_insert_with(|| json!([])).as_array_mut() {
        conditions.push(condition);
    }
}

fn judge(instance: &Value, schema: &Schema) -> Option<Arc<str>> {
    let faults = schema.validate(instance);
    let told: Vec<String> = faults
        .iter()
        .filter(|fault| fault.field == "spec" || fault.field.starts_with("spec.") || fault.field.starts_with("spec["))
        .map(ToString::to_string)
        .collect();
    if told.is_empty() {
        return None;
    }
    let mut text = told.iter().take(FAULTS_MAX).cloned().collect::<Vec<_>>().join("; ");
    if told.len() > FAULTS_MAX {
        text.push_str(&format!("; and {} more", told.len() - FAULTS_MAX));
    }
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use kindsmith_schema::field::FieldPath;

    use super::*;

    #[test]
    fn values_that_do_not_fit_are_told_and_left_alone() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["size"],
            "properties": {"replicas": {"type": "integer", "maximum": 9}, "size": {"type": "string"}}}}});
        let schema = Schema::compile(&schema, &FieldPath::root()).unwrap();
        let verdicts = Verdicts::default();
        let instance = |generation: i64, spec: Value| {
            let mut instance = json!({"metadata": {"uid": "u", "generation": generation}, "spec": spec,
                "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
            if let Some(fault) = verdicts.noted(&instance, &schema) {
                add_condition(&mut instance, &fault);
            }
            instance
        };
        let broken = instance(1, json!({"replicas": 50, "x": 1}));
        assert_eq!(broken["spec"], json!({"replicas": 50, "x": 1}));
        let condition = &broken["status"]["conditions"][1];
        assert_eq!((&condition["type"], &condition["status"]), (&json!("ValuesValid"), &json!("False")));
        let message = condition["message"].as_str().unwrap();
        assert!(message.contains("spec.size: Required value") && message.contains("spec.replicas"), "{message}");
        assert_eq!(broken, instance(1, json!({"replicas": 50, "x": 1})));
        let mended = instance(2, json!({"replicas": 5, "size": "1Gi"}));
        assert_eq!(mended["status"]["conditions"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn what_may_never_come_to_be_is_not_remembered() {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "replicas": {"type": "integer"}}}}});
        let schema = Schema::compile(&schema, &FieldPath::root()).unwrap();
        let verdicts = Verdicts::default();
        let instance =
            |replicas: Value| json!({"metadata": {"uid": "u", "generation": 2}, "spec": {"replicas": replicas}});
        let (sound, broken) = (instance(json!(1)), instance(json!("many")));
        assert!(verdicts.told(&sound, &schema).is_none());
        assert!(verdicts.noted(&broken, &schema).is_some());
        assert!(verdicts.told(&sound, &schema).is_some(), "of a generation there is one verdict");
    }
}
