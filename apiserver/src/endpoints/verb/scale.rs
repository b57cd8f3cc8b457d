//! `/scale`: reads and changes the number of replicas, whatever field of the object holds it.
//!
//! Source: k8s.io/apiextensions-apiserver/pkg/registry/customresource/etcd.go (ScaleREST).

use http::{Response, StatusCode};
use kindsmith_merge::{to_parent, to_scale};
use kindsmith_schema::scale::{self, REPLICAS_UNSET, ScalePaths};
use serde_json::{Value, json};

use super::{
    get, patch,
    write::{self, Next, Owners},
};
use crate::{
    encode::status::ApiError,
    endpoints::{context::Context, represent},
    object::{
        decode, metadata,
        ownership::Ownership,
        scale::{EXPECTED, Sent, cannot_be_handled, is_unset, settle_kind},
    },
    request::{Expected as Purpose, Representation, Verb, WriteOptions},
    server::Body,
};

pub(super) async fn run(context: &Context) -> Result<Response<Body>, ApiError> {
    let paths = context.projection.version().scale.as_ref().ok_or(ApiError::NoSuchPath)?;
    match context.target.verb {
        Verb::Get => read(context, paths).await,
        Verb::Update => update(context, paths).await,
        Verb::Patch => change(context, paths).await,
        verb => {
            let verb = verb.as_str().to_owned();
            Err(ApiError::MethodNotSupported { named: context.named(""), verb })
        }
    }
}

async fn read(context: &Context, paths: &ScalePaths) -> Result<Response<Body>, ApiError> {
    let representation = context.representation(Purpose::Object)?;
    let instance = get::instance(context).await?;
    let shown = paths.read(&instance).map_err(ApiError::Plain)?;
    if shown.replicas.is_none() {
        let path = paths.spec_replicas.source();
        return Err(ApiError::Internal(format!("the spec replicas field {path:?} does not exist")));
    }
    answer(context, &representation, &shown.object(&instance))
}

/// Replaces the Scale: of what is sent, only the replicas count.
async fn update(context: &Context, paths: &ScalePaths) -> Result<Response<Body>, ApiError> {
    let representation = context.representation(Purpose::Object)?;
    let options = WriteOptions::for_update(context.query.as_deref())?;
    let mut decoded = decode::value(&context.body, context.body_format()?, EXPECTED)?;
    settle_kind(&mut decoded.object).map_err(|text| decode::fault(&decoded.object, EXPECTED, &context.body, &text))?;
    let mut sent = Sent::read(&mut decoded.object).map_err(|error| cannot_be_handled(&error))?;
    let mut complaints = decoded.complaints;
    complaints.append(&mut sent.complaints);
    context.judge_complaints(complaints, options.field_validation, |text| cannot_be_handled(&text))?;
    sent.check_name(context.name(), context.namespace())?;
    let named = context.target_named();
    let ownership = Ownership::of_scale(context.manager(&options));
    let change = |instance: &Value| {
        metadata::check_uid(&decoded.object, instance, &named)?;
        let live = live(context, paths, instance)?;
        let mut next = decoded.object.clone();
        sent.complete(&mut next);
        next_instance(context, paths, instance, &sent, &ownership.updated(&live, next))
    };
    let written = write::run(context, &options, change, |_, text| cannot_be_handled(text)).await?;
    answer(context, &representation, &shown(paths, &written)?)
}

/// Changes the Scale by a patch.
async fn change(context: &Context, paths: &ScalePaths) -> Result<Response<Body>, ApiError> {
    let request = patch::Sent::new(context)?;
    let ownership = Ownership::of_scale(context.manager(&request.options));
    let change = |instance: &Value| {
        let live = live(context, paths, instance)?;
        let mut object = live.clone();
        let (mut complaints, owners) = request.change_owned(context, &ownership, &mut object)?;
        let patched = object.clone();
        settle_kind(&mut object).map_err(|error| patch::fault(&patched, &error))?;
        let mut sent = Sent::read(&mut object).map_err(|error| patch::fault(&patched, &error))?;
        complaints.append(&mut sent.complaints);
        let validation = request.options.field_validation;
        context.judge_complaints(complaints, validation, |error| patch::fault(&patched, &error))?;
        sent.check_name(context.name(), context.namespace())?;
        if owners == Owners::ByUpdate {
            sent.complete(&mut object);
            object = ownership.updated(&live, object);
        }
        next_instance(context, paths, instance, &sent, &object)
    };
    let written = write::run(context, &request.options, change, patch::fault).await?;
    answer(context, &request.representation, &shown(paths, &written)?)
}

/// The Scale of an instance that is about to be changed, with the owners of its replicas.
fn live(context: &Context, paths: &ScalePaths, instance: &Value) -> Result<Value, ApiError> {
    let shown = paths.read(instance).map_err(ApiError::Plain)?;
    let mut scale = shown.object(instance);
    if shown.replicas.is_none() {
        scale["spec"]["replicas"] = json!(REPLICAS_UNSET);
    }
    to_scale(instance, &context.projection.kind().replicas_paths(), &mut scale)
        .map_err(|error| ApiError::Plain(error.to_string()))?;
    Ok(scale)
}

/// The instance with the replicas of a Scale and their owners, and with the revision that the client has seen.
fn next_instance(
    context: &Context,
    paths: &ScalePaths,
    instance: &Value,
    sent: &Sent,
    scale: &Value,
) -> Result<Next, ApiError> {
    if is_unset(sent.replicas) {
        let path = paths.spec_replicas.source();
        return Err(ApiError::BadRequest(format!("the spec replicas field {path:?} cannot be empty")));
    }
    let mut object = instance.clone();
    paths.set_replicas(&mut object, sent.replicas).map_err(ApiError::Plain)?;
    if !sent.resource_version.is_empty() {
        object["metadata"]["resourceVersion"] = json!(sent.resource_version);
    }
    to_parent(&mut object, scale, &context.api_version, &context.projection.kind().replicas_paths())
        .map_err(|error| ApiError::Plain(error.to_string()))?;
    Ok(Next { object, complaints: Vec::new(), owners: Owners::Settled, shown: None })
}

/// The Scale of what was written.
fn shown(paths: &ScalePaths, instance: &Value) -> Result<Value, ApiError> {
    Ok(paths.read(instance).map_err(ApiError::BadRequest)?.object(instance))
}

fn answer(context: &Context, representation: &Representation, scale: &Value) -> Result<Response<Body>, ApiError> {
    let body = represent::object(representation, &scale::columns(), scale)?;
    Ok(context.body(StatusCode::OK, representation.content_type(), body))
}
