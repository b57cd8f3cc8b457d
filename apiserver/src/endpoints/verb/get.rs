//! `get`: one object, the most recent state, or from the cache with `resourceVersion=0`.

use http::{Response, StatusCode};

use crate::{
    encode::status::ApiError,
    endpoints::{context::Context, represent},
    request::{Expected as Purpose, GetOptions, ResourceVersion},
    server::Body,
};

pub(super) async fn run(context: &Context) -> Result<Response<Body>, ApiError> {
    let representation = context.representation(Purpose::Object)?;
    let options = GetOptions::parse(context.query.as_deref())?;
    let named = context.target_named();
    let cache = context.resource.view.cache();
    if options.resource_version == ResourceVersion::Any && cache.is_ready() {
        let entry = cache.get(context.namespace(), context.name()).ok_or(ApiError::NotFound(named))?;
        return context.object(StatusCode::OK, &representation, &represent::tree(&entry.json)?);
    }
    let read = context.store().get(&context.projection, context.namespace(), context.name(), &named).await?;
    context.object(StatusCode::OK, &representation, &read.instance)
}
