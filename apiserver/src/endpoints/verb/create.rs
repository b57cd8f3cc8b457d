//! `create`: decode, own metadata, shape, validate, write.
//!
//! Source: k8s.io/apiserver/pkg/endpoints/handlers/create.go, registry/rest/create.go.

use http::{Response, StatusCode, header};
use kindsmith_schema::kind::Typing;
use kindsmith_text::print::quoted;
use serde_json::{Value, json};

use crate::{
    encode::{
        protobuf as wire,
        status::{ApiError, Named},
    },
    endpoints::context::Context,
    object::{
        admit,
        admitted::{Admitted, leave_out_flux_finalizers},
        decode::{self, Decoded},
        metadata::{self, owners},
        protobuf,
    },
    request::{BodyFormat, Expected as Purpose, FieldValidation, WriteOptions},
    server::Body,
    storage::{
        host::{Persistence, WriteTarget},
        kind_store::{Creation, check_namespace},
    },
};

/// How often a generated name is tried anew when it is taken.
const GENERATED_NAME_TRIES: usize = 8;

pub(super) async fn run(context: &Context) -> Result<Response<Body>, ApiError> {
    let representation = context.representation(Purpose::Object)?;
    let format = if is_protobuf_namespace(context) { BodyFormat::Json } else { context.body_format()? };
    let options = WriteOptions::for_create(context.query.as_deref())?;
    let Decoded { mut object, mut complaints } = decoded(context, format, options.field_validation)?;
    let version = context.projection.version();
    let expected = context.expected();
    context.refuse_oversize(&object, None)?;
    complaints.extend(
        context
            .read_typed(&mut object)
            .map_err(|text| decode::fault(&object, expected, &context.body, &text))?
            .into_iter()
            .map(|path| decode::unknown_field(&path)),
    );
    admit::check_reserved(&object, context.projection.kind())?;
    let dropped = admit::shape_as_sent(&mut object, None, context.projection.kind(), version, expected);
    let dropped = dropped.map_err(|error| decode::fault(&object, expected, &context.body, &error.to_string()))?;
    complaints.extend(dropped.iter().map(|path| format!("unknown field \"{path}\"")));
    context.judge_complaints(complaints, options.field_validation, |text| {
        decode::strict_fault(&object, expected, &context.body, &text)
    })?;
    decode::check_api_version(&object, expected)?;
    metadata::wipe_system_fields(&mut object);
    metadata::settle_namespace(&mut object, context.namespace())?;
    context.warn(owners::dedupe(&mut object, owners::Noticed::AsSent));
    context.warn(leave_out_flux_finalizers(&mut object, None, context.projection.kind()));
    let object = context.ownership(&options).created(object);
    let created = store(context, object, &options).await?;
    context.object(StatusCode::CREATED, &representation, &created)
}

/// Creates an object that is decoded and has its owners.
pub(super) async fn store(context: &Context, mut object: Value, options: &WriteOptions) -> Result<Value, ApiError> {
    let (version, kind) = (context.projection.version(), context.projection.kind());
    admit::keep_untargeted(&mut object, None, kind, version, WriteTarget::Main);
    let revision_sent = metadata::member(&object, "resourceVersion").to_owned();
    let generated = metadata::member(&object, "name").is_empty();
    let mut template = object;
    let mut tries = 0;
    loop {
        tries += 1;
        // Only a name that is generated can be taken and another one tried.
        let mut object = if generated { template.clone() } else { std::mem::take(&mut template) };
        metadata::prepare_create(&mut object, kind);
        let named = context.named(metadata::member(&object, "name"));
        if context.resource.kind.creation == Creation::Closed {
            return Err(terminating(named));
        }
        if let (Some(host), Some(namespace)) = (&context.namespaces, context.namespace()) {
            check_namespace(host.as_ref(), namespace, &named).await?;
        }
        let admitted = Admitted::new(object, context.rules())?;
        if context.typing() == Typing::Custom {
            context.warn(metadata::rules::finalizer_warnings(admitted.object(), None));
        }
        let host_options = context.write_options(options);
        // kube-apiserver's storage looks at the revision; a dry run does not come so far, and shows it.
        let dry_run = host_options.persistence == Persistence::DryRun;
        if !revision_sent.is_empty() && revision_sent != "0" && !dry_run {
            return Err(ApiError::Plain("resourceVersion should not be set on objects to be created".to_owned()));
        }
        match context.store().create(&context.projection, admitted, &host_options, &named).await {
            Err(ApiError::AlreadyExists(_) | ApiError::NameTaken { .. } | ApiError::BeingDeleted(_))
                if generated && tries < GENERATED_NAME_TRIES => {}
            Ok(mut created) if dry_run && !revision_sent.is_empty() => {
                created["metadata"]["resourceVersion"] = json!(revision_sent);
                return Ok(created);
            }
            written => return written,
        }
    }
}

/// The refusal of a kind whose definition is being deleted.
///
/// Source: k8s.io/apiextensions-apiserver/pkg/apiserver/customresource_handler.go (forbidCreateAdmission).
fn terminating(named: Named) -> ApiError {
    let message = format!(
        "{} {} is forbidden: create not allowed while custom resource definition is terminating",
        named.qualified(),
        quoted(&named.name)
    );
    ApiError::Forbidden { named: Some(named), message, causes: Vec::new() }
}

fn is_protobuf_namespace(context: &Context) -> bool {
    let content_type = context.header(header::CONTENT_TYPE).unwrap_or_default();
    content_type.starts_with(wire::MEDIA_TYPE) && context.projection.kind().group.is_empty()
}

/// The object in the body.
fn decoded(context: &Context, format: BodyFormat, validation: FieldValidation) -> Result<Decoded, ApiError> {
    if is_protobuf_namespace(context)
        && let Some(object) = protobuf::namespace(&context.body)
    {
        return Ok(Decoded { object, complaints: Vec::new() });
    }
    decode::object(&context.body, format, context.expected(), validation)
}
