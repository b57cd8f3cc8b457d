use std::io::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::convert::release::annotation_text::DEFLATED;

/// Room for as much as anybody asks for.
const ROOM: usize = 256 << 10;

fn entries(count: usize) -> Value {
    (0..count).map(|at| json!({"manager": format!("manager-{at}"), "fieldsV1": {"f:spec": {}}})).collect()
}

/// A name that nothing can be made shorter of.
fn name(at: usize) -> String {
    let at = u64::try_from(at).unwrap();
    format!("{:016x}{:08x}", places::mixed(at), places::mixed(at ^ 1) >> 32)
}

fn entry(manager: &str, operation: &str, spec: &Value) -> Value {
    json!({"manager": manager, "operation": operation, "apiVersion": "a.example.com/v1", "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:tier": {}}}, "f:spec": spec}})
}

fn set(names: impl Iterator<Item = String>, below: &Value) -> Value {
    names.map(|name| (name, below.clone())).collect::<serde_json::Map<_, _>>().into()
}

/// An object with as many settings, and entries of who created it and of who applied it.
fn settings(count: usize) -> (Value, Value) {
    let settings: serde_json::Map<_, _> = (0..count).map(|at| (name(at), json!("v"))).collect();
    let object = json!({"metadata": {"labels": {"tier": "db"}}, "spec": {"replicas": 1, "settings": settings}});
    let applied = set((0..count).map(|at| format!("f:{}", name(at))), &json!({}));
    let mut created = applied.clone();
    created["."] = json!({});
    let entries = json!([
        entry("argocd", "Apply", &json!({"f:settings": applied})),
        entry("kubectl", "Update", &json!({".": {}, "f:replicas": {}, "f:settings": created})),
    ]);
    (object, entries)
}

/// The same with items of a list that have names.
fn users(count: usize) -> (Value, Value) {
    let users: Vec<Value> =
        (0..count).map(|at| json!({"name": name(at), "role": "reader", "uid": at, "tags": ["a", "b"]})).collect();
    let object = json!({"spec": {"users": users}});
    let key = |at| format!("k:{}", json!({"name": name(at)}));
    let tags = json!({"v:\"a\"": {}, "v:\"b\"": {}});
    let applied = set((0..count).map(key), &json!({".": {}, "f:name": {}, "f:uid": {}, "f:tags": tags}));
    let created = set((0..count).map(key), &json!({".": {}, "f:role": {}}));
    (
        object,
        json!([entry("a", "Apply", &json!({"f:users": applied})), entry("b", "Update", &json!({"f:users": created}))]),
    )
}

#[test]
fn what_is_written_is_read_again() {
    for count in [1, 10, 2000] {
        assert_eq!(read(&write(&entries(count), &json!({}), ROOM), &json!({})), Some(entries(count)), "{count}");
    }
}

#[test]
fn long_texts_are_deflated() {
    assert!(write(&entries(2), &json!({}), ROOM).starts_with('['));
    let many = write(&entries(500), &json!({}), ROOM);
    assert!(many.starts_with(DEFLATED) && many.len() * 4 < entries(500).to_string().len());
}

#[test]
fn texts_of_former_versions_are_read() {
    let (object, entries) = settings(3000);
    assert_eq!(read(&entries.to_string(), &object).as_ref(), Some(&entries));
    let packed = deflated(&entries.to_string()).unwrap();
    assert_eq!(read(&packed, &json!({})), Some(entries));
}

#[test]
fn who_owns_large_objects_takes_little_and_less_where_there_is_no_room() {
    for (what, (object, entries)) in [("20,000 settings", settings(20_000)), ("5,000 users", users(5000))] {
        for (room, most) in [(ROOM, 12 << 10), (1500, 1400)] {
            let written = write(&entries, &object, room);
            let sizes = [&object, &entries].map(|value| value.to_string().len());
            println!("{what}: {sizes:?} bytes of object and owners, {} of annotation, of {room}", written.len());
            assert!(written.len() <= most, "{what}: {}", written.len());
            assert_eq!(read(&written, &object).as_ref(), Some(&entries), "{what}");
        }
    }
}

