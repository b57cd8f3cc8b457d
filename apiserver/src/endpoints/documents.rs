//! Paths that are no resources: discovery, OpenAPI, version. All are answered from memory.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde_json::json;

use super::represent;
use crate::{
    encode::{protobuf::openapi_v2, response, status::ApiError},
    registry::{
        Snapshot,
        discovery::DiscoveryDocument,
        openapi::{OpenApiDocument, Writing},
        snapshot::Sync,
    },
    request::{As, Expected, Format, MEDIA_TYPES, NegotiationError, Pretty, Representation, most_wanted, names_one},
    server::Body,
    storage::host::tree,
};

/// The media type of most documents.
const JSON: &str = "application/json";

/// What OpenAPI v2 is offered as.
const OPENAPI_V2: [&str; 3] = [JSON, openapi_v2::MEDIA_TYPE_ASKED, openapi_v2::MEDIA_TYPE];

/// Answers a path that is no resource.
///
/// # Errors
/// 404 for a path that is not served, 503 before we know what is served, 405 for a method other than GET.
pub async fn run(
    snapshot: &Snapshot,
    method: &Method,
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response<Body>, ApiError> {
    if method != Method::GET && method != Method::HEAD {
        return Err(ApiError::MethodNotAllowed);
    }
    let accept = text(headers, header::ACCEPT);
    match path.trim_end_matches('/') {
        "/version" => {
            named_one(accept, &[JSON])?;
            Ok(raw_json(&version()))
        }
        "/openapi/v2" => match (snapshot.sync, snapshot.openapi.v2()) {
            (Sync::Pending, _) | (_, None) => Err(starting()),
            (Sync::Done, Some(document)) => Ok(openapi_v2(document, headers).await),
        },
        "/openapi/v3" => match snapshot.openapi.index() {
            None => Err(starting()),
            Some(index) => Ok(response::answer(StatusCode::OK, JSON, index.body.clone())),
        },
        path => {
            if let Some(group_version) = path.strip_prefix("/openapi/v3/") {
                return openapi_v3(snapshot, group_version, query, headers).await;
            }
            // The list of groups is always answered: to aggregators a failure here means that every group is gone.
            match snapshot.discovery.get(path) {
                Some(document) => discovery(document, path, query, headers),
                None if snapshot.sync == Sync::Pending => Err(starting()),
                None => Err(ApiError::NoSuchPath),
            }
        }
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Refuses as go-restful does, which kube-apiserver serves its own paths with.
fn named_one(accept: Option<&str>, offered: &[&str]) -> Result<(), ApiError> {
    if names_one(accept, offered) {
        return Ok(());
    }
    Err(ApiError::NotAcceptable(format!("406: Not Acceptable\n\nAvailable representations: {}", offered.join(", "))))
}

/// The answer before the definitions have been read once.
#[must_use]
pub fn starting() -> ApiError {
    ApiError::Unavailable {
        message: "the server is starting and does not know yet what it serves; try again".to_owned(),
        retry_after: 5,
    }
}

/// All paths that are served, sorted, for those who look around; `others` are those that are no documents.
///
/// Source: k8s.io/apiserver/pkg/server/routes/index.go.
///
/// # Errors
/// 405 for a method other than GET.
pub fn root(
    snapshot: &Snapshot,
    method: &Method,
    others: impl Iterator<Item = String>,
) -> Result<Response<Body>, ApiError> {
    if method != Method::GET && method != Method::HEAD {
        return Err(ApiError::MethodNotAllowed);
    }
    let own = ["/openapi/v2", "/openapi/v3", "/version"].map(str::to_owned);
    let paths: BTreeSet<String> = own.into_iter().chain(others).chain(snapshot.discovery.paths()).collect();
    Ok(raw_json(&json!({"paths": paths})))
}

/// JSON as Go's `WriteRawJSON` has it: people look at it.
fn raw_json(value: &serde_json::Value) -> Response<Body> {
    let written = serde_json::to_vec_pretty(value).unwrap_or_default();
    response::answer(StatusCode::OK, "application/json", Bytes::from(written))
}

/// The version of Kubernetes whose API this is: clients decide by it what they can do. It is that of the kube-apiserver
/// which the tests compare with.
const KUBERNETES: [&str; 3] = ["1", "37", "2"];

/// The oldest minor version that a client may believe to speak with.
const COMPATIBLE_MINOR: &str = "36";

/// Source: k8s.io/component-base/version/base.go, which has this date where none was set.
fn version() -> serde_json::Value {
    let [major, minor, patch] = KUBERNETES;
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": COMPATIBLE_MINOR,
        "gitVersion": format!("v{major}.{minor}.{patch}+kindsmith-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{architecture}", std::env::consts::OS),
    })
}

fn discovery(
    document: &DiscoveryDocument,
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let accept = text(headers, header::ACCEPT);
    if path == "/api" || path.starts_with("/api/") {
        named_one(accept, &MEDIA_TYPES)?;
    }
    let expected = if document.aggregated().is_some() { Expected::Discovery } else { Expected::PlainDiscovery };
    let chosen = Representation::negotiate(accept, query, text(headers, header::USER_AGENT), expected);
    let representation = chosen.map_err(|error| match error {
        NegotiationError::AtLast(error) | NegotiationError::NotAcceptable(error) => {
            ApiError::NotAcceptable(error.message)
        }
        NegotiationError::BadRequest(error) => ApiError::BadRequest(error.message),
    })?;
    let aggregated = document.aggregated().filter(|_| representation.as_ == As::AggregatedDiscovery);
    let body = |json: &Bytes| match representation.format {
        Format::Json { pretty: Pretty::No } => Ok(json.clone()),
        _ => match tree(json) {
            Some(document) => represent::encode(&representation, &document),
            None => Err(ApiError::Internal("a discovery document cannot be read".to_owned())),
        },
    };
    match aggregated {
        Some(aggregated) => {
            let known = is_known(&aggregated.hash, headers);
            let body = if known { None } else { Some(body(&aggregated.body)?) };
            Ok(tagged(&aggregated.hash, body, representation.content_type()))
        }
        None => Ok(response::answer(StatusCode::OK, representation.content_type(), body(&document.legacy().body)?)),
    }
}

/// Whether the client has a document already.
fn is_known(hash: &str, headers: &HeaderMap) -> bool {
    let held = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    held.is_some_and(|held| held.split(',').any(|held| held.trim().trim_start_matches("W/").trim_matches('"') == hash))
}

/// A document with its ETag; 304 where there is none to send, because the client has it.
fn tagged(hash: &str, body: Option<Bytes>, content_type: &str) -> Response<Body> {
    let code = if body.is_some() { StatusCode::OK } else { StatusCode::NOT_MODIFIED };
    let mut answer = response::answer(code, content_type, body.unwrap_or_default());
    if let Ok(value) = HeaderValue::from_str(&format!("\"{hash}\"")) {
        answer.headers_mut().insert(header::ETAG, value);
    }
    answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
    answer
}

/// A document of OpenAPI; it is made now if nobody asked for it before, beside the requests of others.
async fn made(
    document: &Arc<OpenApiDocument>,
    writing: Writing,
    content_type: &str,
    headers: &HeaderMap,
) -> Response<Body> {
    if is_known(document.hash(), headers) {
        return tagged(document.hash(), None, content_type);
    }
    let accept_encoding = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let gzip = response::takes_gzip(accept_encoding);
    let making = Arc::clone(document);
    let body =
        tokio::task::spawn_blocking(move || if gzip { making.gzipped(writing) } else { making.body(writing) }).await;
    let mut answer = tagged(document.hash(), Some(body.unwrap_or_default()), content_type);
    if gzip {
        answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    answer
}

/// What kube-openapi answers where it has nothing: a code alone.
fn nothing(code: StatusCode) -> Response<Body> {
    let mut answer = Response::new(response::full(Bytes::new()));
    *answer.status_mut() = code;
    answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    answer
}

/// Not to be kept: it says what kinds there are, to those who may know.
async fn openapi_v2(document: &Arc<OpenApiDocument>, headers: &HeaderMap) -> Response<Body> {
    let mut answer = match most_wanted(text(headers, header::ACCEPT), &OPENAPI_V2) {
        None => return nothing(StatusCode::NOT_ACCEPTABLE),
        Some(0) => made(document, Writing::Json, JSON, headers).await,
        Some(_) => made(document, Writing::Protobuf, openapi_v2::MEDIA_TYPE, headers).await,
    };
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    answer
}

async fn openapi_v3(
    snapshot: &Snapshot,
    group_version: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response<Body>, ApiError> {
    if snapshot.sync == Sync::Pending {
        return Err(starting());
    }
    let Some(document) = snapshot.openapi.v3(group_version) else { return Ok(nothing(StatusCode::NOT_FOUND)) };
    if most_wanted(text(headers, header::ACCEPT), &[JSON]).is_none() {
        return Ok(nothing(StatusCode::NOT_ACCEPTABLE));
    }
    let mut answer = made(document, Writing::Json, JSON, headers).await;
    let hash = query.and_then(|query| query.split('&').find_map(|part| part.strip_prefix("hash=")));
    // An outdated hash is answered with the present document, but not to be kept: a redirect would break aggregators.
    if hash.is_some_and(|hash| hash.eq_ignore_ascii_case(document.hash())) {
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
    } else {
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    }
    Ok(answer)
}
