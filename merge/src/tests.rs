//! Behaviours of server-side apply, as the Go implementation has them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

static THING: LazyLock<Thing> = LazyLock::new(|| {
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "replicas": {"type": "integer"},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
                "items": {"type": "object", "required": ["port"], "properties": {
                    "port": {"type": "integer"},
                    "protocol": {"type": "string", "default": "TCP"},
                    "name": {"type": "string"},
                }}},
            "hosts": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "args": {"type": "array", "items": {"type": "string"}},
            "selector": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
            "values": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        }},
        "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
    }});
    Thing { kind: ObjectType::of_schema(&schema) }
});

struct Thing {
    kind: ObjectType,
}

impl Kinds for Thing {
    fn object_type(&self, api_version: &str) -> Option<&ObjectType> {
        (api_version == "g/v1").then_some(&self.kind)
    }

    fn convert(&self, _: &Value, api_version: &str) -> Result<Value, ConvertError> {
        Err(ConvertError::MissingVersion(format!("{api_version} is gone")))
    }

    fn default(&self, object: &mut Value) {
        for port in object.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(port) = port.as_object_mut() {
                port.entry("protocol").or_insert_with(|| json!("TCP"));
            }
        }
    }
}

static NO_RESET: BTreeMap<String, Set> = BTreeMap::new();

fn manager(subresource: &str) -> FieldManager<'_, Thing> {
    FieldManager { kinds: &THING, api_version: "g/v1", kind: "Thing", subresource, reset: &NO_RESET }
}

fn by(manager: &str, second: i64) -> By<'_> {
    By { manager, now: jiff::Timestamp::from_second(second).unwrap() }
}

fn thing(spec: &Value) -> Value {
    json!({"apiVersion": "g/v1", "kind": "Thing", "metadata": {"name": "a", "namespace": "n"}, "spec": spec})
}

fn apply(live: &Value, spec: &Value, who: &str, second: i64) -> Result<Value, ApplyError> {
    manager("").apply(live, &thing(spec), by(who, second), Force::Refuse)
}

fn owned<'a>(object: &'a Value, manager: &str) -> &'a Value {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries.iter().find(|entry| entry["manager"] == manager).map_or(&Value::Null, |entry| &entry["fieldsV1"])
}

#[test]
fn what_an_applier_drops_goes_unless_others_own_it() {
    let one = apply(&Value::Null, &json!({"replicas": 1, "hosts": ["a", "b"]}), "flux", 1).unwrap();
    let two = apply(&one, &json!({"hosts": ["b", "c"]}), "argo", 2).unwrap();
    assert_eq!(two["spec"], json!({"replicas": 1, "hosts": ["a", "b", "c"]}));
    let three = apply(&two, &json!({}), "flux", 3).unwrap();
    assert_eq!(three["spec"], json!({"hosts": ["b", "c"]}));
    assert_eq!(owned(&three, "argo"), &json!({"f:spec": {"f:hosts": {"v:\"b\"": {}, "v:\"c\"": {}}}}));
}

#[test]
fn items_of_a_list_map_are_told_apart_with_defaults_of_their_keys() {
    let one = apply(&Value::Null, &json!({"ports": [{"port": 80, "name": "a"}]}), "flux", 1).unwrap();
    let two = apply(&one, &json!({"ports": [{"port": 80, "protocol": "UDP"}]}), "argo", 2).unwrap();
    assert_eq!(
        two["spec"]["ports"],
        json!([{"port": 80, "protocol": "TCP", "name": "a"}, {"port": 80, "protocol": "UDP"}])
    );
    let key = r#"k:{"port":80,"protocol":"TCP"}"#;
    assert_eq!(owned(&one, "flux")["f:spec"]["f:ports"][key], json!({".": {}, "f:name": {}, "f:port": {}}));
}

