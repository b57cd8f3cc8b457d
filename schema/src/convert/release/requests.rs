//! Annotations by which Flux is asked for something: to reconcile now, to do so although nothing changed, to try again what it
//! has given up. A tenant sets them on the instance, and the release has them as they are, unless the definition denies it.
//!
//! Source: fluxcd/pkg apis/meta/annotations.go.

use kindsmith_crds::TenantReconcile;
use serde_json::{Map, Value};

use super::ReleaseTemplate;

/// Their keys.
const KEYS: [&str; 3] =
    ["reconcile.fluxcd.io/requestedAt", "reconcile.fluxcd.io/forceAt", "reconcile.fluxcd.io/resetAt"];

impl ReleaseTemplate {
    /// Whether an annotation of a release is one of the instance under the same key.
    pub(super) fn is_request_to_flux(&self, key: &str) -> bool {
        self.settings.tenant_reconcile.unwrap_or_default() == TenantReconcile::Allow && KEYS.contains(&key)
    }

    /// Those among the annotations of a release that are the instance's as they are.
    pub(super) fn requests_to_flux(&self, annotations: Option<&Value>) -> Map<String, Value> {
        let held = annotations.and_then(Value::as_object).into_iter().flatten();
        let requests = held.filter(|(key, _)| self.is_request_to_flux(key));
        requests.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Brings the requests among the annotations of an instance, which stand behind its prefix, to where Flux looks for them.
    pub(super) fn put_requests_to_flux(&self, annotations: &mut Map<String, Value>) {
        let prefix = self.metadata_prefix();
        for key in KEYS.into_iter().filter(|key| self.is_request_to_flux(key)) {
            annotations.remove(key);
            if let Some(value) = annotations.remove(&format!("{prefix}{key}")) {
                annotations.insert(key.to_owned(), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kindsmith_crds::HelmReleaseBackend;
    use serde_json::json;

    use super::*;

    fn template(tenant_reconcile: &Value) -> ReleaseTemplate {
        let settings: HelmReleaseBackend = serde_json::from_value(json!({
            "chartRef": {"kind": "OCIRepository", "name": "redis"}, "prefix": "redis-", "tenantReconcile": tenant_reconcile}))
        .unwrap();
        ReleaseTemplate::new("apps.example.com", "v1", "Redis", settings)
    }

    fn instance(annotations: &Value) -> Value {
        json!({"metadata": {"name": "a", "annotations": annotations}, "spec": {}})
    }

    fn annotations(object: &Value) -> Value {
        let mut held = object["metadata"]["annotations"].clone();
        if let Some(held) = held.as_object_mut() {
            held.remove(super::super::SETTINGS_ANNOTATION);
        }
        held
    }

    #[test]
    fn a_request_reaches_the_release_as_it_is_and_everything_else_does_not() {
        let template = template(&Value::Null);
        let asked = json!({KEYS[0]: "1", KEYS[1]: "2", KEYS[2]: "3", "reconcile.fluxcd.io/watch": "4", "x": "5"});
        let mut release = template.create(&instance(&asked));
        assert_eq!(
            annotations(&release),
            json!({KEYS[0]: "1", KEYS[1]: "2", KEYS[2]: "3",
                "apps.example.com-reconcile.fluxcd.io/watch": "4", "apps.example.com-x": "5"})
        );
        assert_eq!(annotations(&template.get(&release)), asked);
        // An administrator has asked on the release.
        release["metadata"]["annotations"][KEYS[0]] = json!("later");
        assert_eq!(template.get(&release)["metadata"]["annotations"][KEYS[0]], "later");
        assert_eq!(template.put(&template.get(&release), release.clone()), release);
        let withdrawn = template.put(&instance(&json!({"x": "5"})), release);
        assert_eq!(annotations(&withdrawn), json!({"apps.example.com-x": "5"}));
    }

    #[test]
    fn a_definition_can_deny_it() {
        let template = template(&json!("Deny"));
        let asked = json!({KEYS[0]: "1"});
        let mut release = template.create(&instance(&asked));
        assert_eq!(annotations(&release), json!({"apps.example.com-reconcile.fluxcd.io/requestedAt": "1"}));
        release["metadata"]["annotations"][KEYS[0]] = json!("of the administrator");
        assert_eq!(annotations(&template.get(&release)), asked);
        let withdrawn = template.put(&instance(&json!({})), release);
        assert_eq!(annotations(&withdrawn), json!({KEYS[0]: "of the administrator"}));
    }

    #[test]
    fn a_request_from_before_it_was_passed_on_is_shown_and_moves_with_the_next_change() {
        let allowing = template(&json!("Allow"));
        let release = template(&json!("Deny")).create(&instance(&json!({KEYS[0]: "old"})));
        let mut shown = allowing.get(&release);
        assert_eq!(annotations(&shown), json!({KEYS[0]: "old"}));
        assert_eq!(allowing.put(&shown, release.clone()), release);
        shown["metadata"]["annotations"][KEYS[0]] = json!("new");
        assert_eq!(annotations(&allowing.put(&shown, release)), json!({KEYS[0]: "new"}));
    }
}
