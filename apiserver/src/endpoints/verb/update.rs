//! `update`: replaces an object, or its status.
//!
//! Source: k8s.io/apiserver/pkg/endpoints/handlers/update.go.

use http::{Response, StatusCode};

use super::write::{self, Next, Owners};
use crate::{
    encode::status::ApiError,
    endpoints::context::Context,
    object::{
        admit, decode,
        metadata::{
            self,
            owners::{self, Noticed},
        },
    },
    request::{Expected as Purpose, WriteOptions},
    server::Body,
};

pub(super) async fn run(context: &Context) -> Result<Response<Body>, ApiError> {
    let representation = context.representation(Purpose::Object)?;
    let options = WriteOptions::for_update(context.query.as_deref())?;
    let expected = context.expected();
    let mut decoded = decode::object(&context.body, context.body_format()?, expected, options.field_validation)?;
    let fault = |object: &_, text: &str| decode::fault(object, expected, &context.body, text);
    let unknown = context.read_typed(&mut decoded.object).map_err(|text| fault(&decoded.object, &text))?;
    decoded.complaints.extend(unknown.into_iter().map(|path| decode::unknown_field(&path)));
    if let Err(error) = decode::check_api_version(&decoded.object, expected) {
        let unknown = admit::unknown_by_own_version(&decoded.object, context.projection.kind(), expected);
        let unknown = unknown.map_err(|error| fault(&decoded.object, &error.to_string()))?;
        decoded.complaints.extend(unknown.iter().map(|path| format!("unknown field \"{path}\"")));
        context.judge_complaints(decoded.complaints, options.field_validation, |text| fault(&decoded.object, &text))?;
        return Err(error);
    }
    if !decode::is_kind(&decoded.object, expected) {
        // Of another kind no field is known to be unknown, but those of metadata.
        let complaints = std::mem::take(&mut decoded.complaints);
        context.judge_complaints(complaints, options.field_validation, |text| {
            decode::strict_fault(&decoded.object, expected, &context.body, &text)
        })?;
    }
    metadata::settle_namespace(&mut decoded.object, context.namespace())?;
    metadata::check_name(&decoded.object, context.name())?;
    context.warn(owners::dedupe(&mut decoded.object, Noticed::AsSent));
    let named = context.target_named();
    let change = |live: &_| {
        metadata::check_uid(&decoded.object, live, &named)?;
        context.refuse_oversize(&decoded.object, Some(live))?;
        let (object, complaints) = (decoded.object.clone(), decoded.complaints.clone());
        Ok(Next { object, complaints, owners: Owners::ByUpdate, shown: None })
    };
    let written = write::run(context, &options, change, fault).await;
    if let Err(ApiError::NotFound(_)) = &written {
        // What is wrong with the body is said all the same.
        let (mut object, mut complaints) = (decoded.object.clone(), decoded.complaints.clone());
        let dropped = admit::shape(&mut object, None, context.projection.kind(), context.projection.version());
        let dropped = dropped.map_err(|error| fault(&object, &error.to_string()))?;
        complaints.extend(dropped.iter().map(|path| format!("unknown field \"{path}\"")));
        context.judge_complaints(complaints, options.field_validation, |text| fault(&object, &text))?;
    }
    context.object(StatusCode::OK, &representation, &written?)
}
