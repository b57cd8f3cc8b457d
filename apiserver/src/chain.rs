//! The way of a request, in the order of kube-apiserver: path, user, in-flight limit, authorization, kind, verb.
//!
//! Source: k8s.io/apiserver/pkg/server/config.go (DefaultBuildHandlerChain). The kind is looked up after authorization, so
//! that who may not know gets 403 and not 404.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header, request::Parts};
use http_body::Body as _;
use hyper::{body::Incoming, upgrade::OnUpgrade};

use crate::{
    authn::{Audience, Authenticators, UserInfo},
    authz::{Attributes, Authorizer, MASTERS, Requester, Requirement},
    encode::{response, status::ApiError},
    endpoints::{
        context::{Context, Transport},
        documents,
        offload::{LIGHT_BYTES_MAX, Offloads},
        probes::Probes,
        verb,
    },
    lane::{Lane, Taken},
    metrics::{InFlight, Metrics, RequestLabels, RequestRecord, State},
    registry::{Registry, Snapshot, snapshot::Sync},
    replica::{REPORT_PATH, ReplicaReport},
    request::{
        self, Pretty, ProbeOptions, ResourceTarget, StatusFormat, Target, Verb, authorization_selectors,
        request_deadline,
    },
    server::{Body, BodyError, Handler, Lifecycle, Peer, ServingCertificate, Standing, UntilSent, read_body},
    storage::host::{Host, WriteTarget},
};

/// The largest body of a request.
pub const BODY_BYTES_MAX: usize = 3 * 1024 * 1024;

/// All bodies of requests together, from when they are read until the answer is there.
pub const BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long a request may take, watches apart.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(60);

/// Requests that read, at once.
pub const READS_IN_FLIGHT_MAX: usize = 400;

/// Requests that write, at once.
pub const WRITES_IN_FLIGHT_MAX: usize = 200;

static AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// Everything a request passes.
pub struct Chain {
    registry: Arc<Registry>,
    authenticators: Authenticators,
    authorizer: Arc<dyn Authorizer>,
    namespaces: Option<Arc<dyn Host>>,
    probes: Probes,
    report: Option<ReplicaReport>,
    lifecycle: Arc<Lifecycle>,
    metrics: Arc<Metrics>,
    reads: Arc<Lane>,
    writes: Arc<Lane>,
    bodies: Arc<Lane>,
    offloads: Offloads,
}

impl Chain {
    /// The chain. `namespaces` is where namespaces are, when the backend does not check them itself.
    #[must_use]
    pub fn new(
        registry: Arc<Registry>,
        authenticators: Authenticators,
        authorizer: Arc<dyn Authorizer>,
        namespaces: Option<Arc<dyn Host>>,
        probes: Probes,
        lifecycle: Arc<Lifecycle>,
        certificate: Arc<ServingCertificate>,
    ) -> Self {
        let (reads, writes) = (Lane::new(READS_IN_FLIGHT_MAX), Lane::new(WRITES_IN_FLIGHT_MAX));
        let (reading, writing) = (Arc::clone(&reads), Arc::clone(&writes));
        let in_flight = Box::new(move || InFlight { reads: reading.taken(), writes: writing.taken() });
        let metrics = Metrics::new(State { registry: Arc::clone(&registry), certificate, in_flight });
        Self {
            registry,
            authenticators,
            authorizer,
            namespaces,
            probes,
            report: None,
            lifecycle,
            metrics,
            reads,
            writes,
            bodies: Lane::new(BODIES_BYTES_MAX),
            offloads: Offloads::default(),
        }
    }

    /// Answers as well what this replica serves.
    #[must_use]
    pub fn reporting(mut self, report: ReplicaReport) -> Self {
        self.report = Some(report);
        self
    }

    async fn answer(&self, mut parts: Parts, body: Incoming, target: Target) -> Result<Response<Body>, ApiError> {
        let query = parts.uri.query().map(str::to_owned);
        let peer = parts.extensions.get::<Arc<Peer>>().cloned();
        let peer = peer.ok_or_else(|| ApiError::Internal("the connection is not known".to_owned()))?;
        let audience = self.audience(&target);
        let user = self.authenticators.authenticate(&mut parts, &peer, audience).await.map_err(|error| {
            // Counted with all answers, and not told one by one: anybody can cause it.
            tracing::debug!(%error, address = %peer.address, "request refused");
            ApiError::from(error)
        })?;
        let deadline = request_deadline(query.as_deref(), REQUEST_DEADLINE)
            .map_err(|error| ApiError::BadRequest(error.message))?;
        let watch = matches!(&target, Target::Resource(target) if target.verb == Verb::Watch);
        let rest = self.authorized(parts, body, target, query, user);
        if watch {
            return rest.await;
        }
        tokio::time::timeout(deadline, rest).await.unwrap_or_else(|_| {
            Err(ApiError::Timeout("request did not complete within the allotted timeout".to_owned()))
        })
    }

