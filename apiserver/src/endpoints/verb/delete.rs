//! `delete`: removes an object, or marks it when finalizers hold it.
//!
//! Source: k8s.io/apiserver/pkg/endpoints/handlers/delete.go.

use http::{Response, StatusCode};
use kindsmith_schema::kind::KindBackend;
use serde_json::{Value, json};

use crate::{
    encode::{
        response,
        status::{ApiError, Named},
    },
    endpoints::context::Context,
    object::decode,
    request::{
        BodyFormat, Deferred, DeleteOptions, Expected as Purpose, Format, Propagation as Wanted, Representation,
        StatusFormat, Unreadable,
    },
    server::Body,
    storage::{
        host::{DeleteOptions as HostOptions, Propagation},
        kind_store::{Installed, Removed, persistence},
    },
};

/// The client's options as the host takes them.
pub(super) fn host_options(options: &DeleteOptions) -> HostOptions {
    HostOptions {
        uid: options.uid.clone(),
        resource_version: options.resource_version.clone(),
        propagation: options.propagation.map(|wanted| match wanted {
            Wanted::Orphan => Propagation::Orphan,
            Wanted::Background => Propagation::Background,
            Wanted::Foreground => Propagation::Foreground,
        }),
        persistence: persistence(options.dry_run),
    }
}

/// The client's options: those of the body, or without one those of the query.
pub(super) fn read_options(context: &Context) -> Result<DeleteOptions, ApiError> {
    let query = context.query.as_deref();
    if context.body.is_empty() {
        return Ok(DeleteOptions::parse(query, &[])?);
    }
    match context.body_format()? {
        BodyFormat::Json => Ok(DeleteOptions::parse(query, &context.body)?),
        BodyFormat::Yaml => {
            let (value, _) = decode::yaml(&context.body).map_err(|error| ApiError::BadRequest(error.to_string()))?;
            Ok(DeleteOptions::parse(query, value.to_string().as_bytes())?)
        }
    }
}

/// Success is no error: it is told in the format of objects.
fn success_format(representation: &Representation) -> StatusFormat {
    match representation.format {
        Format::Json { pretty } => StatusFormat::Json(pretty),
        Format::Yaml => StatusFormat::Yaml,
        Format::Protobuf => StatusFormat::Protobuf,
    }
}

pub(super) async fn run(context: &Context) -> Result<Response<Body>, ApiError> {
    let representation = context.representation(Purpose::Object)?;
    let options = read_options(context)?;
    let named = context.target_named();
    if options.unreadable == Unreadable::Removed {
        return refuse_unreadable(context, named).await;
    }
    let (removed, installed) = context
        .store()
        .delete(&context.projection, context.namespace(), context.name(), &host_options(&options), &named)
        .await?;
    if installed == Installed::Left {
        warn_of_left(context, &[context.name()]);
    }
    match removed {
        Removed::Gone(last) => {
            Ok(response::status(StatusCode::OK, &success(&named, &last), success_format(&representation)))
        }
        Removed::Finalizing(now) => {
            let code = match options.deferred {
                Deferred::Ok => StatusCode::OK,
                Deferred::Accepted => StatusCode::ACCEPTED,
            };
            context.object(code, &representation, &now)
        }
    }
}

/// Answers a delete for an object that cannot be read: whatever we serve was read.
///
/// Source: k8s.io/apiserver/pkg/endpoints/handlers/delete.go (authorizeUnsafeDelete), pkg/storage/etcd3/store.go.
async fn refuse_unreadable(context: &Context, named: Named) -> Result<Response<Body>, ApiError> {
    context.permit("unsafe-delete-ignore-read-errors").await?;
    context.store().get(&context.projection, context.namespace(), context.name(), &named).await?;
    let reason = "unsafe deletion is not allowed because the object is decodable from storage".to_owned();
    Err(ApiError::Conflict { named, reason })
}

/// Warns that the deletion of these uninstalls nothing.
pub(super) fn warn_of_left(context: &Context, names: &[&str]) {
    if let KindBackend::Release(template) = &context.projection.kind().backend {
        context.warn([template.deletion_leaves(names)]);
    }
}

fn success(named: &Named, last: &Value) -> Value {
    let mut details = json!({
        "name": named.name,
        "kind": named.resource,
        "uid": last.pointer("/metadata/uid").cloned().unwrap_or_default(),
    });
    if !named.group.is_empty() {
        details["group"] = json!(named.group);
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
