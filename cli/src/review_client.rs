//! A client for reviews of tokens and of rights: short questions, many at once, over one connection of HTTP/2.
//!
//! Other calls stay on HTTP/1.1, a connection for each that runs at the same time: what stalls one watch stalls no other.

use std::time::Duration;

use anyhow::Context as _;
use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Builder, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt as _},
};
use tower::{BoxError, ServiceExt as _};

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How often a connection is asked whether it is alive.
///
/// Source: k8s.io/apimachinery/pkg/util/net/http.go (`configureHTTP2Transport`), as are the next.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long the answer may take before another connection is made.
const PING_MAX: Duration = Duration::from_secs(15);

/// A client of the cluster for reviews. Where the cluster speaks HTTP/1.1 alone, so does the client.
///
/// # Errors
/// The configuration cannot be used.
pub(crate) fn new(config: &Config) -> anyhow::Result<Client> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_MAX));
    let mut builder = HttpsConnectorBuilder::new().with_tls_config(config.rustls_client_config()?).https_or_http();
    if let Some(name) = &config.tls_server_name {
        let name = name.clone().try_into().context("the name of the cluster's server is none")?;
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    let connector = builder.enable_all_versions().wrap_connector(connector);
    let client = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_MAX)
        .http2_keep_alive_while_idle(true)
        .build::<_, Body>(connector)
        .map_err(BoxError::from);
    let builder = ClientBuilder::new(client, config.default_namespace.clone());
    let base = config.base_uri_layer();
    Ok(match config.auth_layer()? {
        Some(auth) => builder.with_layer(&auth).with_layer(&base).build(),
        None => builder.with_layer(&base).build(),
    })
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        net::SocketAddr,
        sync::{Arc, Mutex},
    };

    use http::{Request, Response, StatusCode, Version};
    use hyper::body::Incoming;
    use k8s_openapi::api::authentication::v1::TokenReview;
    use kindsmith_apiserver::{
        encode::response,
        server::{Body as Answer, Handler, Lifecycle, Limits, Peer, ServingCertificate, ShutdownTimes, serve},
    };
    use kube::{Api, api::PostParams};
    use rcgen::{CertificateParams, KeyPair};
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// A cluster that notes how it is asked.
    #[derive(Default)]
    struct Asked {
        connections: Mutex<HashSet<SocketAddr>>,
        versions: Mutex<Vec<Version>>,
    }

    impl Handler for Asked {
        async fn handle(&self, request: Request<Incoming>) -> Response<Answer> {
            let peer = request.extensions().get::<Arc<Peer>>().map(|peer| peer.address).unwrap();
            self.connections.lock().unwrap().insert(peer);
            self.versions.lock().unwrap().push(request.version());
            tokio::time::sleep(Duration::from_millis(20)).await;
            let review = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","metadata":{},"spec":{},"status":{"authenticated":true}}"#;
            response::answer(StatusCode::CREATED, "application/json", review.into())
        }

        fn panicked(&self) -> Response<Answer> {
            response::answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "".into())
        }
    }

    #[tokio::test]
    async fn reviews_share_one_connection_of_http2() {
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let certificate = Arc::new(ServingCertificate::default());
        certificate.load(own.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, ended) = (Arc::new(Asked::default()), CancellationToken::new());
        let lifecycle = Lifecycle::new(ended.clone(), ShutdownTimes::at_once());
        let serving = tokio::spawn(serve(listener, certificate, Limits::default(), Arc::clone(&asked), lifecycle));

        let mut config = Config::new(format!("https://localhost:{port}").parse().unwrap());
        config.root_cert = Some(vec![own.der().to_vec()]);
        let reviews: Api<TokenReview> = Api::all(new(&config).unwrap());
        let review = TokenReview::default();
        let params = PostParams::default();
        // The first one makes the connection.
        reviews.create(&params, &review).await.unwrap();
        let answers = futures::future::join_all((0..50).map(|_| reviews.create(&params, &review))).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(asked.connections.lock().unwrap().len(), 1);
        let versions = asked.versions.lock().unwrap().clone();
        assert!(versions.len() == 51 && versions.iter().all(|version| *version == Version::HTTP_2), "{versions:?}");
        ended.cancel();
        serving.await.unwrap().unwrap();
    }
}