#[test]
fn conflicts_name_manager_version_and_path() {
    let live =
        manager("").create(thing(&json!({"replicas": 1, "args": ["a"]})), by("kubectl-client-side-apply", 1)).object;
    let error = apply(&live, &json!({"replicas": 2}), "flux", 2).unwrap_err();
    let manager_text = r#""kubectl-client-side-apply" using g/v1"#;
    assert_eq!(
        error.to_string(),
        format!("Apply failed with 1 conflict: conflict with {manager_text}: .spec.replicas")
    );
    let ApplyError::Conflict(conflicts) = error else { panic!("no conflict") };
    let cause = ConflictCause { field: ".spec.replicas".to_owned(), message: format!("conflict with {manager_text}") };
    assert_eq!(conflicts.causes(), [cause]);
    let error = apply(&live, &json!({"replicas": 2, "args": []}), "flux", 2).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("Apply failed with 2 conflicts: conflicts with {manager_text}:\n- .spec.args\n- .spec.replicas")
    );
    let forced = manager("").apply(&live, &thing(&json!({"replicas": 2})), by("flux", 2), Force::Take).unwrap();
    assert_eq!(owned(&forced, "kubectl-client-side-apply"), &json!({"f:spec": {".": {}, "f:args": {}}}));
}

#[test]
fn an_apply_that_changes_nothing_keeps_object_and_time() {
    let one = apply(&Value::Null, &json!({"replicas": 1}), "flux", 1).unwrap();
    assert_eq!(apply(&one, &json!({"replicas": 1}), "flux", 100).unwrap(), one);
}

#[test]
fn what_was_there_before_anybody_applied_has_an_owner() {
    let mut live = thing(&json!({"replicas": 1}));
    live["metadata"]["uid"] = "u".into();
    let updated = manager("").update(&live, live.clone(), by("kubectl", 1)).object;
    assert_eq!(updated.pointer("/metadata/managedFields"), None, "updates alone do not begin to track");
    let applied = apply(&live, &json!({"args": ["a"]}), "flux", 2).unwrap();
    assert_eq!(owned(&applied, "before-first-apply"), &json!({"f:spec": {".": {}, "f:replicas": {}}}));
}

#[rstest]
#[case(json!([]))]
#[case(json!([{}]))]
fn clients_can_reset_the_owners(#[case] entries: Value) {
    let mut live = apply(&Value::Null, &json!({"replicas": 1}), "flux", 1).unwrap();
    live["metadata"]["uid"] = "u".into();
    let mut new = live.clone();
    new["metadata"]["managedFields"] = entries;
    let updated = manager("").update(&live, new.clone(), by("kubectl", 2)).object;
    assert_eq!(updated.pointer("/metadata/managedFields"), None);
    let updated = manager("status").update(&live, new, by("kubectl", 2)).object;
    assert!(!owned(&updated, "flux").is_null(), "not by way of a subresource");
}

#[test]
fn old_updates_become_one_entry() {
    let mut live = manager("").create(thing(&json!({"values": {"m0": 0}})), by("m0", 1)).object;
    live["metadata"]["uid"] = "u".into();
    for i in 1..15 {
        let mut new = live.clone();
        new["spec"]["values"][format!("m{i}")] = i.into();
        live = manager("").update(&live, new, by(&format!("m{i}"), 1 + i)).object;
    }
    assert_eq!(live["metadata"]["managedFields"].as_array().unwrap().len(), 10);
    let old = &owned(&live, "ancient-changes")["f:spec"]["f:values"];
    assert_eq!(
        old.as_object().unwrap().keys().collect::<Vec<_>>(),
        [".", "f:m0", "f:m1", "f:m2", "f:m3", "f:m4", "f:m5"]
    );
}

#[test]
fn kubectl_takes_over_from_its_client_side_apply() {
    let mut live = thing(&json!({"replicas": 1}));
    let last = thing(&json!({"replicas": 1})).to_string();
    live["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": last});
    let live = manager("").create(live, by("kubectl-client-side-apply", 1)).object;
    assert!(apply(&live, &json!({"replicas": 2}), "flux", 2).is_err());
    let applied = apply(&live, &json!({"replicas": 2}), "kubectl", 2).unwrap();
    let annotation = applied["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"].as_str();
    assert_eq!(annotation.unwrap(), format!("{}\n", thing(&json!({"replicas": 2}))));
}

