//! What belongs to an instance besides its release: references to Secrets, Services and Ingresses, never contents.
//!
//! The operator sees the metadata of those objects and writes the references into an annotation of the release. So
//! whoever serves the instance needs no right to them, and reads nothing but the release.

use std::collections::{BTreeMap, BTreeSet};

use kindsmith_crds::{ResourceSelection, ResourceSelector};
use serde_json::{Map, Value, json};

use super::{
    ReleaseTemplate,
    helm::helm_release_name,
    settings::{Place, PlaceholderError, Slices, fill},
};

/// The annotation with the references.
pub const RESOURCES_ANNOTATION: &str = "kindsmith.dev/resources";

/// The most references of an instance.
pub const REFERENCES_MAX: usize = 64;

/// What can be referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// An Ingress.
    Ingress,
    /// A Secret.
    Secret,
    /// A Service.
    Service,
}

impl ResourceKind {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 3] = [Self::Ingress, Self::Secret, Self::Service];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingress => "Ingress",
            Self::Secret => "Secret",
            Self::Service => "Service",
        }
    }

    /// Its group and version, as `apiVersion` has them.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Ingress => "networking.k8s.io/v1",
            Self::Secret | Self::Service => "v1",
        }
    }

    /// The plural in paths.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Ingress => "ingresses",
            Self::Secret => "secrets",
            Self::Service => "services",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// An object that an instance refers to; they are in the order of kind and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The kind of the object.
    pub kind: ResourceKind,
    /// Its name.
    pub name: String,
    /// Its namespace; none for that of the instance.
    pub namespace: Option<String>,
}

/// The selectors of a definition for one instance, with placeholders filled in.
#[derive(Clone, Debug)]
pub struct Selectors {
    kinds: BTreeMap<ResourceKind, ResourceSelection>,
}

impl Selectors {
    /// Whether an object is one to refer to.
    #[must_use]
    pub fn select(&self, kind: ResourceKind, name: &str, labels: &BTreeMap<String, String>) -> bool {
        let fits = |selector: &ResourceSelector| {
            let names = &selector.resource_names;
            (names.is_empty() || names.iter().any(|wanted| wanted == name))
                && selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
        };
        let Some(selection) = self.kinds.get(&kind) else { return false };
        selection.include.iter().any(fits) && !selection.exclude.iter().any(fits)
    }

    /// Whether an object of which the name alone is known is one to refer to for certain, whatever its labels.
    #[must_use]
    pub fn select_by_name(&self, kind: ResourceKind, name: &str) -> bool {
        let has_name = |selector: &ResourceSelector| selector.resource_names.iter().any(|wanted| wanted == name);
        let Some(selection) = self.kinds.get(&kind) else { return false };
        let may_be_excluded = |selector: &ResourceSelector| selector.resource_names.is_empty() || has_name(selector);
        selection.include.iter().any(|selector| selector.match_labels.is_empty() && has_name(selector))
            && !selection.exclude.iter().any(may_be_excluded)
    }
}

impl ReleaseTemplate {
    /// What is referred to, of the namespace into which the chart of a release is installed.
    #[must_use]
    pub fn selectors(&self, release: &Value) -> Selectors {
        let text = |pointer: &str| release.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let name = self.instance_name(text("/metadata/name")).unwrap_or_default();
        // Objects of a chart are named after what Helm calls the release.
        let (release, kind) = (helm_release_name(release), self.kind.to_lowercase());
        let namespace = text("/metadata/namespace");
        let place = Place { name, namespace, release: &release, kind: &kind, slices: Slices::AsTheyAre };
        let kinds = self.selections().map(|(_, kind, selection)| (kind, filled(selection, &place)));
        Selectors { kinds: kinds.collect() }
    }

    /// The kinds of objects that have to be looked at.
    #[must_use]
    pub fn selected_kinds(&self) -> BTreeSet<ResourceKind> {
        self.selections().filter(|(_, _, selection)| !selection.include.is_empty()).map(|(_, kind, _)| kind).collect()
    }

