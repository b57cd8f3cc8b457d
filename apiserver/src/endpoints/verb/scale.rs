//! `/scale`: reads and changes the number of replicas, whatever field of the object holds it.
//!
//! Source: k8s.io/apiextensions-apiserver/pkg/registry/customresource/etcd.go (ScaleREST).

use http::{Response, StatusCode};
use kindsmith_schema::scale::{self, REPLICAS_UNSET, ScalePaths};
use serde_json::{Value, json};

use super::{
    get, patch,
    write::{self, Next, Revision},
};
use crate::{
    encode::status::{ApiError, Cause, Named},
    endpoints::{context::Context, represent},
    object::{
        decode,
        scale::{EXPECTED, Sent, cannot_be_handled, is_unset, settle_kind},
    },
    request::{Expected as Purpose, Representation, Verb, WriteOptions},
    server::Body,
};

pub(super) async fn run(context: &Context) -> Result<Response<Body>, ApiError> {
    let representation = context.representation(Purpose::Object)?;
    let version = context.projection.version();
    let paths = version.scale.as_ref().ok_or(ApiError::NoSuchPath)?;
    match context.target.verb {
        Verb::Get => {
            let instance = get::instance(context).await?;
            let shown = paths.read(&instance).map_err(|error| unexpected(&error))?;
            if shown.replicas.is_none() {
                let path = paths.spec_replicas.source();
                return Err(ApiError::Internal(format!("the spec replicas field {path:?} does not exist")));
            }
            answer(context, &representation, &shown.object(&instance), &[])
        }
        Verb::Update => {
            let (written, warnings) = update(context, paths).await?;
            answer(context, &representation, &shown(paths, &written)?, &warnings)
        }
        Verb::Patch => {
            let (written, warnings) = change(context, paths).await?;
            answer(context, &representation, &shown(paths, &written)?, &warnings)
        }
        _ => Err(ApiError::MethodNotAllowed),
    }
}

/// Replaces the Scale: of what is sent, only the replicas count.
async fn update(context: &Context, paths: &ScalePaths) -> Result<(Value, Vec<String>), ApiError> {
    let options = WriteOptions::for_update(context.query.as_deref())?;
    let mut decoded = decode::value(&context.body, context.body_format()?, EXPECTED)?;
    settle_kind(&mut decoded.object)?;
    let mut sent = Sent::read(&decoded.object).map_err(|error| cannot_be_handled(&error))?;
    let mut complaints = decoded.complaints;
    complaints.append(&mut sent.complaints);
    let mut warnings =
        context.judge_complaints(complaints, options.field_validation, |text| cannot_be_handled(&text))?;
    sent.check_name(context.name(), context.namespace())?;
    let change = |instance: &Value| {
        check_uid(context, instance, &sent.uid)?;
        next(paths, instance, &sent, Vec::new())
    };
    let strict = |text: String| cannot_be_handled(&text);
    let (written, more) = write::run(context, &options, Revision::Optional, change, strict).await?;
    warnings.extend(more);
    Ok((written, warnings))
}

/// Changes the Scale by a patch.
async fn change(context: &Context, paths: &ScalePaths) -> Result<(Value, Vec<String>), ApiError> {
    let patch::Sent { patch, options, complaints } = patch::sent(context)?;
    let named = context.target_named();
    let change = |instance: &Value| {
        let shown = paths.read(instance).map_err(|error| unexpected(&error))?;
        let mut object = shown.object(instance);
        if shown.replicas.is_none() {
            object["spec"]["replicas"] = json!(REPLICAS_UNSET);
        }
        patch.apply(&mut object, &named)?;
        let patched = object.to_string();
        let invalid = |error: &str| invalid_patch(&patched, error);
        settle_kind(&mut object)?;
        let sent = Sent::read(&object).map_err(|error| invalid(&error))?;
        let complaints = complaints.iter().chain(&sent.complaints).cloned().collect();
        let complaints = context.judge_complaints(complaints, options.field_validation, |error| invalid(&error))?;
        sent.check_name(context.name(), context.namespace())?;
        next(paths, instance, &sent, complaints)
    };
    write::run(context, &options, Revision::Optional, change, |error| cannot_be_handled(&error)).await
}

/// What is said of a patch whose outcome is no Scale; `patched` is the outcome.
fn invalid_patch(patched: &str, error: &str) -> ApiError {
    let (group, resource, kind, name) = Default::default();
    ApiError::Invalid {
        named: Named { group, resource, kind, name },
        causes: vec![Cause {
            reason: "FieldValueInvalid".to_owned(),
            message: format!("Invalid value: {patched:?}: {error}"),
            field: "patch".to_owned(),
        }],
    }
}

/// The instance with the replicas of a Scale, and with the revision that the client has seen.
fn next(paths: &ScalePaths, instance: &Value, sent: &Sent, complaints: Vec<String>) -> Result<Next, ApiError> {
    if is_unset(sent.replicas) {
        let path = paths.spec_replicas.source();
        return Err(ApiError::BadRequest(format!("the spec replicas field {path:?} cannot be empty")));
    }
    let mut object = instance.clone();
    paths.set_replicas(&mut object, sent.replicas).map_err(|error| unexpected(&error))?;
    if !sent.resource_version.is_empty() {
        object["metadata"]["resourceVersion"] = json!(sent.resource_version);
    }
    Ok(Next { object, complaints })
}

fn check_uid(context: &Context, instance: &Value, uid: &str) -> Result<(), ApiError> {
    let held = instance.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    if uid.is_empty() || uid == held {
        return Ok(());
    }
    let reason = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {held}");
    Err(ApiError::Conflict { named: context.target_named(), reason })
}

/// The Scale of what was written.
fn shown(paths: &ScalePaths, instance: &Value) -> Result<Value, ApiError> {
    Ok(paths.read(instance).map_err(ApiError::BadRequest)?.object(instance))
}

fn answer(
    context: &Context,
    representation: &Representation,
    scale: &Value,
    warnings: &[String],
) -> Result<Response<Body>, ApiError> {
    let body = represent::object(representation, &scale::columns(), scale)?;
    Ok(context.written(StatusCode::OK, representation, body, warnings))
}

/// kube-apiserver passes such errors on as they are: 500 without a reason.
fn unexpected(message: &str) -> ApiError {
    ApiError::Passed(Box::new(json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "code": 500,
    })))
}
