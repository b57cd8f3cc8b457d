//! Which releases are instances of a kind.
//!
//! The name must be the prefix followed by at least one character. Then the labels of the kind decide, if the release
//! has them: so a definition can be given another chart without losing its instances. A release without labels of any
//! kind, such as one made by hand, is an instance when its chart and source are the definition's, unless `adopt` is
//! `Labels`.

use std::collections::HashMap;

use kindsmith_crds::Adopt;
use serde_json::{Map, Value};

use super::ReleaseTemplate;
use crate::kind::{Claim, KindBackend};

/// The keys of the labels by which a release is known as an instance of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Of the kind.
    pub kind: String,
    /// Of the group.
    pub group: String,
    /// Of the name of the instance, where the platform has such a label.
    pub name: Option<String>,
}

impl Marks {
    /// Kindsmith's own.
    #[must_use]
    pub fn kindsmith() -> Self {
        Self { kind: "kindsmith.dev/kind".to_owned(), group: "kindsmith.dev/group".to_owned(), name: None }
    }
}

/// What the labels of a release say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marked {
    /// It is an instance of the kind.
    Ours,
    /// It is an instance of another kind.
    Other,
    /// Nothing.
    Not,
}

impl ReleaseTemplate {
    /// Whether a release is an instance of this kind.
    #[must_use]
    pub fn matches(&self, release: &Value) -> bool {
        let name = release.pointer("/metadata/name").and_then(Value::as_str);
        if name.and_then(|name| self.instance_name(name)).is_none() {
            return false;
        }
        match self.marked(release) {
            Marked::Ours => true,
            Marked::Other => false,
            Marked::Not => self.adopt() == Adopt::Chart && self.has_our_chart(release),
        }
    }

    /// Whether a release has the labels of the kind.
    #[must_use]
    pub fn is_labelled(&self, release: &Value) -> bool {
        self.marked(release) == Marked::Ours
    }

    /// The kind and group of which a release is an instance by its labels, as `Redis.apps.example.com`, where it is another
    /// than this one.
    #[must_use]
    pub fn other_kind(&self, release: &Value) -> Option<String> {
        let labels = release.pointer("/metadata/labels")?;
        let label = |key: &str| labels.get(key).and_then(Value::as_str);
        let named = format!("{}.{}", label(&self.marks.kind)?, label(&self.marks.group)?);
        (self.marked(release) == Marked::Other).then_some(named)
    }

    /// Which releases are instances besides those that have the labels of the kind.
    #[must_use]
    pub fn adopt(&self) -> Adopt {
        self.settings.adopt.unwrap_or_default()
    }

    /// Which releases are instances although they do not have the labels of the kind, in words; none where there are none.
    #[must_use]
    pub fn adopted(&self) -> Option<String> {
        let ChartIdentity { object: (kind, source, chart), namespace } = self.chart_identity()?;
        let place = namespace.map_or_else(|| format!("{source} of their namespace"), |held| format!("{held}/{source}"));
        let chart = chart.map(|chart| format!("chart {chart} of ")).unwrap_or_default();
        let named = &self.settings.prefix;
        (self.adopt() == Adopt::Chart).then(|| format!("those of {chart}{kind} {place} named {named}*"))
    }

    fn marked(&self, release: &Value) -> Marked {
        let labels = release.pointer("/metadata/labels");
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        match (label(&self.marks.kind), label(&self.marks.group)) {
            (Some(kind), _) if kind != self.kind => Marked::Other,
            (_, Some(group)) if group != self.group => Marked::Other,
            (Some(_), Some(_)) => Marked::Ours,
            // A group that does not fit into a label is not written.
            _ => Marked::Not,
        }
    }

    fn has_our_chart(&self, release: &Value) -> bool {
        let namespace = release.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
        let text = |value: &Value, member: &str| value.get(member).and_then(Value::as_str).map(str::to_owned);
        let place = |value: &Value| {
            let held = text(value, "namespace").filter(|held| !held.is_empty());
            (text(value, "kind"), text(value, "name"), held.unwrap_or_else(|| namespace.to_owned()))
        };
        let wanted = self.chart_fields();
        if let Some(wanted) = wanted.get("chartRef") {
            return release.pointer("/spec/chartRef").is_some_and(|held| place(held) == place(wanted));
        }
        match (wanted.get("chart").and_then(|chart| chart.get("spec")), release.pointer("/spec/chart/spec")) {
            (Some(wanted), Some(held)) => {
                text(wanted, "chart") == text(held, "chart")
                    && match (wanted.get("sourceRef"), held.get("sourceRef")) {
                        (Some(wanted), Some(held)) => place(wanted) == place(held),
                        _ => false,
                    }
            }
            _ => false,
        }
    }

