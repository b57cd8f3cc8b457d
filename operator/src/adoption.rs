//! Releases made by hand that are instances of kinds: those that a definition shows to tenants although nobody made them
//! through it.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kindsmith_crds::Adopt;
use kindsmith_schema::{
    convert::release::ReleaseTemplate,
    kind::{KindBackend, KindOutline},
};
use kube::ResourceExt as _;
use serde_json::Value;

use crate::{progress::ReleaseName, releases::WatchedRelease};

/// How many releases are named.
const NAMED_MAX: usize = 5;

/// The releases made by hand that are instances of a kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Adopted {
    /// How many.
    pub count: usize,
    /// The first of them.
    pub first: Vec<ReleaseName>,
}

/// A release without labels of a kind, and the whole of it once somebody needs that.
struct ByHand<'r> {
    name: &'r str,
    release: &'r WatchedRelease,
    whole: OnceCell<Value>,
}

impl ByHand<'_> {
    fn is_instance(&self, template: &ReleaseTemplate) -> bool {
        let whole = self.whole.get_or_init(|| serde_json::to_value(self.release).unwrap_or_default());
        template.matches(whole) && !template.is_labelled(whole)
    }
}

/// What each kind adopts, by the uid of its definition. A kind that goes by labels alone adopts nothing.
pub(crate) fn adopted(
    kinds: &[(String, Arc<KindOutline>)],
    releases: &[Arc<WatchedRelease>],
) -> BTreeMap<String, Adopted> {
    let by_chart = kinds.iter().filter_map(|(uid, kind)| match &kind.backend {
        KindBackend::Release(template) if template.adopt() == Adopt::Chart => Some((uid, template)),
        _ => None,
    });
    let by_chart: Vec<_> = by_chart.collect();
    if by_chart.is_empty() {
        return BTreeMap::new();
    }
    // All kinds of a form have the same labels.
    let marks: BTreeSet<(&str, &str)> =
        by_chart.iter().map(|(_, template)| (template.marks.kind.as_str(), template.marks.group.as_str())).collect();
    let is_marked = |release: &WatchedRelease| {
        let labels = release.labels();
        marks.iter().any(|(kind, group)| labels.contains_key(*kind) && labels.contains_key(*group))
    };
    let by_hand = releases.iter().filter(|release| !is_marked(release));
    let mut by_hand: Vec<ByHand<'_>> = by_hand
        .filter_map(|release| Some(ByHand { name: release.metadata.name.as_deref()?, release, whole: OnceCell::new() }))
        .collect();
    by_hand.sort_by(|left, right| left.name.cmp(right.name));
    let of = |template: &ReleaseTemplate| {
        let prefix = template.settings.prefix.as_str();
        let begin = by_hand.partition_point(|it| it.name < prefix);
        let named = by_hand.get(begin..).unwrap_or_default().iter().take_while(|it| it.name.starts_with(prefix));
        let mut names: Vec<ReleaseName> = named
            .filter(|it| it.is_instance(template))
            .map(|it| ReleaseName { namespace: it.release.namespace().unwrap_or_default(), name: it.name.to_owned() })
            .collect();
        names.sort();
        let count = names.len();
        names.truncate(NAMED_MAX);
        Adopted { count, first: names }
    };
    by_chart.into_iter().map(|(uid, template)| (uid.clone(), of(template))).collect()
}

#[cfg(test)]
mod tests {
    use kindsmith_schema::{compile::OwnStorage, form::DefinitionForm};
    use serde_json::json;

    use super::*;
    use crate::decide::testing::definition;

    fn kind(adopt: &str) -> (String, Arc<KindOutline>) {
        let mut definition = definition("redises", "Redis");
        definition["spec"]["backend"]["helmRelease"]["adopt"] = json!(adopt);
        let compiled = DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Absent).unwrap();
        ("u".to_owned(), Arc::new(KindOutline::from(&compiled)))
    }

    #[test]
    fn releases_of_the_chart_without_labels_are_counted_and_the_first_are_named() {
        let (uid, kind) = kind("Chart");
        let KindBackend::Release(template) = &kind.backend else { panic!("there is no release") };
        let release = |namespace: &str, name: &str, labels: Value, chart: Value| {
            let made = template.create(&json!({"metadata": {"name": name, "namespace": namespace}, "spec": {}}));
            let mut release: Value = made;
            release["metadata"]["labels"] = labels;
            if !chart.is_null() {
                release["spec"]["chartRef"]["name"] = chart;
            }
            Arc::new(serde_json::from_value::<WatchedRelease>(release).unwrap())
        };
        let labels = |kind: &str| json!({"kindsmith.dev/kind": kind, "kindsmith.dev/group": "apps.example.com"});
        let by_hand = (0..9)
            .map(|index| release(if index < 7 { "b" } else { "a" }, &format!("n{index}"), json!({}), Value::Null));
        let others = [
            release("a", "ours", labels("Redis"), Value::Null),
            release("a", "others", labels("Other"), Value::Null),
            release("a", "chart", json!({}), json!("another")),
        ];
        let releases: Vec<_> = by_hand.chain(others).collect();
        let kinds = [(uid, Arc::clone(&kind))];
        let found = adopted(&kinds, &releases);
        let names: Vec<String> = found["u"].first.iter().map(ToString::to_string).collect();
        assert_eq!(found["u"].count, 9);
        assert_eq!(names, ["a/x-n7", "a/x-n8", "b/x-n0", "b/x-n1", "b/x-n2"]);
        assert_eq!(adopted(&[super::tests::kind("Labels")], &releases), BTreeMap::new());
    }
}
