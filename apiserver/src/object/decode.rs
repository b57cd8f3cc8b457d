//! From a request's body to an object.
//!
//! Source: k8s.io/apiserver/pkg/endpoints/handlers/create.go and rest.go (transformDecodeError).

use kindsmith_schema::decode;
use serde_json::Value;

use crate::{encode::status::ApiError, request::BodyFormat};

/// What the path of the request says the object must be.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// `apiVersion`.
    pub api_version: &'a str,
    /// The version without the group, as messages have it.
    pub version: &'a str,
    /// `kind`.
    pub kind: &'a str,
}

/// An object, and what strict decoding has against it.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The object.
    pub object: Value,
    /// Texts such as `duplicate field "spec.a"`.
    pub complaints: Vec<String>,
}

/// Decodes a body into a JSON value.
///
/// # Errors
/// 400 when it is not JSON or YAML.
pub fn value(body: &[u8], format: BodyFormat, expected: Expected<'_>) -> Result<Decoded, ApiError> {
    let unrecognized = |error: &dyn std::fmt::Display| {
        ApiError::BadRequest(format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {error}",
            expected.kind
        ))
    };
    match format {
        BodyFormat::Json => {
            let (object, duplicates) = decode::json_with_duplicates(body).map_err(|error| unrecognized(&error))?;
            let complaints = duplicates.iter().map(|path| format!("duplicate field {path:?}")).collect();
            Ok(Decoded { object, complaints })
        }
        BodyFormat::Yaml => {
            let text = std::str::from_utf8(body).map_err(|error| unrecognized(&error))?;
            let object = serde_saphyr::from_str(text).map_err(|error| unrecognized(&error))?;
            Ok(Decoded { object, complaints: Vec::new() })
        }
    }
}

/// Decodes a body into an object of the expected kind.
///
/// # Errors
/// 400 when it is not one.
pub fn object(body: &[u8], format: BodyFormat, expected: Expected<'_>) -> Result<Decoded, ApiError> {
    let decoded = value(body, format, expected)?;
    check(&decoded.object, expected)?;
    Ok(decoded)
}

/// Checks that a value is an object of the expected kind.
///
/// # Errors
/// 400 when it is not.
pub fn check(object: &Value, expected: Expected<'_>) -> Result<(), ApiError> {
    let text = |member: &str| object.get(member).and_then(Value::as_str).unwrap_or_default();
    let (kind, api_version) = (text("kind"), text("apiVersion"));
    if !object.is_object() || kind.is_empty() {
        return Err(ApiError::BadRequest(format!(
            "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{}'",
            expected.kind,
            excerpt(object)
        )));
    }
    if api_version != expected.api_version {
        return Err(ApiError::BadRequest(format!(
            "the API version in the data ({api_version}) does not match the expected API version ({})",
            expected.api_version
        )));
    }
    if kind != expected.kind {
        let group = expected.api_version.split_once('/').map_or("", |(group, _)| group);
        return Err(ApiError::BadRequest(format!(
            "{kind} in version {:?} cannot be handled as a {}: no kind {kind:?} is registered for {group}/{}",
            expected.version, expected.kind, expected.version
        )));
    }
    if object.get("metadata").is_some_and(|metadata| !metadata.is_object() && !metadata.is_null()) {
        return Err(ApiError::BadRequest(format!(
            "{kind} in version {:?} cannot be handled as a {}: metadata must be an object",
            expected.version, expected.kind
        )));
    }
    Ok(())
}

/// The beginning of an object, for messages.
fn excerpt(object: &Value) -> String {
    const EXCERPT_CHARS_MAX: usize = 512;
    object.to_string().chars().take(EXCERPT_CHARS_MAX).collect()
}
