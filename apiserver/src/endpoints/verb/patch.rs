//! `patch`: changes an object, or its status, by a JSON patch or a merge patch.
//!
//! Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go.

use http::{Response, StatusCode, header};
use serde_json::Value;

use super::write::{self, Next, Revision};
use crate::{
    encode::status::{ApiError, Cause},
    endpoints::context::Context,
    object::{decode, patch::Patch},
    request::{BodyFormat, Expected as Purpose, PatchType, WriteOptions},
    server::Body,
};

/// A patch, as it was sent.
pub(super) struct Sent {
    pub(super) patch: Patch,
    pub(super) options: WriteOptions,
    /// Texts such as `duplicate field "spec.a"`.
    pub(super) complaints: Vec<String>,
}

/// Reads the patch of a request.
pub(super) fn sent(context: &Context) -> Result<Sent, ApiError> {
    let kind = PatchType::from_content_type(context.header(header::CONTENT_TYPE))
        .map_err(|error| ApiError::UnsupportedMediaType(error.message))?;
    let options = WriteOptions::for_patch(context.query.as_deref(), kind)?;
    let mut complaints = Vec::new();
    let patch = match kind {
        PatchType::Json => Patch::json(&context.body)?,
        PatchType::Merge => {
            // Read once more to see duplicate fields, which the patch itself no longer shows.
            complaints = decode::value(&context.body, BodyFormat::Json, context.expected())?.complaints;
            Patch::merge(&context.body)?
        }
        PatchType::Apply | PatchType::Strategic => {
            return Err(ApiError::UnsupportedMediaType(PatchType::unsupported().message));
        }
    };
    Ok(Sent { patch, options, complaints })
}

/// The error of strict decoding for a patch.
pub(super) fn strict(context: &Context, text: &str) -> ApiError {
    ApiError::Invalid {
        named: context.target_named(),
        causes: vec![Cause {
            reason: "FieldValueInvalid".to_owned(),
            message: format!("Invalid value: {:?}: {text}", String::from_utf8_lossy(&context.body)),
            field: "patch".to_owned(),
        }],
    }
}

pub(super) async fn run(context: &Context) -> Result<Response<Body>, ApiError> {
    let representation = context.representation(Purpose::Object)?;
    let Sent { patch, options, complaints } = sent(context)?;
    let named = context.target_named();
    let change = |current: &Value| {
        let mut object = current.clone();
        patch.apply(&mut object, &named)?;
        Ok(Next { object, complaints: complaints.clone() })
    };
    let strict = |text: String| strict(context, &text);
    let (written, warnings) = write::run(context, &options, Revision::Optional, change, strict).await?;
    context.object(StatusCode::OK, &representation, &written, &warnings)
}
