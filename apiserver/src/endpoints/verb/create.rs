//! `create`: decode, own metadata, shape, validate, write.
//!
//! Source: k8s.io/apiserver/pkg/endpoints/handlers/create.go, registry/rest/create.go.

use http::{Response, StatusCode, header};

use crate::{
    encode::status::ApiError,
    endpoints::context::Context,
    object::{
        admit,
        decode::{self, Decoded},
        metadata, protobuf,
    },
    request::{Expected as Purpose, WriteOptions},
    server::Body,
    storage::{host::WriteTarget, kind_store::check_namespace},
};

/// How often a generated name is tried anew when it is taken.
const GENERATED_NAME_TRIES: usize = 8;

pub(super) async fn run(context: &Context) -> Result<Response<Body>, ApiError> {
    let representation = context.representation(Purpose::Object)?;
    let options = WriteOptions::for_create(context.query.as_deref())?;
    let decoded = decoded(context)?;
    let mut object = decoded.object;
    let version = context.projection.version();
    let kind = context.projection.kind();
    let mut complaints = decoded.complaints;
    let dropped = admit::shape(&mut object, None, version);
    let dropped = dropped.map_err(|error| context.strict_object(&error.to_string()))?;
    complaints.extend(dropped.iter().map(|path| format!("unknown field \"{path}\"")));
    let warnings =
        context.judge_complaints(complaints, options.field_validation, |text| context.strict_object(&text))?;
    admit::keep_untargeted(&mut object, None, version, WriteTarget::Main);
    metadata::settle_namespace(&mut object, context.namespace())?;
    let template = object;
    let mut tries = 0;
    loop {
        tries += 1;
        let mut object = template.clone();
        metadata::prepare_create(&mut object)?;
        let named = context.named(metadata::member(&object, "name"));
        if let (Some(host), Some(namespace)) = (&context.namespaces, context.namespace()) {
            check_namespace(host.as_ref(), namespace, &named).await?;
        }
        let mut errors = metadata::validate(&object, kind);
        errors.extend(admit::validate(&object, None, version));
        if !errors.is_empty() {
            return Err(ApiError::invalid(named, &errors));
        }
        let generated = metadata::member(&template, "name").is_empty();
        let options = context.write_options(&options);
        match context.store().create(&context.projection, object, &options, &named).await {
            Err(ApiError::AlreadyExists(_)) if generated && tries < GENERATED_NAME_TRIES => {}
            Err(error) => return Err(error),
            Ok(created) => return context.object(StatusCode::CREATED, &representation, &created, &warnings),
        }
    }
}

/// The object in the body.
fn decoded(context: &Context) -> Result<Decoded, ApiError> {
    let content_type = context.header(header::CONTENT_TYPE).unwrap_or_default();
    if content_type.starts_with(protobuf::MEDIA_TYPE)
        && context.projection.kind().group.is_empty()
        && let Some(object) = protobuf::namespace(&context.body)
    {
        return Ok(Decoded { object, complaints: Vec::new() });
    }
    decode::object(&context.body, context.body_format()?, context.expected())
}
