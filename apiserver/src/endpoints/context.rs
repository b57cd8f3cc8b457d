//! What every verb works with: the kind, resolved once, the names, the options.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use kindsmith_schema::{
    kind::{Kind, Typing},
    ownership::{Endpoint, HOST_FIELD_MANAGER},
};
use serde_json::Value;

use super::{offload::Offloads, represent};
use crate::{
    authz::{Attributes, Requester},
    encode::{
        response,
        status::{ApiError, Named},
    },
    metrics::RequestRecord,
    object::{
        admitted::Rules,
        decode::{self, Expected},
        metadata, namespace,
        ownership::{self, Ownership},
    },
    registry::Resource,
    request::{
        BodyFormat, Expected as Purpose, FieldValidation, NegotiationError, Representation, ResourceTarget,
        StatusFormat, Verb, WriteOptions as ClientOptions,
    },
    server::{Body, Lifecycle},
    storage::{
        host::{Generation, Host, WriteOptions, WriteTarget},
        kind_store::{self, KindStore},
        projection::Projection,
    },
};

/// A request for a resource.
pub struct Context {
    /// The kind and its version.
    pub resource: Resource,
    /// How the version shows host objects, as it was when the request came.
    pub projection: Arc<Projection>,
    /// What the path addresses.
    pub target: ResourceTarget,
    /// The query, without the question mark.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// `apiVersion` of the objects.
    pub api_version: String,
    /// Where namespaces are, when the backend does not check them itself.
    pub namespaces: Option<Arc<dyn Host>>,
    /// What a write may change.
    pub write_target: WriteTarget,
    /// What an answer that lasts needs.
    pub transport: Transport,
    /// Who asks.
    pub requester: Requester,
    /// Where large work is done.
    pub offloads: Offloads,
    /// What the client's user is told besides the answer, whether that is an error or not.
    pub warnings: Mutex<Vec<String>>,
}

/// What an answer that lasts needs: it outlives its request.
pub struct Transport {
    /// Where the server is between its start and its end.
    pub lifecycle: Arc<Lifecycle>,
    /// Counts the request.
    pub record: Arc<RequestRecord>,
    /// The connection itself, if the client wants to speak another protocol on it.
    pub upgrade: Mutex<Option<OnUpgrade>>,
}

/// An object of a kind, as errors name it.
#[must_use]
pub fn named(kind: &Kind, name: &str) -> Named {
    Named {
        group: kind.group.clone(),
        resource: kind.names.plural.clone(),
        kind: kind.names.kind.clone(),
        name: name.to_owned(),
    }
}

impl Context {
    /// The store of the kind.
    #[must_use]
    pub fn store(&self) -> &Arc<KindStore> {
        &self.resource.kind.store
    }

    /// How many bytes the request works on: its body, and the object that it changes, as far as that is held.
    #[must_use]
    pub fn work_bytes(&self) -> usize {
        let changes = matches!(self.target.verb, Verb::Update | Verb::Patch | Verb::Delete);
        let held = self.target.name.as_deref().filter(|_| changes);
        let held = held.and_then(|name| self.store().held_bytes(&self.projection, self.namespace(), name));
        self.body.len() + held.unwrap_or_default()
    }

    /// The object as errors name it.
    #[must_use]
    pub fn named(&self, name: &str) -> Named {
        named(self.projection.kind(), name)
    }

    /// The object that the path names, as errors name it.
    #[must_use]
    pub fn target_named(&self) -> Named {
        self.named(self.name())
    }

    /// The name in the path; empty for a collection.
    #[must_use]
    pub fn name(&self) -> &str {
        self.target.name.as_deref().unwrap_or_default()
    }

