//! JSON patches (RFC 6902) and merge patches (RFC 7386) on objects.
//!
//! Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go.

use serde_json::Value;

use crate::encode::status::{ApiError, Cause, Named};

/// The most operations of one JSON patch.
pub const OPERATIONS_MAX: usize = 10_000;

/// A patch that was read.
#[derive(Clone, Debug)]
pub enum Patch {
    /// RFC 6902.
    Json(json_patch::Patch),
    /// RFC 7386.
    Merge(Value),
}

impl Patch {
    /// Reads a JSON patch.
    ///
    /// # Errors
    /// 400 when it is none, 413 when it has too many operations.
    pub fn json(body: &[u8]) -> Result<Self, ApiError> {
        let patch: json_patch::Patch = serde_json::from_slice(body)
            .map_err(|error| ApiError::BadRequest(format!("error decoding patch: {error}")))?;
        if patch.0.len() > OPERATIONS_MAX {
            return Err(ApiError::TooLarge { limit: OPERATIONS_MAX });
        }
        Ok(Self::Json(patch))
    }

    /// Reads a merge patch.
    ///
    /// # Errors
    /// 400 when it is none.
    pub fn merge(body: &[u8]) -> Result<Self, ApiError> {
        match serde_json::from_slice(body) {
            Ok(patch @ Value::Object(_)) => Ok(Self::Merge(patch)),
            Ok(_) => Err(ApiError::BadRequest("error decoding patch: a merge patch must be an object".to_owned())),
            Err(error) => Err(ApiError::BadRequest(format!("error decoding patch: {error}"))),
        }
    }

    /// Applies the patch.
    ///
    /// # Errors
    /// 422 when an operation cannot be done or a test fails.
    pub fn apply(&self, object: &mut Value, named: &Named) -> Result<(), ApiError> {
        match self {
            Self::Json(patch) => json_patch::patch(object, patch).map_err(|error| ApiError::Invalid {
                named: named.clone(),
                causes: vec![Cause {
                    reason: "FieldValueInvalid".to_owned(),
                    message: format!("the patch cannot be applied: {error}"),
                    field: "patch".to_owned(),
                }],
            }),
            Self::Merge(patch) => {
                json_patch::merge(object, patch);
                Ok(())
            }
        }
    }
}
