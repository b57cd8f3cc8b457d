//! Behaviours of comparing whole kinds, from two definitions to texts.

use kindsmith_crds::ApplicationDefinition;
use serde_json::{Value, json};

use crate::{
    compatibility::compare_kinds,
    compile::{OwnStorage, compile},
    kind::Kind,
};

fn kind(change: impl Fn(&mut Value)) -> Kind {
    let version = |name: &str, storage: bool| {
        json!({
            "name": name, "served": true, "storage": storage, "subresources": {"status": {}},
            "selectableFields": [{"jsonPath": ".spec.size"}],
            "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}
        })
    };
    let mut definition = json!({
        "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": "cups.apps.example.com"},
        "spec": {
            "group": "apps.example.com", "scope": "Namespaced",
            "names": {"kind": "Cup", "plural": "cups", "shortNames": ["cp"], "categories": ["all"]},
            "versions": [version("v1", true), version("v2", false)],
            "backend": {"store": {}}
        }
    });
    change(&mut definition);
    let definition: ApplicationDefinition = serde_json::from_value(definition).unwrap();
    compile(&definition, OwnStorage::Available).unwrap()
}

#[track_caller]
fn told(change: impl Fn(&mut Value), expected: &[&str]) {
    let found: Vec<String> = compare_kinds(&kind(|_| {}), &kind(change)).iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_kind_is_compatible_with_itself() {
    told(|_| {}, &[]);
}

#[test]
fn versions_that_go_away_are_told() {
    told(
        |definition| drop(definition["spec"]["versions"].as_array_mut().unwrap().pop()),
        &["v2 spec.versions: the version is gone; keep it, with served: false once nobody uses it [hurts clients]"],
    );
    told(
        |definition| definition["spec"]["versions"][1]["served"] = json!(false),
        &["v2 spec.versions: the version is no longer served [hurts clients]"],
    );
}

#[test]
fn another_storage_version_is_told_with_what_it_cannot_hold() {
    told(
        |definition| {
            let versions = &mut definition["spec"]["versions"];
            versions[0]["storage"] = json!(false);
            versions[1]["storage"] = json!(true);
            versions[1]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"] = json!({});
            versions[1]["selectableFields"] = json!([]);
        },
        &[
            "spec.versions: the storage version was v1 and is v2: what is stored is read with the new schema \
             [hurts stored instances]",
            "v2 spec.size: the field is no longer in the schema and is dropped; keep it, or set \
             x-kubernetes-preserve-unknown-fields [hurts stored instances]",
            "v2 spec.versions.selectableFields: field selectors can no longer use \"spec.size\" [hurts clients]",
            "v2 spec.size: the field is no longer in the schema and is dropped; keep it, or set \
             x-kubernetes-preserve-unknown-fields [hurts stored instances and clients]",
        ],
    );
}

#[test]
fn what_clients_use_besides_the_schema_is_told() {
    told(
        |definition| {
            definition["spec"]["names"] = json!({"kind": "Cup", "plural": "cups", "singular": "mug"});
            let version = &mut definition["spec"]["versions"][0];
            version["subresources"] = json!({});
            version["selectableFields"] = json!([]);
            version["additionalPrinterColumns"] = json!([]);
        },
        &[
            "spec.names.singular: the singular was \"cup\" and is \"mug\" [hurts clients]",
            "spec.names.shortNames: the short name \"cp\" is gone [hurts clients]",
            "spec.names.categories: the kind no longer belongs to the category \"all\" [hurts clients]",
            "v1 spec.versions.subresources.status: the status subresource is gone; who writes the status gets 404 \
             [hurts clients]",
            "v1 spec.versions.selectableFields: field selectors can no longer use \"spec.size\" [hurts clients]",
            "v1 spec.versions.additionalPrinterColumns: kubectl get no longer prints the column \"Size\" \
             [hurts clients]",
        ],
    );
}

#[test]
fn instances_that_are_not_found_any_more_are_told() {
    told(
        |definition| definition["spec"]["scope"] = json!("Cluster"),
        &["spec.scope: was Namespaced and is Cluster: instances are not found where they were \
           [hurts stored instances and clients]"],
    );
    let release = |prefix: &str, chart: &str| {
        let backend = json!({"helmRelease": {"prefix": prefix, "chartRef": {"kind": "OCIRepository", "name": chart}}});
        kind(move |definition| definition["spec"]["backend"] = backend.clone())
    };
    let texts = |old: &Kind, new: &Kind| {
        compare_kinds(old, new).into_iter().map(|found| found.change.to_string()).collect::<Vec<_>>()
    };
    let old = release("cup-", "cup");
    assert_eq!(texts(&old, &old), Vec::<String>::new());
    assert!(
        texts(&old, &release("cups-", "cup"))[0].starts_with("the prefix of releases was \"cup-\" and is \"cups-\"")
    );
    assert!(texts(&old, &release("cup-", "mug"))[0].starts_with("the chart or its source is another one"));
    assert!(
        texts(&old, &kind(|_| {}))[0].starts_with("instances were kept as a HelmRelease and are kept as the object")
    );
}
