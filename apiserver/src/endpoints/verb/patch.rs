//! `patch`: changes an object, or its status, by a JSON patch or a merge patch.
//!
//! Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go.

use http::{Response, StatusCode, header};
use serde_json::Value;

use super::write::{self, Next, Revision};
use crate::{
    encode::status::{ApiError, Cause, Named},
    endpoints::context::Context,
    object::{metadata, patch::Patch},
    request::{Expected as Purpose, FieldValidation, PatchType, WriteOptions},
    server::Body,
};

pub(super) async fn run(context: &Context) -> Result<Response<Body>, ApiError> {
    let kind = PatchType::from_content_type(context.header(header::CONTENT_TYPE))
        .map_err(|error| ApiError::UnsupportedMediaType(error.message))?;
    let representation = context.representation(Purpose::Object)?;
    let options = WriteOptions::for_patch(context.query.as_deref(), kind)?;
    if serde_json::from_slice::<serde::de::IgnoredAny>(&context.body).is_err() {
        return Err(ApiError::BadRequest("invalid JSON patch".to_owned()));
    }
    let lenient = options.field_validation == FieldValidation::Ignore;
    let change = |current: &Value| {
        let (patch, mut complaints) = match kind {
            PatchType::Json => Patch::json(&context.body, lenient)?,
            PatchType::Merge => Patch::merge(&context.body, lenient)?,
            PatchType::Apply | PatchType::Strategic => {
                return Err(ApiError::UnsupportedMediaType(PatchType::unsupported().message));
            }
        };
        let mut object = current.clone();
        patch.apply(&mut object)?;
        let unknown = metadata::typed::coerce(&mut object).map_err(|text| fault(&object, &text))?;
        complaints.extend(unknown.into_iter().map(|path| format!("unknown field {path:?}")));
        Ok(Next { object, complaints })
    };
    let written = write::run(context, &options, Revision::Optional, change, fault).await?;
    context.object(StatusCode::OK, &representation, &written)
}

/// What is wrong with a patched object. The error names no kind, as in Kubernetes.
fn fault(object: &Value, text: &str) -> ApiError {
    let nothing = String::new;
    ApiError::Invalid {
        named: Named { group: nothing(), resource: nothing(), kind: nothing(), name: nothing() },
        causes: vec![Cause {
            reason: "FieldValueInvalid".to_owned(),
            message: format!("Invalid value: {:?}: {text}", object.to_string()),
            field: "patch".to_owned(),
        }],
    }
}
