//! What may follow, what is kept, and who is harmed.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::{compile::OwnStorage, form::DefinitionForm, kind::KindBackend};

fn definition(generation: i64, spec: &Value) -> Value {
    json!({
        "apiVersion": "kindsmith.dev/v1alpha1",
        "kind": "ApplicationDefinition",
        "metadata": {
            "name": "redises.apps.example.com", "uid": "uid-1", "generation": generation, "resourceVersion": "9",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "team": "data"},
            "managedFields": [{"manager": "kubectl"}],
        },
        "spec": {
            "group": "apps.example.com",
            "scope": "Namespaced",
            "names": {"kind": "Redis", "plural": "redises"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object", "properties": spec}}}}}],
            "backend": {"helmRelease": {
                "chartRef": {"kind": "OCIRepository", "name": "redis", "namespace": "charts"}, "prefix": "redis-"}},
        },
        "status": {"observedGeneration": generation},
    })
}

fn kind(spec: &Value) -> Kind {
    DefinitionForm::Kindsmith.compile(&definition(1, spec), OwnStorage::Absent).unwrap()
}

#[test]
fn a_record_gives_the_kind_back() {
    let spec = json!({"size": {"type": "string"}});
    let packed = AcceptedGeneration::pack(DefinitionForm::Kindsmith, &definition(3, &spec), 7).unwrap();
    let object = packed.object("system");
    assert_eq!(object["metadata"]["name"], "definition-uid-1-7");
    assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], "uid-1");
    let read = AcceptedGeneration::read(&object).unwrap();
    assert_eq!(read, packed);
    let kept = read.kind(OwnStorage::Absent).unwrap();
    assert_eq!((kept.origin.generation, kept.origin.uid.as_str()), (3, "uid-1"));
    assert!(threats(&kind(&spec), &kept).is_empty() && threats(&kept, &kind(&spec)).is_empty());
    assert!(matches!(kept.backend, KindBackend::Release(_)));
}

#[test]
fn what_was_accepted_stays_whatever_rules_have_come_since() {
    let mut faulty = definition(3, &json!({"size": {"type": "string"}}));
    faulty["spec"]["backend"]["helmRelease"]["interval"] = json!("soon");
    let column = |name: &str, path: &str| json!({"name": name, "type": "string", "jsonPath": path});
    faulty["spec"]["versions"][0]["additionalPrinterColumns"] =
        json!([column("Size", ".spec.size"), column("None", "spec[")]);
    let form = DefinitionForm::Kindsmith;
    assert!(form.compile(&faulty, OwnStorage::Absent).is_err());
    let kept = AcceptedGeneration::pack(form, &faulty, 7).unwrap().kind(OwnStorage::Absent).unwrap();
    let KindBackend::Release(template) = &kept.backend else { panic!("there is no release") };
    assert_eq!(template.settings.interval.as_deref(), Some("soon"));
    let columns: Vec<Value> = kept.versions[0].columns.definitions().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(columns, ["Name", "Size"]);
    assert!(threats(&kept, &kind(&json!({}))).iter().any(|threat| threat.to_string().contains("spec.size")));

    // Without its schema or its backend there is no kind.
    let none = |at: &str, change: Value| {
        let mut faulty = faulty.clone();
        *faulty.pointer_mut(at).unwrap() = change;
        let packed = AcceptedGeneration::pack(form, &faulty, 7).unwrap();
        assert!(packed.kind(OwnStorage::Absent).is_err(), "{at}");
    };
    none("/spec/versions/0/schema/openAPIV3Schema", json!({"type": "none"}));
    none("/spec/backend", json!({"store": {}}));
    none("/spec/versions", json!([]));
}

#[test]
fn values_of_which_the_schema_cannot_be_read_are_no_kind() {
    let definition = |schema: &str, wait: &str| {
        json!({"metadata": {"name": "x", "uid": "u"}, "spec": {
            "application": {"kind": "X", "plural": "xs", "singular": "x", "openAPISchema": schema},
            "release": {"prefix": "x-", "waitStrategy": wait, "chartRef": {"kind": "OCIRepository", "name": "x"}}}})
    };
    let form = DefinitionForm::Cozystack;
    let schema = r#"{"type": "object"}"#;
    assert!(form.compile(&definition(schema, ""), OwnStorage::Absent).is_ok());
    assert!(form.compile(&definition(schema, "never"), OwnStorage::Absent).is_err());
    assert_eq!(form.recompile(&definition(schema, "never"), OwnStorage::Absent).unwrap().faults.len(), 1);
    assert!(form.recompile(&definition("{", ""), OwnStorage::Absent).is_err());
}

#[test]
fn what_is_no_record_is_not_taken_for_one() {
    let spec = json!({});
    let object = AcceptedGeneration::pack(DefinitionForm::Kindsmith, &definition(1, &spec), 1).unwrap().object("x");
    let mut other = object.clone();
    other["data"]["form"] = json!("else");
    assert_eq!(AcceptedGeneration::read(&other), None);
    assert_eq!(AcceptedGeneration::read(&json!({"data": {}, "revision": 1})), None);
    let mut broken = object;
    broken["data"]["definition"] = json!("bm90IGd6aXA=");
    assert!(AcceptedGeneration::read(&broken).unwrap().kind(OwnStorage::Absent).is_err());
}

#[rstest]
#[case("true", true)]
#[case("3", true)]
#[case("2", false)]
#[case("", false)]
#[case("yes", false)]
fn force_names_a_generation_or_all(#[case] annotation: &str, #[case] forced: bool) {
    assert_eq!(forces(annotation, 3), forced);
}

#[test]
fn the_state_moves_with_the_generation_and_with_annotations_that_are_read() {
    let mut annotated = definition(3, &json!({}));
    annotated["metadata"]["annotations"][FORCE_ANNOTATION] = json!("true");
    let plain = definition(3, &json!({}));
    assert_eq!(DefinitionForm::Kindsmith.state(&plain), "3");
    assert_eq!(DefinitionForm::Cozystack.state(&plain), DefinitionForm::Cozystack.state(&annotated), "consent is none");
    annotated["metadata"]["annotations"]["team"] = json!("other");
    assert_eq!(DefinitionForm::Kindsmith.state(&annotated), "3");
    assert_ne!(DefinitionForm::Cozystack.state(&plain), DefinitionForm::Cozystack.state(&annotated));
}

#[rstest]
#[case::fits(json!({"size": "1"}), None)]
#[case::lost(json!({"gone": "x"}), Some("spec.gone is no longer known"))]
#[case::was_unknown(json!({"never": "x"}), None)]
#[case::invalid(json!({"size": "large"}), Some("spec.size: Too long: may not be more than 3 bytes"))]
#[case::was_invalid(json!({"size": 7}), None)]
fn an_instance_is_harmed_by_what_changed_alone(#[case] spec: Value, #[case] wanted: Option<&str>) {
    let old = kind(&json!({"size": {"type": "string"}, "gone": {"type": "string"}}));
    let new = kind(&json!({"size": {"type": "string", "maxLength": 3}}));
    let instance =
        json!({"apiVersion": "apps.example.com/v1", "kind": "Redis", "metadata": {"name": "a"}, "spec": spec});
    let found = harm(&instance, &old.versions[0], &new.versions[0]);
    assert_eq!(found.map(|harm| harm.to_string()).as_deref(), wanted);
}