    /// Whom tokens of a request are meant for: who asks for the report has one that nobody else takes.
    fn audience(&self, target: &Target) -> Audience {
        match target {
            Target::NonResource { path } if self.report.is_some() && path == REPORT_PATH => Audience::Replica,
            _ => Audience::Cluster,
        }
    }

    /// A place among the requests in flight, after k8s.io/apiserver/pkg/server/filters/maxinflight.go. Watches last and
    /// have limits of their own; masters must always get through; what is answered from memory is not asked about.
    fn place(&self, verb: Verb, user: &UserInfo) -> Place {
        let lane = match verb {
            Verb::Watch => return Place::Given(None),
            Verb::Get | Verb::List => &self.reads,
            _ => &self.writes,
        };
        match lane.take(&user.name, 1) {
            Some(place) => Place::Given(Some(place)),
            None if is_master(user) => Place::Given(None),
            None => Place::Full,
        }
    }

    /// Reads the body of a request. What it holds meanwhile, and as long as it is worked on, is bounded too.
    async fn body(&self, body: Incoming, user: &UserInfo) -> Result<(Bytes, Option<Taken>), ApiError> {
        let expected = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
        let bytes = expected.unwrap_or(BODY_BYTES_MAX).min(BODY_BYTES_MAX);
        let room = self.bodies.take(&user.name, bytes);
        if room.is_none() && !is_master(user) {
            let message = "too many bodies of requests are being read, please try again later".to_owned();
            return Err(ApiError::TooManyRequests { message, retry_after: 1 });
        }
        let body = read_body(body, BODY_BYTES_MAX).await.map_err(|error| match error {
            BodyError::TooLarge => ApiError::TooLarge(format!("limit is {BODY_BYTES_MAX}")),
            BodyError::Timeout => ApiError::Timeout("the body did not come in time".to_owned()),
            BodyError::Broken => ApiError::BadRequest("the body is incomplete".to_owned()),
        })?;
        Ok((body, room))
    }

    /// The paths that are answered here, besides documents.
    fn paths(&self) -> impl Iterator<Item = String> {
        let report = self.report.as_ref().map(|_| REPORT_PATH.to_owned());
        self.probes.paths().chain(["/metrics".to_owned()]).chain(report)
    }

    fn metrics(&self, parts: &Parts) -> Result<Response<Body>, ApiError> {
        let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let exposed = self.metrics.expose(accept);
        let exposed = exposed.map_err(|_| ApiError::Internal("metrics cannot be written down".to_owned()))?;
        let accept_encoding = parts.headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
        let (body, encoding) = response::compress(accept_encoding, exposed.body.into());
        let mut answer = response::answer(StatusCode::OK, exposed.content_type, body);
        if let Some(encoding) = encoding {
            answer.headers_mut().insert(header::CONTENT_ENCODING, encoding);
        }
        Ok(answer)
    }

    /// Counts a request, if it can be understood at all.
    fn record(&self, parts: &Parts, target: &Target) -> Arc<RequestRecord> {
        let snapshot = self.registry.snapshot();
        let served =
            |target: &ResourceTarget| snapshot.resource(&target.group, &target.version, &target.resource).is_some();
        let labels = RequestLabels::new(target, &parts.method, parts.uri.query(), &parts.headers, served);
        RequestRecord::new(&self.metrics, labels, Instant::now())
    }

