//! Verbs on resources: one file each, and the one place that lists them.

use http::Response;

use super::context::Context;
use crate::{encode::status::ApiError, request::Verb, server::Body};

/// Reads one object.
mod get;

/// Reads a collection.
mod list;

/// Follows a collection.
mod watch;

/// Makes an object.
mod create;

/// Replaces an object.
mod update;

/// Changes an object.
mod patch;

/// Removes an object.
mod delete;

/// Removes a collection.
mod deletecollection;

/// Reads and changes the replicas of an object.
mod scale;

/// What update and patch share: read, change, admit, write.
mod write;

/// Does what a request asks for.
///
/// # Errors
/// The error that a Kubernetes API gives.
pub async fn run(context: Context) -> Result<Response<Body>, ApiError> {
    if context.target.subresource.as_deref() == Some("scale") {
        return scale::run(&context).await;
    }
    match (context.target.verb, context.target.name.is_some()) {
        (Verb::Get, true) => get::run(&context).await,
        (Verb::List, _) => list::run(&context).await,
        (Verb::Watch, _) => watch::run(&context).await,
        (Verb::Create, false) => create::run(&context).await,
        (Verb::Update, true) => update::run(&context).await,
        (Verb::Patch, true) => patch::run(&context).await,
        (Verb::Delete, true) => delete::run(&context).await,
        (Verb::DeleteCollection, false) => deletecollection::run(&context).await,
        _ => Err(ApiError::MethodNotAllowed),
    }
}
