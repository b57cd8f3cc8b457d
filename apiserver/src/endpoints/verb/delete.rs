//! `delete`: removes an object, or marks it when finalizers hold it.
//!
//! Source: k8s.io/apiserver/pkg/endpoints/handlers/delete.go.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    encode::{
        response,
        status::{ApiError, Named},
    },
    endpoints::context::Context,
    request::{DeleteOptions, Expected as Purpose, Propagation as Wanted},
    server::Body,
    storage::{
        host::{DeleteOptions as HostOptions, Propagation},
        kind_store::{Removed, persistence},
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

pub(super) async fn run(context: &Context) -> Result<Response<Body>, ApiError> {
    let representation = context.representation(Purpose::Object)?;
    let options = DeleteOptions::parse(context.query.as_deref(), &context.body)?;
    let named = context.target_named();
    let removed = context
        .store()
        .delete(&context.projection, context.namespace(), context.name(), &host_options(&options), &named)
        .await?;
    match removed {
        Removed::Gone(last) => Ok(response::status(StatusCode::OK, &success(&named, &last), context.status_format())),
        Removed::Finalizing(now) => context.object(StatusCode::OK, &representation, &now),
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
