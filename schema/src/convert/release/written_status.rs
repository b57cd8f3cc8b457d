//! Fields of the status that others write through `/status`: operators that add to what Flux does.
//!
//! They are kept in an annotation of the release, as the status of the release is Flux' own. What Flux or Kindsmith reports is
//! never among them: of the status that somebody writes that is left as it is, and of the conditions those of our types.

use serde_json::{Map, Value, json};

use super::{
    ReleaseTemplate, annotation_text,
    conditions::ConditionType,
    list, set_map,
    status::{CONDITIONS, SHOWN},
};

/// The annotation.
pub(crate) const ANNOTATION: &str = "kindsmith.dev/status";

/// How many bytes the annotation takes at most.
pub const WRITTEN_STATUS_BYTES_MAX: usize = 64 << 10;

/// How many bytes stand there as they are.
const PLAIN_BYTES_MAX: usize = 2 << 10;

impl ReleaseTemplate {
    /// Adds to the status of an instance what others have written.
    pub(super) fn add_written_status(&self, release: &Value, status: &mut Map<String, Value>) {
        let Some(text) = annotation(release) else { return };
        // Whoever may write releases may write this: what is Flux' or ours is not taken from it.
        let held = annotation_text::read(text).unwrap_or_default();
        for (name, value) in self.written_status(Some(&held)) {
            match (status.get_mut(&name), value) {
                (Some(Value::Array(shown)), Value::Array(others)) if name == CONDITIONS => shown.extend(others),
                (_, value) => drop(status.insert(name, value)),
            }
        }
    }

    /// What of a status is neither Flux' nor ours.
    fn written_status(&self, status: Option<&Value>) -> Map<String, Value> {
        let Some(status) = status.and_then(Value::as_object) else { return Map::new() };
        let is_written = |name: &str| name == CONDITIONS || !self.reports(name);
        let fields =
            status.iter().filter(|(name, _)| is_written(name)).map(|(name, value)| (name.clone(), value.clone()));
        let mut written: Map<String, Value> = fields.collect();
        if let Some(conditions) = written.remove(CONDITIONS) {
            let own: Vec<Value> = list(Some(&conditions)).into_iter().filter(is_others).collect();
            written.extend((!own.is_empty()).then(|| (CONDITIONS.to_owned(), Value::Array(own))));
        }
        written
    }

    /// Whether a field of the status comes from Flux, is computed, or tells how the instance is used.
    fn reports(&self, name: &str) -> bool {
        SHOWN.contains(&name)
            || self.status_values.iter().any(|field| field.name() == name)
            || self.usage_fields.contains(&name)
    }

    /// Puts back into a status that somebody wrote what Flux and Kindsmith report in `held`, the one there was.
    pub fn keep_reported_status(&self, written: &mut Value, held: Option<&Value>) {
        let empty = Map::new();
        let held = held.and_then(Value::as_object).unwrap_or(&empty);
        // What is no status is refused by the schema.
        let Some(status) = written.as_object_mut() else { return };
        let others: Vec<Value> = list(status.get(CONDITIONS)).into_iter().filter(is_others).collect();
        status.retain(|name, _| !self.reports(name));
        status.extend(
            held.iter().filter(|(name, _)| self.reports(name)).map(|(name, value)| (name.clone(), value.clone())),
        );
        let reported = list(held.get(CONDITIONS)).into_iter().filter(|condition| !is_others(condition));
        let conditions: Vec<Value> = reported.chain(others).collect();
        if conditions.is_empty() {
            status.remove(CONDITIONS);
        } else {
            status.insert(CONDITIONS.to_owned(), Value::Array(conditions));
        }
    }

    /// Takes out of an instance what Flux and Kindsmith report, and a status that has nothing else: who owns which field is about
    /// the rest.
    pub fn drop_reported_status(&self, instance: &mut Value) {
        let Some(status) = instance.get("status").filter(|status| status.is_object()) else { return };
        let written = self.written_status(Some(status));
        let Some(members) = instance.as_object_mut() else { return };
        if written.is_empty() && members.get("status").is_some_and(|status| *status != json!({})) {
            members.remove("status");
        } else {
            members.insert("status".to_owned(), Value::Object(written));
        }
    }

    /// Writes what of the status of an instance is others', where that is otherwise than it was shown.
    pub(super) fn put_written_status(&self, instance: &Value, shown: &Value, release: &mut Value) {
        let written = self.written_status(instance.get("status"));
        if written == self.written_status(shown.get("status")) {
            return;
        }
        let Some(metadata) = release.get_mut("metadata").and_then(Value::as_object_mut) else { return };
        let mut annotations = metadata.get("annotations").and_then(Value::as_object).cloned().unwrap_or_default();
        annotations.remove(ANNOTATION);
        if !written.is_empty() {
            let plain = Value::Object(written).to_string();
            let deflated = (plain.len() > PLAIN_BYTES_MAX).then(|| annotation_text::deflated(&plain)).flatten();
            annotations.insert(ANNOTATION.to_owned(), json!(deflated.unwrap_or(plain)));
        }
        set_map(metadata, "annotations", annotations);
    }

