//! Steps of a twin test, and random ones.
//!
//! A step names objects by number and leaves tokens where the two sides differ: `{group}`, `{ns}`, `{uid}`, `{rv}` (the
//! last revision that was seen of the object), `{rv-1}` (the one before), `{continue}`.

use std::fmt;

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

mod apply;
mod changes;
mod odd;
mod rich;
mod scale;
mod versions;

use super::definition::Change;

pub use changes::sequence as changes_sequence;
pub use odd::sequence as odd_sequence;
pub use rich::sequence as rich_sequence;
pub use versions::sequence as versions_sequence;

/// One thing to ask of both sides.
#[derive(Clone)]
pub enum Step {
    /// One request.
    Ask(Ask),
    /// Opens a watch with this query, from the revision of a list that is made before it if `{list}` is in the query.
    Watch {
        /// The version.
        version: &'static str,
        /// The query, without `watch`.
        query: String,
        /// The `Accept` header.
        accept: &'static str,
    },
    /// Changes the definition on both sides: to what it was at first, and these changes.
    Change(Vec<Change>),
    /// One request, with a path of its own.
    Raw(Raw),
}

/// A request with tokens, beside what an [`Ask`] can say.
#[derive(Clone)]
pub struct Raw {
    /// The method.
    pub method: &'static str,
    /// The path and the query.
    pub path: String,
    /// The headers.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The body.
    pub body: &'static str,
}

/// As a report has it.
impl fmt::Debug for Raw {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.method, self.path)?;
        for (name, value) in &self.headers {
            write!(out, " {name}={value}")?;
        }
        write!(out, " body={}", self.body)
    }
}

/// As a report has it.
impl fmt::Debug for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(ask) => ask.fmt(out),
            Self::Change(changes) => write!(out, "CHANGE {changes:?}"),
            Self::Raw(raw) => raw.fmt(out),
            Self::Watch { version, query, accept } => write!(out, "WATCH {version}?{query} accept={accept}"),
        }
    }
}

/// A request, with tokens.
#[derive(Clone)]
pub struct Ask {
    /// The version.
    pub version: &'static str,
    /// The method.
    pub method: &'static str,
    /// Which object; `None` is the collection.
    pub name: Option<&'static str>,
    /// What follows the name, for example `/status`.
    pub tail: &'static str,
    /// The query, without `?`.
    pub query: String,
    /// The `Content-Type`, when there is a body.
    pub content_type: &'static str,
    /// The `Accept` header.
    pub accept: &'static str,
    /// The body.
    pub body: Body,
}

impl Ask {
    /// Whether a text is in its query or its body.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        let in_body = match &self.body {
            Body::None => false,
            Body::Text(body) => body.contains(text),
            Body::Seen(change) => change.to_string().contains(text),
        };
        in_body || self.query.contains(text)
    }
}

/// As a report has it.
impl fmt::Debug for Ask {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.map(|name| format!("/{name}")).unwrap_or_default();
        let Self { version, method, tail, query, accept, .. } = self;
        write!(out, "{method} {version}{name}{tail}?{query} accept={accept}")?;
        match &self.body {
            Body::None => Ok(()),
            Body::Text(text) => write!(out, " type={} body={text}", self.content_type),
            Body::Seen(change) => write!(out, " type={} seen+{change}", self.content_type),
        }
    }
}

/// What is sent.
#[derive(Debug, Clone)]
pub enum Body {
    /// Nothing.
    None,
    /// This text.
    Text(String),
    /// The object as it was seen last, with a merge patch applied to it; the patch alone if it was never seen.
    Seen(Value),
}

impl Body {
    /// The body with what it sends of an object changed, if it sends one.
    fn settled(self, settle: impl Fn(&mut Value)) -> Self {
        match self {
            Self::None => Self::None,
            Self::Text(text) => Self::Text(match serde_json::from_str::<Value>(&text) {
                Ok(mut object @ Value::Object(_)) => {
                    settle(&mut object);
                    object.to_string()
                }
                _ => text,
            }),
            Self::Seen(mut change) => {
                settle(&mut change);
                Self::Seen(change)
            }
        }
    }
}

/// The objects' names.
pub const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// The version that is asked where there is no choice.
pub const VERSION: &str = "v1";

/// Whether an answer may come from memory, and be older than the last write.
pub fn may_be_stale(query: &str) -> bool {
    // "Not older than", unless it says "exactly".
    let at = |part: &str| part.strip_prefix("resourceVersion=").is_some_and(|version| !version.is_empty());
    query.split('&').any(at) && !query.contains("resourceVersionMatch=Exact")
}

