//! One question to one replica: a TLS connection of its own, one request.
//!
//! The name in the certificate must be the Service's, the issuer must be in the bundle: what kube-aggregator checks.
//! The token is sent after that alone, and it is worth nothing elsewhere ([`super::credential`]).

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::TryFutureExt;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::aws_lc_rs,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use serde::Deserialize;
use tokio::{net::TcpStream, task::AbortHandle, time::timeout};
use tokio_rustls::TlsConnector;

use super::{Answer, Fault, credential::Tokens, roster::Question};
use crate::certificates::Parsed;

/// How long a question may take, all in all.
const DEADLINE: Duration = Duration::from_secs(2);

/// The largest answer: 64 bytes a definition and room for ten thousand.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Where a replica is asked; its own module says the same.
const PATH: &str = "/kindsmith/registry";

/// As whom replicas are asked, and which name they must prove.
pub(super) struct Access {
    host: String,
    server_name: ServerName<'static>,
    tokens: Tokens,
}

/// What a replica says, as it stands in JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    identity: String,
    synced: bool,
    digest: String,
    definitions: Option<BTreeMap<String, i64>>,
}

impl Access {
    /// Asks with these tokens; replicas must prove to be `<service>.<namespace>.svc`.
    pub(super) fn new(tokens: Tokens, service: &str, namespace: &str) -> Result<Self, Fault> {
        let host = format!("{service}.{namespace}.svc");
        let server_name = ServerName::try_from(host.clone()).map_err(|error| Fault::Settings(error.to_string()))?;
        Ok(Self { host, server_name, tokens })
    }
}

/// TLS settings of one bundle.
#[derive(Clone)]
pub(super) struct Settings {
    config: ClientConfig,
    verifier: Arc<WebPkiServerVerifier>,
}

impl Settings {
    /// TLS settings to ask with while replicas are verified against that bundle.
    pub(super) fn new(bundle: &[u8]) -> Result<Self, Fault> {
        let settings = |error: &dyn std::fmt::Display| Fault::Settings(error.to_string());
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(bundle).filter_map(Result::ok));
        if roots.is_empty() {
            return Err(Fault::NoBundle);
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
        let verifier = verifier.map_err(|error| settings(&error))?;
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| settings(&error))?;
        // Nobody's client certificate: who we are is told by the token alone.
        let mut config = config.with_webpki_verifier(Arc::clone(&verifier)).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A handshake that resumed an earlier one would show no certificate.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Self { config, verifier })
    }
}

/// Verifies, and remembers what it saw.
#[derive(Debug)]
struct Witness {
    verifier: Arc<WebPkiServerVerifier>,
    certificate: OnceLock<CertificateDer<'static>>,
    refused: OnceLock<TlsError>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        self.certificate.get_or_init(|| own.clone().into_owned());
        let verified = self.verifier.verify_server_cert(own, intermediates, name, ocsp, now);
        verified.inspect_err(|error| {
            self.refused.get_or_init(|| error.clone());
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Ends a task with its owner.
struct Ending(AbortHandle);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Asks a replica.
pub(super) async fn ask(access: &Access, settings: &Settings, question: &Question) -> Result<Answer, Fault> {
    let authorization = access.tokens.authorization().await?;
    timeout(DEADLINE, converse(access, settings, question, authorization)).await.unwrap_or(Err(Fault::Deadline))
}

async fn converse(
    access: &Access,
    settings: &Settings,
    question: &Question,
    authorization: HeaderValue,
) -> Result<Answer, Fault> {
    let connection = TcpStream::connect(question.address).await.map_err(|error| Fault::Connect(error.to_string()))?;
    let witness = Arc::new(Witness {
        verifier: Arc::clone(&settings.verifier),
        certificate: OnceLock::new(),
        refused: OnceLock::new(),
    });
    let mut config = settings.config.clone();
    config.dangerous().set_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>);
    let connector = TlsConnector::from(Arc::new(config));
    let handshake = connector.connect(access.server_name.clone(), connection).await;
    let shown = witness.certificate.get().cloned().map(Parsed::from_der);
    let connection = handshake.map_err(|error| match (&shown, witness.refused.get()) {
        (Some(Ok(shown)), Some(reason)) => {
            Fault::Untrusted { fingerprint: shown.fingerprint(), reason: reason.to_string() }
        }
        _ => Fault::Handshake(error.to_string()),
    })?;
    let certificate = match shown {
        Some(Ok(certificate)) => certificate,
        Some(Err(error)) => return Err(Fault::Handshake(error.to_string())),
        None => return Err(Fault::Handshake("no certificate was shown".to_owned())),
    };
    let report = request(access, TokioIo::new(connection), question, authorization).await?;
    if report.identity != question.identity {
        return Err(Fault::Other(report.identity));
    }
    let known = question.last.as_ref().filter(|last| last.digest == report.digest).map(|last| &last.definitions);
    let definitions = match (report.definitions, known) {
        (Some(told), Some(known)) if told == **known => Arc::clone(known),
        (Some(told), _) => Arc::new(told),
        (None, Some(known)) => Arc::clone(known),
        (None, None) => return Err(Fault::Malformed("it does not tell its definitions".to_owned())),
    };
    Ok(Answer { synced: report.synced, digest: report.digest, definitions, certificate: Arc::new(certificate) })
}

async fn request(
    access: &Access,
    connection: TokioIo<tokio_rustls::client::TlsStream<TcpStream>>,
    question: &Question,
    authorization: HeaderValue,
) -> Result<Report, Fault> {
    let failed = |error: &dyn std::fmt::Display| Fault::Connect(error.to_string());
    let (mut sender, driver) =
        hyper::client::conn::http1::handshake(connection).await.map_err(|error| failed(&error))?;
    let driver = tokio::spawn(driver.map_err(|error| tracing::debug!(%error, "a connection to a replica ended")));
    let _driver = Ending(driver.abort_handle());
    let target = question.last.as_ref().map_or(PATH.to_owned(), |last| format!("{PATH}?digest={}", last.digest));
    let request = Request::get(target)
        .header(header::HOST, &access.host)
        .header(header::ACCEPT, "application/json")
        .header(header::AUTHORIZATION, authorization)
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed(&error))?;
    let answer = sender.send_request(request).await.map_err(|error| failed(&error))?;
    if answer.status() != StatusCode::OK {
        return Err(Fault::Status(answer.status().as_u16()));
    }
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| Fault::Malformed(error.to_string()))?.to_bytes();
    serde_json::from_slice(&body).map_err(|error| Fault::Malformed(error.to_string()))
}
