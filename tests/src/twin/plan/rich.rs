//! Requests about a kind with the features of schemas that are rare: see `twin::definition`.

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

use super::{
    Ask, Body, Step, VERSION, accept, apply, create, delete, delete_collection, get, list, name, patch, update, watch,
    write_query,
};

/// How large a large text is, in bytes.
const LARGE_BYTES: usize = 150_000;

/// A sequence of steps.
pub fn sequence() -> impl Strategy<Value = Vec<Step>> {
    let ask = prop_oneof![
        6 => create().boxed(),
        2 => get().boxed(),
        1 => list().boxed(),
        5 => update().boxed(),
        2 => patch().boxed(),
        5 => own_patch().boxed(),
        8 => apply::apply().boxed(),
        1 => delete().boxed(),
        1 => delete_collection().boxed(),
    ];
    let step = prop_oneof![
        20 => (ask, option::weighted(0.9, spec())).prop_map(|(ask, spec)| Step::Ask(match spec {
            Some(spec) => with_spec(ask, &spec),
            None => ask,
        })),
        1 => watch(),
    ];
    vec(step, 1..30)
}

/// The request with another spec, if it has one.
fn with_spec(ask: Ask, spec: &Value) -> Ask {
    let settle = |object: &mut Value| {
        if object.get("spec").is_some_and(Value::is_object) {
            object["spec"] = spec.clone();
        }
    };
    Ask { body: ask.body.settled(settle), ..ask }
}

/// What the closed schema takes, and more.
fn closed() -> impl Strategy<Value = Value> {
    select(vec![
        json!({}),
        json!({"a": "x"}),
        json!({"a": "x", "n": 4}),
        json!({"a": "x", "unknown": {"deep": 1}}),
        json!({"n": null}),
        json!({"or": null}),
        json!({"a": null, "or": "x"}),
        json!({"a": 1}),
        json!(null),
        json!("x"),
        json!([]),
    ])
}

fn open() -> impl Strategy<Value = Value> {
    let member = || option::weighted(0.4, closed());
    (member(), vec(closed(), 0..3), member(), member(), member(), option::weighted(0.3, closed())).prop_map(
        |(own, list, map, again, deep, free)| {
            let mut open = json!({});
            let members = [
                ("closed", own),
                ("list", (!list.is_empty()).then(|| Value::from(list))),
                ("map", map.map(|value| json!({"k": value, "a.b/c": {"unknown": 1}}))),
                ("again", again.map(|value| json!({"closed": value, "free": {"n": null}}))),
                ("deep", deep.map(|value| json!({"open": {"closed": value, "free": 1}, "unknown": 1}))),
                ("free", free),
            ];
            for (name, value) in members {
                if let Some(value) = value {
                    open[name] = value;
                }
            }
            open
        },
    )
}

