//! Verbs on resources: one file each, and the one place that lists them.

use std::sync::PoisonError;

use http::Response;
use kindsmith_schema::kind::{StatusRole, Typing};

use super::context::Context;
use crate::{
    encode::{response, status::ApiError},
    request::Verb,
    server::Body,
};

/// Reads one object.
mod get;

/// Reads a collection.
mod list;

/// Follows a collection.
mod watch;

/// Events as messages of a websocket.
mod websocket;

/// Makes an object.
mod create;

/// Replaces an object.
mod update;

/// Changes an object.
mod patch;

/// Makes an object what one manager wants of it.
mod apply;

/// Removes an object.
mod delete;

/// Removes a collection.
mod deletecollection;

/// Reads and changes the replicas of an object.
mod scale;

/// What update and patch share: read, change, admit, write.
mod write;

/// Does what a request asks for; what cannot be done is answered as a Kubernetes API answers it.
pub async fn run(context: Context) -> Response<Body> {
    let format = context.status_format();
    if let Some(deprecation) = &context.projection.version().deprecation {
        context.warn([deprecation.clone()]);
    }
    let mut answer = dispatch(&context).await.unwrap_or_else(|error| {
        if matches!(error, ApiError::Internal(_)) {
            tracing::error!(%error, "request failed");
        }
        response::error(&error, format)
    });
    let warnings = context.warnings.into_inner().unwrap_or_else(PoisonError::into_inner);
    response::warn(answer.headers_mut(), &warnings);
    answer
}

/// Whether the version has the subresource of the path, and that the verb.
///
/// Source: k8s.io/apiextensions-apiserver/pkg/apiserver/customresource_handler.go (ServeHTTP, serveStatus, serveScale).
fn check_subresource(context: &Context) -> Result<(), ApiError> {
    let version = context.projection.version();
    let served = match context.target.subresource.as_deref() {
        None => return Ok(()),
        Some("status") => version.status != StatusRole::Field,
        Some("scale") => version.scale.is_some(),
        Some(_) => false,
    };
    if !served {
        return Err(ApiError::NotFound(context.target_named()));
    }
    if matches!(context.target.verb, Verb::Get | Verb::Update | Verb::Patch) {
        return Ok(());
    }
    let verb = context.target.verb.as_str().to_owned();
    Err(ApiError::MethodNotSupported { named: context.named(""), verb })
}

async fn dispatch(context: &Context) -> Result<Response<Body>, ApiError> {
    check_subresource(context)?;
    if context.target.subresource.as_deref() == Some("scale") {
        return scale::run(context).await;
    }
    match (context.target.verb, context.target.name.is_some()) {
        (Verb::Get, true) => get::run(context).await,
        (Verb::List, _) => list::run(context).await,
        (Verb::Watch, _) => watch::run(context).await,
        (Verb::Create, _) => create::run(context).await,
        (Verb::Update, true) => update::run(context).await,
        (Verb::Patch, true) => patch::run(context).await,
        (Verb::Delete, true) => delete::run(context).await,
        (Verb::DeleteCollection, false) if context.typing() == Typing::BuiltIn => Err(ApiError::MethodNotAllowed),
        (Verb::DeleteCollection, false) => deletecollection::run(context).await,
        (Verb::Update | Verb::Patch, false) => {
            if context.target.verb == Verb::Patch {
                patch::check_type(context)?;
            }
            Err(ApiError::BadRequest("name must be provided".to_owned()))
        }
        (verb, _) => {
            let verb = verb.as_str().to_owned();
            Err(ApiError::MethodNotSupported { named: context.named(""), verb })
        }
    }
}
