//! What a release holds of an instance, and the laws of the lens over releases of any shape.

use kindsmith_crds::{Adopt, ChartRef, ChartRefKind};
use proptest::prelude::*;

use super::*;
use crate::kind::Kind;

fn template() -> ReleaseTemplate {
    let settings = HelmReleaseBackend {
        chart_ref: Some(ChartRef {
            kind: ChartRefKind::OCIRepository,
            name: "redis".to_owned(),
            namespace: Some("charts".to_owned()),
            others: kindsmith_crds::OtherFields::new(),
        }),
        prefix: "redis-".to_owned(),
        labels: [("team".to_owned(), "data".to_owned())].into(),
        ..HelmReleaseBackend::default()
    };
    ReleaseTemplate::new("apps.example.com", "v1alpha1", "Redis", settings)
}

/// One whose values have keys of the platform.
fn reserving() -> ReleaseTemplate {
    ReleaseTemplate { reserved_key_prefix: Some("_".to_owned()), ..template() }
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
fn a_generated_name_keeps_its_base() {
    let mut generated = instance();
    generated["metadata"]["generateName"] = json!("ca");
    let release = template().create(&generated);
    assert_eq!(release["metadata"]["generateName"], "redis-ca");
    assert_eq!(template().get(&release), generated);
}

#[test]
fn who_owns_which_field_of_the_instance_is_remembered_on_the_release() {
    let template = template();
    let owned = json!([{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]);
    let mut applied = instance();
    applied["metadata"]["managedFields"] = owned.clone();
    let mut release = template.create(&applied);
    release["metadata"]["managedFields"] = json!([{"manager": "kindsmith"}]);
    assert_eq!(template.get(&release)["metadata"]["managedFields"], owned);
    assert_eq!(template.put(&template.get(&release), release.clone()), release);
    let written = template.put(&instance(), release);
    assert_eq!(written["metadata"]["managedFields"], json!([{"manager": "kindsmith"}]));
    assert!(template.get(&written)["metadata"].get("managedFields").is_none());
}

#[test]
fn what_others_put_on_the_release_stays() {
    let template = template();
    let mut release = template.create(&instance());
    release["spec"]["suspend"] = json!(true);
    release["spec"]["install"] = json!({"remediation": {"retries": 9}});
    release["spec"]["valuesFrom"] = json!([{"kind": "Secret", "name": "theirs"}]);
    release["metadata"]["finalizers"] = json!(["finalizers.fluxcd.io"]);
    release["metadata"]["labels"]["theirs"] = json!("1");
    release["metadata"]["annotations"]["reconcile.fluxcd.io/watch"] = json!("now");
    release["status"] = json!({"conditions": []});
    let mut changed = instance();
    changed["spec"]["replicas"] = json!(5);
    changed["metadata"]["labels"] = json!({});
    let mut wanted = release.clone();
    wanted["spec"]["values"]["replicas"] = json!(5);
    wanted["metadata"]["labels"].as_object_mut().unwrap().remove("apps.example.com-tier");
    assert_eq!(template.put(&changed, release), wanted);
}

#[test]
fn what_an_instance_says_means_nothing_to_flux_and_nothing_to_us() {
    let template = template();
    let mut evil = instance();
    for key in [
        "kindsmith.dev/kind",
        "kindsmith.dev/resources",
        "kindsmith.dev/release-settings",
        "kindsmith.dev/status",
        "helm.toolkit.fluxcd.io/name",
        "reconcile.fluxcd.io/watch",
        "sharding.fluxcd.io/key",
    ] {
        evil["metadata"]["labels"][key] = json!("evil");
        evil["metadata"]["annotations"][key] = json!("evil");
    }
    for member in ["chartRef", "values", "valuesFrom", "suspend"] {
        evil[member] = json!({"name": "evil"});
    }
    evil["status"] =
        json!({"observedGeneration": 9, "conditions": [{"type": "Ready", "status": "True"}], "version": "9"});
    let honest = template.create(&instance());
    let of_others = |release: &Value| {
        let mut release = release.clone();
        for map in ["labels", "annotations"] {
            let held = release["metadata"][map].as_object_mut().unwrap();
            held.retain(|key, _| !key.starts_with("apps.example.com-"));
        }
        release
    };
    for release in [template.create(&evil), template.put(&evil, honest.clone())] {
        assert_eq!(of_others(&release), of_others(&honest));
    }
}

#[test]
fn labels_decide_what_an_instance_is_and_the_chart_for_those_without() {
    let template = template();
    let made = template.create(&instance());
    let mut by_hand = made.clone();
    by_hand["metadata"].as_object_mut().unwrap().remove("labels");
    let with = |release: &Value, pointer: &str, value: &str| {
        let mut other = release.clone();
        *other.pointer_mut(pointer).unwrap() = json!(value);
        template.matches(&other)
    };
    assert!(template.matches(&by_hand));
    for (pointer, value) in
        [("/spec/chartRef/name", "postgres"), ("/spec/chartRef/namespace", "b"), ("/spec/chartRef/kind", "HelmChart")]
    {
        assert!(!with(&by_hand, pointer, value), "{pointer}");
        assert!(with(&made, pointer, value), "{pointer}: the definition may get another chart");
    }
    for name in ["redis-", "cache"] {
        assert!(!with(&by_hand, "/metadata/name", name) && !with(&made, "/metadata/name", name));
    }
    assert!(!with(&made, "/metadata/labels/kindsmith.dev~1kind", "RedisCluster"));
    assert!(!with(&made, "/metadata/labels/kindsmith.dev~1group", "other.example.com"));
    let mut strict = template.clone();
    strict.settings.adopt = Some(Adopt::Labels);
    assert!(strict.matches(&made) && !strict.matches(&by_hand));
}

#[test]
fn a_chart_of_a_repository_is_told_apart_by_its_source_and_not_by_its_version() {
    let chart = json!({"spec": {"chart": "redis", "version": "1.x",
        "sourceRef": {"kind": "HelmRepository", "name": "charts"}}});
    let mut template = template();
    template.settings.chart_ref = None;
    template.settings.chart = Some(serde_json::from_value(chart.clone()).unwrap());
    let mut release = json!({"metadata": {"name": "redis-a", "namespace": "t"}, "spec": {"chart": chart}});
    release["spec"]["chart"]["spec"]["version"] = json!("2.0.0");
    assert!(template.matches(&release));
    release["spec"]["chart"]["spec"]["sourceRef"]["namespace"] = json!("t");
    assert!(template.matches(&release), "the namespace of the release is the default");
    release["spec"]["chart"]["spec"]["sourceRef"]["name"] = json!("mirror");
    assert!(!template.matches(&release));
}

#[test]
fn reserved_values_are_not_shown_and_not_lost() {
    let template = reserving();
    let mut release = template.create(&instance());
    release["spec"]["values"]["_cluster"] = json!({"host": "example.org"});
    let mut shown = template.get(&release);
    assert_eq!(shown["spec"], json!({"replicas": 3}));
    assert_eq!(template.put(&shown, release.clone()), release);
    shown["spec"]["replicas"] = json!(4);
    let written = template.put(&shown, release.clone());
    assert_eq!(written["spec"]["values"], json!({"replicas": 4, "_cluster": {"host": "example.org"}}));
    shown.as_object_mut().unwrap().remove("spec");
    assert_eq!(template.put(&shown, release.clone())["spec"]["values"], json!({"_cluster": {"host": "example.org"}}));
    for wanted in [Value::Null, json!("text"), json!([])] {
        let mut replaced = template.get(&release);
        replaced["spec"] = wanted;
        let written = template.put(&replaced, release.clone());
        assert_eq!(written["spec"]["values"], json!({"_cluster": {"host": "example.org"}}));
    }
    let with = json!({"spec": {"a": 1, "_b": 2}});
    assert_eq!((template.reserved_key(&with), super::tests::template().reserved_key(&with)), (Some("_b"), None));
}

#[test]
fn reserved_values_are_never_taken_from_an_instance() {
    let template = reserving();
    let mut wanted = instance();
    wanted["spec"]["_cluster"] = json!({"host": "evil.example.org"});
    wanted["spec"]["_namespace"] = json!(1);
    let mut release = template.create(&wanted);
    assert_eq!(release["spec"]["values"], json!({"replicas": 3}));
    release["spec"]["values"]["_cluster"] = json!({"host": "example.org"});
    wanted["spec"]["replicas"] = json!(4);
    let written = template.put(&wanted, release);
    assert_eq!(written["spec"]["values"], json!({"replicas": 4, "_cluster": {"host": "example.org"}}));
}

#[test]
fn defaults_that_were_shown_are_written_with_another_change_alone() {
    let template = template();
    let release = template.create(&instance());
    let mut shown = template.get(&release);
    shown["spec"]["size"] = json!("1Gi");
    let mut relabelled = shown.clone();
    relabelled["metadata"]["labels"]["tier"] = json!("silver");
    let written = template.put_changes(&relabelled, &shown, release.clone());
    assert_eq!(written["spec"], release["spec"]);
    assert_eq!(written["metadata"]["labels"]["apps.example.com-tier"], "silver");
    let mut scaled = shown.clone();
    scaled["spec"]["replicas"] = json!(4);
    let written = template.put_changes(&scaled, &shown, release);
    assert_eq!(written["spec"]["values"], json!({"replicas": 4, "size": "1Gi"}));
}

#[test]
fn finalizers_of_flux_are_shown_and_stay() {
    let template = template();
    let mut release = template.create(&instance());
    release["metadata"]["finalizers"] = json!(["finalizers.fluxcd.io", "example.com/hold"]);
    let mut shown = template.get(&release);
    assert_eq!(shown["metadata"]["finalizers"], json!(["finalizers.fluxcd.io", "example.com/hold"]));
    shown["metadata"]["finalizers"] = json!(["example.com/mine"]);
    let written = template.put(&shown, release);
    assert_eq!(written["metadata"]["finalizers"], json!(["finalizers.fluxcd.io", "example.com/mine"]));
    shown["metadata"]["finalizers"] = json!(["example.com/mine", "finalizers.fluxcd.io", "example.com/mine"]);
    let written = template.put(&shown, written);
    assert_eq!(template.get(&written)["metadata"]["finalizers"], shown["metadata"]["finalizers"], "one is there twice");
}

#[test]
fn finalizers_of_flux_are_flux_own_to_set() {
    for (finalizer, is_flux) in [
        ("finalizers.fluxcd.io", true),
        ("finalizers.fluxcd.io/x", true),
        ("source.toolkit.fluxcd.io/x", true),
        ("a.fluxcd.io", true),
        ("evil.io/x-fluxcd.io", false),
        ("evil.io/finalizers.fluxcd.io", false),
        ("evil.io/a.fluxcd.io", false),
        ("evilfluxcd.io/x", false),
        ("fluxcd.io/x", false),
        ("fluxcd.io.evil.io/x", false),
        ("fluxcd.io", false),
    ] {
        assert_eq!(is_flux_finalizer(finalizer), is_flux, "{finalizer}");
        let template = template();
        let mut wanted = instance();
        wanted["metadata"]["finalizers"] = json!([finalizer, "example.com/mine"]);
        let mut release = template.create(&wanted);
        let kept = if is_flux { json!(["example.com/mine"]) } else { json!([finalizer, "example.com/mine"]) };
        assert_eq!(release["metadata"]["finalizers"], kept, "{finalizer}");
        // What Flux has put there stays, and what a tenant has put there goes.
        release["metadata"]["finalizers"] = json!([finalizer]);
        wanted["metadata"]["finalizers"] = json!([]);
        let left = template.put(&wanted, release);
        assert_eq!(left["metadata"]["finalizers"].is_array(), is_flux, "{finalizer}");
    }
}

#[test]
fn one_chart_needs_prefixes_of_which_none_begins_with_another() {
    let kind = |name: &str, created: &str, prefix: &str, chart: &str, adopt: Adopt| {
        let definition = json!({"apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
            "metadata": {"name": format!("{name}.apps.example.com"), "creationTimestamp": created},
            "spec": {"group": "apps.example.com", "scope": "Namespaced", "names": {"kind": name, "plural": name},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object"}}}],
                "backend": {"helmRelease": {"prefix": prefix, "adopt": adopt,
                    "chartRef": {"kind": "OCIRepository", "name": chart, "namespace": "charts"}}}}});
        let definition = serde_json::from_value(definition).unwrap();
        crate::compile::compile(&definition, crate::compile::OwnStorage::Absent).unwrap()
    };
    let (older, newer) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    let first = kind("redises", older, "redis-", "redis", Adopt::Chart);
    let found = |second: &Kind| overlaps(&[second, &first]);
    let clash = found(&kind("clusters", newer, "redis-cluster-", "redis", Adopt::Chart));
    assert_eq!(clash[1], None, "the older keeps its prefix");
    let text = clash[0].as_ref().unwrap().to_string();
    assert!(text.contains("\"redis-cluster-\" overlaps with \"redis-\" of ApplicationDefinition \"redises."), "{text}");
    assert!(found(&kind("clusters", newer, "redis-", "redis", Adopt::Chart))[0].is_some());
    // The chart of each release's own namespace is the same one where that is `charts`.
    let placed = |namespace: Option<&str>| {
        let mut second = kind("clusters", newer, "redis-cluster-", "redis", Adopt::Chart);
        let crate::kind::KindBackend::Release(template) = &mut second.backend else { panic!("there is no release") };
        template.settings.chart_ref.as_mut().unwrap().namespace = namespace.map(str::to_owned);
        found(&second)[0].is_some()
    };
    assert_eq!([placed(None), placed(Some("charts")), placed(Some("other"))], [true, true, false]);
    for sound in [
        kind("clusters", newer, "redis-cluster-", "other", Adopt::Chart),
        kind("clusters", newer, "cluster-", "redis", Adopt::Chart),
        kind("clusters", newer, "redis-cluster-", "redis", Adopt::Labels),
    ] {
        assert_eq!(found(&sound), [None, None]);
    }
}

fn small_map() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map("[a-c]{1,2}", "[a-z]{0,2}", 0..3).prop_map(|map| json!(map))
}

/// Maps and lists that may be empty, null, nested, or of a wrong type.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), "[a-c]{0,2}".prop_map(Value::from)];
    leaf.prop_recursive(2, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("_?[a-c]{1,2}", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

fn some_instance() -> impl Strategy<Value = Value> {
    let owner = || "[a-c]".prop_map(|name| json!({"apiVersion": "v1", "kind": "K", "name": name, "uid": name}));
    (
        small_map(),
        small_map(),
        proptest::option::of(small_map()),
        proptest::collection::btree_set("[a-c]/f", 0..3),
        proptest::collection::vec(owner(), 0..2),
    )
        .prop_map(|(labels, annotations, spec, finalizers, owners)| {
            let mut instance = instance();
            let metadata = instance["metadata"].as_object_mut().unwrap();
            for (member, value) in [
                ("labels", labels),
                ("annotations", annotations),
                ("finalizers", json!(finalizers)),
                ("ownerReferences", json!(owners)),
            ] {
                if is_empty(&value) {
                    metadata.remove(member);
                } else {
                    metadata.insert(member.to_owned(), value);
                }
            }
            match spec {
                Some(spec) => instance["spec"] = spec,
                None => drop(instance.as_object_mut().unwrap().remove("spec")),
            }
            instance
        })
}

/// A release of the instance, on which others wrote whatever they liked outside of what the instance owns.
fn others_wrote() -> impl Strategy<Value = Value> {
    (some_instance(), small_map(), small_map(), proptest::collection::vec(any_value(), 6), any::<bool>()).prop_map(
        |(instance, labels, annotations, values, reserved)| {
            let mut release = reserving().create(&instance);
            for (member, foreign) in [("labels", labels), ("annotations", annotations)] {
                let held = release["metadata"].as_object_mut().unwrap().entry(member).or_insert_with(|| json!({}));
                held.as_object_mut().unwrap().extend(foreign.as_object().unwrap().clone());
            }
            for (member, value) in ["install", "upgrade", "suspend", "valuesFrom", "postRenderers"].iter().zip(&values)
            {
                release["spec"][*member] = value.clone();
            }
            release["status"] = values[5].clone();
            if reserved {
                release["spec"]["values"]["_cluster"] = json!({"x": 1});
            }
            release
        },
    )
}

/// The finalizers in some order, and nothing of the status. No values are empty ones, which are all that can be told
/// where the release holds reserved values.
fn comparable(mut instance: Value) -> Value {
    if let Some(list) = instance.pointer_mut("/metadata/finalizers").and_then(Value::as_array_mut) {
        list.sort_by_key(ToString::to_string);
    }
    instance.as_object_mut().unwrap().retain(|key, value| key != "status" && !(key == "spec" && is_empty(value)));
    instance
}

/// A release without what an instance owns.
fn of_others(mut release: Value) -> Value {
    let metadata = release["metadata"].as_object_mut().unwrap();
    for member in ["labels", "annotations"] {
        if let Some(Value::Object(held)) = metadata.get_mut(member) {
            held.retain(|key, _| !key.starts_with("apps.example.com-"));
        }
        metadata.retain(|_, value| !is_empty(value));
    }
    metadata.remove("finalizers");
    metadata.remove("ownerReferences");
    if let Some(Value::Object(values)) = release["spec"].get_mut("values") {
        values.retain(|key, _| key.starts_with('_'));
    }
    release["spec"].as_object_mut().unwrap().retain(|key, value| key != "values" || !is_empty(value));
    release
}

proptest! {
    #[test]
    fn what_is_put_is_what_is_got(release in others_wrote(), wanted in some_instance()) {
        let template = reserving();
        prop_assert_eq!(comparable(template.get(&template.put(&wanted, release))), comparable(wanted));
    }

    #[test]
    fn putting_back_what_was_got_changes_nothing(release in others_wrote()) {
        let template = reserving();
        prop_assert_eq!(template.put(&template.get(&release), release.clone()), release);
    }

    #[test]
    fn putting_back_changes_nothing_whatever_the_release_is(
        metadata in any_value(), spec in any_value(), whole in any_value()
    ) {
        let template = reserving();
        for release in [json!({"metadata": metadata, "spec": spec}), whole] {
            prop_assert_eq!(template.put(&template.get(&release), release.clone()), release);
        }
    }

    #[test]
    fn what_the_instance_does_not_own_is_never_changed(release in others_wrote(), wanted in some_instance()) {
        let written = reserving().put(&wanted, release.clone());
        prop_assert_eq!(of_others(written), of_others(release));
    }

    #[test]
    fn the_last_put_wins(release in others_wrote(), first in some_instance(), second in some_instance()) {
        let template = template();
        let after_both = template.put(&second, template.put(&first, release.clone()));
        let after_second = template.put(&second, release);
        prop_assert_eq!(comparable(template.get(&after_both)), comparable(template.get(&after_second)));
        prop_assert_eq!(of_others(after_both), of_others(after_second));
    }
}