/// One field and its value.
fn field() -> impl Strategy<Value = (&'static str, Value)> {
    let of = |name: &'static str, values: Vec<Value>| select(values).prop_map(move |value| (name, value)).boxed();
    let port = |number: Value| json!({"number": number});
    prop_oneof![
        4 => open().prop_map(|open| ("open", open)),
        1 => of("wild", vec![json!(1), json!("x"), json!([1, [2]]), json!({"a": null}), json!(null), json!(1.5), json!(true)]),
        1 => of("resource", vec![
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"free": 1}}),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "Not_Valid", "labels": {"a": "b"}}}),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"unknown": 1, "labels": {"a": 1}}}),
            json!({"apiVersion": "v1"}),
            json!({"kind": "Pod", "apiVersion": "a/b/c"}),
            json!({}),
        ]),
        1 => of("template", vec![
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"a": "x", "unknown": 1}, "more": 1}),
            json!({"apiVersion": "v1", "kind": "Pod"}),
            json!({"apiVersion": 1, "kind": "Pod"}),
            json!(null),
        ]),
        3 => of("ports", vec![
            json!([port(json!(80)), port(json!(81))]),
            json!([port(json!(80)), {"number": 80, "protocol": "UDP", "names": ["a", "b"], "to": "web"}]),
            json!([port(json!(80)), port(json!(80))]),
            json!([{"number": 80, "names": ["a", "a"]}]),
            json!([{"number": 80, "names": ["b"], "to": 8080}]),
            json!([{"protocol": "UDP"}]),
            json!([{"number": null}]),
            json!([port(json!("80"))]),
            json!([port(json!(80.0))]),
            json!([port(json!(4_294_967_296_i64))]),
            json!([{"number": 80, "to": 1.5}]),
            json!([{"number": 82, "protocol": "TCP", "unknown": 1}, null]),
            json!([]),
        ]),
        1 => of("numbers", vec![json!([1, 2, 3]), json!([3, 1]), json!([1, 1]), json!([1, "1"]), json!([1, null]), json!([1.0])]),
        1 => of("steps", vec![json!([{"a": "x"}, {}]), json!([{}]), json!([{"unknown": 1}, {"n": 1}]), json!([null])]),
        1 => of("plain", vec![json!([["a"], []]), json!([[], [], [], [], []]), json!([[1]]), json!([null]), json!("x")]),
        2 => of("granular", vec![json!({"a": 1}), json!({"b": 2}), json!({"a": 2, "c": 3}), json!({"a": null}), json!({"": 1}),
            json!({"a.b": 1, "c/d": 2, "e f": 3}), json!({"a": "x"}), json!([])]),
        1 => of("whole", vec![json!({"a": "x"}), json!({"b": "y"}), json!({"a": "x", "c": 1}), json!({})]),
        1 => of("either", vec![json!(1), json!("1"), json!("x"), json!(1.5), json!(1.0), json!(true), json!(null)]),
        1 => of("percent", vec![json!(50), json!("50%"), json!("x"), json!(null), json!({})]),
        1 => of("ratio", vec![json!(1), json!(1.5), json!(1.0), json!(1.3), json!(1e3), json!(-0.0), json!("1")]),
        1 => of("when", vec![json!("2026-01-01T00:00:00Z"), json!("yesterday"), json!("2026-01-01"), json!(1)]),
        1 => of("nothing", vec![json!(null), json!({}), json!({"a": null}), json!({"a": "x", "unknown": 1})]),
        1 => of("filled", vec![json!(null), json!({}), json!({"a": null}), json!({"b": null}), json!({"b": "true"})]),
        1 => of("maybe", vec![json!(null), json!([]), json!([null]), json!(["y", null])]),
        1 => of("most", vec![json!(null), json!(2), json!(8), json!(2.0)]),
        2 => of("size", vec![json!(1), json!(3), json!(7), json!(11), json!(null)]),
        1 => of("fixed", vec![json!("x"), json!("y"), json!(null)]),
        1 => of("blobs", vec![json!({"a": "1"}), json!({"b": "é\u{1f600}\u{2028}<&>\"\\"}), json!({"": ""})]),
        1 => select(&["x", "y"][..]).prop_map(|letter| ("blob", json!(letter.repeat(LARGE_BYTES)))),
        1 => of("unknown", vec![json!(1), json!({"a": 1})]),
    ]
}

fn spec() -> impl Strategy<Value = Value> {
    vec(field(), 0..5)
        .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Value>())
}

/// Patches of single fields.
fn own_patch() -> impl Strategy<Value = Ask> {
    let merges = vec(field(), 1..3).prop_map(|fields| {
        let spec: Value = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        ("application/merge-patch+json", json!({"spec": spec}).to_string())
    });
    let operations = (field(), select(&["add", "replace", "test"][..])).prop_map(|((name, value), op)| {
        let operation = json!([{"op": op, "path": format!("/spec/{name}"), "value": value}]);
        ("application/json-patch+json", operation.to_string())
    });
    let moves = select(vec![
        json!([{"op": "move", "from": "/spec/open", "path": "/spec/wild"}]),
        json!([{"op": "copy", "from": "/spec/wild", "path": "/spec/open"}]),
        json!([{"op": "copy", "from": "/spec/granular", "path": "/spec/open/map"}]),
        json!([{"op": "add", "path": "/spec/open/closed/unknown", "value": 1}]),
        json!([{"op": "add", "path": "/spec/open/list/-", "value": {"unknown": 1}}]),
        json!([{"op": "remove", "path": "/spec/filled"}]),
        json!([{"op": "add", "path": "/spec/ports/0", "value": {"number": 79}}]),
        json!([{"op": "add", "path": "/spec/granular/a~1b", "value": 1}, {"op": "remove", "path": "/spec/granular/a"}]),
        json!([{"op": "test", "path": "/spec/most", "value": 9.0}, {"op": "replace", "path": "/spec/most", "value": 8}]),
        json!([{"op": "add", "path": "/spec", "value": {}}]),
        json!([{"op": "remove", "path": "/spec"}]),
    ]);
    let moves = moves.prop_map(|patch| ("application/json-patch+json", patch.to_string()));
    let sent = prop_oneof![4 => merges, 3 => operations, 2 => moves];
    (name(), sent, write_query(), accept()).prop_map(|(name, (content_type, text), query, accept)| Ask {
        version: VERSION,
        method: "PATCH",
        name: Some(name),
        tail: "",
        query,
        content_type,
        accept,
        body: Body::Text(text),
    })
}
