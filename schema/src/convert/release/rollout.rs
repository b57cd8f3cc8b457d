//! Settings of a definition that changed, brought to a release there is: a three-way comparison.
//!
//! Each release that we made remembers, in an annotation, what the definition set. What is otherwise in the definition now
//! is written; what somebody else changed on the release, and the definition did not, stays. Values are never looked at.

use serde_json::{Map, Value, json};

use super::ReleaseTemplate;

/// The annotation with what the definition set last.
pub const SETTINGS_ANNOTATION: &str = "kindsmith.dev/release-settings";

impl ReleaseTemplate {
    /// What the definition sets on the release of an instance.
    pub(super) fn set_by_definition(&self, name: &str, namespace: Option<&str>) -> Value {
        json!({"labels": self.labels(Some(name)), "spec": self.fields(name, namespace)})
    }

    /// How large the annotation with what the definition sets is at least, with its key, in bytes.
    #[must_use]
    pub(crate) fn settings_bytes(&self) -> usize {
        SETTINGS_ANNOTATION.len()
            + json!({"labels": self.labels(Some("")), "spec": self.shortest_fields()}).to_string().len()
    }

    /// The merge patch that brings the settings of the definition to a release with the labels of the kind; none when it
    /// has them, or is no such release.
    #[must_use]
    pub fn rollout(&self, release: &Value) -> Option<Value> {
        let text = |pointer: &str| release.pointer(pointer).and_then(Value::as_str);
        let name = text("/metadata/name").and_then(|name| self.instance_name(name))?;
        if !self.is_labelled(release) || text("/metadata/deletionTimestamp").is_some() {
            return None;
        }
        let wanted = self.set_by_definition(name, text("/metadata/namespace"));
        let remembered = release
            .pointer("/metadata/annotations")
            .and_then(|annotations| annotations.get(SETTINGS_ANNOTATION))
            .and_then(Value::as_str)
            .and_then(|text| serde_json::from_str::<Value>(text).ok());
        if remembered.as_ref() == Some(&wanted) {
            return None;
        }
        let before = remembered.unwrap_or_default();
        let held = release.pointer("/metadata/labels").unwrap_or(&Value::Null);
        let mut labels = merge(&before["labels"], &wanted["labels"], held, Dropped::Whole);
        labels.retain(|key, _| held.get(key).is_none() || !self.moving_labels.contains(key));
        let held = release.get("spec").unwrap_or(&Value::Null);
        let mut spec = merge(&before["spec"], &wanted["spec"], held, Dropped::InParts);
        // A release has one of the two.
        for (one, other) in [("chart", "chartRef"), ("chartRef", "chart")] {
            if wanted["spec"].get(one).is_some() && held.get(other).is_some() {
                spec.insert(other.to_owned(), Value::Null);
            }
        }
        let mut patch = json!({"metadata": {"annotations": {SETTINGS_ANNOTATION: wanted.to_string()}}});
        if !labels.is_empty() {
            patch["metadata"]["labels"] = Value::Object(labels);
        }
        if !spec.is_empty() {
            patch["spec"] = Value::Object(spec);
        }
        patch["metadata"]["resourceVersion"] = release["metadata"]["resourceVersion"].clone();
        Some(patch)
    }
}

/// What goes of an object that the definition sets no more, when somebody else changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dropped {
    /// What the definition had set, of a setting such as `install`: the rest is somebody else's, or a default of the
    /// CustomResourceDefinition.
    InParts,
    /// All of it, of an object in a setting, such as a strategy: parts of it may be nothing that Flux takes.
    Whole,
}

/// The merge patch for what differs between `before` and `wanted`. What only others changed is left alone.
fn merge(before: &Value, wanted: &Value, held: &Value, dropped: Dropped) -> Map<String, Value> {
    let mut patch = Map::new();
    for (key, wanted) in wanted.as_object().into_iter().flatten() {
        let (before, held) = (before.get(key).unwrap_or(&Value::Null), held.get(key).unwrap_or(&Value::Null));
        if before == wanted || same(held, wanted) {
            continue;
        }
        if wanted.is_object() && held.is_object() {
            let inner = merge(before, wanted, held, Dropped::Whole);
            patch.extend((!inner.is_empty()).then(|| (key.clone(), Value::Object(inner))));
        } else if let (Value::Array(wanted), Value::Array(held)) = (wanted, held) {
            let before = before.as_array().map(Vec::as_slice).unwrap_or_default();
            let merged = merge_lists(before, wanted, held);
            patch.extend((merged != *held).then(|| (key.clone(), Value::Array(merged))));
        } else {
            patch.insert(key.clone(), wanted.clone());
        }
    }
    for (key, before) in before.as_object().into_iter().flatten() {
        let Some(held) = held.get(key).filter(|_| wanted.get(key).is_none()) else { continue };
        let both_objects = before.is_object() && held.is_object();
        if same(held, before) || (both_objects && dropped == Dropped::Whole) {
            patch.insert(key.clone(), Value::Null);
        } else if both_objects {
            patch.insert(key.clone(), Value::Object(merge(before, &Value::Null, held, Dropped::Whole)));
        } else if let (Value::Array(before), Value::Array(held)) = (before, held) {
            let merged = merge_lists(before, &[], held);
            patch.extend((merged != *held).then(|| (key.clone(), Value::Array(merged))));
        }
    }
    patch
}

