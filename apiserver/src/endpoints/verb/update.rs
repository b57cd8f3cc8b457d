//! `update`: replaces an object, or its status.
//!
//! Source: k8s.io/apiserver/pkg/endpoints/handlers/update.go.

use http::{Response, StatusCode};

use super::write::{self, Next, Revision};
use crate::{
    encode::status::ApiError,
    endpoints::context::Context,
    object::decode,
    request::{Expected as Purpose, WriteOptions},
    server::Body,
};

pub(super) async fn run(context: &Context) -> Result<Response<Body>, ApiError> {
    let representation = context.representation(Purpose::Object)?;
    let options = WriteOptions::for_update(context.query.as_deref())?;
    let decoded = decode::object(&context.body, context.body_format()?, context.expected())?;
    let change = |_: &_| Ok(Next { object: decoded.object.clone(), complaints: decoded.complaints.clone() });
    let strict = |text: String| context.strict_object(&text);
    let (written, warnings) = write::run(context, &options, Revision::Required, change, strict).await?;
    context.object(StatusCode::OK, &representation, &written, &warnings)
}