#[test]
fn who_owns_half_of_the_fields_takes_a_bit_for_each() {
    let (object, mut entries) = settings(20_000);
    for (at, keep) in [(0, 0), (1, 1)] {
        let owned = entries[at]["fieldsV1"]["f:spec"]["f:settings"].as_object_mut().unwrap();
        let mut number = 0;
        owned.retain(|_, _| {
            number += 1;
            places::mixed(number) % 2 == keep
        });
    }
    let written = write(&entries, &object, 16 << 10);
    assert!(written.len() < 9 << 10, "{}", written.len());
    assert_eq!(read(&written, &object), Some(entries));
}

#[test]
fn owners_stay_who_they_are_when_others_change_the_object() {
    let (mut object, mut entries) = settings(2000);
    let mine = |entries: &mut Value, at: usize| {
        entries[at]["fieldsV1"]["f:spec"]["f:settings"].as_object_mut().unwrap().remove(&format!("f:{}", name(7)))
    };
    mine(&mut entries, 0);
    let written = write(&entries, &object, ROOM);
    assert!(depends_on_object(&written));
    let held = object["spec"]["settings"].as_object_mut().unwrap();
    for at in 0..50 {
        held.insert(format!("theirs-{at}"), json!("x"));
        held.remove(&name(100 + at));
    }
    held.insert(name(3), json!("other"));
    object["spec"]["more"] = json!({"deep": [1, {"name": "x"}]});
    object["metadata"]["labels"] = json!({"theirs": "1"});
    for entry in entries.as_array_mut().unwrap() {
        let owned = entry["fieldsV1"]["f:spec"]["f:settings"].as_object_mut().unwrap();
        (0..50).for_each(|at| drop(owned.remove(&format!("f:{}", name(100 + at)))));
        entry["fieldsV1"]["f:metadata"]["f:labels"].as_object_mut().unwrap().remove("f:tier");
    }
    assert_eq!(
        read(&written, &object),
        Some(json!([
            {"manager": "argocd", "operation": "Apply", "apiVersion": "a.example.com/v1", "time": "2026-01-01T00:00:00Z",
                "fieldsType": "FieldsV1", "fieldsV1": {
                    "f:metadata": {"f:labels": {}}, "f:spec": entries[0]["fieldsV1"]["f:spec"]}},
            {"manager": "kubectl", "operation": "Update", "apiVersion": "a.example.com/v1", "time": "2026-01-01T00:00:00Z",
                "fieldsType": "FieldsV1", "fieldsV1": {
                    "f:metadata": {"f:labels": {}}, "f:spec": entries[1]["fieldsV1"]["f:spec"]}},
        ]))
    );
}

#[test]
fn nobody_owns_what_is_not_known_to_be_theirs() {
    let (object, entries) = settings(2000);
    let written = write(&entries, &object, ROOM);
    let (other, _) = users(1000);
    // Nothing of the one object is in the other: whoever owned it owns nothing now.
    assert_eq!(read(&written, &other), None);
}

#[test]
fn what_is_none_of_ours_or_unpacks_without_end_is_nothing() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(b"[").unwrap();
    for _ in 0..16 {
        bomb.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    bomb.write_all(b"1]").unwrap();
    let bomb = format!("{DEFLATED}{}", STANDARD.encode(bomb.finish().unwrap()));
    for text in ["", "[]", "{}", "gzip:", "gzip:AAAA", "[1", "paths:", "paths:AAAA", bomb.as_str()] {
        assert_eq!(read(text, &json!({})), None, "{text:.20}");
    }
}

#[test]
fn many_owners_of_many_fields_are_bounded_by_what_they_unpack_to() {
    let long = |at: usize| format!("{}{}", name(at), "x".repeat(400));
    let settings: serde_json::Map<_, _> = (0..1000).map(|at| (long(at), json!("v"))).collect();
    let object = json!({"spec": {"settings": settings}});
    let all = set((0..1000).map(|at| format!("f:{}", long(at))), &json!({}));
    let owners = |count: usize| -> Value {
        (0..count).map(|at| entry(&format!("m{at}"), "Apply", &json!({"f:settings": all}))).collect()
    };
    let seven = owners(7);
    assert_eq!(read(&write(&seven, &object, ROOM), &object), Some(seven));
    assert!(packed::write(&owners(20), &object, 3).is_none());
}

fn some_object() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..4).prop_map(Value::from),
        "[ab<]{0,2}".prop_map(Value::from)
    ];
    let value = leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c.]{1,2}", inner, 0..5).prop_map(|map| json!(map)),
        ]
    });
    (value.clone(), value).prop_map(|(spec, labels)| json!({"metadata": {"labels": labels, "name": "x"}, "spec": spec}))
}

