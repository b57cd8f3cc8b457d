use serde_json::{Value, json};

use super::*;
use crate::kind::StatusRole;

mod settings;

fn definition() -> Value {
    json!({
        "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": "cups.apps.example.com"},
        "spec": {
            "group": "apps.example.com", "scope": "Namespaced", "names": {"kind": "Cup", "plural": "cups"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}}],
            "backend": {"helmRelease": {
                "chartRef": {"kind": "OCIRepository", "name": "cup", "namespace": "charts"}, "prefix": "cup-"}}
        }
    })
}

fn judge(change: impl Fn(&mut Value)) -> Result<Kind, Vec<String>> {
    let mut definition = definition();
    change(&mut definition);
    let definition: ApplicationDefinition = serde_json::from_value(definition).unwrap();
    compile(&definition, OwnStorage::Absent).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn refused(change: impl Fn(&mut Value), wanted: &str) {
    let errors = judge(change).unwrap_err();
    assert!(errors.iter().any(|error| error.starts_with(wanted)), "{errors:?}");
}

#[test]
fn a_sound_definition_is_filled_in() {
    let kind = judge(|_| {}).unwrap();
    assert_eq!((kind.names.singular.as_str(), kind.names.list_kind.as_str()), ("cup", "CupList"));
    let version = kind.storage_version().unwrap();
    assert_eq!(version.status, StatusRole::Computed);
    let headings: Vec<Value> = version.columns.definitions().iter().map(|column| column["name"].clone()).collect();
    assert_eq!(headings, ["Name", "Ready", "Age", "Version"]);
}

#[test]
fn groups_of_the_cluster_are_refused() {
    for group in
        ["apps", "x.k8s.io", "kindsmith.dev", "helm.toolkit.fluxcd.io", "kustomize.toolkit.fluxcd.io", "g.x-k8s.io"]
    {
        refused(|definition| definition["spec"]["group"] = json!(group), "spec.group: Invalid value");
    }
}

#[test]
fn faults_of_names_and_versions_are_told_with_their_fields() {
    refused(|definition| definition["metadata"]["name"] = json!("x"), "metadata.name: Invalid value: \"x\": must be");
    refused(|definition| definition["spec"]["names"]["plural"] = json!("Cups"), "spec.names.plural: Invalid value");
    refused(|definition| definition["spec"]["versions"][0]["storage"] = json!(false), "spec.versions: Invalid value");
    refused(|definition| definition["spec"]["versions"][0]["served"] = json!(false), "spec.versions: Invalid value");
}

#[test]
fn faults_of_the_backend_are_told() {
    refused(|definition| definition["spec"]["backend"]["store"] = json!({}), "spec.backend: Forbidden");
    refused(|definition| definition["spec"]["backend"] = json!({}), "spec.backend: Required value");
    refused(|definition| definition["spec"]["backend"] = json!({"store": {}}), "spec.backend.store: Forbidden");
    refused(|definition| definition["spec"]["scope"] = json!("Cluster"), "spec.backend.helmRelease: Forbidden");
    let long = "p".repeat(60);
    refused(
        |definition| definition["spec"]["backend"]["helmRelease"]["prefix"] = json!(long),
        "spec.backend.helmRelease.prefix: Invalid value",
    );
}

#[test]
fn a_cell_may_be_computed() {
    let columns = |column: Value| {
        move |definition: &mut Value| {
            definition["spec"]["versions"][0]["additionalPrinterColumns"] = json!([column]);
        }
    };
    let large = json!({"name": "Large", "type": "string", "expression": "self.spec.size > 5 ? 'yes' : 'no'"});
    let kind = judge(columns(large.clone())).unwrap();
    let columns_of = &kind.storage_version().unwrap().columns;
    let row = |size: Value| {
        let object = json!({"metadata": {"name": "a"}, "spec": {"size": size}});
        let (include, version) = (crate::table::IncludeObject::None, crate::table::TableVersion::V1);
        columns_of.row(&object, include, version, jiff::Timestamp::UNIX_EPOCH)["cells"][1].clone()
    };
    assert_eq!(row(json!(7)), "yes");
    assert_eq!(row(json!(3)), "no");
    assert_eq!(row(json!(null)), Value::Null);
    let at = "spec.versions[0].additionalPrinterColumns[0]";
    let mut both = large.clone();
    both["jsonPath"] = json!(".spec.size");
    refused(columns(both), &format!("{at}.jsonPath: Invalid value"));
    let mut wrong = large;
    wrong["expression"] = json!("self.spec.colour");
    refused(columns(wrong), &format!("{at}.expression: Invalid value: \"self.spec.colour\": compilation failed"));
}

#[test]
fn what_cannot_be_enforced_or_kept_is_refused() {
    let at = "spec.versions[0].schema.openAPIV3Schema";
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    refused(
        |definition| {
            definition.pointer_mut(spec).unwrap()["x-kubernetes-validations"] = json!([{"rule": " "}]);
        },
        &format!("{at}.properties[spec].x-kubernetes-validations[0].rule: Required value: rule is not specified"),
    );
    refused(
        |definition| {
            let schema = definition.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties").unwrap();
            schema["data"] = json!({"type": "string"});
        },
        &format!("{at}.properties[data]: Forbidden"),
    );
    refused(
        |definition| definition.pointer_mut(spec).unwrap()["type"] = json!("objekt"),
        &format!("{at}.properties[spec].type"),
    );
}

#[test]
fn the_older_definition_keeps_a_name() {
    let named = |name: &str, plural: &str, created: &str| {
        let mut kind = judge(|_| {}).unwrap();
        plural.clone_into(&mut kind.names.plural);
        kind.names.singular = format!("{plural}-one");
        name.clone_into(&mut kind.origin.name);
        created.clone_into(&mut kind.origin.created);
        kind
    };
    let (newer, older) = (named("newer", "cups", "2026-02-01"), named("older", "mugs", "2026-01-01"));
    let found = crate::names::conflicts(&[&newer, &older]);
    assert_eq!(found[1], []);
    let texts: Vec<String> = found[0].iter().map(ToString::to_string).collect();
    assert_eq!(
        texts[0],
        "spec.names.kind: \"Cup\" is already in use by ApplicationDefinition \"older\", which is older"
    );
}