    fn selections(&self) -> impl Iterator<Item = (&'static str, ResourceKind, &ResourceSelection)> {
        self.settings.resources.iter().flat_map(|resources| {
            [
                ("secrets", ResourceKind::Secret, &resources.secrets),
                ("services", ResourceKind::Service, &resources.services),
                ("ingresses", ResourceKind::Ingress, &resources.ingresses),
            ]
        })
    }

    /// The references that a release holds, in their order; those of kinds that the definition does not select are none.
    #[must_use]
    pub fn references(&self, release: &Value) -> Vec<Reference> {
        let kinds = self.selected_kinds();
        let Some(text) = annotation(release).filter(|_| !kinds.is_empty()) else { return Vec::new() };
        // Whoever may write releases may write this: what is no reference is not shown.
        let held: Vec<Vec<String>> = serde_json::from_str(text).unwrap_or_default();
        let known = held.into_iter().filter_map(|entry| {
            let mut parts = entry.into_iter();
            let kind = ResourceKind::named(&parts.next()?)?;
            Some(Reference { kind, name: parts.next()?, namespace: parts.next() })
        });
        let known: BTreeSet<Reference> = known.filter(|reference| kinds.contains(&reference.kind)).collect();
        known.into_iter().take(REFERENCES_MAX).collect()
    }

    /// The merge patch that brings references to a release; none when it holds them.
    #[must_use]
    pub fn refer(&self, release: &Value, wanted: &BTreeSet<Reference>) -> Option<Value> {
        let entry = |it: &Reference| {
            let namespace = it.namespace.as_deref();
            [it.kind.name(), it.name.as_str()].into_iter().chain(namespace).map(str::to_owned).collect()
        };
        let entries: Vec<Vec<String>> = wanted.iter().take(REFERENCES_MAX).map(entry).collect();
        let text = (!entries.is_empty()).then(|| json!(entries).to_string());
        if annotation(release) == text.as_deref() {
            return None;
        }
        let revision = release.pointer("/metadata/resourceVersion").cloned().unwrap_or_default();
        Some(json!({"metadata": {"resourceVersion": revision, "annotations": {RESOURCES_ANNOTATION: text}}}))
    }

    /// The references as the status shows them.
    pub(super) fn shown_references(&self, release: &Value) -> Option<Value> {
        let references = self.references(release);
        let shown = |it: Reference| {
            let mut shown = json!({"apiVersion": it.kind.api_version(), "kind": it.kind.name(), "name": it.name});
            if let Some(namespace) = it.namespace {
                shown["namespace"] = json!(namespace);
            }
            shown
        };
        (!references.is_empty()).then(|| references.into_iter().map(shown).collect())
    }

    /// Selectors that cannot be meant, each with the path of its field.
    #[must_use]
    pub fn selector_faults(&self) -> Vec<(String, &'static str)> {
        let mut faults = Vec::new();
        for (member, _, selection) in self.selections() {
            for (list, selectors) in [("include", &selection.include), ("exclude", &selection.exclude)] {
                for (index, selector) in selectors.iter().enumerate() {
                    let at = format!("resources.{member}.{list}[{index}]");
                    if selector.resource_names.is_empty() && selector.match_labels.is_empty() {
                        faults.push((at, "resourceNames or matchLabels must be set"));
                    } else if list == "include" && selector.resource_names.is_empty() && !names_instance(selector) {
                        faults.push((
                            format!("{at}.matchLabels"),
                            "a value must have {{ .name }} or {{ .release }}, else each instance would refer to what \
                             belongs to the others",
                        ));
                    }
                }
            }
        }
        faults
    }

    /// Texts of selectors that may have placeholders, each with the path of its field.
    pub(super) fn selector_texts(&self) -> Vec<(String, &str)> {
        let mut texts = Vec::new();
        for (member, _, selection) in self.selections() {
            for (list, selectors) in [("include", &selection.include), ("exclude", &selection.exclude)] {
                for (index, selector) in selectors.iter().enumerate() {
                    let at = format!("resources.{member}.{list}[{index}]");
                    let names = selector.resource_names.iter().enumerate();
                    texts.extend(names.map(|(name, text)| (format!("{at}.resourceNames[{name}]"), text.as_str())));
                    let labels = selector.match_labels.iter();
                    texts.extend(labels.map(|(key, text)| (format!("{at}.matchLabels[{key}]"), text.as_str())));
                }
            }
        }
        texts
    }
}

