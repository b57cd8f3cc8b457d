//! An instance and its Flux HelmRelease (`helm.toolkit.fluxcd.io/v2`).
//!
//! Identity: a release is an instance when its chart and source are the definition's and its name is the prefix followed by
//! at least one character. What the instance owns on it: `spec.values`, labels and annotations under `<group>-`,
//! finalizers but Flux' own, owner references. Everything else is the release's.

use kindsmith_crds::HelmReleaseBackend;
use serde_json::{Map, Value, json};

use super::metadata::{replace, set_map, strip};

/// The API version of releases.
pub const RELEASE_API_VERSION: &str = "helm.toolkit.fluxcd.io/v2";

/// The kind of releases.
pub const RELEASE_KIND: &str = "HelmRelease";

/// The longest name Helm gives a release, in bytes.
pub const RELEASE_NAME_BYTES_MAX: usize = 53;

/// The label that names the kind on releases that we made.
pub const LABEL_KIND: &str = "kindsmith.dev/kind";

/// The label that names the group on releases that we made.
pub const LABEL_GROUP: &str = "kindsmith.dev/group";

/// Finalizers of Flux: an instance shows them but cannot take them away.
const FLUX_FINALIZER_SUFFIX: &str = "fluxcd.io";

/// System metadata that an instance takes over from its release as it is.
const SHARED_METADATA: [&str; 9] = [
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
];

/// What a definition says about the releases of its instances.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseTemplate {
    /// The group of the kind.
    pub group: String,
    /// The version of the kind that the release holds.
    pub version: String,
    /// The kind.
    pub kind: String,
    /// The settings of the definition.
    pub settings: HelmReleaseBackend,
}

impl ReleaseTemplate {
    /// The name of the release of an instance.
    #[must_use]
    pub fn release_name(&self, instance: &str) -> String {
        format!("{}{instance}", self.settings.prefix)
    }

    /// The name of the instance of a release, if the release can be one.
    #[must_use]
    pub fn instance_name<'a>(&self, release: &'a str) -> Option<&'a str> {
        release.strip_prefix(self.settings.prefix.as_str()).filter(|name| !name.is_empty())
    }

    /// Whether a release is an instance of this kind.
    #[must_use]
    pub fn matches(&self, release: &Value) -> bool {
        let Some(name) = release.pointer("/metadata/name").and_then(Value::as_str) else { return false };
        if self.instance_name(name).is_none() || !self.has_our_chart(release) {
            return false;
        }
        // Two kinds may share a chart with prefixes of which one begins with the other: our own labels decide.
        let label =
            |key: &str| release.pointer("/metadata/labels").and_then(|labels| labels.get(key)).and_then(Value::as_str);
        label(LABEL_KIND).is_none_or(|kind| kind == self.kind)
            && label(LABEL_GROUP).is_none_or(|group| group == self.group)
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
    fn chart_fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let chart_ref = self.settings.chart_ref.as_ref().and_then(|held| serde_json::to_value(held).ok());
        let chart = self.settings.chart.as_ref().and_then(|held| serde_json::to_value(held).ok());
        fields.extend(chart_ref.map(|held| ("chartRef".to_owned(), held)));
        fields.extend(chart.map(|held| ("chart".to_owned(), held)));
        fields
    }

    /// Reads the instance out of a release.
    #[must_use]
    pub fn get(&self, release: &Value) -> Value {
        let empty = Value::Null;
        let held = release.get("metadata").unwrap_or(&empty);
        let mut metadata = Map::new();
        if let Some(name) = held.get("name").and_then(Value::as_str) {
            metadata.insert("name".to_owned(), json!(self.instance_name(name).unwrap_or(name)));
        }
        for member in SHARED_METADATA {
            metadata.extend(held.get(member).map(|value| (member.to_owned(), value.clone())));
        }
        let prefix = self.metadata_prefix();
        for member in ["labels", "annotations"] {
            let own = strip(held.get(member), &prefix);
            if !own.is_empty() {
                metadata.insert(member.to_owned(), Value::Object(own));
            }
        }
        let mut instance = Map::new();
        instance.insert("apiVersion".to_owned(), json!(format!("{}/{}", self.group, self.version)));
        instance.insert("kind".to_owned(), json!(self.kind));
        instance.insert("metadata".to_owned(), Value::Object(metadata));
        instance.extend(release.pointer("/spec/values").map(|values| ("spec".to_owned(), values.clone())));
        let status = status(release);
        if !status.is_empty() {
            instance.insert("status".to_owned(), Value::Object(status));
        }
        Value::Object(instance)
    }

    /// Makes the release of a new instance.
    #[must_use]
    pub fn create(&self, instance: &Value) -> Value {
        let settings = &self.settings;
        let mut spec = self.chart_fields();
        spec.insert("interval".to_owned(), json!(settings.interval.as_deref().unwrap_or("5m")));
        spec.extend(settings.timeout.as_ref().map(|timeout| ("timeout".to_owned(), json!(timeout))));
        spec.extend(settings.install.as_ref().map(|install| ("install".to_owned(), install.clone())));
        spec.extend(settings.upgrade.as_ref().map(|upgrade| ("upgrade".to_owned(), upgrade.clone())));
        if !settings.values_from.is_empty() {
            spec.insert("valuesFrom".to_owned(), json!(settings.values_from));
        }
        let mut labels: Map<String, Value> =
            settings.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        for (key, value) in [(LABEL_KIND, &self.kind), (LABEL_GROUP, &self.group)] {
            // A label holds 63 bytes; a longer group is told apart by chart and prefix alone.
            if value.len() <= 63 {
                labels.insert(key.to_owned(), json!(value));
            }
        }
        let mut metadata = Map::new();
        metadata.insert("labels".to_owned(), Value::Object(labels));
        if let Some(name) = instance.pointer("/metadata/name").and_then(Value::as_str) {
            metadata.insert("name".to_owned(), json!(self.release_name(name)));
        }
        metadata.extend(
            instance.pointer("/metadata/namespace").map(|namespace| ("namespace".to_owned(), namespace.clone())),
        );
        self.put(
            instance,
            json!({"apiVersion": RELEASE_API_VERSION, "kind": RELEASE_KIND, "metadata": metadata, "spec": spec}),
        )
    }

    /// Writes an instance into its release and returns the release. What the instance does not own stays as it is.
    #[must_use]
    pub fn put(&self, instance: &Value, mut release: Value) -> Value {
        let prefix = self.metadata_prefix();
        let own = instance.get("metadata").cloned().unwrap_or_default();
        if let Some(metadata) = release.get_mut("metadata").and_then(Value::as_object_mut) {
            for member in ["labels", "annotations"] {
                let merged = replace(metadata.get(member), own.get(member), &prefix);
                set_map(metadata, member, merged);
            }
            let finalizers = finalizers(metadata.get("finalizers"), own.get("finalizers"));
            set_list(metadata, "finalizers", finalizers);
            set_list(metadata, "ownerReferences", list(own.get("ownerReferences")));
        }
        if let Some(spec) = release.get_mut("spec").and_then(Value::as_object_mut) {
            match instance.get("spec") {
                Some(values) => spec.insert("values".to_owned(), values.clone()),
                None => spec.remove("values"),
            };
        }
        release
    }

    fn metadata_prefix(&self) -> String {
        format!("{}-", self.group)
    }
}

