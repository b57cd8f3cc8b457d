//! `patch`: changes an object, or its status, by a JSON patch, a merge patch, or an apply.
//!
//! Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go.

use http::{Response, StatusCode, header};
use kindsmith_schema::kind::Typing;
use kindsmith_text::print::quoted;
use serde_json::Value;

use super::{
    apply::{self, Configuration},
    write::{self, Next, Owners},
};
use crate::{
    encode::status::{ApiError, Cause, Named},
    endpoints::context::Context,
    object::{decode, metadata, ownership::Ownership, patch::Patch},
    request::{Expected as Purpose, FieldValidation, PatchType, Representation, WriteOptions},
    server::Body,
};

/// A patch as the request has it. It is read for each state that it is applied to, so that an object that is not there is
/// told before a patch that is none.
pub(super) struct Sent<'a> {
    body: &'a [u8],
    kind: PatchType,
    /// The form of the answer.
    pub(super) representation: Representation,
    /// What the query asks for.
    pub(super) options: WriteOptions,
}

impl<'a> Sent<'a> {
    /// Looks at the headers, the query, and whether the body is JSON at all.
    pub(super) fn new(context: &'a Context) -> Result<Self, ApiError> {
        let kind = check_type(context)?;
        let representation = context.representation(Purpose::Object)?;
        let options = WriteOptions::for_patch(context.query.as_deref(), kind)?;
        if kind != PatchType::Apply && serde_json::from_slice::<serde::de::IgnoredAny>(&context.body).is_err() {
            return Err(ApiError::BadRequest("invalid JSON patch".to_owned()));
        }
        Ok(Self { body: &context.body, kind, representation, options })
    }

    /// Changes an object; complaints are about duplicate fields of the patch.
    fn change(&self, object: &mut Value) -> Result<Vec<String>, ApiError> {
        let validation = self.options.field_validation;
        let (patch, mut complaints) = match self.kind {
            PatchType::Json => Patch::json(self.body, validation)?,
            PatchType::Merge => Patch::merge(self.body, validation)?,
            PatchType::Strategic => Patch::strategic(self.body, validation)?,
            PatchType::Apply => {
                return Err(ApiError::UnsupportedMediaType(PatchType::unsupported(Typing::Custom).message));
            }
        };
        let of_object = patch.apply(object)?;
        if validation != FieldValidation::Ignore {
            complaints.extend(of_object);
        }
        Ok(complaints)
    }

    /// Changes an object whose owners are in it, and says whether they still have to be told of the change.
    pub(super) fn change_owned(
        &self,
        context: &Context,
        ownership: &Ownership<'_>,
        object: &mut Value,
    ) -> Result<(Vec<String>, Owners), ApiError> {
        if self.kind == PatchType::Apply {
            *object = Configuration::read(self.body)?.apply(context, ownership, &self.options, object)?;
            return Ok((Vec::new(), Owners::Settled));
        }
        Ok((self.change(object)?, Owners::ByUpdate))
    }
}

/// Looks at the type of a patch, which is judged before all else.
///
/// # Errors
/// 415 for a type that is none of a patch.
pub(super) fn check_type(context: &Context) -> Result<PatchType, ApiError> {
    PatchType::from_content_type(context.header(header::CONTENT_TYPE), context.typing())
        .map_err(|error| ApiError::UnsupportedMediaType(error.message))
}

pub(super) async fn run(context: &Context) -> Result<Response<Body>, ApiError> {
    let sent = Sent::new(context)?;
    if sent.kind == PatchType::Apply {
        let (code, written) = apply::run(context, &sent.options).await?;
        return context.object(code, &sent.representation, &written);
    }
    let change = |current: &Value| {
        let mut object = current.clone();
        let mut complaints = sent.change(&mut object)?;
        if context.typing() == Typing::Custom && decode::kind_of(&object).is_empty() {
            return Err(fault(&object, &format!("Object 'Kind' is missing in '{object}'")));
        }
        context.refuse_oversize(&object, Some(current))?;
        let unknown = context.read_typed(&mut object).map_err(|text| fault(&object, &text))?;
        let shown = if unknown.is_empty() {
            None
        } else {
            let mut shown = current.clone();
            sent.change(&mut shown)?;
            Some(shown)
        };
        complaints.extend(unknown.into_iter().map(|path| decode::unknown_field(&path)));
        Ok(Next { object, complaints, owners: Owners::ByUpdate, shown })
    };
    let written = write::run(context, &sent.options, change, fault).await?;
    context.object(StatusCode::OK, &sent.representation, &written)
}

/// Whether an object has the name of the path, and its namespace if it has one.
pub(super) fn check_place(context: &Context, object: &Value) -> Result<(), ApiError> {
    metadata::settle_namespace(&mut object.clone(), context.namespace())?;
    metadata::check_name(object, context.name())
}

/// What is wrong with a patched object. The error names no kind, as in Kubernetes.
pub(super) fn fault(object: &Value, text: &str) -> ApiError {
    let nothing = String::new;
    ApiError::Invalid {
        named: Named { group: nothing(), resource: nothing(), kind: nothing(), name: nothing() },
        causes: vec![Cause {
            reason: "FieldValueInvalid".to_owned(),
            message: format!("Invalid value: {}: {text}", quoted(&object.to_string())),
            field: "patch".to_owned(),
        }],
    }
}
