//! Responses: bodies, content types, compression, streams.

use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use kindsmith_schema::{
    deflate::{self, Effort},
    yaml,
};
use serde_json::Value;

use super::{protobuf, status::ApiError};
use crate::{
    request::{Pretty, StatusFormat},
    server::{Body, BoxError},
};

/// Answers below this many bytes are not compressed, as in k8s.io/apiserver.
pub const COMPRESSED_BYTES_MIN: usize = 128 * 1024;

/// A body that is sent piece by piece, as it is made. An error ends it, and the client can tell that it is not whole.
#[must_use]
pub fn stream(pieces: impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static) -> Body {
    StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync()
}

/// A whole body.
#[must_use]
pub fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// An answer with a body of a content type.
#[must_use]
pub fn answer(code: StatusCode, content_type: &str, body: Bytes) -> Response<Body> {
    answer_with(code, content_type, full(body))
}

/// An answer with any body of a content type.
#[must_use]
pub fn answer_with(code: StatusCode, content_type: &str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    if let Ok(value) = HeaderValue::from_str(content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

/// A JSON answer.
#[must_use]
pub fn json(code: StatusCode, value: &Value) -> Response<Body> {
    answer(code, "application/json", Bytes::from(value.to_string()))
}

/// A Status in the format that the client takes.
#[must_use]
pub fn status(code: StatusCode, status: &Value, format: StatusFormat) -> Response<Body> {
    match format {
        StatusFormat::Json(Pretty::No) => json(code, status),
        StatusFormat::Json(Pretty::Yes) => {
            let text = serde_json::to_string_pretty(status).map(|text| text + "\n");
            answer(code, "application/json", Bytes::from(text.unwrap_or_else(|_| status.to_string())))
        }
        StatusFormat::Yaml => answer(code, "application/yaml", Bytes::from(yaml::write(status))),
        StatusFormat::Protobuf => answer(code, protobuf::MEDIA_TYPE, Bytes::from(protobuf::status(status))),
    }
}

/// The answer to a request that was not done.
#[must_use]
pub fn error(error: &ApiError, format: StatusFormat) -> Response<Body> {
    let code = StatusCode::from_u16(error.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = status(code, &error.to_status(), format);
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Adds warnings for the client's user (RFC 7234, `299 - "text"`).
pub fn warn(headers: &mut HeaderMap, warnings: &[String]) {
    const WARNINGS_BYTES_MAX: usize = 4 * 1024;
    let mut bytes = 0;
    for warning in warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        bytes += quoted.len();
        if bytes > WARNINGS_BYTES_MAX {
            return;
        }
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            headers.append(header::WARNING, value);
        }
    }
}

/// Whether a client takes gzip, by its `Accept-Encoding`.
#[must_use]
pub fn takes_gzip(accept_encoding: Option<&str>) -> bool {
    accept_encoding.is_some_and(|held| {
        held.split(',').any(|coding| coding.split(';').next().is_some_and(|name| name.trim() == "gzip"))
    })
}

/// Compresses a large body when the client takes gzip. Streams are left as they are.
#[must_use]
pub fn compress(accept_encoding: Option<&str>, body: Bytes) -> (Bytes, Option<HeaderValue>) {
    if !takes_gzip(accept_encoding) || body.len() < COMPRESSED_BYTES_MIN {
        return (body, None);
    }
    (Bytes::from(deflate::gzip(&body, Effort::Fast)), Some(HeaderValue::from_static("gzip")))
}