/// A sequence of steps.
pub fn sequence() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..40)
}

/// A sequence of steps about the scale subresource, apart so that the others stay what they are.
pub fn scale_sequence() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => create().boxed(),
        1 => get().boxed(),
        1 => update().boxed(),
        2 => patch().boxed(),
        1 => apply::apply().boxed(),
        9 => scale::scale().boxed(),
        1 => delete().boxed(),
    ];
    vec(step.prop_map(Step::Ask), 1..40)
}

/// A sequence of steps by several managers.
pub fn apply_sequence() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => create().boxed(),
        1 => get().boxed(),
        4 => update().boxed(),
        5 => patch().boxed(),
        12 => apply::apply().boxed(),
        1 => delete().boxed(),
    ];
    vec(step.prop_map(Step::Ask), 1..40)
}

fn name() -> impl Strategy<Value = &'static str> {
    select(&NAMES[..])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => create().prop_map(Step::Ask).boxed(),
        3 => get().prop_map(Step::Ask).boxed(),
        3 => list().prop_map(Step::Ask).boxed(),
        5 => update().prop_map(Step::Ask).boxed(),
        6 => patch().prop_map(Step::Ask).boxed(),
        3 => delete().prop_map(Step::Ask).boxed(),
        1 => delete_collection().prop_map(Step::Ask).boxed(),
        2 => apply::apply().prop_map(Step::Ask).boxed(),
        1 => odd().prop_map(Step::Ask).boxed(),
        1 => watch().boxed(),
    ]
}

/// Joins parts of a query; most of them are absent.
fn query(parts: Vec<Option<&'static str>>) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join("&")
}

fn rarely(values: &'static [&'static str]) -> impl Strategy<Value = Option<&'static str>> {
    option::weighted(0.15, select(values))
}

fn write_query() -> impl Strategy<Value = String> {
    (
        rarely(&["dryRun=All", "dryRun=All", "dryRun=Some", "dryRun="]),
        rarely(&[
            "fieldValidation=Strict",
            "fieldValidation=Ignore",
            "fieldValidation=Warn",
            "fieldValidation=strict",
            "fieldValidation=",
        ]),
        option::weighted(0.5, manager()),
        rarely(&["fieldManager=", "fieldManager=m%0A", "pretty=true", "timeout=5s", "unknown=1"]),
    )
        .prop_map(|(dry, validation, manager, other)| query(vec![dry, validation, manager, other]))
}

fn manager() -> impl Strategy<Value = &'static str> {
    select(&["fieldManager=m1", "fieldManager=m2", "fieldManager=m3", "fieldManager=m4", "fieldManager=kubectl"][..])
}

fn accept() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        12 => Just("application/json"),
        1 => Just("application/json;as=Table;v=v1;g=meta.k8s.io,application/json"),
        1 => Just("application/json;as=Table;v=v1;g=meta.k8s.io"),
        1 => Just("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"),
        1 => Just("application/yaml"),
        1 => Just("text/html"),
        1 => Just("*/*"),
        1 => Just("application/vnd.kubernetes.protobuf"),
        1 => Just("application/vnd.kubernetes.protobuf,application/json"),
    ]
}

/// A spec of the kind that the twin test serves; most are valid.
pub fn spec() -> impl Strategy<Value = Value> {
    let size = prop_oneof![6 => (0..9i64).prop_map(Value::from), 1 => Just(json!(11)), 1 => Just(json!("x")),
        1 => Just(json!(null)), 1 => Just(json!(2.0)), 1 => Just(json!(2.5))];
    let mode = prop_oneof![4 => select(&["fast", "safe"][..]), 1 => Just("odd")].prop_map(Value::from);
    let port = (select(&["web", "api", "db"][..]), option::of(80..83i64), option::weighted(0.2, Just("UDP")));
    let port = port.prop_map(|(name, number, protocol)| {
        let mut port = json!({"name": name});
        if let Some(number) = number {
            port["number"] = json!(number);
        }
        if let Some(protocol) = protocol {
            port["protocol"] = json!(protocol);
        }
        port
    });
    let ports = vec(port, 0..4).prop_map(Value::from);
    let tags = vec(select(&["red", "blue", "green"][..]).prop_map(Value::from), 0..3).prop_map(Value::from);
    let settings = select(vec![json!({}), json!({"a": "1"}), json!({"a": "2", "b": "x"}), json!({"a": 1})]);
    let extra = select(vec![json!({"deep": {"er": [1, 2]}}), json!(null), json!([1]), json!({"n": null})]);
    (
        option::weighted(0.7, size),
        option::weighted(0.5, mode),
        option::weighted(0.5, ports),
        option::weighted(0.4, tags),
        option::weighted(0.4, settings),
        option::weighted(0.3, extra),
        option::weighted(0.1, Just(json!("unknown"))),
    )
        .prop_map(|(size, mode, ports, tags, settings, free, unknown)| {
            let fields = [
                ("size", size),
                ("mode", mode),
                ("ports", ports),
                ("tags", tags),
                ("settings", settings),
                ("free", free),
                ("nobodyKnows", unknown),
            ];
            fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
        })
}