/// Fields as they may come: of the object, of another one, and such as nobody would write.
fn some_fields() -> impl Strategy<Value = Value> {
    let step = prop_oneof![
        "f:[a-c.]{1,2}",
        Just(".".to_owned()),
        "k:\\{\"[ab]\":[0-3]\\}",
        "v:[0-3]",
        "v:\"[ab]\"",
        "i:[0-2]",
        "[a-z:]{0,3}"
    ];
    let leaf = prop_oneof![8 => Just(json!({})), 1 => Just(Value::Null), 1 => Just(json!([1]))];
    let below = leaf.prop_recursive(5, 60, 6, move |inner| {
        prop::collection::btree_map(step.clone(), inner, 0..6).prop_map(|map| json!(map))
    });
    (below.clone(), below.clone(), below)
        .prop_map(|(spec, metadata, any)| json!({"f:spec": spec, "f:metadata": metadata, "f:x": any}))
}

/// The owners of an object as they are tracked.
fn owned_paths(object: &Value, keep: &[bool]) -> Value {
    fn below(value: &Value, keep: &mut impl Iterator<Item = bool>) -> Value {
        let mut fields = serde_json::Map::new();
        let members = value.as_object().into_iter().flatten();
        for (name, value) in members {
            let inner = below(value, keep);
            let (own, leads) =
                (keep.next().unwrap_or_default(), inner.as_object().is_some_and(|inner| !inner.is_empty()));
            if leads || own {
                let mut inner = inner;
                if leads && own {
                    inner["."] = json!({});
                }
                fields.insert(format!("f:{name}"), inner);
            }
        }
        fields.into()
    }
    below(
        &json!({"spec": object["spec"], "metadata": {"labels": object["metadata"]["labels"]}}),
        &mut keep.iter().copied().cycle(),
    )
}

proptest! {
    #[test]
    fn any_entries_are_read_as_they_were_written(
        object in some_object(),
        fields in prop::collection::vec(some_fields(), 1..4),
        keep in prop::collection::vec(any::<bool>(), 1..40),
        odd in prop_oneof![Just(json!({"manager": "x"})), Just(Value::Null), Just(json!({"fieldsV1": []})), Just(json!({"fieldsV1": {}}))],
        rooms in prop::collection::vec(0..4000_usize, 3),
    ) {
        let mut entries: Vec<Value> = fields.iter().map(|fields| json!({"manager": "m", "fieldsV1": fields})).collect();
        entries.push(json!({"manager": "tracked", "fieldsV1": owned_paths(&object, &keep)}));
        entries.push(odd);
        let entries = json!(entries);
        for room in rooms {
            prop_assert_eq!(read(&write(&entries, &object, room), &object), Some(entries.clone()));
        }
    }

    #[test]
    fn tracked_entries_are_packed(object in some_object(), keep in prop::collection::vec(any::<bool>(), 1..40)) {
        let entries = json!([{"manager": "tracked", "fieldsV1": owned_paths(&object, &keep)}]);
        prop_assume!(entries[0]["fieldsV1"] != json!({}));
        let packed = packed::write(&entries, &object, 3);
        prop_assert!(packed.is_some_and(|packed| read(&packed, &object) == Some(entries)));
    }

    #[test]
    fn whatever_the_object_became_nobody_owns_more_than_before(
        before in some_object(), after in some_object(), keep in prop::collection::vec(any::<bool>(), 1..40)
    ) {
        let own = json!({"manager": "tracked", "fieldsV1": owned_paths(&before, &keep)});
        prop_assume!(own["fieldsV1"] != json!({}));
        let packed = packed::write(&json!([own]), &before, 60).unwrap();
        let set = |entry: &Value| kindsmith_merge::Set::from_value(&entry["fieldsV1"]).unwrap();
        if let Some(found) = read(&packed, &after) {
            prop_assert!(set(&found[0]).difference(&set(&own)).is_empty());
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), object in some_object()) {
        let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), Compression::fast());
        deflate.write_all(&bytes).unwrap();
        drop(read(&format!("{}{}", packed::TAG, STANDARD.encode(deflate.finish().unwrap())), &object));
    }
}