    async fn authorized(
        &self,
        parts: Parts,
        body: Incoming,
        target: Target,
        query: Option<String>,
        user: UserInfo,
    ) -> Result<Response<Body>, ApiError> {
        // A write has a place when its body is there: whoever sends slowly has none meanwhile.
        let early = match &target {
            Target::Resource(target) if !has_body(target.verb) => self.place(target.verb, &user),
            Target::NonResource { path } if path.starts_with("/openapi/") => self.place(Verb::Get, &user),
            _ => Place::Given(None),
        };
        let Place::Given(early) = early else { return Ok(too_many_requests()) };
        let attributes = attributes(&target, &parts, query.as_deref());
        let requester = Requester { user, authorizer: Arc::clone(&self.authorizer) };
        requester.refuse_impersonation(&parts.headers)?;
        requester.permit(&attributes).await?;
        let snapshot = self.registry.snapshot();
        let target = match target {
            Target::NonResource { path } => {
                let options =
                    ProbeOptions::parse(query.as_deref()).map_err(|error| ApiError::BadRequest(error.message))?;
                if let Some(answer) = self.probes.answer(&path, &options) {
                    return Ok(answer);
                }
                return match (path.as_str(), &self.report) {
                    ("/metrics", _) => self.metrics(&parts),
                    (REPORT_PATH, Some(report)) => report.answer(&snapshot, &parts.method, query.as_deref()),
                    ("/" | "/index.html", _) => documents::root(&snapshot, &parts.method, self.paths()),
                    _ => {
                        let query = query.as_deref();
                        let answer = documents::run(&snapshot, &parts.method, &path, query, &parts.headers).await?;
                        Ok(until_sent(answer, early))
                    }
                };
            }
            Target::Resource(target) => target,
        };
        let (context, room) = self.resolve(&snapshot, target, parts, query, body, requester).await?;
        let place = if has_body(context.target.verb) {
            self.place(context.target.verb, &context.requester.user)
        } else {
            Place::Given(early)
        };
        let Place::Given(place) = place else { return Ok(too_many_requests()) };
        let answer = match context.work_bytes() {
            ..=LIGHT_BYTES_MAX => verb::run(context).await,
            bytes => self.offloads.writes.run_on(bytes, verb::run(context)).await?,
        };
        drop(room);
        Ok(until_sent(answer, place))
    }

    async fn resolve(
        &self,
        snapshot: &Snapshot,
        target: ResourceTarget,
        mut parts: Parts,
        query: Option<String>,
        body: Incoming,
        requester: Requester,
    ) -> Result<(Context, Option<Taken>), ApiError> {
        let record = parts.extensions.remove::<Arc<RequestRecord>>();
        let record = record.ok_or_else(|| ApiError::Internal("the request is not known".to_owned()))?;
        let Some(resource) = snapshot.resource(&target.group, &target.version, &target.resource) else {
            return Err(if snapshot.sync == Sync::Pending { documents::starting() } else { ApiError::NoSuchPath });
        };
        let projection = resource.view.projection();
        let kind = projection.kind();
        let write_target = match target.subresource.as_deref() {
            Some("status") => WriteTarget::Status,
            _ => WriteTarget::Main,
        };
        // A path of the other scope is the path of nothing, whatever the verb and the subresource.
        let everywhere = matches!(target.verb, Verb::List | Verb::Watch);
        let in_namespace = target.namespace.is_some();
        match kind.scope {
            kindsmith_crds::Scope::Namespaced if !in_namespace && !everywhere => return Err(ApiError::NoSuchPath),
            kindsmith_crds::Scope::Cluster if in_namespace && target.resource != "namespaces" => {
                return Err(ApiError::NoSuchPath);
            }
            _ => {}
        }
        let (body, room) =
            if has_body(target.verb) { self.body(body, &requester.user).await? } else { (Bytes::new(), None) };
        let release = matches!(kind.backend, kindsmith_schema::kind::KindBackend::Release(_));
        let context = Context {
            api_version: kind.api_version(&projection.version().name),
            // A cluster checks the namespaces of its objects itself.
            namespaces: self.namespaces.clone().filter(|_| release || !kind.group.is_empty()),
            resource,
            projection,
            target,
            query,
            headers: parts.headers,
            body,
            write_target,
            transport: Transport {
                lifecycle: Arc::clone(&self.lifecycle),
                record,
                upgrade: Mutex::new(parts.extensions.remove::<OnUpgrade>()),
            },
            requester,
            offloads: self.offloads.clone(),
            warnings: Mutex::default(),
        };
        Ok((context, room))
    }
}

/// Holds a place until the answer was sent.
fn until_sent(mut answer: Response<Body>, place: Option<Taken>) -> Response<Body> {
    if let Some(place) = place {
        answer.extensions_mut().insert(UntilSent::keep(place));
    }
    answer
}