    /// `chartRef` or `chart` of `spec`, as JSON.
    pub(super) fn chart_fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let chart_ref = self.settings.chart_ref.as_ref().and_then(|held| serde_json::to_value(held).ok());
        let chart = self.settings.chart.as_ref().and_then(|held| serde_json::to_value(held).ok());
        fields.extend(chart_ref.map(|held| ("chartRef".to_owned(), held)));
        fields.extend(chart.map(|held| ("chart".to_owned(), held)));
        fields
    }

    /// Whether both ask for the same releases, and by the same rule.
    pub(crate) fn claims_as(&self, other: &Self) -> bool {
        self.settings.prefix == other.settings.prefix
            && self.adopt() == other.adopt()
            && self.chart_identity() == other.chart_identity()
    }

    /// What of the chart tells releases apart; the version does not.
    fn chart_identity(&self) -> Option<ChartIdentity> {
        let settings = &self.settings;
        if let Some(chart) = &settings.chart_ref {
            let object = (format!("{:?}", chart.kind), chart.name.clone(), None);
            return Some(ChartIdentity { object, namespace: chart.namespace.clone() });
        }
        let chart = &settings.chart.as_ref()?.spec;
        let source = &chart.source_ref;
        let object = (format!("{:?}", source.kind), source.name.clone(), Some(chart.chart.clone()));
        Some(ChartIdentity { object, namespace: source.namespace.clone() })
    }
}

/// What tells charts apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ChartIdentity {
    /// The kind and the name of the object that holds the chart, and the name of the chart in it where it holds several.
    object: (String, String, Option<String>),
    /// The namespace of the object; none for that of each release.
    namespace: Option<String>,
}

/// A definition that has taken a prefix.
struct PrefixHolder<'k> {
    prefix: &'k str,
    namespace: Option<String>,
    definition: &'k str,
}

impl PrefixHolder<'_> {
    /// Whether a release could have both prefixes and, in some namespace, both charts.
    fn overlaps(&self, other: &Self) -> bool {
        let namespaces = [&self.namespace, &other.namespace];
        let same_place = namespaces.iter().any(|namespace| namespace.is_none()) || namespaces[0] == namespaces[1];
        same_place && (other.prefix.starts_with(self.prefix) || self.prefix.starts_with(other.prefix))
    }
}

/// Releases without labels could be instances of two kinds: one chart, and prefixes of which one begins with the other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "spec.backend.helmRelease.prefix: {prefix:?} overlaps with {other:?} of ApplicationDefinition {holder:?}, which \
     is older and has the same chart; choose another prefix or another chart (--prefix and --chart-ref of kindsmith \
     definition from-chart), or set adopt: Labels in one of them"
)]
pub struct Overlap {
    /// The prefix of the newer definition.
    pub prefix: String,
    /// The prefix of the older one.
    pub other: String,
    /// The older definition.
    pub holder: String,
}

/// Judges the prefixes of all definitions together. The answer has one entry a kind, in the order given: none when no
/// release could be an instance of it and of an older one that keeps its prefix.
#[must_use]
pub fn overlaps<'k, K: Copy + Into<Claim<'k>>>(kinds: &[K]) -> Vec<Option<Overlap>> {
    let kinds: Vec<Claim<'k>> = kinds.iter().map(|kind| (*kind).into()).collect();
    let mut order: Vec<usize> = (0..kinds.len()).collect();
    order.sort_by(|&left, &right| {
        let key = |index: usize| (&kinds[index].origin.created, &kinds[index].origin.name);
        key(left).cmp(&key(right))
    });
    let mut found = vec![None; kinds.len()];
    let mut held: HashMap<(String, String, Option<String>), Vec<PrefixHolder<'k>>> = HashMap::new();
    for index in order {
        let KindBackend::Release(template) = kinds[index].backend else { continue };
        let Some(chart) = template.chart_identity().filter(|_| template.adopt() == Adopt::Chart) else { continue };
        let ChartIdentity { object, namespace } = chart;
        let own = PrefixHolder { prefix: &template.settings.prefix, namespace, definition: &kinds[index].origin.name };
        let others = held.entry(object).or_default();
        let clash = others.iter().find(|other| other.definition != own.definition && own.overlaps(other));
        match clash {
            Some(other) => {
                found[index] = Some(Overlap {
                    prefix: own.prefix.to_owned(),
                    other: other.prefix.to_owned(),
                    holder: other.definition.to_owned(),
                });
            }
            None => others.push(own),
        }
    }
    found
}