/// The list as the definition has it, in its order, in the place of what it had before; what others added, to `valuesFrom`
/// for example, stays where it is.
fn merge_lists(before: &[Value], wanted: &[Value], held: &[Value]) -> Vec<Value> {
    let mut wanted_next = wanted.iter();
    let (mut merged, mut behind_ours) = (Vec::new(), 0);
    for item in held {
        if before.contains(item) || wanted.contains(item) {
            merged.extend(wanted_next.next().cloned());
            behind_ours = merged.len();
        } else {
            merged.push(item.clone());
        }
    }
    merged.splice(behind_ours..behind_ours, wanted_next.cloned());
    merged
}

/// Whether two values are the same to Flux: an empty list or map is none.
fn same(held: &Value, other: &Value) -> bool {
    let none = |value: &Value| {
        value.is_null() || value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty)
    };
    held == other || (none(held) && none(other))
}

#[cfg(test)]
mod tests {
    use kindsmith_crds::HelmReleaseBackend;

    use super::*;

    fn template(change: impl Fn(&mut HelmReleaseBackend)) -> ReleaseTemplate {
        let mut settings: HelmReleaseBackend = serde_json::from_value(json!({
            "chartRef": {"kind": "OCIRepository", "name": "redis", "namespace": "charts"}, "prefix": "redis-",
            "labels": {"team": "data"}, "timeout": "5m",
            "install": {"remediation": {"retries": 3}, "disableHooks": true},
            "dependsOn": [{"name": "base-{{ .name }}"}]}))
        .unwrap();
        change(&mut settings);
        ReleaseTemplate::new("apps.example.com", "v1", "Redis", settings)
    }

    fn release() -> Value {
        let instance = json!({"metadata": {"name": "a", "namespace": "t"}, "spec": {"replicas": 3}});
        let mut release = template(|_| {}).create(&instance);
        release["metadata"]["resourceVersion"] = json!("7");
        release
    }

    /// The patch without the annotation and the revision.
    fn changes(template: &ReleaseTemplate, release: &Value) -> Option<Value> {
        let mut patch = template.rollout(release)?;
        let metadata = patch["metadata"].as_object_mut().unwrap();
        assert_eq!(metadata.remove("resourceVersion"), Some(release["metadata"]["resourceVersion"].clone()));
        assert!(metadata.remove("annotations").is_some());
        if metadata.is_empty() {
            patch.as_object_mut().unwrap().remove("metadata");
        }
        Some(patch)
    }

    #[test]
    fn a_release_that_was_just_made_has_its_settings() {
        assert_eq!(template(|_| {}).rollout(&release()), None);
    }

    #[test]
    fn what_the_definition_changed_is_written_and_nothing_else() {
        let mut held = release();
        held["spec"]["install"]["remediation"]["retries"] = json!(9);
        held["spec"]["suspend"] = json!(true);
        held["metadata"]["labels"]["team"] = json!("theirs");
        let changed = template(|settings| {
            settings.timeout = None;
            settings.interval = Some("10m".to_owned());
            settings.install = Some(json!({"remediation": {"retries": 3}}));
            settings.max_history = Some(2);
        });
        assert_eq!(
            changes(&changed, &held),
            Some(json!({"spec": {
                "timeout": null, "interval": "10m", "maxHistory": 2, "install": {"disableHooks": null}}}))
        );
    }

    #[test]
    fn what_the_definition_sets_no_more_goes_and_what_others_added_to_it_stays() {
        let mut held = release();
        held["spec"]["install"]["timeout"] = json!("9m");
        held["spec"]["install"]["crds"] = json!("Skip");
        held["spec"]["install"]["remediation"]["retries"] = json!(9);
        let without = template(|settings| settings.install = None);
        // A part of remediation that is left would be what nobody asked for.
        let wanted = json!({"spec": {"install": {"disableHooks": null, "remediation": null}}});
        assert_eq!(changes(&without, &held), Some(wanted));
        let with = template(|settings| settings.install = Some(json!({"disableHooks": true})));
        assert_eq!(changes(&with, &held), Some(json!({"spec": {"install": {"remediation": null}}})));
    }