#[rstest]
#[case(json!({"nope": 1}), ".spec.nope: field not declared in schema")]
#[case(json!({"replicas": "1"}), ".spec.replicas: expected numeric (int or float), got string")]
#[case(json!({"hosts": ["a", "a"]}), ".spec.hosts: duplicate entries for key [=\"a\"]")]
#[case(json!({"hosts": [1]}), ".spec.hosts[=1]: expected string, got &value.valueUnstructured{Value:1}")]
#[case(json!({"ports": [{}]}), "")]
#[case(json!({"args": {"a": [1.5, null]}}), ".spec.args: expected list, got &{map[a:[1.5 <nil>]]}")]
fn configurations_that_do_not_fit_are_refused(#[case] spec: Value, #[case] expected: &str) {
    let outcome = apply(&Value::Null, &spec, "flux", 1);
    if expected.is_empty() {
        assert!(outcome.is_ok(), "a key may come from a default alone");
    } else {
        let before = "failed to create typed patch object (n/a; g/v1, Kind=Thing): ";
        assert_eq!(outcome.unwrap_err().to_string(), format!("{before}{expected}"));
    }
}

#[test]
fn configurations_for_another_kind_are_refused() {
    let mut patch = thing(&json!({}));
    patch["kind"] = "Other".into();
    let error = manager("").apply(&Value::Null, &patch, by("flux", 1), Force::Refuse).unwrap_err();
    assert_eq!(error, ApplyError::BadRequest("invalid object type: g/v1, Kind=Other".to_owned()));
}

#[test]
fn owners_of_the_replicas_go_to_scale_and_back() {
    let path = vec![PathElement::field("spec"), PathElement::field("replicas")];
    let paths: ScalePaths = [("g/v1".to_owned(), Some(path))].into();
    let mut parent = apply(&Value::Null, &json!({"replicas": 1, "args": []}), "flux", 1).unwrap();
    let mut scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a"}});
    to_scale(&parent, &paths, &mut scale).unwrap();
    assert_eq!(scale["metadata"]["managedFields"][0]["apiVersion"], "autoscaling/v1");
    scale["metadata"]["managedFields"][0]["manager"] = "hpa".into();
    to_parent(&mut parent, &scale, "g/v1", &paths).unwrap();
    assert_eq!(owned(&parent, "flux"), &json!({"f:spec": {"f:args": {}}}));
    assert_eq!(owned(&parent, "hpa"), &json!({"f:spec": {"f:replicas": {}}}));
}

#[test]
fn sets_are_written_in_the_order_of_paths() {
    let text = r#"{"f:a":{".":{},"f:b":{}},"k:{\"a\":1}":{},"v:2":{},"v:10":{},"v:\"\\u003c\"":{},"i:1":{}}"#;
    let set = Set::from_json(text.as_bytes()).unwrap();
    assert_eq!(set.to_json(), text);
    assert_eq!(Set::from_value(&set.to_value()).unwrap(), set);
    assert_eq!(set.paths(), [".a", "[a=1]", "[=2]", "[=10]", "[=\"<\"]", "[1]", ".a.b"]);
}

#[test]
fn sets_that_nest_too_deep_are_refused() {
    let nested = |depth: usize| format!("{}{{}}{}", r#"{"f:a":"#.repeat(depth), "}".repeat(depth));
    assert!(Set::from_json(nested(SET_DEPTH_MAX).as_bytes()).is_ok());
    assert!(Set::from_json(nested(SET_DEPTH_MAX + 10).as_bytes()).is_err());
    assert!(Set::from_json(nested(100_000).as_bytes()).is_err());
}

fn element() -> impl Strategy<Value = String> {
    let key = ("[a-c]", 0..3_i64).prop_map(|(name, value)| format!("k:{{\"{name}\":{value}}}"));
    prop_oneof!["[fvki]:.{0,4}", ".{0,3}", "f:[a-c]", key, "v:\"[a-c]\"", "i:[0-3]", Just(".".to_owned())]
}

fn fields() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![4 => Just(json!({})), 1 => Just(Value::Null), 1 => any::<i64>().prop_map(Value::from)];
    leaf.prop_recursive(4, 24, 5, |inner| {
        proptest::collection::btree_map(element(), inner, 0..5).prop_map(|map| map.into_iter().collect())
    })
}

