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
