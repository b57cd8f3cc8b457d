//! `get`: one object, the most recent state, or from the cache with `resourceVersion=0`.

use http::{Response, StatusCode};
use serde_json::Value;

use crate::{
    encode::status::ApiError,
    endpoints::{
        context::Context,
        represent::{self, Item},
    },
    request::{Expected as Purpose, GetOptions, Name, ResourceVersion},
    server::Body,
    storage::{cache::WatchCache, freshness::Waiting, host::Progress, kind_store::Reached},
};

pub(super) async fn run(context: &Context) -> Result<Response<Body>, ApiError> {
    let representation = context.representation(Purpose::Object)?;
    let body = match item(context).await? {
        Item::Held(entry) => represent::held_object(&representation, &context.projection.version().columns, &entry)?,
        Item::Tree(instance) => represent::object(&representation, &context.projection.version().columns, &instance)?,
    };
    Ok(context.body(StatusCode::OK, representation.content_type(), body))
}

/// The object that the path names.
pub(super) async fn instance(context: &Context) -> Result<Value, ApiError> {
    item(context).await?.into_tree()
}

async fn item(context: &Context) -> Result<Item, ApiError> {
    let options = GetOptions::parse(context.query.as_deref())?;
    let named = context.target_named();
    let cache = context.resource.view.cache();
    Name::parse(context.name())?;
    if is_current(context, options.resource_version, cache).await? {
        let entry = cache.get(context.namespace(), context.name()).ok_or(ApiError::NotFound(named))?;
        return Ok(Item::Held(entry));
    }
    let read = context.store().get(&context.projection, context.namespace(), context.name(), &named).await?;
    Ok(Item::Tree(read.instance))
}

/// Whether the cache has what is asked for. Of a cluster, one object is read as fast as its revision.
async fn is_current(context: &Context, wanted: ResourceVersion, cache: &WatchCache) -> Result<bool, ApiError> {
    if !cache.is_ready() {
        return Ok(false);
    }
    match wanted {
        ResourceVersion::Any => Ok(true),
        ResourceVersion::At(revision) => {
            let reached = context.store().has_come_to(cache, revision, &context.target_named()).await?;
            Ok(reached == Reached::ByCache)
        }
        ResourceVersion::Unset => match context.store().progress() {
            Progress::Prompt => Ok(context.store().has_reached(cache, Waiting::Always).await),
            Progress::Occasional => Ok(false),
        },
    }
}
