//! Which objects of an application Cozystack shows to tenants: `spec.secrets`, `services` and `ingresses`.
//!
//! Cozystack labels what belongs to an application and selects among that; so a selector by labels asks for those labels
//! too. What cannot be read exactly never shows more than was meant: such an include selects nothing, and with such an
//! exclude nothing of the kind is shown.
//!
//! Source: github.com/cozystack/cozystack, api/v1alpha1/applicationdefinitions_types.go and
//! internal/lineagecontrollerwebhook.

use std::collections::BTreeMap;

use kindsmith_crds::{ResourceSelection, ResourceSelector, Resources};
use serde::Deserialize;
use serde_json::Value;

use super::KINDS_GROUP;
use crate::convert::release::is_fillable;

/// Which objects of one kind.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Selection {
    include: Option<Vec<Selector>>,
    exclude: Option<Vec<Selector>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Selector {
    resource_names: Option<Vec<String>>,
    match_labels: Option<BTreeMap<String, String>>,
    match_expressions: Option<Vec<Value>>,
}

impl Selector {
    /// As one of ours; none when it says what ours cannot.
    fn read(&self) -> Option<ResourceSelector> {
        let expressions = self.match_expressions.as_ref().is_some_and(|held| !held.is_empty());
        let labels = self.match_labels.clone().unwrap_or_default();
        let names = self.resource_names.clone().unwrap_or_default();
        let readable = labels.values().chain(&names).all(|text| is_fillable(text).is_ok());
        (!expressions && readable).then_some(ResourceSelector { resource_names: names, match_labels: labels })
    }
}

/// As one of ours, for applications of a kind.
fn selection(theirs: &Selection, kind: &str) -> ResourceSelection {
    let excluded: Option<Vec<ResourceSelector>> = theirs
        .exclude
        .iter()
        .flatten()
        .map(|selector| selector.read().filter(|it| !it.resource_names.is_empty() || !it.match_labels.is_empty()))
        .collect();
    let Some(exclude) = excluded else { return ResourceSelection::default() };
    let marks = [("kind", kind), ("group", KINDS_GROUP), ("name", "{{ .name }}")];
    let belonging = |mut selector: ResourceSelector| {
        if selector.resource_names.is_empty() || !selector.match_labels.is_empty() {
            let marks =
                marks.iter().map(|(key, value)| (format!("{KINDS_GROUP}/application.{key}"), (*value).to_owned()));
            selector.match_labels.extend(marks);
        }
        selector
    };
    let include = theirs.include.iter().flatten().filter_map(Selector::read).map(belonging).collect();
    ResourceSelection { include, exclude }
}

/// What the status of applications of a kind refers to.
pub(super) fn resources(theirs: [&Selection; 3], kind: &str) -> Option<Resources> {
    let [secrets, services, ingresses] = theirs.map(|theirs| selection(theirs, kind));
    let resources = Resources { secrets, services, ingresses };
    (resources != Resources::default()).then_some(resources)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(selection: Value) -> Value {
        let theirs: Selection = serde_json::from_value(selection).unwrap();
        serde_json::to_value(super::selection(&theirs, "Bucket")).unwrap()
    }

    #[test]
    fn names_are_taken_as_they_are_and_labels_with_those_of_the_application() {
        let marks = json!({"apps.cozystack.io/user-secret": "true", "apps.cozystack.io/application.kind": "Bucket",
            "apps.cozystack.io/application.group": "apps.cozystack.io",
            "apps.cozystack.io/application.name": "{{ .name }}"});
        assert_eq!(
            read(
                json!({"exclude": [], "include": [{"resourceNames": ["bucket-{{ .name }}", "{{ slice .namespace 7 }}-x"]},
                {"matchLabels": {"apps.cozystack.io/user-secret": "true"}}]})
            ),
            json!({"include": [{"resourceNames": ["bucket-{{ .name }}", "{{ slice .namespace 7 }}-x"]},
                {"matchLabels": marks}]})
        );
        assert_eq!(read(json!({"exclude": null, "include": null})), json!({}));
    }

    #[test]
    fn what_cannot_be_read_shows_nothing() {
        let sound = json!({"resourceNames": ["a"]});
        for odd in [
            json!({"resourceNames": ["{{ printf .name }}"]}),
            json!({"matchLabels": {"a": "{{ .nmae }}"}}),
            json!({"matchExpressions": [{"key": "a", "operator": "Exists"}]}),
        ] {
            assert_eq!(read(json!({"include": [sound, odd]})), json!({"include": [sound]}), "{odd}");
            assert_eq!(read(json!({"include": [sound], "exclude": [odd]})), json!({}), "{odd}");
        }
        assert_eq!(read(json!({"include": [sound], "exclude": [{}]})), json!({}), "everything is excluded");
    }
}
