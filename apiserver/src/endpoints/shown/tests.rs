use std::io::Read as _;

use flate2::read::GzDecoder;
use kindsmith_schema::{compile::OwnStorage, form::DefinitionForm};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    endpoints::represent,
    request::{As, IncludeObject, MetaVersion},
};

fn projection() -> Arc<Projection> {
    let definition = json!({
        "apiVersion": "kindsmith.dev/v1alpha1", "kind": "ApplicationDefinition",
        "metadata": {"name": "cups.example.com", "uid": "u", "generation": 1},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Cup", "plural": "cups"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "string", "jsonPath": ".spec.size", "description": "- of \"it\"\n\nall"}]}],
            "backend": {"store": {}}},
    });
    let kind = DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Available).unwrap();
    Arc::new(Projection::new(Arc::new(kind), 0).unwrap())
}

/// Texts that are written in several ways, over several lines among them.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ \\n\\t#:\\-'\"a-c]{0,12}",
        "( *[a-c]{0,3} *\\n){0,4}",
        Just("mark".to_owned()),
        Just("yes".to_owned()),
        ".{0,200}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(text(), inner, 0..4).prop_map(|map| map.into_iter().collect::<Value>()),
        ]
    })
}

fn item() -> impl Strategy<Value = Value> {
    (value(), text()).prop_map(|(spec, note)| {
        json!({"apiVersion": "example.com/v1", "kind": "Cup", "spec": spec,
            "metadata": {"name": "a", "namespace": "b", "annotations": {"note": note}}})
    })
}

fn representations() -> Vec<Representation> {
    let formats = [Format::Json { pretty: Pretty::No }, Format::Json { pretty: Pretty::Yes }, Format::Yaml];
    let version = MetaVersion::V1;
    let table = |include_object| As::Table { include_object, version };
    let shapes = [
        As::Object,
        As::PartialMetadataList { version },
        table(IncludeObject::None),
        table(IncludeObject::Metadata),
        table(IncludeObject::Object),
    ];
    let all = formats.into_iter().flat_map(|format| shapes.map(|as_| Representation { as_, format }));
    all.filter(|representation| !representation.is_compact()).collect()
}

fn trees(objects: &[Value]) -> Vec<Item> {
    objects.iter().cloned().map(Item::Tree).collect()
}

proptest! {
    #[test]
    fn the_pieces_are_the_list(objects in proptest::collection::vec(item(), 1..4), token in proptest::option::of("[a-z]{3}")) {
        let projection = projection();
        let meta = ListMeta { resource_version: "7".to_owned(), continue_token: token, remaining: Some(3) };
        for representation in representations() {
            let whole = represent::list(&representation, &projection, trees(&objects), &meta).unwrap();
            for coding in [Coding::Identity, Coding::Gzip] {
                let shown = Shown::new(representation, &projection, trees(&objects), &meta, coding).unwrap();
                let sent = shown.collect::<Result<Vec<Bytes>, ApiError>>().unwrap().concat();
                let mut text = Vec::new();
                match coding {
                    Coding::Identity => text = sent,
                    Coding::Gzip => drop(GzDecoder::new(sent.as_slice()).read_to_end(&mut text).unwrap()),
                }
                prop_assert_eq!(String::from_utf8_lossy(&text), String::from_utf8_lossy(&whole), "{:?}", representation);
            }
        }
    }
}

#[test]
fn a_piece_is_no_longer_than_it_must_be() {
    let projection = projection();
    let object = json!({"metadata": {"name": "a"}, "spec": {"text": "x".repeat(10_000)}});
    let objects = vec![object; 50];
    let representation = Representation { as_: As::Object, format: Format::Yaml };
    let meta = ListMeta::default();
    let shown = Shown::new(representation, &projection, trees(&objects), &meta, Coding::Identity).unwrap();
    let lengths: Vec<usize> = shown.map(|piece| piece.unwrap().len()).collect();
    assert!(lengths.len() > 5 && lengths.iter().all(|length| *length < PIECE_BYTES + 11_000), "{lengths:?}");
}
