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

/// Fields of `spec` that a definition cannot set, and why.
pub(crate) const INSTANCE_FIELDS: [(&str, &str); 2] = [
    ("values", "the values of a release are the spec of its instance; defaults are in the schema"),
    ("suspend", "it would be lost with the first change by hand: suspend releases with flux suspend, one by one"),
];

/// Where placeholders may be, under `spec`; `*` is each item, or each member.
const PLACES: [&[&str]; 11] = [
    &["valuesFrom", "*", "name"],
    &["dependsOn", "*", "name"],
    &["dependsOn", "*", "namespace"],
    &["serviceAccountName"],
    &["targetNamespace"],
    &["storageNamespace"],
    &["releaseName"],
    &["kubeConfig", "secretRef", "name"],
    &["kubeConfig", "configMapRef", "name"],
    &["commonMetadata", "labels", "*"],
    &["commonMetadata", "annotations", "*"],
];

/// The shortest name there can be.
const SHORTEST_NAME: &str = "a";

/// What placeholders stand for.
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: &'a str,
    pub(super) release: &'a str,
    pub(super) kind: &'a str,
    pub(super) slices: Slices,
}

/// What becomes of a slice behind the end of a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Slices {
    /// It is empty.
    AsTheyAre,
    /// The name might be longer: it is as short as it can be without being empty. The kind is what it is.
    OfLongerNames,
}

impl ReleaseTemplate {
    /// The fields under `spec` of the release of an instance that the definition sets.
    #[must_use]
    pub fn fields(&self, name: &str, namespace: Option<&str>) -> Map<String, Value> {
        self.fields_at(name, namespace.unwrap_or_default(), Slices::AsTheyAre)
    }

    /// The fields of the release of an instance whose names are as short as they can be: what is too long in them is so for
    /// every instance.
    pub(crate) fn shortest_fields(&self) -> Map<String, Value> {
        self.fields_at(SHORTEST_NAME, SHORTEST_NAME, Slices::OfLongerNames)
    }

    fn fields_at(&self, name: &str, namespace: &str, slices: Slices) -> Map<String, Value> {
        let (release, kind) = (self.release_name(name), self.kind.to_lowercase());
        let place = Place { name, namespace, release: &release, kind: &kind, slices };
        let mut spec = Value::Object(self.as_written());
        for path in PLACES {
            visit(&mut spec, path, "", &mut |_, text| {
                if let Ok(filled) = fill(text, &place) {
                    *text = filled;
                }
            });
        }
        match spec {
            Value::Object(spec) => spec,
            _ => Map::new(),
        }
    }

    /// The fields under `spec`, with placeholders.
    fn as_written(&self) -> Map<String, Value> {
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
        set("valuesFrom", list(&settings.values_from));
        set("dependsOn", list(&settings.depends_on));
        set("serviceAccountName", some(settings.service_account_name.as_ref()));
        set("targetNamespace", some(settings.target_namespace.as_ref()));
        set("storageNamespace", some(settings.storage_namespace.as_ref()));
        set("postRenderers", list(&settings.post_renderers));
        set("waitStrategy", some(settings.wait_strategy.as_ref()));
        set("healthCheckExprs", list(&settings.health_check_exprs));
        set("maxHistory", some(settings.max_history.as_ref()));
        set("releaseName", some(settings.release_name.as_ref()));
        set("kubeConfig", settings.kube_config.clone());
        set("commonMetadata", settings.common_metadata.clone());
        set("postRenderStrategy", some(settings.post_render_strategy.as_ref()));
        set("persistentClient", some(settings.persistent_client.as_ref()));
        let is_ours = |field: &str| INSTANCE_FIELDS.iter().any(|(own, _)| *own == field);
        for (field, value) in settings.others.iter().filter(|(field, _)| !is_ours(field)) {
            set(field, Some(value.clone()));
        }
        spec
    }

    /// Placeholders in the settings that are none, each with the path of its field.
    #[must_use]
    pub fn placeholder_faults(&self) -> Vec<(String, PlaceholderError)> {
        let mut texts: Vec<(String, String)> = Vec::new();
        let mut spec = Value::Object(self.as_written());
        for path in PLACES {
            visit(&mut spec, path, "", &mut |at, text| texts.push((at.to_owned(), text.clone())));
        }
        texts.extend(self.selector_texts().into_iter().map(|(at, text)| (at, text.to_owned())));
        let place = Place { name: "", namespace: "", release: "", kind: "", slices: Slices::AsTheyAre };
        texts.into_iter().filter_map(|(at, text)| fill(&text, &place).err().map(|error| (at, error))).collect()
    }
}

/// Visits the texts at a path, each with where it is.
fn visit(value: &mut Value, path: &[&str], at: &str, see: &mut impl FnMut(&str, &mut String)) {
    match (path, value) {
        ([], Value::String(text)) => see(at, text),
        (["*", rest @ ..], Value::Array(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                visit(item, rest, &format!("{at}[{index}]"), see);
            }
        }
        (["*", rest @ ..], Value::Object(members)) => {
            for (key, member) in members.iter_mut() {
                visit(member, rest, &format!("{at}[{key}]"), see);
            }
        }
        ([member, rest @ ..], Value::Object(members)) => {
            let Some(inner) = members.get_mut(*member) else { return };
            let at = if at.is_empty() { (*member).to_owned() } else { format!("{at}.{member}") };
            visit(inner, rest, &at, see);
        }
        _ => {}
    }
}

fn some<T: Serialize>(value: Option<&T>) -> Option<Value> {
    value.and_then(|value| serde_json::to_value(value).ok())
}

fn list<T: Serialize>(values: &[T]) -> Option<Value> {
    if values.is_empty() { None } else { serde_json::to_value(values).ok() }
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
        let slice = value.get(from..).unwrap_or_default();
        let may_be_longer = place.slices == Slices::OfLongerNames && from > 0 && field != ".kind";
        filled.push_str(if may_be_longer && slice.is_empty() { SHORTEST_NAME } else { slice });
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use kindsmith_crds::{DependencyReference, HelmReleaseBackend, OtherFields};

    use super::*;

    fn template() -> ReleaseTemplate {
        let depends_on = vec![DependencyReference {
            name: "operator-{{ .kind }}".to_owned(),
            namespace: Some("{{.namespace}}".to_owned()),
            ready_expr: None,
            others: OtherFields::new(),
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
