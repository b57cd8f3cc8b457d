//! Bodies of requests, bounded in size and time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

/// How long a body may take.
const BODY_READ_MAX: Duration = Duration::from_secs(30);

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It has more bytes than are allowed.
    #[error("the body is too large")]
    TooLarge,
    /// It did not come in time.
    #[error("the body did not come in time")]
    Timeout,
    /// The client stopped sending.
    #[error("the body is incomplete")]
    Broken,
}

/// Reads a body of at most `bytes_max` bytes.
///
/// # Errors
/// When it is larger, too slow, or cut off.
pub async fn read_body<B>(body: B, bytes_max: usize) -> Result<Bytes, BodyError>
where
    B: http_body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match tokio::time::timeout(BODY_READ_MAX, Limited::new(body, bytes_max).collect()).await {
        Err(_) => Err(BodyError::Timeout),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Ok(Err(_)) => Err(BodyError::Broken),
    }
}
