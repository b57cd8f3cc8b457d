//! From a request's body to an object.
//!
//! Source: k8s.io/apiserver/pkg/endpoints/handlers/create.go and rest.go (transformDecodeError).

use kindsmith_schema::{
    decode,
    field::{FieldError, FieldPath},
    kind::Typing,
    yaml::{self, Document, YamlError},
};
use kindsmith_text::print::quoted;
use serde_json::{Value, json};

use super::namespace;
use crate::{
    encode::status::ApiError,
    request::{BodyFormat, FieldValidation},
};

/// What the path of the request says the object must be.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// `apiVersion`.
    pub api_version: &'a str,
    /// The version without the group, as messages have it.
    pub version: &'a str,
    /// `kind`.
    pub kind: &'a str,
    /// Whose rules hold for it.
    pub typing: Typing,
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
            let (object, duplicates) =
                decode::json_with_duplicates(body).map_err(|error| match error.nests_too_deep() {
                    true => ApiError::BadRequest(format!(
                        "the object provided nests deeper than the {} levels that are allowed (must be of type {})",
                        decode::JSON_DEPTH_MAX,
                        expected.kind
                    )),
                    false => unrecognized(&error),
                })?;
            let complaints = duplicates.iter().map(|path| format!("duplicate field {}", quoted(path))).collect();
            Ok(Decoded { object, complaints })
        }
        BodyFormat::Yaml => {
            let (object, complaints) = yaml(body).map_err(|error| {
                let (kind, begin) = (expected.kind, summary(body));
                ApiError::BadRequest(format!(
                    "the object provided is unrecognized (must be of type {kind}): {error} ({begin})"
                ))
            })?;
            Ok(Decoded { object, complaints })
        }
    }
}

/// The complaint about a field that no schema knows.
#[must_use]
pub fn unknown_field(path: &str) -> String {
    format!("unknown field {}", quoted(path))
}

/// Decodes the first document of YAML, and what strict decoding has against it, in one text as Go tells it.
///
/// # Errors
/// It is no YAML, or has no form in JSON.
pub fn yaml(body: &[u8]) -> Result<(Value, Vec<String>), YamlError> {
    let Document { value, duplicates } = yaml::read(body)?;
    let told = (!duplicates.is_empty()).then(|| format!("{YAML_COMPLAINTS}{}", duplicates.join("\n  ")));
    Ok((value, told.into_iter().collect()))
}

/// How strict decoding of YAML begins to tell what it has found.
const YAML_COMPLAINTS: &str = "yaml: unmarshal errors:\n  ";

/// A complaint as warnings: each line of those about YAML is one (`parseYAMLWarnings`).
#[must_use]
pub fn warnings(complaint: &str) -> Vec<String> {
    match complaint.strip_prefix(YAML_COMPLAINTS) {
        Some(lines) => lines.split('\n').map(|line| line.trim().to_owned()).collect(),
        None => vec![complaint.to_owned()],
    }
}

/// Decodes a body into an object that says what it is, or of which that is known.
///
/// # Errors
/// 400 when it does not, or is of another built-in type.
pub fn object(
    body: &[u8],
    format: BodyFormat,
    expected: Expected<'_>,
    validation: FieldValidation,
) -> Result<Decoded, ApiError> {
    let mut decoded = value(body, format, expected)?;
    if expected.typing == Typing::BuiltIn {
        namespace::settle_type(&mut decoded.object, expected)
            .map_err(|text| fault(&decoded.object, expected, body, &text))?;
    }
    if !decoded.object.is_object() || kind_of(&decoded.object).is_empty() {
        if validation == FieldValidation::Ignore {
            // The decoder that is not strict takes the kind that is expected for that of the object.
            let Expected { version, kind, .. } = expected;
            return Err(ApiError::BadRequest(format!(
                "{kind} in version {version:?} cannot be handled as a {kind}: Object 'Kind' is missing in '{}'",
                match format {
                    BodyFormat::Json => String::from_utf8_lossy(body.trim_ascii()).into_owned(),
                    BodyFormat::Yaml => decoded.object.to_string(),
                }
            )));
        }
        return Err(ApiError::BadRequest(format!(
            "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{}' ({})",
            expected.kind,
            String::from_utf8_lossy(body),
            summary(body)
        )));
    }
    let api_version = api_version_of(&decoded.object);
    if api_version.matches('/').count() > 1 {
        return Err(ApiError::BadRequest(format!(
            "the object provided is unrecognized (must be of type {}): unexpected GroupVersion string: {api_version} ({})",
            expected.kind,
            summary(body)
        )));
    }
    Ok(decoded)
}