    /// What is wrong with the status that others have written, when it takes more than [`WRITTEN_STATUS_BYTES_MAX`].
    #[must_use]
    pub fn written_status_fault(&self, release: &Value) -> Option<String> {
        let bytes = annotation(release)?.len();
        (bytes > WRITTEN_STATUS_BYTES_MAX).then(|| {
            format!(
                "Too long: may not be more than {WRITTEN_STATUS_BYTES_MAX} bytes; deflated, as the HelmRelease keeps it, what \
                 is written to /status takes {bytes}"
            )
        })
    }
}

fn annotation(release: &Value) -> Option<&str> {
    release.get("metadata")?.get("annotations")?.get(ANNOTATION)?.as_str()
}

/// Whether a condition is of a type that neither Flux nor Kindsmith reports.
fn is_others(condition: &Value) -> bool {
    condition.get("type").is_some_and(Value::is_string) && ConditionType::of(condition).is_none()
}

#[cfg(test)]
mod tests {
    use kindsmith_crds::HelmReleaseBackend;

    use super::*;

    fn template() -> ReleaseTemplate {
        let settings: HelmReleaseBackend = serde_json::from_value(json!({
            "chartRef": {"kind": "OCIRepository", "name": "redis"}, "prefix": "redis-"}))
        .unwrap();
        ReleaseTemplate::new("apps.example.com", "v1", "Redis", settings)
    }

    fn release() -> Value {
        json!({"metadata": {"name": "redis-a", "generation": 1, "annotations": {"theirs": "1"}},
            "spec": {"values": {"replicas": 1}},
            "status": {"observedGeneration": 1, "lastAttemptedRevision": "1.2.3", "conditions": [
                {"type": "Ready", "status": "True", "reason": "InstallSucceeded", "observedGeneration": 1}]}})
    }

    fn write(release: Value, change: impl Fn(&mut Value)) -> Value {
        let template = template();
        let shown = template.get(&release);
        let mut instance = shown.clone();
        change(&mut instance["status"]);
        template.keep_reported_status(&mut instance["status"], shown.get("status"));
        template.put_changes(&instance, &shown, release)
    }

    #[test]
    fn what_others_write_is_kept_beside_what_flux_reports() {
        let written = write(release(), |status| {
            *status = json!({"backups": {"last": "monday"}, "version": "mine", "observedGeneration": 9, "conditions": [
                {"type": "Ready", "status": "False"}, {"type": "BackedUp", "status": "True"}]});
        });
        let shown = template().get(&written);
        assert_eq!(shown["status"]["backups"], json!({"last": "monday"}));
        assert_eq!((&shown["status"]["version"], &shown["status"]["observedGeneration"]), (&json!("1.2.3"), &json!(1)));
        let conditions = shown["status"]["conditions"].as_array().unwrap();
        let told: Vec<_> = conditions.iter().map(|it| (it["type"].as_str(), it["status"].as_str())).collect();
        assert_eq!(told, [(Some("Ready"), Some("True")), (Some("BackedUp"), Some("True"))]);
        assert_eq!(shown["metadata"].get("annotations"), None, "it is no annotation of the instance");
        assert_eq!((&written["spec"], &written["status"]), (&release()["spec"], &release()["status"]));
        assert_eq!(written["metadata"]["annotations"]["theirs"], "1");
        // It stays when others write, and goes when it is taken out.
        let mut scaled = shown.clone();
        scaled["spec"]["replicas"] = json!(5);
        let scaled = template().put_changes(&scaled, &shown, written);
        assert_eq!(template().get(&scaled)["status"], shown["status"]);
        let without = write(scaled, |status| *status = json!({}));
        assert_eq!(without["metadata"], release()["metadata"]);
        assert_eq!(template().get(&without)["status"]["version"], "1.2.3");
    }

    #[test]
    fn a_long_status_is_deflated_and_bounded() {
        let long = "x".repeat(100_000);
        let written = write(release(), |status| status["log"] = json!(long));
        let text = written["metadata"]["annotations"][ANNOTATION].as_str().unwrap();
        assert!(text.len() < PLAIN_BYTES_MAX, "it takes {}", text.len());
        assert_eq!(template().get(&written)["status"]["log"], json!(long));
        assert_eq!(template().written_status_fault(&written), None);
        let mixed = |index: u64| format!("{:x}", index.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) ^ index);
        let noise: Vec<String> = (0..20_000).map(mixed).collect();
        let written = write(release(), |status| status["log"] = json!(noise));
        let fault = template().written_status_fault(&written).unwrap();
        assert!(fault.starts_with("Too long: may not be more than 65536 bytes; "), "{fault}");
    }

    #[test]
    fn an_annotation_that_is_no_status_says_nothing_and_none_can_speak_for_flux() {
        for text in [
            "",
            "1",
            "[]",
            "gzip:",
            "gzip:AAAA",
            "{\"version\":\"evil\"}",
            "{\"conditions\":1}",
            "{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"},7,{\"type\":1}]}",
        ] {
            let mut held = release();
            held["metadata"]["annotations"][ANNOTATION] = json!(text);
            assert_eq!(template().get(&held)["status"], template().get(&release())["status"], "{text}");
            assert_eq!(template().put(&template().get(&held), held.clone()), held, "{text}");
        }
    }
}