    #[test]
    fn what_others_added_to_a_list_stays() {
        let values_from = |names: &[&str]| {
            let list: Vec<Value> = names.iter().map(|name| json!({"kind": "Secret", "name": name})).collect();
            json!(list)
        };
        let with = |names: &[&str]| {
            template(|settings| settings.values_from = serde_json::from_value(values_from(names)).unwrap())
        };
        let instance = json!({"metadata": {"name": "a", "namespace": "t"}});
        let mut held = with(&["one", "two"]).create(&instance);
        held["metadata"]["resourceVersion"] = json!("7");
        held["spec"]["valuesFrom"] = values_from(&["one", "two", "theirs"]);
        for (wanted, merged) in [
            (&["one", "three"][..], &["one", "three", "theirs"][..]),
            (&["zero", "one", "two"], &["zero", "one", "two", "theirs"]),
            (&["two"], &["two", "theirs"]),
            (&["two", "one"], &["two", "one", "theirs"]),
            (&["two", "one", "three"], &["two", "one", "three", "theirs"]),
            (&[], &["theirs"]),
        ] {
            let changed = changes(&with(wanted), &held);
            assert_eq!(changed, Some(json!({"spec": {"valuesFrom": values_from(merged)}})), "{wanted:?}");
        }
        let mut bare = with(&[]).create(&instance);
        bare["metadata"]["resourceVersion"] = json!("7");
        bare["spec"]["valuesFrom"] = values_from(&["theirs"]);
        let changed = changes(&with(&["one"]), &bare);
        assert_eq!(changed, Some(json!({"spec": {"valuesFrom": values_from(&["one", "theirs"])}})));
        held["spec"]["valuesFrom"] = values_from(&["one", "two"]);
        assert_eq!(changes(&with(&[]), &held), Some(json!({"spec": {"valuesFrom": null}})));
        assert_eq!(changes(&with(&["two"]), &held), Some(json!({"spec": {"valuesFrom": values_from(&["two"])}})));
    }

    #[test]
    fn a_rollout_ends() {
        let changed = template(|settings| {
            settings.timeout = Some("1m".to_owned());
            settings.labels.insert("tier".to_owned(), "1".to_owned());
        });
        let mut held = release();
        let patch = changed.rollout(&held).unwrap();
        assert!(patch["spec"].get("values").is_none());
        merge_into(&mut held, &patch);
        assert_eq!((&held["spec"]["timeout"], &held["metadata"]["labels"]["tier"]), (&json!("1m"), &json!("1")));
        assert_eq!(held["spec"]["values"], json!({"replicas": 3}));
        assert_eq!(changed.rollout(&held), None);
    }

    #[test]
    fn another_chart_takes_the_place_of_the_one_there_is() {
        let chart = json!({"spec": {"chart": "redis", "sourceRef": {"kind": "HelmRepository", "name": "r"}}});
        let changed = template(|settings| {
            settings.chart_ref = None;
            settings.chart = Some(serde_json::from_value(chart.clone()).unwrap());
        });
        let patch = changes(&changed, &release()).unwrap();
        assert_eq!(patch, json!({"spec": {"chartRef": null, "chart": chart}}));
        let renamed = template(|settings| settings.chart_ref.as_mut().unwrap().name = "redis-2".to_owned());
        assert_eq!(changes(&renamed, &release()), Some(json!({"spec": {"chartRef": {"name": "redis-2"}}})));
    }

    #[test]
    fn releases_of_others_are_left_alone_and_labels_that_move_stay() {
        let changed = template(|settings| settings.timeout = Some("1m".to_owned()));
        let mut by_hand = release();
        by_hand["metadata"]["labels"] = json!({});
        assert_eq!(changed.rollout(&by_hand), None);
        let mut going = release();
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(changed.rollout(&going), None);
        // Nothing is remembered of releases that an older version, or another program, made.
        let mut older = release();
        older["metadata"].as_object_mut().unwrap().remove("annotations");
        older["metadata"]["labels"]["team"] = json!("shard-3");
        let moving = ReleaseTemplate { moving_labels: vec!["team".to_owned()], ..template(|_| {}) };
        assert_eq!(changes(&moving, &older), Some(json!({})));
        assert_eq!(changes(&template(|_| {}), &older), Some(json!({"metadata": {"labels": {"team": "data"}}})));
    }

    fn merge_into(target: &mut Value, patch: &Value) {
        for (key, value) in patch.as_object().unwrap() {
            match value {
                Value::Null => drop(target.as_object_mut().unwrap().remove(key)),
                Value::Object(_) if target[key].is_object() => merge_into(&mut target[key], value),
                _ => target[key] = value.clone(),
            }
        }
    }
}
