//! Where a page of a list ended, as an opaque token (apiserver pkg/storage/continue.go).

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

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

#[derive(Default, Serialize, Deserialize)]
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
        let wire: Wire = serde_json::from_slice(&bytes).map_err(|error| DecodeError::InvalidKey(error.to_string()))?;
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