fn list(value: Option<&Value>) -> Vec<Value> {
    value.and_then(Value::as_array).cloned().unwrap_or_default()
}

fn set_list(metadata: &mut Map<String, Value>, member: &str, list: Vec<Value>) {
    if list.is_empty() {
        metadata.remove(member);
    } else {
        metadata.insert(member.to_owned(), Value::Array(list));
    }
}

/// The instance's finalizers, and Flux' own that the release holds, in the order of the release.
fn finalizers(held: Option<&Value>, own: Option<&Value>) -> Vec<Value> {
    let own = list(own);
    let is_flux = |finalizer: &Value| finalizer.as_str().is_some_and(|name| name.ends_with(FLUX_FINALIZER_SUFFIX));
    let mut merged: Vec<Value> =
        list(held).into_iter().filter(|finalizer| own.contains(finalizer) || is_flux(finalizer)).collect();
    for finalizer in own {
        if !merged.contains(&finalizer) {
            merged.push(finalizer);
        }
    }
    merged
}

/// The status that an instance shows: Flux' conditions `Ready` and `Released`, and the chart version last attempted.
fn status(release: &Value) -> Map<String, Value> {
    let mut shown = Map::new();
    let Some(held) = release.get("status") else { return shown };
    let conditions: Vec<Value> = list(held.get("conditions"))
        .into_iter()
        .filter(|condition| matches!(condition.get("type").and_then(Value::as_str), Some("Ready" | "Released")))
        .collect();
    if !conditions.is_empty() {
        shown.insert("conditions".to_owned(), Value::Array(conditions));
    }
    shown.extend(
        held.get("lastAttemptedRevision")
            .filter(|revision| revision.as_str().is_some_and(|revision| !revision.is_empty()))
            .map(|revision| ("version".to_owned(), revision.clone())),
    );
    shown
        .extend(held.get("observedGeneration").map(|generation| ("observedGeneration".to_owned(), generation.clone())));
    shown
}

#[cfg(test)]
mod tests {
    use kindsmith_crds::{ChartRef, ChartRefKind};
    use proptest::prelude::*;

    use super::*;

    fn template() -> ReleaseTemplate {
        ReleaseTemplate {
            group: "apps.example.com".to_owned(),
            version: "v1alpha1".to_owned(),
            kind: "Redis".to_owned(),
            settings: HelmReleaseBackend {
                chart_ref: Some(ChartRef {
                    kind: ChartRefKind::OCIRepository,
                    name: "redis".to_owned(),
                    namespace: Some("charts".to_owned()),
                }),
                prefix: "redis-".to_owned(),
                labels: [("team".to_owned(), "data".to_owned())].into(),
                ..HelmReleaseBackend::default()
            },
        }
    }

