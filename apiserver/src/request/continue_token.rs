//! Where a page of a list ended, as an opaque token (apiserver pkg/storage/continue.go).

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::go_text::quote;

const VERSION: &str = "meta.k8s.io/v1";
const INVALID_KEY: &str = "continue key is not valid";

/// Bits that are left over in the last character do not matter, as in Go.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Which state the next page is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContinueRevision {
    /// The state of the first page.
    At(u64),
    /// The most recent state: the first page's is gone and the client accepted that pages may not fit together.
    Inconsistent,
}

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContinueToken {
    /// Which state.
    pub revision: ContinueRevision,
    /// The first key that may be in the page, relative to the collection, such as `default/a\0`.
    pub start: String,
}

/// Why a token is refused; the client sees it after `invalid continue token: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not base64, not JSON, or a key that leaves the collection.
    #[error("{INVALID_KEY}: {0}")]
    InvalidKey(String),
    /// The token of another server version.
    #[error("{INVALID_KEY}: server does not recognize this encoded version {0}")]
    UnrecognizedVersion(String),
    /// No state is named.
    #[error("{INVALID_KEY}: incorrect encoded start resourceVersion (version {VERSION})")]
    InvalidStartVersion,
    /// No key is named.
    #[error("{INVALID_KEY}: encoded start key empty (version {VERSION})")]
    EmptyStartKey,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    v: String,
    rv: i64,
    start: String,
}

impl ContinueToken {
    /// The token for the page after the one that ended with `last_key`.
    pub fn after(revision: ContinueRevision, last_key: &str) -> Self {
        Self { revision, start: format!("{last_key}\0") }
    }

    /// The token as the client gets it.
    pub fn encode(&self) -> String {
        let rv = match self.revision {
            // Revisions of a store fit in a signed number; one that does not is as good as gone.
            ContinueRevision::At(revision) => i64::try_from(revision).unwrap_or(-1),
            ContinueRevision::Inconsistent => -1,
        };
        let wire = serde_json::json!({ "v": VERSION, "rv": rv, "start": self.start });
        BASE64.encode(wire.to_string())
    }

    /// Reads a token that a client sent.
    pub fn decode(token: &str) -> Result<Self, DecodeError> {
        let bytes = BASE64.decode(token).map_err(|error| DecodeError::InvalidKey(base64_problem(token, &error)))?;
        let malformed = |error: serde_json::Error| DecodeError::InvalidKey(json_problem(&bytes, &error));
        // As a map first: serde would also take a list of the fields.
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&bytes).map_err(malformed)?;
        let wire: Wire = serde_json::from_value(object.into()).map_err(malformed)?;
        if wire.v != VERSION {
            return Err(DecodeError::UnrecognizedVersion(wire.v));
        }
        let revision = match u64::try_from(wire.rv) {
            Ok(0) => return Err(DecodeError::InvalidStartVersion),
            Ok(revision) => ContinueRevision::At(revision),
            Err(_) => ContinueRevision::Inconsistent,
        };
        if wire.start.is_empty() {
            return Err(DecodeError::EmptyStartKey);
        }
        if !is_clean(&wire.start) {
            return Err(DecodeError::InvalidKey(wire.start));
        }
        // Keys are relative; the one leading slash that Kubernetes tolerates means nothing.
        let start = wire.start.strip_prefix('/').map(str::to_owned).unwrap_or(wire.start);
        Ok(Self { revision, start })
    }
}

