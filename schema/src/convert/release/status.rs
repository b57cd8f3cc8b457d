//! What a release reports, as an instance shows it.
//!
//! Flux says with each condition which generation it speaks of. A condition that speaks of an older one says nothing
//! about what is wanted now, and is shown as not yet observed.

use serde_json::{Map, Value, json};

use super::list;

/// Conditions of Flux that are shown.
const SHOWN_CONDITIONS: [&str; 2] = ["Ready", "Released"];

/// Fields of the status that come from Flux, and the references.
pub(crate) const SHOWN: [&str; 6] =
    ["conditions", "failureMessage", "history", "observedGeneration", "resources", "version"];

/// The most revisions that are shown.
const HISTORY_ENTRIES_MAX: usize = 10;

/// The status of the instance of a release.
pub(super) fn of(release: &Value) -> Map<String, Value> {
    let mut shown = Map::new();
    let Some(held) = release.get("status") else { return shown };
    let generation = release.pointer("/metadata/generation").and_then(Value::as_i64);
    let observed = held.get("observedGeneration").and_then(Value::as_i64).filter(|&observed| observed > 0);
    let conditions: Vec<Value> = list(held.get("conditions"))
        .into_iter()
        .filter(|condition| text(condition, "type").is_some_and(|kind| SHOWN_CONDITIONS.contains(&kind)))
        .map(|condition| as_of(condition, generation, observed))
        .collect();
    shown.extend(failure(&conditions).map(|message| ("failureMessage".to_owned(), json!(message))));
    if !conditions.is_empty() {
        shown.insert("conditions".to_owned(), Value::Array(conditions));
    }
    let revision = text(held, "lastAttemptedRevision").filter(|revision| !revision.is_empty());
    shown.extend(revision.map(|revision| ("version".to_owned(), json!(revision))));
    shown.extend(held.get("observedGeneration").map(|held| ("observedGeneration".to_owned(), held.clone())));
    let history: Vec<Value> = list(held.get("history")).iter().take(HISTORY_ENTRIES_MAX).map(revision_of).collect();
    if !history.is_empty() {
        shown.insert("history".to_owned(), Value::Array(history));
    }
    shown
}

fn text<'a>(value: &'a Value, member: &str) -> Option<&'a str> {
    value.get(member).and_then(Value::as_str)
}

/// A condition, as it holds for the present generation.
///
/// Flux renews `Ready` with each look and the others with what they are about. When the whole status is of a generation, a
/// condition that is older by itself still holds, as kstatus has it.
fn as_of(mut condition: Value, generation: Option<i64>, observed: Option<i64>) -> Value {
    let of = condition.get("observedGeneration").and_then(Value::as_i64).filter(|&of| of > 0).max(observed);
    let (Some(generation), Some(of)) = (generation, of) else { return condition };
    condition["observedGeneration"] = json!(of);
    if of >= generation {
        return condition;
    }
    let said = |member| text(&condition, member).unwrap_or_default();
    let message = format!(
        "generation {generation} has not been observed yet; generation {of} was {} ({}): {}",
        said("status"),
        said("reason"),
        said("message")
    );
    condition["status"] = json!("Unknown");
    condition["reason"] = json!("NotYetObserved");
    condition["message"] = json!(message);
    condition
}

/// Why the last attempt failed, if it did.
fn failure(conditions: &[Value]) -> Option<String> {
    let failed = |kind: &str| {
        conditions
            .iter()
            .find(|condition| text(condition, "type") == Some(kind) && text(condition, "status") == Some("False"))
            .and_then(|condition| text(condition, "message"))
            .filter(|message| !message.is_empty())
    };
    failed("Released").or_else(|| failed("Ready")).map(str::to_owned)
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
        "description": "What Flux reports about the release behind this object.",
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
                "description": "Ready says whether the application works, Released whether its chart was installed, \
                    ValuesValid is False where the values of the release do not fit the schema.",
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
    fn what_flux_said_before_the_last_change_is_not_yet_observed() {
        let shown = of(&release(5, 4));
        let ready = &shown["conditions"][0];
        assert_eq!((ready["status"].as_str(), ready["reason"].as_str()), (Some("Unknown"), Some("NotYetObserved")));
        assert_eq!(ready["observedGeneration"], 4);
        assert_eq!(
            ready["message"],
            "generation 5 has not been observed yet; generation 4 was True (InstallSucceeded): done"
        );
        let mut own = release(5, 4);
        own["status"]["conditions"][0]["observedGeneration"] = json!(5);
        assert_eq!(of(&own)["conditions"][0]["status"], "True");
        own["status"]["conditions"][0]["observedGeneration"] = json!(0);
        own["status"]["observedGeneration"] = json!(0);
        assert_eq!(of(&own)["conditions"][0]["status"], "True", "nobody says of which generation it is");
    }

    #[test]
    fn a_condition_that_flux_did_not_renew_holds_as_long_as_the_whole_status_does() {
        let mut rolled_out = release(5, 5);
        rolled_out["status"]["conditions"] = json!([
            {"type": "Ready", "status": "True", "reason": "UpgradeSucceeded", "observedGeneration": 5},
            {"type": "Released", "status": "True", "reason": "InstallSucceeded", "observedGeneration": 1}]);
        let shown = of(&rolled_out);
        assert_eq!(
            (&shown["conditions"][1]["status"], &shown["conditions"][1]["observedGeneration"]),
            (&json!("True"), &json!(5))
        );
        rolled_out["metadata"]["generation"] = json!(6);
        let shown = of(&rolled_out);
        assert!((0..2).all(|at| shown["conditions"][at]["reason"] == "NotYetObserved"), "{shown:?}");
    }

    #[test]
    fn a_failure_is_told() {
        let mut failed = release(1, 1);
        failed["status"]["conditions"] = json!([
            {"type": "Released", "status": "False", "reason": "InstallFailed", "message": "timed out"},
            {"type": "Ready", "status": "False", "reason": "InstallFailed", "message": "it failed: timed out"}]);
        assert_eq!(of(&failed)["failureMessage"], "timed out");
    }
}