/// Metadata that users set; most of it is valid.
fn metadata() -> impl Strategy<Value = Value> {
    select(vec![
        json!({}),
        json!({}),
        json!({}),
        json!({"labels": {"app": "x"}}),
        json!({"labels": {"app": "y", "tier": "one"}}),
        json!({"labels": {"app": "not valid!"}}),
        json!({"labels": null}),
        json!({"annotations": {"note": "hello"}}),
        json!({"annotations": {"Bad Key": "hello"}}),
        json!({"finalizers": ["example.com/hold"]}),
        json!({"finalizers": ["hold"]}),
        json!({"finalizers": []}),
        json!({"finalizers": null}),
        json!({"ownerReferences": [{"apiVersion": "v1", "kind": "Owner", "name": "o", "uid": "u-1"}]}),
        json!({"ownerReferences": [{"apiVersion": "v1", "kind": "Owner", "name": "", "uid": "u-1"}]}),
        json!({"generation": 7, "creationTimestamp": "2020-01-01T00:00:00Z", "selfLink": "/x"}),
        json!({"deletionTimestamp": "2020-01-01T00:00:00Z"}),
        json!({"unknownMeta": 1}),
        json!({"managedFields": []}),
        json!({"managedFields": [{}]}),
        json!({"managedFields": null}),
        json!({"managedFields": [{"manager": "m1", "operation": "Sideways"}]}),
        json!({"managedFields": [{"manager": "m2", "operation": "Apply", "apiVersion": "{group}/v1",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:size": {}}}, "time": "2026-01-01T00:00:00Z"}]}),
        json!({"ownerReferences": [{"apiVersion": "v1", "kind": "Owner", "name": "o", "uid": "u-1"},
            {"apiVersion": "v1", "kind": "Owner", "name": "o", "uid": "u-1"}]}),
        json!({"labels": {"app": 1}}),
    ])
}

fn content_type() -> impl Strategy<Value = &'static str> {
    prop_oneof![20 => Just("application/json"), 1 => Just("application/yaml"), 1 => Just("text/plain"), 1 => Just("")]
}

fn create() -> impl Strategy<Value = Ask> {
    let oddities = select(vec![
        json!({}),
        json!({}),
        json!({}),
        json!({}),
        json!({}),
        json!({}),
        json!({"metadata": {"resourceVersion": "5"}}),
        json!({"metadata": {"uid": "11111111-2222-3333-4444-555555555555"}}),
        json!({"metadata": {"namespace": "elsewhere"}}),
        json!({"metadata": {"namespace": "{ns}"}}),
        json!({"metadata": {"name": "Not_Valid"}}),
        json!({"metadata": {"name": null}}),
        json!({"kind": "Other"}),
        json!({"kind": null}),
        json!({"apiVersion": "v9"}),
        json!({"apiVersion": "{group}/v9"}),
        json!({"status": {"phase": "Early"}}),
        json!({"more": 1}),
        json!({"spec": null}),
        json!({"spec": []}),
    ]);
    (name(), spec(), metadata(), oddities, write_query(), accept(), content_type()).prop_map(
        |(name, spec, metadata, oddity, query, accept, content_type)| {
            let mut object =
                json!({"apiVersion": "{group}/v1", "kind": "Twin", "metadata": {"name": name}, "spec": spec});
            merge(&mut object["metadata"], &metadata);
            merge(&mut object, &oddity);
            let body = Body::Text(object.to_string());
            Ask { version: VERSION, method: "POST", name: None, tail: "", query, content_type, accept, body }
        },
    )
}

fn get() -> impl Strategy<Value = Ask> {
    let queries =
        select(&["", "", "", "resourceVersion=0", "resourceVersion={rv}", "resourceVersion=x", "pretty=1"][..]);
    let tails = prop_oneof![6 => Just(""), 1 => Just("/status"), 1 => Just("/nothing")];
    (name(), tails, queries, accept()).prop_map(|(name, tail, query, accept)| Ask {
        version: VERSION,
        method: "GET",
        name: Some(name),
        tail,
        query: query.to_owned(),
        content_type: "",
        accept,
        body: Body::None,
    })
}

fn selectors() -> impl Strategy<Value = String> {
    (
        rarely(&["labelSelector=app%3Dx", "labelSelector=app", "labelSelector=app+notin+(x)", "labelSelector=a+b+c"]),
        rarely(&[
            "fieldSelector=metadata.name%3Da",
            "fieldSelector=metadata.name!%3Da",
            "fieldSelector=spec.mode%3Dfast",
            "fieldSelector=spec.size%3D1",
            "fieldSelector=metadata.namespace%3D{ns}",
            "fieldSelector=,,",
        ]),
    )
        .prop_map(|(labels, fields)| query(vec![labels, fields]))
}

fn list() -> impl Strategy<Value = Ask> {
    let revision = prop_oneof![
        8 => Just(""),
        2 => Just("&resourceVersion=0"),
        1 => Just("&resourceVersion=0&resourceVersionMatch=NotOlderThan"),
        1 => Just("&resourceVersion=0&resourceVersionMatch=Exact"),
        1 => Just("&resourceVersion={rv}&resourceVersionMatch=NotOlderThan"),
        1 => Just("&resourceVersion={rv}&resourceVersionMatch=Exact"),
        1 => Just("&resourceVersion={rv}"),
        1 => Just("&resourceVersionMatch=Exact"),
        1 => Just("&resourceVersion=abc"),
        1 => Just("&sendInitialEvents=true"),
    ];
    let page = prop_oneof![
        6 => Just(""), 2 => Just("&limit=1"), 2 => Just("&limit=2"), 2 => Just("&limit=1&continue={continue}"),
        1 => Just("&limit=x"), 1 => Just("&continue=zzz"), 1 => Just("&limit=-1"),
    ];
    let accept = prop_oneof![
        12 => accept(), 1 => Just("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"),
    ];
    (selectors(), revision, page, accept).prop_map(|(selectors, revision, page, accept)| {
        let query = format!("{selectors}{revision}{page}").trim_start_matches('&').to_owned();
        Ask { version: VERSION, method: "GET", name: None, tail: "", query, content_type: "", accept, body: Body::None }
    })
}

fn update() -> impl Strategy<Value = Ask> {
    let changes = prop_oneof![
        8 => spec().prop_map(|spec| json!({"spec": spec})),
        3 => metadata().prop_map(|metadata| json!({"metadata": metadata})),
        2 => select(vec![json!({"status": {"phase": "Up"}}), json!({"status": {"phase": 1}}), json!({"status": null})]),
        2 => select(vec![
            json!({}),
            json!({"metadata": {"resourceVersion": null}}),
            json!({"metadata": {"resourceVersion": "{rv-1}"}}),
            json!({"metadata": {"resourceVersion": "0"}}),
            json!({"metadata": {"resourceVersion": "x"}}),
            json!({"metadata": {"uid": null}}),
            json!({"metadata": {"uid": "11111111-2222-3333-4444-555555555555"}}),
            json!({"metadata": {"name": "other"}}),
            json!({"metadata": {"name": null}}),
            json!({"metadata": {"namespace": "elsewhere"}}),
            json!({"metadata": {"generation": 40}}),
            json!({"metadata": {"creationTimestamp": null}}),
            json!({"kind": "Other"}),
            json!({"apiVersion": "{group}/v9"}),
        ]),
    ];
    let tails = prop_oneof![5 => Just(""), 2 => Just("/status")];
    (name(), tails, changes, write_query(), accept(), content_type()).prop_map(
        |(name, tail, change, query, accept, content_type)| {
            let body = Body::Seen(change);
            Ask { version: VERSION, method: "PUT", name: Some(name), tail, query, content_type, accept, body }
        },
    )
}

fn patch() -> impl Strategy<Value = Ask> {
    let merges = prop_oneof![
        4 => spec().prop_map(|spec| json!({"spec": spec})),
        3 => metadata().prop_map(|metadata| json!({"metadata": metadata})),
        2 => select(vec![
            json!({}),
            json!({"status": {"phase": "Up"}}),
            json!({"status": {"phase": 1}}),
            json!({"spec": null}),
            json!({"metadata": {"resourceVersion": "{rv}"}, "spec": {"size": 3}}),
            json!({"metadata": {"resourceVersion": "{rv-1}"}, "spec": {"size": 4}}),
            json!({"metadata": {"uid": "{uid}"}, "spec": {"size": 5}}),
            json!({"metadata": {"uid": "11111111-2222-3333-4444-555555555555"}}),
            json!({"metadata": {"name": "other"}}),
            json!({"metadata": {"resourceVersion": "x"}}),
            json!({"metadata": null}),
            json!({"kind": "Other"}),
            json!({"apiVersion": null}),
            json!([1]),
            json!("text"),
        ]),
    ];
    let merges = merges.prop_map(|patch| ("application/merge-patch+json", patch.to_string()));
    let operations = select(vec![
        json!([{"op": "replace", "path": "/spec/size", "value": 6}]),
        json!([{"op": "add", "path": "/spec/mode", "value": "safe"}]),
        json!([{"op": "add", "path": "/spec/ports/-", "value": {"name": "late"}}]),
        json!([{"op": "remove", "path": "/spec/ports/0"}]),
        json!([{"op": "remove", "path": "/spec/nothing"}]),
        json!([{"op": "test", "path": "/spec/size", "value": 6}, {"op": "replace", "path": "/spec/size", "value": 7}]),
        json!([{"op": "move", "from": "/spec/mode", "path": "/spec/other"}]),
        json!([{"op": "copy", "from": "/spec/size", "path": "/spec/nobodyKnows"}]),
        json!([{"op": "add", "path": "/metadata/labels", "value": {"app": "x"}}]),
        json!([{"op": "add", "path": "/metadata/finalizers", "value": ["example.com/hold"]}]),
        json!([{"op": "remove", "path": "/metadata/finalizers"}]),
        json!([{"op": "replace", "path": "/metadata/name", "value": "other"}]),
        json!([{"op": "replace", "path": "/metadata/resourceVersion", "value": "{rv-1}"}]),
        json!([{"op": "add", "path": "/status", "value": {"phase": "Up"}}]),
        json!([{"op": "dance", "path": "/spec"}]),
        json!([]),
        json!({}),
    ]);
    let operations = operations.prop_map(|patch| ("application/json-patch+json", patch.to_string()));
    let odd = select(vec![
        ("application/merge-patch+json", "{not json".to_owned()),
        ("application/json-patch+json", "{not json".to_owned()),
        ("application/merge-patch+json", String::new()),
        ("application/strategic-merge-patch+json", "{\"spec\":{\"size\":1}}".to_owned()),
        ("application/json", "{}".to_owned()),
        ("application/merge-patch+json", "{\"spec\":{\"size\":1,\"size\":2}}".to_owned()),
    ]);
    let tails = prop_oneof![5 => Just(""), 2 => Just("/status")];
    (name(), tails, prop_oneof![6 => merges, 4 => operations, 1 => odd], write_query(), accept()).prop_map(
        |(name, tail, (content_type, patch), query, accept)| {
            let body = Body::Text(patch);
            Ask { version: VERSION, method: "PATCH", name: Some(name), tail, query, content_type, accept, body }
        },
    )
}

fn delete_body() -> impl Strategy<Value = Body> {
    let options = select(vec![
        json!({}),
        json!({"kind": "DeleteOptions", "apiVersion": "v1"}),
        json!({"propagationPolicy": "Background"}),
        json!({"propagationPolicy": "Sideways"}),
        json!({"gracePeriodSeconds": 0}),
        json!({"gracePeriodSeconds": -5}),
        json!({"preconditions": {"uid": "{uid}"}}),
        json!({"preconditions": {"resourceVersion": "{rv}"}}),
        json!({"preconditions": {"resourceVersion": "{rv-1}"}}),
        json!({"preconditions": {"uid": "11111111-2222-3333-4444-555555555555"}}),
        json!({"propagationPolicy": "Foreground"}),
        json!({"propagationPolicy": "Orphan"}),
        json!({"orphanDependents": true}),
        json!({"orphanDependents": true, "propagationPolicy": "Orphan"}),
        json!({"dryRun": ["All"]}),
        json!({"dryRun": ["Some"]}),
        json!({"unknown": 1}),
        json!({"kind": "Twin", "apiVersion": "{group}/v1"}),
        json!([]),
    ]);
    prop_oneof![2 => Just(Body::None), 3 => options.prop_map(|options| Body::Text(options.to_string()))]
}

fn delete() -> impl Strategy<Value = Ask> {
    let queries = prop_oneof![6 => Just(""), 1 => Just("dryRun=All"), 1 => Just("propagationPolicy=Orphan"),
        1 => Just("propagationPolicy=Background"), 1 => Just("gracePeriodSeconds=5"), 1 => Just("dryRun=x")];
    (name(), delete_body(), queries, accept(), content_type()).prop_map(|(name, body, query, accept, content_type)| {
        Ask {
            version: VERSION,
            method: "DELETE",
            name: Some(name),
            tail: "",
            query: query.to_owned(),
            content_type,
            accept,
            body,
        }
    })
}

fn delete_collection() -> impl Strategy<Value = Ask> {
    (selectors(), select(&["", "", "&dryRun=All", "&limit=1"][..]), delete_body()).prop_map(
        |(selectors, other, body)| {
            let query = format!("{selectors}{other}").trim_start_matches('&').to_owned();
            let content_type = "application/json";
            Ask {
                version: VERSION,
                method: "DELETE",
                name: None,
                tail: "",
                query,
                content_type,
                accept: "application/json",
                body,
            }
        },
    )
}

/// Requests that no client should send.
fn odd() -> impl Strategy<Value = Ask> {
    let ask = |method, name, tail, content_type, body: &str| Ask {
        version: VERSION,
        method,
        name,
        tail,
        query: String::new(),
        content_type,
        accept: "application/json",
        body: if body.is_empty() { Body::None } else { Body::Text(body.to_owned()) },
    };
    select(vec![
        ask("PUT", None, "", "application/json", "{}"),
        ask("PATCH", None, "", "application/merge-patch+json", "{}"),
        ask("POST", Some("a"), "", "application/json", "{}"),
        ask("POST", Some("a"), "/status", "application/json", "{}"),
        ask("DELETE", Some("a"), "/status", "application/json", ""),
        ask("OPTIONS", Some("a"), "", "", ""),
        ask("HEAD", Some("a"), "", "", ""),
        ask("POST", None, "", "application/json", ""),
        ask("POST", None, "", "application/json", "{"),
        ask("POST", None, "", "application/json", "[]"),
        ask("POST", None, "", "application/json", "null"),
        ask("POST", None, "", "application/json", "{\"kind\": 1}"),
        ask("POST", None, "", "application/json", "{\"apiVersion\":\"{group}/v1\",\"kind\":\"Twin\"}"),
        ask(
            "POST",
            None,
            "",
            "application/json",
            "{\"apiVersion\":\"{group}/v1\",\"kind\":\"Twin\",\"metadata\":{\"name\":\"a\"},\"spec\":{\"size\":1,\"size\":2}}",
        ),
        ask(
            "POST",
            None,
            "",
            "application/yaml",
            "apiVersion: \"{group}/v1\"\nkind: Twin\nmetadata: {name: b}\nspec: {size: 3, mode: fast}\n",
        ),
        ask("POST", None, "", "application/yaml", "a: [1\n"),
        ask(
            "POST",
            None,
            "",
            "application/json",
            "{\"apiVersion\":\"{group}/v1\",\"kind\":\"Twin\",\"metadata\":[],\"spec\":{}}",
        ),
        ask("PUT", Some("a"), "", "application/json", "null"),
        ask("PUT", Some("a"), "", "application/json", "{}"),
    ])
}

fn watch() -> impl Strategy<Value = Step> {
    let starts = select(
        &[
            "resourceVersion={list}",
            "resourceVersion={list}",
            "resourceVersion={list}&allowWatchBookmarks=true",
            "resourceVersion=0",
            "",
            "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
            "sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion={list}",
            "resourceVersion=x",
            "resourceVersionMatch=Exact&resourceVersion={list}",
            "sendInitialEvents=true",
            "resourceVersion=1",
        ][..],
    );
    let accepts = prop_oneof![
        6 => Just("application/json"),
        1 => Just("application/json;as=Table;v=v1;g=meta.k8s.io"),
        1 => Just("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"),
        1 => Just("application/yaml"),
    ];
    (selectors(), starts, accepts).prop_map(|(selectors, start, accept)| {
        let query = format!("{selectors}&{start}").trim_matches('&').to_owned();
        Step::Watch { version: VERSION, query, accept }
    })
}

/// Merges as RFC 7386 does.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(target) = target.as_object_mut() else { return };
    for (name, value) in fields {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}