fn paths() -> impl Strategy<Value = Set> {
    let path = proptest::collection::vec("[a-c]", 1..4);
    proptest::collection::vec(path, 0..8).prop_map(|paths| {
        let paths: Vec<Vec<PathElement>> =
            paths.iter().map(|path| path.iter().map(|name| PathElement::field(name)).collect()).collect();
        Set::of(paths.iter().map(Vec::as_slice))
    })
}

fn names() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::btree_set("[a-e]", 0..4).prop_map(|names| names.into_iter().collect())
}

proptest! {
    #[test]
    fn sets_obey_the_laws_of_sets(a in paths(), b in paths(), c in paths()) {
        let wire = |set: Set| set.to_json();
        prop_assert_eq!(wire(a.union(&b)), wire(b.union(&a)));
        prop_assert_eq!(wire(a.union(&b).union(&c)), wire(a.union(&b.union(&c))));
        prop_assert_eq!(wire(a.intersection(&b)), wire(b.intersection(&a)));
        prop_assert_eq!(wire(a.intersection(&b.union(&c))), wire(a.intersection(&b).union(&a.intersection(&c))));
        prop_assert_eq!(wire(a.difference(&b.union(&c))), wire(a.difference(&b).difference(&c)));
        prop_assert_eq!(wire(a.difference(&b).union(&a.intersection(&b))), wire(a.clone()));
        prop_assert!(a.difference(&b).intersection(&b).is_empty());
        a.union(&b).for_each(&mut |path| assert!(a.has(path) || b.has(path)));
        prop_assert_eq!(a.len() + b.len(), a.union(&b).len() + a.intersection(&b).len());
    }

    #[test]
    fn an_apply_twice_is_an_apply_once(before in names(), hosts in names()) {
        let live = apply(&Value::Null, &json!({"hosts": before}), "argo", 1).unwrap();
        let once = apply(&live, &json!({"hosts": hosts}), "flux", 2).unwrap();
        prop_assert_eq!(&apply(&once, &json!({"hosts": hosts}), "flux", 3).unwrap(), &once);
    }

    #[test]
    fn what_is_applied_and_then_dropped_leaves_the_object_as_it_was(before in names(), hosts in names()) {
        // An empty list has no owner, also upstream, and goes with its last item.
        prop_assume!(!before.is_empty());
        let live = apply(&Value::Null, &json!({"hosts": before, "replicas": 1}), "argo", 1).unwrap();
        let more = apply(&live, &json!({"hosts": hosts}), "flux", 2).unwrap();
        let less = apply(&more, &json!({}), "flux", 3).unwrap();
        prop_assert_eq!(&less["spec"], &live["spec"]);
        prop_assert_eq!(owned(&less, "argo"), owned(&live, "argo"));
    }

    #[test]
    fn garbage_is_refused_or_read_and_written_alike(value in fields()) {
        if let Ok(set) = Set::from_value(&value) {
            let text = set.to_json();
            prop_assert_eq!(&Set::from_json(text.as_bytes()).unwrap().to_json(), &text);
            prop_assert_eq!(Set::from_value(&set.to_value()).unwrap().to_json(), text);
        }
    }

    #[test]
    fn no_entries_make_an_apply_panic(value in fields()) {
        let mut live = thing(&json!({"replicas": 1, "hosts": ["a"]}));
        live["metadata"]["managedFields"] = json!([
            {"manager": "flux", "operation": "Apply", "apiVersion": "g/v1", "fieldsType": "FieldsV1", "fieldsV1": value},
            {"manager": "old", "operation": "Update", "apiVersion": "g/v0", "fieldsType": "FieldsV1", "fieldsV1": {}},
        ]);
        let _ = apply(&live, &json!({"hosts": ["b"]}), "flux", 1);
        let _ = manager("").update(&live, thing(&json!({})), by("flux", 1));
    }
}
