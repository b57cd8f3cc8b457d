//! Requests with something odd about them: parameters, headers, paths and bodies that no client should send.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{Ask, Body, Step, apply, create, delete, delete_collection, get, list, patch, update};

/// A sequence of steps.
pub fn sequence() -> impl Strategy<Value = Vec<Step>> {
    let ask = prop_oneof![
        5 => create().boxed(),
        3 => get().boxed(),
        5 => list().boxed(),
        4 => update().boxed(),
        4 => patch().boxed(),
        3 => apply::apply().boxed(),
        3 => delete().boxed(),
        2 => delete_collection().boxed(),
    ];
    let ask = (ask, vec(oddity(), 0..3))
        .prop_map(|(ask, oddities)| Step::Ask(oddities.into_iter().fold(ask, |ask, oddity| oddity.of(ask))));
    vec(ask, 1..40)
}

/// What is odd.
#[derive(Clone, Copy, Debug)]
enum Oddity {
    /// A further parameter.
    Parameter(&'static str),
    /// Another format of the body.
    ContentType(&'static str),
    /// Another wish for the answer.
    Accept(&'static str),
    /// Another path below the object.
    Tail(&'static str),
    /// Another method.
    Method(&'static str),
    /// What stands before and after the body.
    Around(&'static str, &'static str),
    /// Another body.
    Body(&'static str),
}

impl Oddity {
    fn of(self, mut ask: Ask) -> Ask {
        match self {
            Self::Parameter(parameter) if ask.query.is_empty() => parameter.clone_into(&mut ask.query),
            Self::Parameter(parameter) => ask.query = format!("{}&{parameter}", ask.query),
            Self::ContentType(content_type) => ask.content_type = content_type,
            Self::Accept(accept) => ask.accept = accept,
            Self::Tail(tail) => ask.tail = tail,
            Self::Method(method) => ask.method = method,
            Self::Around(before, after) => {
                if let Body::Text(text) = &ask.body {
                    ask.body = Body::Text(format!("{before}{text}{after}"));
                }
            }
            Self::Body(body) => ask.body = Body::Text(body.to_owned()),
        }
        ask
    }
}

const PARAMETERS: [&str; 82] = [
    "limit=-1",
    "limit=0",
    "limit=",
    "limit=1.5",
    "limit=99999999999999999999",
    "limit=1&limit=2",
    "continue=",
    "continue=abc",
    "continue=e30",
    "continue={continue}",
    "continue={continue}&resourceVersion={rv}",
    "resourceVersion=-1",
    "resourceVersion=00",
    "resourceVersion=01",
    "resourceVersion=1.0",
    "resourceVersion=%20",
    "resourceVersion=99999999999999999999",
    "resourceVersion=0&resourceVersion={rv}",
    "resourceVersion=0&resourceVersionMatch=",
    "resourceVersion=0&resourceVersionMatch=exact",
    "resourceVersionMatch=NotOlderThan",
    "resourceVersionMatch=Other",
    "watch=0",
    "watch=false",
    "watch=no&timeoutSeconds=1",
    "timeoutSeconds=x",
    "timeoutSeconds=",
    "timeoutSeconds=1",
    "timeout=x",
    "timeout=0s",
    "timeout=-1s",
    "timeout=1h",
    "timeout=5",
    "allowWatchBookmarks=x",
    "sendInitialEvents=x",
    "sendInitialEvents=false",
    "dryRun=All&dryRun=All",
    "dryRun=All&dryRun=",
    "dryRun=all",
    "dryRun=All,All",
    "dryRun=None",
    "fieldManager=m1&fieldManager=m2",
    "fieldManager=%00",
    "fieldManager=%C3%A9",
    "fieldManager=%FF",
    "fieldManager=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "force=true",
    "force=x",
    "force=",
    "force=1",
    "fieldValidation=Strict&fieldValidation=Ignore",
    "fieldValidation=None",
    "fieldvalidation=Strict",
    "pretty=x",
    "pretty=",
    "labelSelector=",
    "labelSelector=,",
    "labelSelector=a%20in%20()",
    "labelSelector=!app",
    "labelSelector=app%3E1",
    "labelSelector=app%3Ex",
    "labelSelector=app%20in%20(x,y",
    "labelSelector=app%3D%3Dx,tier",
    "labelSelector=a/b/c%3Dx",
    "labelSelector=app%3Dnot+valid",
    "fieldSelector=",
    "fieldSelector=a",
    "fieldSelector=metadata.name%3Da,metadata.name%3Db",
    "fieldSelector=metadata.name%20in%20(a)",
    "fieldSelector=metadata.nothing%3Dx",
    "fieldSelector=metadata.name%3D",
    "fieldSelector=metadata.name%3Da%5C",
    "gracePeriodSeconds=x",
    "gracePeriodSeconds=-1",
    "gracePeriodSeconds=0",
    "propagationPolicy=",
    "propagationPolicy=orphan",
    "orphanDependents=x",
    "orphanDependents=false",
    "orphanDependents=true&propagationPolicy=Background",
    "%zz=1",
    "a;b=1",
];

/// Not protobuf: kube-apiserver panics over JSON that says to be that, and ends the connection.
const CONTENT_TYPES: [&str; 14] = [
    "application/json; charset=utf-8",
    "application/json;charset=latin1",
    "APPLICATION/JSON",
    "application/json, text/plain",
    "application/json;",
    "application/json;=",
    "json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/merge-patch+json; charset=utf-8",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+json",
    "*/*",
];

/// No single object as a list of metadata: kube-apiserver writes it first and then fails.
const ACCEPTS: [&str; 18] = [
    "",
    "*/*;q=0.1",
    "application/*",
    "text/*",
    "application/json;q=0",
    "application/json;q=x",
    "application/xml",
    "application/xml, application/json;q=0.5",
    "application/yaml;q=0.9, application/json;q=0.8",
    "application/json;as=Table;v=v2;g=meta.k8s.io",
    "application/json;as=Table;v=v1;g=other.io,application/json",
    "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
    "application/json;as=Other;v=v1;g=meta.k8s.io",
    "application/json;as=Table",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    "application/yaml;as=Table;v=v1;g=meta.k8s.io",
    "application/json;stream=watch",
    "a b c",
];

/// A `Content-Type` and an `Accept` are no oddities of a method without body; that is one, too.
fn oddity() -> impl Strategy<Value = Oddity> {
    prop_oneof![
        8 => select(&PARAMETERS[..]).prop_map(Oddity::Parameter),
        2 => select(&CONTENT_TYPES[..]).prop_map(Oddity::ContentType),
        2 => select(&ACCEPTS[..]).prop_map(Oddity::Accept),
        1 => select(&["/", "//", "/status/", "/Status", "/scale/x", "/finalizers", "/a/b/c", "/."][..]).prop_map(Oddity::Tail),
        1 => select(&["PUT", "POST", "PATCH", "DELETE", "GET", "QUERY", "get"][..]).prop_map(Oddity::Method),
        1 => select(vec![("\u{feff}", ""), (" \n", "\n "), ("", "x"), ("", "\n---\n"), ("---\n", ""), ("", "{}"), ("[", "]")])
            .prop_map(|(before, after)| Oddity::Around(before, after)),
        1 => select(&["   ", "null", "0", "\"\"", "{}", "[]", "[{}]", "{\"kind\":\"Twin\"}", "{\"apiVersion\":\"{group}/v1\"}",
            "{\"apiVersion\":\"{group}/v1\",\"kind\":\"TwinList\",\"items\":[]}",
            "{\"apiVersion\":\"v1\",\"kind\":\"Status\",\"metadata\":{}}",
            "{\"apiVersion\":\"{group}/v1\",\"kind\":\"twin\",\"metadata\":{\"name\":\"a\"}}",
            "{\"apiVersion\":\"{group}/v1\",\"kind\":\"Twin\",\"metadata\":\"a\"}",
            "{\"apiVersion\":\"{group}/v1\",\"kind\":\"Twin\",\"metadata\":{\"name\":1}}",
            "{\"apiVersion\":\"{group}/v1\",\"Kind\":\"Twin\",\"metadata\":{\"name\":\"a\"}}",
            "{\"apiVersion\":\"{group}/v1\",\"kind\":\"Twin\",\"metadata\":{\"name\":\"a\",\"Labels\":{\"a\":\"b\"}},\"spec\":{}}",
            "{\"apiVersion\":\"{group}/v1\",\"kind\":\"Twin\",\"metadata\":{\"generateName\":\"a-\",\"name\":\"a\"},\"spec\":{}}"][..])
            .prop_map(Oddity::Body),
    ]
}