/// Whether a text has no placeholder but those that there are.
pub(crate) fn is_fillable(text: &str) -> Result<(), PlaceholderError> {
    fill(text, &Place { name: "", namespace: "", release: "", kind: "", slices: Slices::AsTheyAre }).map(drop)
}

/// Whether a selector by labels tells instances apart: two that have the same of all else select the same otherwise.
fn names_instance(selector: &ResourceSelector) -> bool {
    let of = |name: &str| -> Vec<Option<String>> {
        let place = Place { name, namespace: "", release: name, kind: "", slices: Slices::AsTheyAre };
        selector.match_labels.values().map(|text| fill(text, &place).ok()).collect()
    };
    of("a") != of("b")
}

fn annotation(release: &Value) -> Option<&str> {
    release.pointer("/metadata/annotations").and_then(Value::as_object).and_then(text_of)
}

fn text_of(annotations: &Map<String, Value>) -> Option<&str> {
    annotations.get(RESOURCES_ANNOTATION)?.as_str()
}

fn filled(selection: &ResourceSelection, place: &Place<'_>) -> ResourceSelection {
    let fill = |text: &String| fill(text, place).unwrap_or_else(|_| text.clone());
    let each = |selectors: &[ResourceSelector]| {
        let filled = selectors.iter().map(|selector| ResourceSelector {
            resource_names: selector.resource_names.iter().map(fill).collect(),
            match_labels: selector.match_labels.iter().map(|(key, text)| (key.clone(), fill(text))).collect(),
        });
        filled.collect()
    };
    ResourceSelection { include: each(&selection.include), exclude: each(&selection.exclude) }
}

#[cfg(test)]
mod tests {
    use kindsmith_crds::HelmReleaseBackend;

    use super::*;

    fn template(resources: &Value) -> ReleaseTemplate {
        let settings: HelmReleaseBackend = serde_json::from_value(json!({
            "chartRef": {"kind": "OCIRepository", "name": "redis"}, "prefix": "redis-", "resources": resources}))
        .unwrap();
        ReleaseTemplate::new("apps.example.com", "v1", "Redis", settings)
    }

    fn declared() -> Value {
        json!({
            "secrets": {
                "include": [{"resourceNames": ["{{ .release }}-credentials", "shared-{{ .namespace }}"]},
                    {"matchLabels": {"of": "{{ .kind }}-{{ .name }}"}}],
                "exclude": [{"matchLabels": {"internal": "true"}}]},
            "services": {"include": [{"resourceNames": ["{{ .name }}"], "matchLabels": {"public": "yes"}}]}})
    }

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn reference(kind: ResourceKind, name: &str) -> Reference {
        Reference { kind, name: name.to_owned(), namespace: None }
    }

