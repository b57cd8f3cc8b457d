//! Paths that are no resources: discovery, OpenAPI, version. All are answered from memory.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use serde_json::json;

use crate::{
    encode::{response, status::ApiError},
    registry::{
        Snapshot,
        discovery::{AGGREGATED, DiscoveryDocument},
        openapi::OpenApiDocument,
        snapshot::Sync,
    },
    server::Body,
};

/// The media type of OpenAPI v3 in protobuf, which we do not make.
const OPENAPI_V3_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v3";

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
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match path.trim_end_matches('/') {
        "/version" => Ok(raw_json(&version())),
        "/openapi/v2" => match snapshot.sync {
            Sync::Pending => Err(starting()),
            Sync::Done => match snapshot.openapi.v2() {
                Some(document) => Ok(made(document, headers).await),
                None => Err(starting()),
            },
        },
        "/openapi/v3" => match snapshot.openapi.index() {
            None => Err(starting()),
            Some(index) => Ok(response::answer(StatusCode::OK, "application/json", index.body.clone())),
        },
        path => {
            if let Some(group_version) = path.strip_prefix("/openapi/v3/") {
                return openapi_v3(snapshot, group_version, query, accept, headers).await;
            }
            // The list of groups is always answered: to aggregators a failure here means that every group is gone.
            match snapshot.discovery.get(path) {
                Some(document) => Ok(discovery(document, accept, headers)),
                None if snapshot.sync == Sync::Pending => Err(starting()),
                None => Err(ApiError::NoSuchPath),
            }
        }
    }
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

fn discovery(document: &DiscoveryDocument, accept: &str, headers: &HeaderMap) -> Response<Body> {
    let wants_aggregated = accept.split(',').any(|media| {
        media.contains("g=apidiscovery.k8s.io") && media.contains("v=v2;") | media.trim().ends_with("v=v2")
    });
    match document.aggregated() {
        Some(aggregated) if wants_aggregated => {
            let known = is_known(&aggregated.hash, headers);
            tagged(&aggregated.hash, (!known).then(|| aggregated.body.clone()), AGGREGATED)
        }
        _ => response::answer(StatusCode::OK, "application/json", document.legacy().body.clone()),
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
async fn made(document: &Arc<OpenApiDocument>, headers: &HeaderMap) -> Response<Body> {
    if is_known(document.hash(), headers) {
        return tagged(document.hash(), None, "application/json");
    }
    let accept_encoding = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let gzip = response::takes_gzip(accept_encoding);
    let making = Arc::clone(document);
    let body = tokio::task::spawn_blocking(move || if gzip { making.gzipped() } else { making.body() }).await;
    let mut answer = tagged(document.hash(), Some(body.unwrap_or_default()), "application/json");
    if gzip {
        answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    answer
}

async fn openapi_v3(
    snapshot: &Snapshot,
    group_version: &str,
    query: Option<&str>,
    accept: &str,
    headers: &HeaderMap,
) -> Result<Response<Body>, ApiError> {
    if snapshot.sync == Sync::Pending {
        return Err(starting());
    }
    let document = snapshot.openapi.v3(group_version).ok_or(ApiError::NoSuchPath)?;
    let acceptable = accept.is_empty()
        || accept.split(',').any(|media| {
            let media = media.split(';').next().unwrap_or_default().trim();
            matches!(media, "application/json" | "application/*" | "*/*")
        });
    if !acceptable {
        let wanted = if accept.contains(OPENAPI_V3_PROTOBUF) { "protobuf is not served; " } else { "" };
        return Err(ApiError::NotAcceptable(format!(
            "{wanted}only the following media types are accepted: application/json"
        )));
    }
    let mut answer = made(document, headers).await;
    let hash = query.and_then(|query| query.split('&').find_map(|part| part.strip_prefix("hash=")));
    // An outdated hash is answered with the present document, but not to be kept: a redirect would break aggregators.
    if hash.is_some_and(|hash| hash.eq_ignore_ascii_case(document.hash())) {
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
    } else {
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    }
    Ok(answer)
}
