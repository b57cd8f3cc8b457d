//! `apply`: makes an object what one manager wants of it, and leaves the rest to the others. Creates what is not there.
//!
//! Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go (applyPatcher), registry/generic/registry/store.go (Update).

use std::borrow::Cow;

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    create, patch,
    write::{self, Next, Owners},
};
use crate::{
    encode::status::ApiError,
    endpoints::context::Context,
    object::{admit, admitted::leave_out_flux_finalizers, decode, metadata, ownership::Ownership},
    request::{FieldValidation, Force, WriteOptions},
    storage::host::{Persistence, WriteTarget},
};

/// How often an object that comes and goes in between is tried anew.
const TRIES: usize = 5;

/// What a manager wants: a document in YAML, which JSON is too.
#[derive(Clone)]
pub(super) struct Configuration {
    value: Value,
    complaints: Vec<String>,
}

impl Configuration {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// 400 when it is no YAML.
    pub(super) fn read(body: &[u8]) -> Result<Self, ApiError> {
        let (value, complaints) = decode::yaml(body).map_err(|error| {
            ApiError::BadRequest(format!("error decoding patch: error converting YAML to JSON: {error}"))
        })?;
        Ok(Self { value, complaints })
    }

    /// The configuration, which must be a map. Nothing is an empty one.
    fn map(&self) -> Result<Cow<'_, Value>, ApiError> {
        let found = match &self.value {
            Value::Object(_) => return Ok(Cow::Borrowed(&self.value)),
            Value::Null => return Ok(Cow::Owned(json!({}))),
            Value::Array(_) => "array",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
        };
        Err(ApiError::BadRequest(format!(
            "error decoding patch: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go \
             value of type map[string]interface {{}}"
        )))
    }

    /// `live` with the configuration applied; what strict reading has against it is an error or a warning.
    pub(super) fn apply(
        &self,
        context: &Context,
        ownership: &Ownership<'_>,
        options: &WriteOptions,
        live: &Value,
    ) -> Result<Value, ApiError> {
        let force = match options.force {
            Force::Yes => kindsmith_merge::Force::Take,
            Force::No => kindsmith_merge::Force::Refuse,
        };
        let object = ownership.applied(live, self.map()?.as_ref(), force)?;
        match options.field_validation {
            FieldValidation::Strict if !self.complaints.is_empty() => {
                let complaints = self.complaints.join("\n  ");
                return Err(ApiError::BadRequest(format!(
                    "error strict decoding patch: error converting YAML to JSON: {complaints}"
                )));
            }
            FieldValidation::Warn => {
                context.warn(self.complaints.iter().flat_map(|complaint| decode::warnings(complaint)));
            }
            FieldValidation::Strict | FieldValidation::Ignore => {}
        }
        Ok(object)
    }
}

impl Configuration {
    /// [`Configuration::apply`] for an object of the kind, whose metadata is read as what it is.
    fn object(
        &self,
        context: &Context,
        ownership: &Ownership<'_>,
        options: &WriteOptions,
        live: &Value,
    ) -> Result<Value, ApiError> {
        let kind = context.projection.kind();
        // Of the configuration, before the schema could refuse them as unknown.
        admit::check_reserved(&self.value, kind)?;
        context.refuse_oversize(&self.value, Some(live).filter(|live| !live.is_null()))?;
        let mut sent = Cow::Borrowed(self);
        if self.value.pointer("/metadata/finalizers").is_some() {
            context.warn(leave_out_flux_finalizers(&mut sent.to_mut().value, Some(live), kind));
        }
        let mut object = sent.apply(context, ownership, options, live)?;
        context.read_typed(&mut object).map_err(|text| patch::fault(&object, &text))?;
        Ok(object)
    }
}

/// Applies the body, and returns the object with 200, or with 201 when it was created.
pub(super) async fn run(context: &Context, options: &WriteOptions) -> Result<(StatusCode, Value), ApiError> {
    let configuration = Configuration::read(&context.body)?;
    let ownership = context.ownership(options);
    let mut tries = 0;
    loop {
        tries += 1;
        let change = |live: &Value| {
            let object = configuration.object(context, &ownership, options, live)?;
            patch::check_place(context, &object)?;
            Ok(Next { object, complaints: Vec::new(), owners: Owners::Settled, shown: None })
        };
        match write::run(context, options, change, patch::fault).await {
            Err(ApiError::NotFound(_)) if context.write_target == WriteTarget::Main => {}
            written => return written.map(|object| (StatusCode::OK, object)),
        }
        let mut object = configuration.object(context, &ownership, options, &Value::Null)?;
        let uid = metadata::member(&object, "uid");
        if !uid.is_empty() {
            return Err(ApiError::Conflict {
                named: context.target_named(),
                reason: format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                ),
            });
        }
        patch::check_place(context, &object)?;
        metadata::settle_namespace(&mut object, context.namespace())?;
        if context.write_options(options).persistence == Persistence::Durable {
            // What is not there has no revision that could be another.
            metadata::forget_revision(&mut object);
        }
        context.permit_create().await?;
        match create::store(context, object, options).await {
            Err(ApiError::AlreadyExists(_) | ApiError::BeingDeleted(_)) if tries < TRIES => {}
            created => return created.map(|object| (StatusCode::CREATED, object)),
        }
    }
}
