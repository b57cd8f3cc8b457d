//! What a release reports, as an instance shows it.

use std::cmp::Reverse;

use serde_json::{Map, Value, json};

use super::{
    conditions::{self, ConditionType, generation_in, text},
    list,
};

/// Fields of the status that come from Flux, and the references.
pub(crate) const SHOWN: [&str; 6] =
    [CONDITIONS, "failureMessage", "history", "observedGeneration", "resources", "version"];

/// The field with the conditions.
pub(super) const CONDITIONS: &str = "conditions";

/// The most revisions that are shown.
const HISTORY_ENTRIES_MAX: usize = 10;

/// Reasons of Flux for which `Ready` is False although nothing failed: what a release needs is not there yet.
const WAITING: [&str; 2] = ["SourceNotReady", "DependencyNotReady"];

/// The status of the instance of a release.
pub(super) fn of(release: &Value) -> Map<String, Value> {
    let mut shown = Map::new();
    let conditions = conditions::of(release);
    shown.extend(failure(&conditions).map(|message| ("failureMessage".to_owned(), json!(message))));
    if !conditions.is_empty() {
        shown.insert(CONDITIONS.to_owned(), Value::Array(conditions));
    }
    let Some(held) = release.get("status") else { return shown };
    let revision = text(held, "lastAttemptedRevision").filter(|revision| !revision.is_empty());
    shown.extend(revision.map(|revision| ("version".to_owned(), json!(revision))));
    let observed = generation_in(held, "observedGeneration");
    shown.extend(observed.map(|observed| ("observedGeneration".to_owned(), json!(observed))));
    let mut history = list(held.get("history"));
    // After a rollback Flux has an older one first.
    history.sort_by_key(|entry| Reverse(entry.get("version").and_then(Value::as_i64)));
    let history: Vec<Value> = history.iter().take(HISTORY_ENTRIES_MAX).map(revision_of).collect();
    if !history.is_empty() {
        shown.insert("history".to_owned(), Value::Array(history));
    }
    shown
}

/// Why the last attempt failed, if it did.
fn failure(conditions: &[Value]) -> Option<String> {
    let failed = |kind: ConditionType| {
        conditions
            .iter()
            .find(|condition| ConditionType::of(condition) == Some(kind) && text(condition, "status") == Some("False"))
            .filter(|condition| !text(condition, "reason").is_some_and(|reason| WAITING.contains(&reason)))
            .and_then(|condition| text(condition, "message"))
            .filter(|message| !message.is_empty())
    };
    failed(ConditionType::Released).or_else(|| failed(ConditionType::Ready)).map(str::to_owned)
}

/// A revision of Helm, of which the digests are left out.
fn revision_of(entry: &Value) -> Value {
    let members = [
        ("revision", "version"),
        ("chartVersion", "chartVersion"),
        ("appVersion", "appVersion"),
        ("status", "status"),
        ("time", "lastDeployed"),
    ];
    let shown = members.into_iter().filter_map(|(shown, held)| Some((shown.to_owned(), entry.get(held)?.clone())));
    Value::Object(shown.collect())
}