/// Whether a request of a verb says something in its body.
fn has_body(verb: Verb) -> bool {
    matches!(verb, Verb::Create | Verb::Update | Verb::Patch | Verb::Delete | Verb::DeleteCollection)
}

fn is_master(user: &UserInfo) -> bool {
    user.groups.iter().any(|group| group == MASTERS)
}

/// Whether a request may run now.
enum Place {
    /// It may, and holds this until its answer was sent.
    Given(Option<Taken>),
    /// As many run as are allowed.
    Full,
}

/// Not a Status, as in kube-apiserver (filters/priority-and-fairness.go, tooManyRequests).
fn too_many_requests() -> Response<Body> {
    let mut answer = plain(StatusCode::TOO_MANY_REQUESTS, "Too many requests, please try again later.\n");
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// Not a Status either: nobody in kube-apiserver knows such a path (Go's net/http, NotFound).
fn no_such_page() -> Response<Body> {
    plain(StatusCode::NOT_FOUND, "404 page not found\n")
}

fn plain(code: StatusCode, text: &'static str) -> Response<Body> {
    let mut answer = response::answer(code, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()));
    answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn attributes(target: &Target, parts: &Parts, query: Option<&str>) -> Attributes {
    let verb = target.verb(&parts.method).into_owned();
    let target = match target {
        Target::NonResource { path } => return Attributes::NonResource { verb, path: path.clone() },
        Target::Resource(target) => target,
    };
    let (labels, fields) = authorization_selectors(target.verb, query);
    let field_selector = fields.requirements().iter().map(|held| Requirement {
        key: held.field.clone(),
        operator: held.operator.review_operator().to_owned(),
        values: vec![held.value.clone()],
    });
    let label_selector = labels.requirements().iter().filter_map(|held| {
        let operator = held.operator().review_operator()?.to_owned();
        Some(Requirement { key: held.key().to_owned(), operator, values: held.values().to_vec() })
    });
    Attributes::Resource {
        verb,
        group: target.group.clone(),
        version: target.version.clone(),
        resource: target.resource.clone(),
        subresource: target.subresource.clone().unwrap_or_default(),
        namespace: target.namespace.clone().unwrap_or_default(),
        name: target.name.clone().unwrap_or_default(),
        field_selector: field_selector.collect(),
        label_selector: label_selector.collect(),
    }
}

impl Handler for Chain {
    fn standing(&self, peer: &Peer) -> Standing {
        if self.authenticators.is_front_proxy(peer) { Standing::FrontProxy } else { Standing::Itself }
    }

    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let given = parts.headers.get(&AUDIT_ID).filter(|id| id.len() <= 64).cloned();
        let method = parts.method.clone();
        let path = parts.uri.path().to_owned();
        let started = Instant::now();
        let header = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let format = StatusFormat::negotiate(header(header::ACCEPT), parts.uri.query(), header(header::USER_AGENT));
        let understood = request::target(&parts.method, &path, parts.uri.query());
        let record = understood.as_ref().ok().map(|target| self.record(&parts, target));
        if let Some(record) = &record {
            parts.extensions.insert(Arc::clone(record));
        }
        let answered = match understood {
            Ok(target) => self.answer(parts, body, target).await,
            Err(error) => Err(ApiError::BadRequest(error.message)),
        };
        let mut answer = answered.unwrap_or_else(|error| {
            if matches!(error, ApiError::Internal(_)) {
                tracing::error!(%error, path, "request failed");
            }
            match error {
                // Paths below /api are go-restful's, which knows a Status for it.
                ApiError::NoSuchPath if !path.starts_with("/api/") => no_such_page(),
                error => response::error(&error, format),
            }
        });
        let generated = || HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).ok();
        if let Some(id) = given.or_else(generated) {
            answer.headers_mut().insert(AUDIT_ID.clone(), id);
        }
        answer.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
        if let Some(record) = &record {
            record.answered(answer.status(), answer.body().size_hint().exact());
        }
        tracing::debug!(%method, path, code = answer.status().as_u16(), elapsed_us = started.elapsed().as_micros(), "answered");
        answer
    }

    fn handshake_failed(&self) {
        self.metrics.handshake_failed();
    }

    fn panicked(&self) -> Response<Body> {
        let error = ApiError::Internal("the request could not be finished".to_owned());
        response::error(&error, StatusFormat::Json(Pretty::No))
    }
}

#[cfg(test)]
mod tests;
