//! Settings of a definition as fields of a release, with placeholders filled in.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::ReleaseTemplate;

/// How often Flux reconciles a release unless the definition says it.
const INTERVAL: &str = "5m";

/// A placeholder that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{placeholder:?} is no placeholder; there are {{{{ .name }}}}, {{{{ .namespace }}}}, {{{{ .release }}}} and \
     {{{{ .kind }}}}"
)]
pub struct PlaceholderError {
    /// What stands there.
    pub placeholder: String,
}

/// What placeholders stand for.
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: &'a str,
    pub(super) release: &'a str,
    pub(super) kind: &'a str,
}

impl ReleaseTemplate {
    /// The fields under `spec` of the release of an instance that the definition sets.
    #[must_use]
    pub fn fields(&self, name: &str, namespace: Option<&str>) -> Map<String, Value> {
        let release = self.release_name(name);
        let place = Place {
            name,
            namespace: namespace.unwrap_or_default(),
            release: &release,
            kind: &self.kind.to_lowercase(),
        };
        let settings = &self.settings;
        let mut spec = self.chart_fields();
        let mut set = |member: &str, value: Option<Value>| spec.extend(value.map(|value| (member.to_owned(), value)));
        set("interval", Some(json!(settings.interval.as_deref().unwrap_or(INTERVAL))));
        set("timeout", some(settings.timeout.as_ref()));
        set("install", settings.install.clone());
        set("upgrade", settings.upgrade.clone());
        set("rollback", settings.rollback.clone());
        set("uninstall", settings.uninstall.clone());
        set("test", settings.test.clone());
        set("driftDetection", settings.drift_detection.clone());
        set("valuesFrom", filled_in(&settings.values_from, &["name"], &place));
        set("dependsOn", filled_in(&settings.depends_on, &["name", "namespace"], &place));
        for (member, text) in [
            ("serviceAccountName", &settings.service_account_name),
            ("targetNamespace", &settings.target_namespace),
            ("storageNamespace", &settings.storage_namespace),
        ] {
            set(member, text.as_deref().map(|text| json!(fill(text, &place).unwrap_or_else(|_| text.to_owned()))));
        }
        set("postRenderers", list(&settings.post_renderers));
        set("waitStrategy", some(settings.wait_strategy.as_ref()));
        set("healthCheckExprs", list(&settings.health_check_exprs));
        set("maxHistory", some(settings.max_history.as_ref()));
        spec
    }

    /// Placeholders in the settings that are none, each with the path of its field.
    #[must_use]
    pub fn placeholder_faults(&self) -> Vec<(String, PlaceholderError)> {
        let settings = &self.settings;
        let mut texts: Vec<(String, &str)> = Vec::new();
        for (index, reference) in settings.values_from.iter().enumerate() {
            texts.push((format!("valuesFrom[{index}].name"), &reference.name));
        }
        for (index, reference) in settings.depends_on.iter().enumerate() {
            texts.push((format!("dependsOn[{index}].name"), &reference.name));
            texts.extend(reference.namespace.as_deref().map(|text| (format!("dependsOn[{index}].namespace"), text)));
        }
        for (member, text) in [
            ("serviceAccountName", &settings.service_account_name),
            ("targetNamespace", &settings.target_namespace),
            ("storageNamespace", &settings.storage_namespace),
        ] {
            texts.extend(text.as_deref().map(|text| (member.to_owned(), text)));
        }
        texts.extend(self.selector_texts());
        let place = Place { name: "", namespace: "", release: "", kind: "" };
        texts.into_iter().filter_map(|(at, text)| fill(text, &place).err().map(|error| (at, error))).collect()
    }
}

fn some<T: Serialize>(value: Option<&T>) -> Option<Value> {
    value.and_then(|value| serde_json::to_value(value).ok())
}

fn list<T: Serialize>(values: &[T]) -> Option<Value> {
    if values.is_empty() { None } else { serde_json::to_value(values).ok() }
}

fn filled_in<T: Serialize>(values: &[T], members: &[&str], place: &Place<'_>) -> Option<Value> {
    let mut list = list(values)?;
    for value in list.as_array_mut().into_iter().flatten() {
        for member in members {
            if let Some(Value::String(text)) = value.get_mut(*member)
                && let Ok(filled) = fill(text, place)
            {
                *text = filled;
            }
        }
    }
    Some(list)
}

/// Fills in `{{ .name }}` and the like.
pub(super) fn fill(text: &str, place: &Place<'_>) -> Result<String, PlaceholderError> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let unknown = |placeholder: &str| PlaceholderError { placeholder: placeholder.to_owned() };
        let (placeholder, after) = after.split_once("}}").ok_or_else(|| unknown(after))?;
        let placeholder = placeholder.trim();
        // As Go's templates write it: `slice .namespace 7` is what follows the first seven characters.
        let (field, from) = match placeholder.strip_prefix("slice ").map(|rest| rest.trim().split_once(' ')) {
            None => (placeholder, 0),
            Some(Some((field, from))) => (field, from.trim().parse().map_err(|_| unknown(placeholder))?),
            Some(None) => return Err(unknown(placeholder)),
        };
        let value = match field {
            ".name" => place.name,
            ".namespace" => place.namespace,
            ".release" => place.release,
            ".kind" => place.kind,
            _ => return Err(unknown(placeholder)),
        };
        filled.push_str(value.get(from..).unwrap_or_default());
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use kindsmith_crds::{DependencyReference, HelmReleaseBackend};

    use super::*;

    fn template() -> ReleaseTemplate {
        let depends_on = vec![DependencyReference {
            name: "operator-{{ .kind }}".to_owned(),
            namespace: Some("{{.namespace}}".to_owned()),
            ready_expr: None,
        }];
        ReleaseTemplate::new(
            "apps.example.com",
            "v1",
            "Redis",
            HelmReleaseBackend {
                prefix: "redis-".to_owned(),
                depends_on,
                service_account_name: Some("{{ .release }}-flux".to_owned()),
                max_history: Some(0),
                rollback: Some(json!({"force": true})),
                post_renderers: vec![json!({"kustomize": {"patches": []}})],
                ..HelmReleaseBackend::default()
            },
        )
    }

    #[test]
    fn settings_are_fields_of_the_release() {
        let fields = template().fields("cache", Some("team"));
        assert_eq!(
            Value::Object(fields),
            json!({
                "interval": "5m",
                "rollback": {"force": true},
                "dependsOn": [{"name": "operator-redis", "namespace": "team"}],
                "serviceAccountName": "redis-cache-flux",
                "postRenderers": [{"kustomize": {"patches": []}}],
                "maxHistory": 0,
            })
        );
    }

    #[test]
    fn a_placeholder_that_is_none_is_told_with_its_field() {
        let mut template = template();
        assert_eq!(template.placeholder_faults(), []);
        template.settings.depends_on[0].name = "x-{{ .nmae }}".to_owned();
        template.settings.target_namespace = Some("{{ .name".to_owned());
        let faults = template.placeholder_faults();
        let at: Vec<&str> = faults.iter().map(|(at, _)| at.as_str()).collect();
        assert_eq!(at, ["dependsOn[0].name", "targetNamespace"]);
        assert!(faults[0].1.to_string().starts_with("\".nmae\" is no placeholder; there are {{ .name }}"));
    }
}