/// The schema of the status, for definitions that do not describe one.
pub(crate) fn schema() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let number = |description: &str| json!({"type": "integer", "format": "int64", "description": description});
    json!({
        "type": "object",
        "description": "What Flux reports about the release behind this object, and what others write beside it.",
        // Who describes no status says nothing against that of operators that add to what Flux does.
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "version": text("The version of the chart that was attempted last."),
            "observedGeneration": number("The generation that Flux has seen."),
            "resources": {
                "type": "array",
                "description": "Secrets, Services and Ingresses by which the application is used.",
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["apiVersion", "kind", "name"],
                    "properties": {
                        "apiVersion": text("The group and version of the object."),
                        "kind": text("The kind of the object."),
                        "name": text("The name of the object."),
                        "namespace": text("The namespace of the object, where it is not that of this one.")
                    }
                }
            },
            "failureMessage": text("Why the last attempt failed, if it did."),
            "conditions": {
                "type": "array",
                "description": "Ready says whether the application works as it is wanted now, Released whether its chart \
                    was installed. Reconciling is True while Flux is at work, Stalled where it has given up, Suspended \
                    where it does nothing until it is resumed. ValuesValid is False where the values of the release do \
                    not fit the schema.",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": {
                    "type": "object",
                    "required": ["type", "status"],
                    "properties": {
                        "type": {"type": "string"},
                        "status": {"type": "string"},
                        "reason": {"type": "string"},
                        "message": {"type": "string"},
                        "lastTransitionTime": {"type": "string", "format": "date-time"},
                        "observedGeneration": {"type": "integer", "format": "int64"}
                    }
                }
            },
            "history": {
                "type": "array",
                "description": "The revisions that Helm installed, the newest first.",
                "items": {
                    "type": "object",
                    "properties": {
                        "revision": number("The number of the revision."),
                        "chartVersion": text("The version of the chart."),
                        "appVersion": text("The version of what the chart installs."),
                        "status": text("What became of it, in Helm's words."),
                        "time": {"type": "string", "format": "date-time", "description": "When it was deployed."}
                    }
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(generation: i64, observed: i64) -> Value {
        json!({"metadata": {"generation": generation}, "status": {
            "lastAttemptedRevision": "1.2.3", "observedGeneration": observed, "conditions": [
                {"type": "Ready", "status": "True", "reason": "InstallSucceeded", "message": "done",
                    "lastTransitionTime": "2026-01-01T00:00:00Z"},
                {"type": "TestSuccess", "status": "True"}],
            "history": [{"version": 2, "chartVersion": "1.2.3", "status": "deployed", "digest": "sha256:x",
                "lastDeployed": "2026-01-01T00:00:00Z"}]}})
    }

    #[test]
    fn what_flux_says_of_the_present_generation_is_shown() {
        let shown = of(&release(4, 4));
        assert_eq!(shown["version"], "1.2.3");
        assert_eq!(shown["observedGeneration"], 4);
        assert_eq!(shown["conditions"].as_array().unwrap().len(), 1);
        assert_eq!(shown["conditions"][0]["status"], "True");
        assert_eq!(
            shown["history"],
            json!([{"revision": 2, "chartVersion": "1.2.3", "status": "deployed", "time": "2026-01-01T00:00:00Z"}])
        );
        assert!(!shown.contains_key("failureMessage"));
    }

    #[test]
    fn revisions_are_shown_the_newest_first_whatever_the_order_of_flux() {
        let mut rolled_back = release(2, 2);
        let entry = |version: i64| json!({"version": version, "status": "superseded"});
        // After a rollback, which is revision 9, to 4: as Flux lists them.
        rolled_back["status"]["history"] = json!([entry(9), entry(4), entry(8), entry(7)]);
        let revisions = |release: &Value| -> Vec<i64> {
            let shown = of(release);
            let history = shown["history"].as_array().unwrap().clone();
            history.iter().map(|entry| entry["revision"].as_i64().unwrap()).collect()
        };
        assert_eq!(revisions(&rolled_back), [9, 8, 7, 4]);
        rolled_back["status"]["history"] = (1..=12).map(entry).collect();
        assert_eq!(revisions(&rolled_back), [12, 11, 10, 9, 8, 7, 6, 5, 4, 3], "the oldest are left out");
    }

    #[test]
    fn a_failure_is_told_and_what_is_waited_for_is_none() {
        let mut failed = release(1, 1);
        failed["status"]["conditions"] = json!([
            {"type": "Released", "status": "False", "reason": "InstallFailed", "message": "timed out"},
            {"type": "Ready", "status": "False", "reason": "InstallFailed", "message": "it failed: timed out"}]);
        assert_eq!(of(&failed)["failureMessage"], "timed out");
        for (reason, is_failure) in [("SourceNotReady", false), ("DependencyNotReady", false), ("ArtifactFailed", true)]
        {
            failed["status"]["conditions"] =
                json!([{"type": "Ready", "status": "False", "reason": reason, "message": "not there"}]);
            assert_eq!(of(&failed).contains_key("failureMessage"), is_failure, "{reason}");
        }
    }

    #[test]
    fn a_generation_that_nobody_reported_is_not_shown() {
        assert_eq!(of(&release(1, -1)).get("observedGeneration"), None);
        assert_eq!(of(&release(2, 1))["observedGeneration"], 1);
    }
}