    fn instance() -> Value {
        json!({"apiVersion": "apps.example.com/v1alpha1", "kind": "Redis",
            "metadata": {"name": "cache", "namespace": "a", "labels": {"tier": "gold"}, "annotations": {"x.io/y": "1"}},
            "spec": {"replicas": 3}})
    }

    #[test]
    fn a_new_release_carries_values_chart_and_labels() {
        let release = template().create(&instance());
        assert_eq!(release["metadata"]["name"], "redis-cache");
        assert_eq!(release["metadata"]["labels"]["apps.example.com-tier"], "gold");
        assert_eq!(release["metadata"]["labels"]["team"], "data");
        assert_eq!(release["metadata"]["annotations"]["apps.example.com-x.io/y"], "1");
        assert_eq!(release["spec"]["values"], json!({"replicas": 3}));
        assert_eq!(release["spec"]["interval"], "5m");
        assert_eq!(release["spec"]["chartRef"]["name"], "redis");
        assert!(template().matches(&release));
        assert_eq!(template().get(&release), instance());
    }

    #[test]
    fn what_others_put_on_the_release_stays() {
        let template = template();
        let mut release = template.create(&instance());
        release["spec"]["suspend"] = json!(true);
        release["metadata"]["finalizers"] = json!(["finalizers.fluxcd.io"]);
        release["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"] = json!("now");
        let mut changed = instance();
        changed["spec"]["replicas"] = json!(5);
        let written = template.put(&changed, release);
        assert_eq!(written["spec"]["suspend"], true);
        assert_eq!(written["metadata"]["finalizers"], json!(["finalizers.fluxcd.io"]));
        assert_eq!(written["metadata"]["annotations"]["reconcile.fluxcd.io/requestedAt"], "now");
        assert_eq!(written["spec"]["values"]["replicas"], 5);
    }

    #[test]
    fn another_chart_source_prefix_or_label_is_not_ours() {
        let template = template();
        let release = template.create(&instance());
        let differ = |pointer: &str, value: Value| {
            let mut other = release.clone();
            *other.pointer_mut(pointer).unwrap() = value;
            template.matches(&other)
        };
        assert!(!differ("/spec/chartRef/name", json!("postgres")));
        assert!(!differ("/spec/chartRef/namespace", json!("elsewhere")));
        assert!(!differ("/spec/chartRef/kind", json!("HelmChart")));
        assert!(!differ("/metadata/name", json!("redis-")));
        assert!(!differ("/metadata/name", json!("cache")));
        assert!(!differ("/metadata/labels/kindsmith.dev~1kind", json!("RedisCluster")));
    }

    #[test]
    fn the_status_is_flux_own() {
        let template = template();
        let mut release = template.create(&instance());
        release["status"] = json!({"lastAttemptedRevision": "1.2.3", "observedGeneration": 4, "conditions": [
            {"type": "Ready", "status": "True"}, {"type": "TestSuccess", "status": "True"}]});
        let instance = template.get(&release);
        assert_eq!(instance["status"]["version"], "1.2.3");
        assert_eq!(instance["status"]["conditions"], json!([{"type": "Ready", "status": "True"}]));
    }

    fn small_map() -> impl Strategy<Value = Value> {
        proptest::collection::btree_map("[a-c]{1,2}", "[a-z]{0,2}", 0..3).prop_map(|map| json!(map))
    }

    fn some_instance() -> impl Strategy<Value = Value> {
        (small_map(), small_map(), proptest::option::of(small_map()), proptest::collection::vec("[a-c]/f", 0..3))
            .prop_map(|(labels, annotations, spec, mut finalizers)| {
                let mut instance = instance();
                finalizers.sort();
                finalizers.dedup();
                let metadata = instance["metadata"].as_object_mut().unwrap();
                for (member, value) in
                    [("labels", labels), ("annotations", annotations), ("finalizers", json!(finalizers))]
                {
                    let empty = value == json!({}) || value == json!([]);
                    if empty {
                        metadata.remove(member)
                    } else {
                        metadata.insert(member.to_owned(), value)
                    };
                }
                match spec {
                    Some(spec) => instance["spec"] = spec,
                    None => drop(instance.as_object_mut().unwrap().remove("spec")),
                }
                instance
            })
    }

    proptest! {
        #[test]
        fn what_is_put_is_what_is_got(first in some_instance(), second in some_instance()) {
            let template = template();
            let release = template.create(&first);
            prop_assert_eq!(&template.get(&release), &first);
            let mut got = template.get(&template.put(&second, release));
            let sorted = |value: &mut Value| if let Some(list) = value.pointer_mut("/metadata/finalizers").and_then(Value::as_array_mut) {
                list.sort_by_key(ToString::to_string);
            };
            sorted(&mut got);
            prop_assert_eq!(got, second);
        }

        #[test]
        fn putting_back_what_was_got_changes_nothing(instance in some_instance(), foreign in small_map()) {
            let template = template();
            let mut release = template.create(&instance);
            release["metadata"]["labels"].as_object_mut().unwrap().extend(foreign.as_object().unwrap().clone());
            release["spec"]["postRenderers"] = foreign;
            let got = template.get(&release);
            prop_assert_eq!(template.put(&got, release.clone()), release);
        }
    }
}