/// Whether Go's `path.Clean` leaves `/key` as it is: no empty, `.` or `..` segment.
fn is_clean(key: &str) -> bool {
    let relative = key.strip_prefix('/').unwrap_or(key);
    relative.is_empty() || relative.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

/// Go's text where what was decoded does not even begin like JSON, as with a token that a person made up.
fn json_problem(bytes: &[u8], error: &serde_json::Error) -> String {
    match bytes.iter().find(|byte| !b" \t\r\n".contains(byte)) {
        None => "unexpected end of JSON input".to_owned(),
        Some(byte) if byte.is_ascii_digit() || b"{[\"-tfn".contains(byte) => error.to_string(),
        Some(b'\'') => "invalid character '\\'' looking for beginning of value".to_owned(),
        Some(byte) => {
            let quoted = quote(char::from(*byte).encode_utf8(&mut [0; 4]));
            format!("invalid character '{}' looking for beginning of value", quoted.trim_matches('"'))
        }
    }
}

/// Go's text for the first byte that is wrong.
fn base64_problem(token: &str, error: &base64::DecodeError) -> String {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    match token.bytes().position(|byte| !valid(byte)) {
        Some(position) => format!("illegal base64 data at input byte {position}"),
        // One character beyond a group of four says nothing.
        None if token.len() % 4 == 1 => format!("illegal base64 data at input byte {}", token.len() - 1),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[test]
    fn tokens_look_like_those_of_kubernetes() {
        let token = ContinueToken::after(ContinueRevision::At(7), "default/a");
        let json = BASE64.decode(token.encode()).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json, serde_json::json!({ "v": "meta.k8s.io/v1", "rv": 7, "start": "default/a\0" }));
        assert!(!token.encode().contains('='));
    }

    #[test]
    fn an_inconsistent_continuation_has_no_revision() {
        let token = ContinueToken::after(ContinueRevision::Inconsistent, "a");
        assert_eq!(BASE64.decode(token.encode()).unwrap(), br#"{"rv":-1,"start":"a\u0000","v":"meta.k8s.io/v1"}"#);
        assert_eq!(ContinueToken::decode(&token.encode()), Ok(token));
    }

    #[rstest]
    #[case(r#"{"v":"meta.k8s.io/v1","start":"a"}"#, "incorrect encoded start resourceVersion (version meta.k8s.io/v1)")]
    #[case(r#"{"v":"meta.k8s.io/v1","rv":1}"#, "encoded start key empty (version meta.k8s.io/v1)")]
    #[case(r#"{"v":"v2","rv":1,"start":"a"}"#, "server does not recognize this encoded version v2")]
    #[case(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"../a"}"#, "../a")]
    #[case(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"a//b"}"#, "a//b")]
    #[case(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"a/./b"}"#, "a/./b")]
    fn tokens_of_others_are_refused(#[case] json: &str, #[case] problem: &str) {
        let refusal = ContinueToken::decode(&BASE64.encode(json)).unwrap_err();
        assert_eq!(refusal.to_string(), format!("continue key is not valid: {problem}"));
    }

    #[rstest]
    #[case("a$bc", "illegal base64 data at input byte 1")]
    #[case("abcde", "illegal base64 data at input byte 4")]
    #[case("a0", "invalid character 'k' looking for beginning of value")]
    #[case("invalid", "invalid character '\\u008a' looking for beginning of value")]
    #[case("IA", "unexpected end of JSON input")]
    #[case("YWI=", "illegal base64 data at input byte 3")]
    fn what_is_no_token_is_refused(#[case] token: &str, #[case] problem: &str) {
        let refusal = ContinueToken::decode(token).unwrap_err();
        assert_eq!(refusal.to_string(), format!("continue key is not valid: {problem}"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "([A-Za-z0-9_-]|.){0,64}") {
            let _ = ContinueToken::decode(&text);
            let _ = ContinueToken::decode(&BASE64.encode(text));
        }

        #[test]
        fn tokens_round_trip(revision in 1..=i64::MAX as u64, namespace in "[a-z]{1,9}", name in "[a-z0-9]{1,9}") {
            let token = ContinueToken::after(ContinueRevision::At(revision), &format!("{namespace}/{name}"));
            prop_assert_eq!(ContinueToken::decode(&token.encode()), Ok(token));
        }
    }
}