    /// The namespace in the path. A namespace itself is in none.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        match self.projection.kind().scope {
            kindsmith_crds::Scope::Namespaced => self.target.namespace.as_deref(),
            kindsmith_crds::Scope::Cluster => None,
        }
    }

    /// What a body must be.
    #[must_use]
    pub fn expected(&self) -> Expected<'_> {
        Expected {
            api_version: &self.api_version,
            version: &self.projection.version().name,
            kind: &self.projection.kind().names.kind,
            typing: self.typing(),
        }
    }

    /// Whose rules hold for bodies.
    #[must_use]
    pub fn typing(&self) -> Typing {
        self.projection.kind().typing()
    }

    /// Reads as types what of an object has one: the metadata, and all of a built-in type. Returns the paths of what is
    /// unknown there.
    ///
    /// # Errors
    /// A value has another type; the text is that of Go's decoder.
    pub fn read_typed(&self, object: &mut Value) -> Result<Vec<String>, String> {
        match self.typing() {
            Typing::BuiltIn => namespace::read(object),
            Typing::Custom => metadata::typed::coerce(object),
        }
    }

    /// Refuses an object with far more than the schema allows, before anything is made of it. `live` is what it replaces:
    /// what was too much before is forgiven where it did not change, so then all is looked at.
    ///
    /// # Errors
    /// 422 with the first list or map of which there is too much.
    pub fn refuse_oversize(&self, object: &Value, live: Option<&Value>) -> Result<(), ApiError> {
        let schema = &self.projection.version().schema;
        // Of what is sent to `/status` the rest is of no account.
        let Some(fault) = schema.oversize(object).filter(|_| self.write_target == WriteTarget::Main) else {
            return Ok(());
        };
        if live.is_some_and(|live| schema.oversize(live).is_some()) {
            return Ok(());
        }
        let named = match self.target.name {
            Some(_) => self.target_named(),
            None => self.named(metadata::member(object, "name")),
        };
        Err(ApiError::invalid(named, &[fault]))
    }

    /// What objects are checked by.
    #[must_use]
    pub fn rules(&self) -> Rules<'_> {
        Rules { kind: self.projection.kind(), version: self.projection.version(), expected: self.expected() }
    }

    /// A header as text.
    #[must_use]
    pub fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The format of the body.
    ///
    /// # Errors
    /// 415 for a type that we do not read.
    pub fn body_format(&self) -> Result<BodyFormat, ApiError> {
        BodyFormat::from_content_type(self.header(header::CONTENT_TYPE))
            .map_err(|error| ApiError::UnsupportedMediaType(error.message))
    }

    /// The form of the answer.
    ///
    /// # Errors
    /// 406 when the client takes none that can be made.
    pub fn representation(&self, purpose: Purpose) -> Result<Representation, ApiError> {
        self.representation_at_last(purpose)?
    }

    /// The form of the answer. What the inner error says is to be told last, when the answer is made.
    ///
    /// # Errors
    /// 406 when the client takes none that can be made.
    pub fn representation_at_last(&self, purpose: Purpose) -> Result<Result<Representation, ApiError>, ApiError> {
        let negotiated = Representation::negotiate(
            self.header(header::ACCEPT),
            self.query.as_deref(),
            self.header(header::USER_AGENT),
            purpose,
        );
        match negotiated {
            Ok(representation) => Ok(Ok(representation)),
            Err(NegotiationError::AtLast(error)) => Ok(Err(ApiError::NotAcceptable(error.message))),
            Err(NegotiationError::NotAcceptable(error)) => Err(ApiError::NotAcceptable(error.message)),
            Err(NegotiationError::BadRequest(error)) => Err(ApiError::BadRequest(error.message)),
        }
    }

    /// What the host is told about a write.
    #[must_use]
    pub fn write_options(&self, options: &ClientOptions) -> WriteOptions {
        WriteOptions {
            persistence: kind_store::persistence(options.dry_run),
            field_manager: HOST_FIELD_MANAGER.to_owned(),
            generation: Generation::Host,
        }
    }

    /// Who owns which field after a write.
    #[must_use]
    pub fn ownership(&self, options: &ClientOptions) -> Ownership<'_> {
        let endpoint = match self.write_target {
            WriteTarget::Main => Endpoint::Main,
            WriteTarget::Status => Endpoint::Status,
        };
        Ownership::new(self.projection.kind(), &self.api_version, endpoint, self.manager(options))
    }

    /// The field manager that writes.
    #[must_use]
    pub fn manager(&self, options: &ClientOptions) -> String {
        ownership::manager(options.field_manager.as_deref(), self.header(header::USER_AGENT))
    }

    /// Whether the user may create the object that the path names, for requests that create what is not there.
    ///
    /// # Errors
    /// 403 when they may not.
    pub async fn permit_create(&self) -> Result<(), ApiError> {
        self.permit("create").await
    }

    /// Whether the user may do something else to what the path names than the request says.
    ///
    /// # Errors
    /// 403 when they may not.
    pub async fn permit(&self, verb: &str) -> Result<(), ApiError> {
        let target = &self.target;
        let attributes = Attributes::Resource {
            verb: verb.to_owned(),
            group: target.group.clone(),
            version: target.version.clone(),
            resource: target.resource.clone(),
            subresource: target.subresource.clone().unwrap_or_default(),
            namespace: target.namespace.clone().unwrap_or_default(),
            name: target.name.clone().unwrap_or_default(),
            field_selector: Vec::new(),
            label_selector: Vec::new(),
        };
        self.requester.permit(&attributes).await
    }

    /// An answer with one object.
    ///
    /// # Errors
    /// None in practice; encoding errors are passed on.
    pub fn object(
        &self,
        code: StatusCode,
        representation: &Representation,
        instance: &Value,
    ) -> Result<Response<Body>, ApiError> {
        let body = represent::object(representation, &self.projection.version().columns, instance)?;
        Ok(self.body(code, representation.content_type(), body))
    }

    /// Tells the client's user something besides the answer; what was said before is not said again.
    pub fn warn(&self, warnings: impl IntoIterator<Item = String>) {
        let mut held = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in warnings {
            if !held.contains(&warning) {
                held.push(warning);
            }
        }
    }

    /// How many warnings there are, for [`Self::take_back`].
    #[must_use]
    pub fn warned(&self) -> usize {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Takes back all warnings but so many: what they were about is looked at anew.
    pub fn take_back(&self, kept: usize) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).truncate(kept);
    }

    /// An answer with a Status, in the format that the client takes.
    #[must_use]
    pub fn status_format(&self) -> StatusFormat {
        StatusFormat::negotiate(self.header(header::ACCEPT), self.query.as_deref(), self.header(header::USER_AGENT))
    }

    /// An answer with a body, compressed when that pays and the client takes it.
    #[must_use]
    pub fn body(&self, code: StatusCode, content_type: &str, body: Bytes) -> Response<Body> {
        let (body, encoding) = response::compress(self.header(header::ACCEPT_ENCODING), body);
        Self::encoded(code, content_type, response::full(body), encoding)
    }

    /// An answer with a body that is compressed already, or is not to be.
    #[must_use]
    pub fn encoded(code: StatusCode, content_type: &str, body: Body, encoding: Option<HeaderValue>) -> Response<Body> {
        let mut answer = response::answer_with(code, content_type, body);
        if let Some(encoding) = encoding {
            answer.headers_mut().insert(header::CONTENT_ENCODING, encoding);
            answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        answer
    }

    /// What becomes of complaints of strict decoding: an error, warnings, or nothing.
    ///
    /// # Errors
    /// The complaints, when the client asked for strict validation.
    pub fn judge_complaints(
        &self,
        complaints: Vec<String>,
        validation: FieldValidation,
        strict: impl FnOnce(String) -> ApiError,
    ) -> Result<(), ApiError> {
        match validation {
            FieldValidation::Ignore => {}
            FieldValidation::Warn => {
                self.warn(complaints.into_iter().flat_map(|complaint| decode::warnings(&complaint)))
            }
            FieldValidation::Strict if complaints.is_empty() => {}
            FieldValidation::Strict => {
                return Err(strict(format!("strict decoding error: {}", complaints.join(", "))));
            }
        }
        Ok(())
    }

    /// The error of strict decoding for a whole object.
    #[must_use]
    pub fn strict_object(&self, text: &str) -> ApiError {
        let Expected { version, kind, .. } = self.expected();
        ApiError::BadRequest(format!("{kind} in version {version:?} cannot be handled as a {kind}: {text}"))
    }
}
