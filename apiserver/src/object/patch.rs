//! JSON patches and merge patches on objects: reading them, and what is said when they do not apply.
//!
//! Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go.

use kindsmith_schema::{decode, field::print::quoted};
use serde_json::{Map, Value};

use super::{json_patch, merge_patch};
use crate::{encode::status::ApiError, request::FieldValidation};

/// The most operations of one JSON patch.
pub const OPERATIONS_MAX: usize = 10_000;

/// A patch that was read.
#[derive(Clone, Debug)]
pub enum Patch {
    /// RFC 6902.
    Json(Vec<Map<String, Value>>),
    /// RFC 7386.
    Merge(Map<String, Value>),
}

impl Patch {
    /// Reads a JSON patch. Complaints are about duplicate fields; who is lenient wants none.
    ///
    /// # Errors
    /// 400 when it is no list of operations, 413 when there are too many, 422 when one is none that there is.
    pub fn json(body: &[u8], validation: FieldValidation) -> Result<(Self, Vec<String>), ApiError> {
        let (operations, complaints) = read(body, "json patch ")?;
        // Who is lenient meets another decoder of Go.
        let (about, list, item) = match validation {
            FieldValidation::Ignore => ("", "jsonpatch.Patch", "jsonpatch.Operation"),
            FieldValidation::Warn | FieldValidation::Strict => {
                (DECODING, "[]handlers.jsonPatchOp", "handlers.jsonPatchOp")
            }
        };
        let Value::Array(operations) = operations else {
            return Err(undecodable(about, &operations, list));
        };
        if operations.len() > OPERATIONS_MAX {
            return Err(ApiError::TooLarge { limit: OPERATIONS_MAX });
        }
        let operations = operations.into_iter().map(|operation| match operation {
            Value::Object(operation) => Ok(operation),
            other => Err(undecodable(about, &other, item)),
        });
        Ok((Self::Json(operations.collect::<Result<_, _>>()?), heard(complaints, validation)))
    }

    /// Reads a merge patch. Complaints are about duplicate fields; who is lenient wants none.
    ///
    /// # Errors
    /// 400 when it is no object.
    pub fn merge(body: &[u8], validation: FieldValidation) -> Result<(Self, Vec<String>), ApiError> {
        let (patch, complaints) = read(body, "")?;
        let Value::Object(patch) = patch else {
            return Err(undecodable(DECODING, &patch, "map[string]interface {}"));
        };
        Ok((Self::Merge(patch), heard(complaints, validation)))
    }

    /// Applies the patch.
    ///
    /// # Errors
    /// 422 when an operation cannot be done or a test fails.
    pub fn apply(&self, object: &mut Value) -> Result<(), ApiError> {
        match self {
            Self::Json(operations) => json_patch::apply(object, operations).map_err(|_| ApiError::Rejected),
            Self::Merge(patch) => {
                if let Some(object) = object.as_object_mut() {
                    merge_patch::merge(object, patch);
                }
                Ok(())
            }
        }
    }
}

/// Complaints, for who wants them.
fn heard(complaints: Vec<String>, validation: FieldValidation) -> Vec<String> {
    if validation == FieldValidation::Ignore { Vec::new() } else { complaints }
}

fn read(body: &[u8], about: &str) -> Result<(Value, Vec<String>), ApiError> {
    let (patch, duplicates) = decode::json_with_duplicates(body)
        .map_err(|error| ApiError::BadRequest(format!("error decoding patch: {error}")))?;
    Ok((patch, duplicates.iter().map(|path| format!("{about}duplicate field {}", quoted(path))).collect()))
}

/// What errors about a patch begin with.
const DECODING: &str = "error decoding patch: ";

fn undecodable(about: &str, found: &Value, wanted: &str) -> ApiError {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    ApiError::BadRequest(format!("{about}json: cannot unmarshal {found} into Go value of type {wanted}"))
}
