//! What the operator tells Prometheus: when certificates end and are renewed, how far a rotation is, who answers.

use std::{fmt, io, sync::Arc, sync::Mutex, sync::PoisonError, time::Duration};

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::certificates::{Described, Stage};

/// Connections at once.
const CONNECTIONS_MAX: usize = 16;

/// How long a connection may last.
const CONNECTION_MAX: Duration = Duration::from_secs(120);

/// How long the header of a request may take.
const HEADER_MAX: Duration = Duration::from_secs(10);

/// The pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What was found when the operator looked last.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    /// How far a rotation has come.
    pub stage: Stage,
    /// The certificates there are.
    pub certificates: Vec<Described>,
    /// Replicas of the API server that live.
    pub replicas: usize,
    /// Those of them that answer.
    pub replicas_answering: usize,
}

/// The operator's figures.
#[derive(Debug, Default)]
pub struct Metrics {
    figures: Mutex<Option<Figures>>,
}

impl Metrics {
    pub(crate) fn set(&self, figures: Figures) {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = Some(figures);
    }

    fn expose(self: &Arc<Self>, accept: &str) -> Result<(&'static str, String), fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Look(Arc::clone(self))));
        let mut body = String::new();
        text::encode(&mut body, &registry)?;
        if accept.contains("application/openmetrics-text") {
            return Ok((OPENMETRICS, body));
        }
        // All are gauges: the older format lacks the end mark, and nothing else differs.
        Ok((PROMETHEUS, body.trim_end_matches("# EOF\n").to_owned()))
    }
}

#[derive(Debug)]
struct Look(Arc<Metrics>);

impl Collector for Look {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(figures) = self.0.figures.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            return Ok(());
        };
        let seconds = |moment: Timestamp| moment.as_second() as f64;
        type Moment = fn(&Described) -> Option<Timestamp>;
        let moments: [(&str, &str, Moment); 2] = [
            (
                "kindsmith_certificate_expiration_timestamp_seconds",
                "When a certificate ends, in seconds of Unix time.",
                |one| Some(one.not_after),
            ),
            (
                "kindsmith_certificate_renewal_timestamp_seconds",
                "When a certificate is to be renewed, in seconds of Unix time.",
                |one| one.renew_at,
            ),
        ];
        for (name, help, moment) in moments {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            // Of several that only are trusted still, the first to end.
            let mut told = Vec::new();
            for one in &figures.certificates {
                let Some(at) = moment(one).filter(|_| !told.contains(&one.purpose)) else { continue };
                told.push(one.purpose);
                ConstGauge::new(seconds(at)).encode(family.encode_family(&[("certificate", one.purpose)])?)?;
            }
        }
        let (name, help) = ("kindsmith_certificate_rotation_stage", "1 for the stage that a rotation is in.");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for stage in Stage::NAMES {
            let held = u64::from(stage == figures.stage.name());
            ConstGauge::new(held).encode(family.encode_family(&[("stage", stage)])?)?;
        }
        let (name, help) = ("kindsmith_apiserver_replicas", "Replicas of the API server that live, by what they do.");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        let silent = figures.replicas.saturating_sub(figures.replicas_answering);
        for (state, count) in [("answering", figures.replicas_answering), ("silent", silent)] {
            ConstGauge::new(count as u64).encode(family.encode_family(&[("state", state)])?)?;
        }
        Ok(())
    }
}

/// Serves `/metrics` and `/healthz` until `shutdown`.
///
/// # Errors
/// Never at present; a connection that cannot be accepted is logged.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>, shutdown: CancellationToken) -> io::Result<()> {
    let (connections, room) = (TaskTracker::new(), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    loop {
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((listener.accept().await?.0, permit))
        };
        let (stream, permit) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accepted => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection for metrics cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let (metrics, ended) = (Arc::clone(&metrics), shutdown.clone());
        connections.spawn(async move {
            let service = service_fn(|request| std::future::ready(Ok::<_, fmt::Error>(answer(&metrics, &request))));
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEADER_MAX);
            let served = timeout(CONNECTION_MAX, server.serve_connection(TokioIo::new(stream), service));
            tokio::select! {
                () = ended.cancelled() => {}
                served = served => if let Ok(Err(error)) = served {
                    tracing::debug!(%error, "a connection for metrics ended");
                }
            }
            drop(permit);
        });
    }
    connections.close();
    connections.wait().await;
    Ok(())
}

fn answer(metrics: &Arc<Metrics>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let plain = |code, text: &str| respond(code, "text/plain; charset=utf-8", text.to_owned());
    if request.method() != Method::GET {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here\n");
    }
    match request.uri().path() {
        "/healthz" | "/livez" => plain(StatusCode::OK, "ok"),
        "/metrics" => {
            let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
            match metrics.expose(accept.unwrap_or_default()) {
                Ok((content_type, body)) => respond(StatusCode::OK, content_type, body),
                Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be written down\n"),
            }
        }
        _ => plain(StatusCode::NOT_FOUND, "here are /metrics and /healthz\n"),
    }
}

fn respond(code: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_and_stage_are_told() {
        let metrics = Arc::new(Metrics::default());
        assert_eq!(metrics.expose("").unwrap().1, "");
        let described = |purpose, renew_at| Described {
            purpose,
            fingerprint: String::new(),
            not_before: Timestamp::UNIX_EPOCH,
            not_after: Timestamp::from_second(1_800_000_000).unwrap(),
            renew_at,
            names: Vec::new(),
        };
        metrics.set(Figures {
            stage: Stage::Serving { served: 1, replicas: 2 },
            certificates: vec![described("serving", Some(Timestamp::UNIX_EPOCH)), described("trusted-ca", None)],
            replicas: 2,
            replicas_answering: 1,
        });
        let (content_type, body) = metrics.expose("text/plain").unwrap();
        assert_eq!(content_type, PROMETHEUS);
        for line in [
            "kindsmith_certificate_expiration_timestamp_seconds{certificate=\"serving\"} 1800000000.0",
            "kindsmith_certificate_expiration_timestamp_seconds{certificate=\"trusted-ca\"} 1800000000.0",
            "kindsmith_certificate_renewal_timestamp_seconds{certificate=\"serving\"} 0.0",
            "kindsmith_certificate_rotation_stage{stage=\"serving\"} 1",
            "kindsmith_certificate_rotation_stage{stage=\"settled\"} 0",
            "kindsmith_apiserver_replicas{state=\"silent\"} 1",
        ] {
            assert!(body.lines().any(|it| it == line), "{line} is not in\n{body}");
        }
        assert!(!body.contains("EOF") && !body.contains("renewal_timestamp_seconds{certificate=\"trusted"));
        assert!(metrics.expose("application/openmetrics-text").unwrap().1.ends_with("# EOF\n"));
    }
}
