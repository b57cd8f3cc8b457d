//! Whether the values of releases fit the schema of their kind: anybody may have written them.
//!
//! Such an instance is served as it is, with a condition that says what does not fit. Values are judged once a
//! generation.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use kindsmith_schema::structural::Schema;
use serde_json::{Value, json};

/// The condition of an instance whose values do not fit.
const CONDITION: &str = "ValuesValid";

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
    /// Adds the condition to the status of an instance, if its values do not fit.
    pub(super) fn tell(&self, instance: &mut Value, schema: &Schema) {
        let Some(message) = self.verdict(instance, schema) else { return };
        let generation = instance.pointer("/metadata/generation").cloned().unwrap_or_default();
        let mut condition =
            json!({"type": CONDITION, "status": "False", "reason": "SchemaViolation", "message": &*message});
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

    fn verdict(&self, instance: &Value, schema: &Schema) -> Option<Arc<str>> {
        let uid = instance.pointer("/metadata/uid").and_then(Value::as_str);
        let generation = instance.pointer("/metadata/generation").and_then(Value::as_i64);
        let Some((uid, generation)) = uid.zip(generation) else { return judge(instance, schema) };
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, verdict)) = known().get(uid).filter(|(judged, _)| *judged == generation) {
            return verdict.clone();
        }
        let verdict = judge(instance, schema);
        let mut known = known();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(uid.to_owned(), (generation, verdict.clone()));
        verdict
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
            verdicts.tell(&mut instance, &schema);
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
}
