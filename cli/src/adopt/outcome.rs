//! What becomes of each release: an instance of a kind, or nothing.

use kindsmith_crds::Adopt;
use kindsmith_schema::kind::{Kind, KindBackend};
use serde_json::Value;

/// How a release is known as an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// It has the labels of the kind.
    Labels,
    /// It has the chart of the definition, and was made by hand.
    Chart,
}

impl By {
    /// The word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Labels => "labels",
            Self::Chart => "chart",
        }
    }
}

/// Something that does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The field of the instance.
    pub(super) field: String,
    /// What is wrong with it.
    pub(super) message: String,
}

/// A release that becomes an instance.
#[derive(Debug)]
pub(super) struct Adopted {
    /// Which of the kinds.
    pub(super) kind: usize,
    pub(super) namespace: String,
    /// Of the release.
    pub(super) release: String,
    /// Of the instance.
    pub(super) name: String,
    pub(super) by: By,
    pub(super) faults: Vec<Fault>,
    /// Fields of its values that the schema does not know: they stay on the release, and are shown.
    pub(super) unknown: Vec<String>,
}

/// What was found about releases.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) kinds: Vec<Kind>,
    pub(super) adopted: Vec<Adopted>,
    /// How many releases were looked at.
    pub(super) looked_at: usize,
}

impl Outcome {
    /// For kinds; no release was looked at yet.
    pub(super) fn new(kinds: Vec<Kind>) -> Self {
        Self { kinds, adopted: Vec::new(), looked_at: 0 }
    }

    /// Looks at a release.
    pub(super) fn add(&mut self, release: &Value) {
        self.looked_at += 1;
        let found = self.kinds.iter().enumerate().filter_map(|(index, kind)| adopted(index, kind, release));
        self.adopted.extend(found);
    }

    /// In the order of kinds, namespaces and names.
    pub(super) fn sorted(mut self) -> Self {
        self.adopted.sort_by(|left, right| {
            (left.kind, &left.namespace, &left.release).cmp(&(right.kind, &right.namespace, &right.release))
        });
        self
    }

    /// Whether all values fit.
    pub(super) fn is_sound(&self) -> bool {
        self.adopted.iter().all(|adopted| adopted.faults.is_empty())
    }

    /// Which releases a kind adopts; none where it keeps its objects itself.
    pub(super) fn adopts(kind: &Kind) -> Option<Adopt> {
        match &kind.backend {
            KindBackend::Release(template) => Some(template.adopt()),
            KindBackend::Stored => None,
        }
    }
}

fn adopted(index: usize, kind: &Kind, release: &Value) -> Option<Adopted> {
    let KindBackend::Release(template) = &kind.backend else { return None };
    if !template.matches(release) {
        return None;
    }
    let text = |pointer: &str| release.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let name = text("/metadata/name");
    // As the apiserver shows it.
    let mut instance = kind.decode(release);
    let schema = &kind.storage_version()?.schema;
    let is_of_spec = |field: &str| field == "spec" || field.starts_with("spec.") || field.starts_with("spec[");
    let faults = schema.validate(&instance).into_iter().filter(|fault| is_of_spec(&fault.field));
    let faults = faults.map(|fault| Fault { field: fault.field, message: fault.detail }).collect();
    let unknown = schema.prune(&mut instance).into_iter().filter(|field| is_of_spec(field)).collect();
    Some(Adopted {
        kind: index,
        namespace: text("/metadata/namespace").to_owned(),
        release: name.to_owned(),
        name: template.instance_name(name)?.to_owned(),
        by: if template.is_labelled(release) { By::Labels } else { By::Chart },
        faults,
        unknown,
    })
}

#[cfg(test)]
mod tests {
    use kindsmith_schema::{compile::OwnStorage, form::DefinitionForm};
    use serde_json::json;

    use super::*;

    fn kind(adopt: &str) -> Kind {
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "size": {"type": "integer", "minimum": 1, "default": 1}, "user": {"type": "object", "required": ["name"],
                "properties": {"name": {"type": "string"}}}
        }}}});
        let definition = json!({
            "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
            "metadata": {"name": "redises.apps.example.com"},
            "spec": {"group": "apps.example.com", "scope": "Namespaced", "names": {"kind": "Redis", "plural": "redises"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
                "backend": {"helmRelease": {"prefix": "redis-", "adopt": adopt,
                    "chartRef": {"kind": "OCIRepository", "name": "redis", "namespace": "charts"}}}}
        });
        DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Absent).unwrap()
    }

    fn release(name: &str, values: &Value, labels: &Value) -> Value {
        json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": name, "namespace": "team-a", "labels": labels},
            "spec": {"chartRef": {"kind": "OCIRepository", "name": "redis", "namespace": "charts"}, "values": values}})
    }

    #[test]
    fn a_release_is_an_instance_by_its_labels_or_its_chart_and_its_values_are_judged() {
        let labels = json!({"kindsmith.dev/kind": "Redis", "kindsmith.dev/group": "apps.example.com"});
        let mut elsewhere = release("redis-e", &json!({}), &labels);
        elsewhere["spec"]["chartRef"]["name"] = json!("other");
        let mut other_chart = release("redis-o", &json!({}), &json!({}));
        other_chart["spec"]["chartRef"]["name"] = json!("other");
        let releases = [
            release("redis-b", &json!({"size": 0, "user": {}, "mine": 1}), &json!({})),
            release("redis-a", &json!({"size": 2}), &labels),
            release("cache", &json!({}), &json!({})),
            elsewhere,
            other_chart,
        ];
        let look = |adopt: &str| {
            let mut outcome = Outcome::new(vec![kind(adopt)]);
            releases.iter().for_each(|release| outcome.add(release));
            outcome.sorted()
        };
        let by_chart = look("Chart");
        let found: Vec<_> =
            by_chart.adopted.iter().map(|it| (it.release.as_str(), it.name.as_str(), it.by, it.faults.len())).collect();
        assert_eq!(
            found,
            [("redis-a", "a", By::Labels, 0), ("redis-b", "b", By::Chart, 2), ("redis-e", "e", By::Labels, 0)]
        );
        let fields: Vec<&str> = by_chart.adopted[1].faults.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(
            (fields, &by_chart.adopted[1].unknown[..]),
            (vec!["spec.size", "spec.user.name"], &["spec.mine".to_owned()][..])
        );
        assert_eq!((by_chart.is_sound(), by_chart.looked_at), (false, 5));
        let by_labels = look("Labels");
        assert!(by_labels.is_sound() && by_labels.adopted.iter().all(|it| it.by == By::Labels), "{by_labels:?}");
    }
}