/// The `kind` of an object; empty when it has none.
#[must_use]
pub fn kind_of(object: &Value) -> &str {
    object.get("kind").and_then(Value::as_str).unwrap_or_default()
}

fn api_version_of(object: &Value) -> &str {
    object.get("apiVersion").and_then(Value::as_str).unwrap_or_default()
}

/// Whether an object is of the expected kind.
#[must_use]
pub fn is_kind(object: &Value, expected: Expected<'_>) -> bool {
    kind_of(object) == expected.kind
}

/// Checks that an object is in the version of the request's path.
///
/// # Errors
/// 400 when it is not.
pub fn check_api_version(object: &Value, expected: Expected<'_>) -> Result<(), ApiError> {
    let found = api_version_of(object);
    if found == expected.api_version {
        return Ok(());
    }
    Err(ApiError::BadRequest(format!(
        "the API version in the data ({found}) does not match the expected API version ({})",
        expected.api_version
    )))
}

/// What is wrong with `kind` and `apiVersion` (apiextensions' ValidateTypeMeta).
#[must_use]
pub fn type_faults(object: &Value, expected: Expected<'_>) -> Vec<FieldError> {
    let fields =
        [("kind", kind_of(object), expected.kind), ("apiVersion", api_version_of(object), expected.api_version)];
    fields
        .into_iter()
        .filter(|(_, found, wanted)| found != wanted)
        .map(|(field, found, wanted)| {
            FieldError::invalid(&FieldPath::root().child(field), &json!(found), &format!("must be {wanted}"))
        })
        .collect()
}

/// What is wrong with the shape of an object (`transformDecodeError`).
#[must_use]
pub fn fault(object: &Value, expected: Expected<'_>, body: &[u8], text: &str) -> ApiError {
    let kind = kind_of(object);
    if kind.is_empty() {
        return ApiError::BadRequest(format!(
            "the object provided is unrecognized (must be of type {}): {text} ({})",
            expected.kind,
            summary(body)
        ));
    }
    let version = api_version_of(object).rsplit('/').next().unwrap_or_default();
    let (version, wanted) = (quoted(version), expected.kind);
    ApiError::BadRequest(format!("{kind} in version {version} cannot be handled as a {wanted}: {text}"))
}

/// What strict decoding complains about. By then the object has been read, so the message names its own kind twice.
#[must_use]
pub fn strict_fault(object: &Value, expected: Expected<'_>, body: &[u8], text: &str) -> ApiError {
    let kind = Some(kind_of(object)).filter(|kind| !kind.is_empty()).unwrap_or(expected.kind);
    fault(object, Expected { kind, ..expected }, body, text)
}

/// The beginning of a body, for messages (`summarizeData`).
fn summary(body: &[u8]) -> String {
    const SUMMARY_BYTES_MAX: usize = 30;
    let shown = &body[..body.len().min(SUMMARY_BYTES_MAX)];
    let text = match body.first() {
        None => return "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(shown).into_owned(),
        Some(_) => shown.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    if body.len() > SUMMARY_BYTES_MAX { format!("{text} ...") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_is_read_as_kubernetes_does_and_all_equal_keys_are_told() {
        let expected = Expected { api_version: "a/v1", version: "v1", kind: "Cup", typing: Typing::Custom };
        let read = |body: &str| value(body.as_bytes(), BodyFormat::Yaml, expected);
        let Decoded { object, complaints } = read("a: 0644\na: 010\ny: 1__0\non: 1\n").unwrap();
        assert_eq!(object, json!({"a": 8, "true": 1}));
        let wanted = [r#"line 2: key "a" already set in map"#, "line 4: key true already set in map"];
        assert_eq!(complaints, [format!("yaml: unmarshal errors:\n  {}\n  {}", wanted[0], wanted[1])]);
        assert_eq!(warnings(&complaints[0]), wanted);
        assert_eq!(warnings("unknown field \"a\""), ["unknown field \"a\""]);
        let ApiError::BadRequest(text) = read("a: [1\n").unwrap_err() else { panic!("another error") };
        assert!(text.starts_with("the object provided is unrecognized (must be of type Cup): yaml: line "), "{text}");
        assert!(text.ends_with(" (613a205b310a)"), "{text}");
    }

    #[test]
    fn complaints_quote_as_go_does() {
        let expected = Expected { api_version: "a/v1", version: "v1", kind: "Cup", typing: Typing::Custom };
        let body = br#"{"kind": "Cup", "a\u001b\u200b": 1, "a\u001b\u200b": 2}"#;
        let decoded = value(body, BodyFormat::Json, expected).unwrap();
        assert_eq!(decoded.complaints, [r#"duplicate field "a\x1b\u200b""#]);
    }
}
