//! What a cluster is asked is what authorization was asked about.

use std::sync::{Arc, Mutex};

use http::{Response, Uri};
use kindsmith_schema::{compile::OwnStorage, form::DefinitionForm, kind::Kind};
use kube::client::Body;
use percent_encoding::percent_decode_str;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::*;
use crate::{
    encode::status::{ApiError, Named},
    request::{Target, target},
    storage::{
        builtin::helm_releases,
        feed::Feed,
        kind_store::{KindStore, Removed},
        packed::Packing,
        projection::Projection,
    },
};

/// Paths that are tried.
const PATHS: usize = 100_000;

/// Calls that are sent.
const CALLS: usize = 1_000;

/// What segments of paths are made of.
const PIECES: [&str; 41] = [
    "a",
    "b",
    "tenant-b",
    "redises",
    "helmreleases",
    "namespaces",
    "redis-victim",
    "status",
    "watch=1",
    "0",
    "-",
    ".",
    "..",
    "%2F",
    "%252F",
    "%25252F",
    "%2e%2E",
    "%252e",
    "%00",
    "%2500",
    "?",
    "%3F",
    "%253F",
    "%25253F",
    "#",
    "%23",
    "%2523",
    ";",
    "%3B",
    "&",
    "%26",
    "=",
    "%25",
    "%20",
    "+",
    "\\",
    "%5C",
    "ü",
    "%C3%BC",
    "%0d%0a",
    ":",
];

/// The namespace and the name in the paths of requests, as authorization sees them.
fn authorized(random: &mut StdRng) -> Option<(String, String)> {
    let mut segment = || {
        let pieces = random.random_range(1..=4);
        (0..pieces).map(|_| PIECES[random.random_range(0..PIECES.len())]).collect::<String>()
    };
    let sent = format!("/apis/apps.example.com/v1/namespaces/{}/redises/{}", segment(), segment());
    // What follows these is no path any more.
    let path = sent.split(['?', '#']).next().unwrap_or_default();
    match target(&Method::DELETE, path, None) {
        Ok(Target::Resource(target)) => target.namespace.zip(target.name),
        _ => None,
    }
}

/// The namespace and the name that a cluster reads in a URL of a release: segment by segment, as RFC 3986 has it.
fn understood(url: &str) -> (String, String) {
    assert!(!url.contains(['?', '#']), "{url} has a query");
    let uri: Uri = url.parse().unwrap();
    let segments: Vec<String> =
        uri.path().split('/').map(|segment| percent_decode_str(segment).decode_utf8().unwrap().into_owned()).collect();
    let fixed: Vec<&str> = segments.iter().map(String::as_str).collect();
    let ["", "apis", "helm.toolkit.fluxcd.io", "v2", "namespaces", namespace, "helmreleases", name] = fixed[..] else {
        panic!("{url} is no URL of a release");
    };
    // A cluster decodes first and splits then.
    let Ok(Target::Resource(target)) = target(&Method::DELETE, url, None) else { panic!("{url} is no resource") };
    assert_eq!((target.namespace.as_deref(), target.name.as_deref()), (Some(namespace), Some(name)), "{url}");
    assert_eq!(target.subresource, None);
    (namespace.to_owned(), name.to_owned())
}

#[test]
fn a_url_has_the_namespace_and_the_name_that_authorization_saw() {
    let mut random = StdRng::seed_from_u64(1);
    let (mut asked, mut refused) = (0, 0);
    for _ in 0..PATHS {
        let Some((namespace, name)) = authorized(&mut random) else { continue };
        let (Some(held), Ok(segment)) = (Namespace::parse(&namespace), Name::parse(&name)) else {
            refused += 1;
            continue;
        };
        let url = Url::object(&helm_releases(), Some(held), segment, WriteTarget::Main).into_string();
        assert_eq!(understood(&url), (namespace, name));
        asked += 1;
    }
    assert!(asked > PATHS / 100 && refused > PATHS / 4, "{asked} were asked for, {refused} refused");
}

/// A cluster that notes what it is asked, and has nothing.
fn noting() -> (Cluster, Arc<Mutex<Vec<Uri>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&asked);
    let service = tower::service_fn(move |request: Request<Body>| {
        noted.lock().unwrap().push(request.uri().clone());
        let status = json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404, "message": "none",
            "details": {"name": "none"}});
        let answer = Response::builder().status(404).body(Body::from(status.to_string().into_bytes()));
        std::future::ready(answer)
    });
    (Cluster::new(Client::new(service, "default")), asked)
}

fn kind() -> Kind {
    let definition = json!({
        "metadata": {"name": "redises.apps.example.com"},
        "spec": {"group": "apps.example.com", "scope": "Namespaced", "names": {"kind": "Redis", "plural": "redises"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object"}}}}}],
            "backend": {"helmRelease": {"prefix": "redis-",
                "chartRef": {"kind": "OCIRepository", "name": "redis", "namespace": "charts"}}}}});
    DefinitionForm::Kindsmith.compile(&definition, OwnStorage::Absent).unwrap()
}

#[tokio::test]
async fn a_call_has_the_namespace_and_the_name_that_authorization_saw() {
    let (cluster, asked) = noting();
    let store = KindStore::new(Arc::new(cluster), helm_releases(), Arc::new(Feed::new(Packing::Plain)));
    let projection = Projection::new(Arc::new(kind()), 0).unwrap();
    let options =
        DeleteOptions { uid: None, resource_version: None, propagation: None, persistence: Persistence::Durable };
    let mut random = StdRng::seed_from_u64(2);
    let mut sent = 0;
    for _ in 0..CALLS {
        let Some((namespace, name)) = authorized(&mut random) else { continue };
        let named =
            Named { group: String::new(), resource: "redises".to_owned(), kind: String::new(), name: name.clone() };
        let answer: Result<Removed, ApiError> =
            store.delete(&projection, Some(&namespace), &name, &options, &named).await.map(|(removed, _)| removed);
        let code = answer.unwrap_err().code();
        let calls: Vec<String> = asked.lock().unwrap().drain(..).map(|uri| uri.to_string()).collect();
        match calls.as_slice() {
            [] => assert!(matches!(code, 400 | 404), "{code} for {namespace:?} {name:?}"),
            [call] => {
                assert_eq!(understood(call), (namespace, format!("redis-{name}")));
                sent += 1;
            }
            calls => panic!("{calls:?}"),
        }
    }
    assert!(sent > CALLS / 100, "{sent}");
    let (namespace, resource) = ("tenant-b%2Fhelmreleases%2Fredis-victim?x", "redises".to_owned());
    let named = Named { group: String::new(), resource, kind: String::new(), name: String::new() };
    let (instances, _) =
        store.list(&projection, Some(namespace), ListAt::Exactly(7), &named, |instance| instance).await.unwrap();
    assert!(instances.is_empty() && asked.lock().unwrap().is_empty());
}