    #[test]
    fn objects_are_selected_by_names_and_labels_of_the_instance() {
        let release = json!({"metadata": {"name": "redis-a", "namespace": "team"}});
        let selectors = template(&declared()).selectors(&release);
        for (kind, name, with, wanted) in [
            (ResourceKind::Secret, "redis-a-credentials", &[][..], true),
            (ResourceKind::Secret, "redis-b-credentials", &[], false),
            (ResourceKind::Secret, "shared-team", &[], true),
            (ResourceKind::Secret, "any", &[("of", "redis-a")], true),
            (ResourceKind::Secret, "any", &[("of", "redis-b")], false),
            (ResourceKind::Secret, "redis-a-credentials", &[("internal", "true")], false),
            (ResourceKind::Service, "a", &[("public", "yes")], true),
            (ResourceKind::Service, "a", &[], false),
            (ResourceKind::Ingress, "redis-a-credentials", &[], false),
        ] {
            assert_eq!(selectors.select(kind, name, &labels(with)), wanted, "{kind:?} {name} {with:?}");
        }
        let kinds = template(&declared()).selected_kinds();
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), [ResourceKind::Secret, ResourceKind::Service]);
    }

    #[test]
    fn a_chart_in_another_namespace_is_found_by_what_helm_calls_it_and_shown_with_the_namespace() {
        let template = template(&declared());
        let mut release =
            json!({"metadata": {"name": "redis-a", "namespace": "team"}, "spec": {"targetNamespace": "apps"}});
        let selectors = template.selectors(&release);
        for (name, wanted) in [
            ("apps-redis-a-credentials", true),
            ("redis-a-credentials", false),
            ("shared-team", true),
            ("shared-apps", false),
        ] {
            assert_eq!(selectors.select(ResourceKind::Secret, name, &labels(&[])), wanted, "{name}");
        }
        let one = Reference { namespace: Some("apps".to_owned()), ..reference(ResourceKind::Secret, "x") };
        let patch = template.refer(&release, &[one].into()).unwrap();
        assert_eq!(patch["metadata"]["annotations"][RESOURCES_ANNOTATION], r#"[["Secret","x","apps"]]"#);
        release["metadata"]["annotations"] = patch["metadata"]["annotations"].clone();
        assert_eq!(
            template.get(&release)["status"]["resources"],
            json!([{"apiVersion": "v1", "kind": "Secret", "name": "x", "namespace": "apps"}])
        );
    }

    #[test]
    fn references_are_kept_on_the_release_and_shown_in_the_status() {
        let template = template(&declared());
        let mut release = json!({"metadata": {"name": "redis-a", "resourceVersion": "7"}});
        let wanted: BTreeSet<Reference> =
            [reference(ResourceKind::Service, "a"), reference(ResourceKind::Secret, "redis-a-credentials")].into();
        let patch = template.refer(&release, &wanted).unwrap();
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        release["metadata"]["annotations"] = patch["metadata"]["annotations"].clone();
        assert_eq!(template.refer(&release, &wanted), None);
        assert_eq!(
            template.get(&release)["status"]["resources"],
            json!([{"apiVersion": "v1", "kind": "Secret", "name": "redis-a-credentials"},
                {"apiVersion": "v1", "kind": "Service", "name": "a"}])
        );
        assert_eq!(template.put(&template.get(&release), release.clone()), release, "it is not the instance's");
        let gone = template.refer(&release, &BTreeSet::new()).unwrap();
        assert_eq!(gone["metadata"]["annotations"], json!({RESOURCES_ANNOTATION: null}));
    }

    #[test]
    fn what_is_no_reference_or_not_selected_is_not_shown() {
        let shown = |template: &ReleaseTemplate, text: &str| {
            let release = json!({"metadata": {"name": "redis-a", "annotations": {RESOURCES_ANNOTATION: text}}});
            template.get(&release).pointer("/status/resources").cloned()
        };
        let template = template(&declared());
        for text in ["", "{}", "[1]", "[[\"Pod\", \"x\"]]", "[[\"Ingress\", \"not-selected\"]]", "[[\"Secret\"]]"] {
            assert_eq!(shown(&template, text), None, "{text}");
        }
        let many: Vec<(&str, String)> = (0..200).map(|index| ("Secret", format!("s{index}"))).collect();
        let many = shown(&template, &json!(many).to_string()).unwrap();
        assert_eq!(many.as_array().unwrap().len(), REFERENCES_MAX);
        assert_eq!(shown(&super::tests::template(&json!({})), "[[\"Secret\", \"x\"]]"), None);
    }

    #[test]
    fn selectors_that_cannot_be_meant_are_told_with_their_field() {
        assert_eq!(template(&declared()).selector_faults(), []);
        assert_eq!(template(&declared()).placeholder_faults(), []);
        let template = template(&json!({
            "secrets": {"include": [{}, {"matchLabels": {"app": "redis", "in": "{{ .namespace }}"}}]},
            "ingresses": {"include": [{"resourceNames": ["x-{{ .nmae }}"]}]}}));
        let at: Vec<String> = template.selector_faults().into_iter().map(|(at, _)| at).collect();
        assert_eq!(at, ["resources.secrets.include[0]", "resources.secrets.include[1].matchLabels"]);
        let at: Vec<String> = template.placeholder_faults().into_iter().map(|(at, _)| at).collect();
        assert_eq!(at, ["resources.ingresses.include[0].resourceNames[0]"]);
    }
}
