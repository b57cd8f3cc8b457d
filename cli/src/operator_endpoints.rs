//! What the operator serves of its own: probes to everybody, metrics to who may read them.
//!
//! Tokens and rights are reviewed as by the apiserver. Until the Secret of the serving certificate is there, and where
//! certificates are kept in files, a certificate is served that is signed by itself.

use std::sync::Arc;

use anyhow::Context as _;
use http::{HeaderName, Method, Request, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use kindsmith_apiserver::{
    authn::{Audience, Authenticators, TokenReviews},
    authz::{Attributes, Authorizer, Requester, SubjectAccessReviews},
    certificate_source::{CertificateSource, follow},
    encode::{response, status::ApiError},
    request::{Pretty, StatusFormat},
    rights::{Rights, try_reviews},
    server::{Body, Handler, Lifecycle, Limits, Peer, ServingCertificate, ShutdownTimes, serve},
};
use kindsmith_operator::{
    metrics::Metrics,
    pulse::{Health, Hung},
};
use kube::Client;
use rcgen::{CertificateParams, KeyPair};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Connections at once: those of the kubelet, and of who reads metrics.
const CONNECTIONS_MAX: usize = 64;

/// How many missing rights a probe is told of.
const RIGHTS_TOLD_MAX: usize = 8;

/// What is needed to serve.
pub(crate) struct Endpoints {
    /// Where to accept connections.
    pub(crate) listener: TcpListener,
    /// What is told.
    pub(crate) metrics: Arc<Metrics>,
    /// What probes are told.
    pub(crate) health: Arc<Health>,
    /// The cluster that keeps the certificate.
    pub(crate) client: Client,
    /// The cluster that is asked who may read it.
    pub(crate) reviews: Client,
    /// The Secret of the serving certificate, and its namespace; none where it is in files.
    pub(crate) certificate: Option<(String, String)>,
    /// The names of the certificate that is signed by itself.
    pub(crate) names: Vec<String>,
}

impl Endpoints {
    /// Serves until `shutdown`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let certificate = Arc::new(ServingCertificate::default());
        load_own(&certificate, self.names)?;
        let handler = Arc::new(Served {
            metrics: self.metrics,
            health: self.health,
            authenticators: Authenticators::new(Arc::default(), Some(TokenReviews::new(self.reviews.clone()))),
            authorizer: Arc::new(SubjectAccessReviews::new(self.reviews.clone())),
        });
        let lifecycle = Lifecycle::new(shutdown.clone(), ShutdownTimes::at_once());
        let limits = Limits { connections_max: CONNECTIONS_MAX, ..Limits::default() };
        let serving = serve(self.listener, Arc::clone(&certificate), limits, handler, lifecycle);
        let rights = Arc::new(Rights::default());
        let reviewing = try_reviews(self.reviews, &rights, shutdown.clone());
        let certified = async {
            match self.certificate {
                Some((namespace, secret)) => {
                    let source = CertificateSource::Secret(secret);
                    follow(source, self.client, namespace, certificate, Arc::clone(&rights), shutdown.clone()).await;
                }
                None => shutdown.cancelled().await,
            }
        };
        let following = async { tokio::join!(reviewing, certified) };
        tokio::pin!(serving);
        tokio::select! {
            served = &mut serving => Ok(served?),
            _ = following => Ok(serving.await?),
        }
    }
}

/// Loads a new certificate that is signed by its own key.
fn load_own(certificate: &ServingCertificate, names: Vec<String>) -> anyhow::Result<()> {
    let key = KeyPair::generate().context("a key cannot be made")?;
    let own = CertificateParams::new(names).and_then(|params| params.self_signed(&key));
    let own = own.context("a certificate cannot be made")?;
    certificate.load(own.pem().as_bytes(), key.serialize_pem().as_bytes()).context("the own certificate cannot be used")
}

struct Served {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    authenticators: Authenticators,
    authorizer: Arc<dyn Authorizer>,
}

impl Served {
    async fn answer(&self, mut parts: Parts) -> Result<Response<Body>, ApiError> {
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return Err(ApiError::MethodNotAllowed);
        }
        match parts.uri.path() {
            // Open, as the kubelet has no credentials.
            "/healthz" | "/livez" => return Ok(told(hung(&self.health), "")),
            "/readyz" => {
                let fault = hung(&self.health).or(self.health.not_ready().map(str::to_owned));
                return Ok(told(fault, &missing(&self.health)));
            }
            "/metrics" => {}
            _ => return Err(ApiError::NoSuchPath),
        }
        self.permit(&mut parts).await?;
        let accept = parts.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        let (content_type, body) = self
            .metrics
            .expose(accept.unwrap_or_default())
            .map_err(|_| ApiError::Internal("metrics cannot be written down".to_owned()))?;
        Ok(response::answer(StatusCode::OK, content_type, body.into()))
    }

    /// Refuses who may not `get` the path.
    async fn permit(&self, parts: &mut Parts) -> Result<(), ApiError> {
        let peer = parts.extensions.get::<Arc<Peer>>().cloned();
        let peer = peer.ok_or_else(|| ApiError::Internal("the connection is not known".to_owned()))?;
        let user = self.authenticators.authenticate(parts, &peer, Audience::Cluster).await?;
        let requester = Requester { user, authorizer: Arc::clone(&self.authorizer) };
        requester.refuse_impersonation(&parts.headers)?;
        let verb = parts.method.as_str().to_ascii_lowercase();
        requester.permit(&Attributes::NonResource { verb, path: parts.uri.path().to_owned() }).await
    }
}

/// Why the process is to be restarted, if it is.
fn hung(health: &Health) -> Option<String> {
    let told = |Hung { name, silent_for }: Hung| {
        format!("the loop {name:?} has made no progress for {} s", silent_for.as_secs())
    };
    let told: Vec<String> = health.hung().into_iter().map(told).collect();
    (!told.is_empty()).then(|| told.join("\n"))
}

/// The rights that are missing, a line each: what is not ready may wait for one, and what is ready does its work without it.
fn missing(health: &Health) -> String {
    let missing = health.missing_rights();
    let more = missing.len().saturating_sub(RIGHTS_TOLD_MAX);
    let more = (more > 0).then(|| format!("\nand {more} more"));
    let told = missing.iter().take(RIGHTS_TOLD_MAX).map(|right| format!("\n{right}"));
    told.chain(more).collect()
}

/// The answer to a probe.
fn told(fault: Option<String>, besides: &str) -> Response<Body> {
    let (status, text) = match fault {
        None => (StatusCode::OK, "ok".to_owned()),
        Some(fault) => (StatusCode::INTERNAL_SERVER_ERROR, fault),
    };
    response::answer(status, "text/plain; charset=utf-8", format!("{text}{besides}").into())
}

impl Handler for Served {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let (parts, _) = request.into_parts();
        let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let format = StatusFormat::negotiate(text(header::ACCEPT), parts.uri.query(), text(header::USER_AGENT));
        self.answer(parts).await.unwrap_or_else(|error| response::error(&error, format))
    }

    fn panicked(&self) -> Response<Body> {
        let error = ApiError::Internal("the request could not be finished".to_owned());
        response::error(&error, StatusFormat::Json(Pretty::No))
    }
}
