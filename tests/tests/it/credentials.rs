//! What the operator sends to an address that a Lease names, and whom it tells its own metrics.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kindsmith_apiserver::{
    encode::response,
    replica::{ADDRESS_ANNOTATION, REPLICA_LABEL, REPLICA_LABEL_VALUE},
    server::{Body, Handler, Lifecycle, Limits, Peer, ServingCertificate, ShutdownTimes, serve},
};
use kindsmith_tests::{ControlPlane, Kindsmith, NAMESPACE, wait};
use kube::Api;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::releases::done;

/// The audience of kube-apiserver of the control plane.
const CLUSTER_AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// An account that may read metrics.
const READER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: metrics-reader, namespace: default}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: nobody, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: metrics-reader}
rules:
- {nonResourceURLs: [/metrics], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: metrics-reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: metrics-reader}
subjects:
- {kind: ServiceAccount, name: metrics-reader, namespace: default}
";

/// What a request brought.
#[derive(Clone, Debug, Default)]
struct Heard {
    authorization: Option<String>,
    client_certificates: usize,
}

/// A server that somebody else runs, with the certificate that replicas have.
#[derive(Default)]
struct Stranger(Mutex<Option<Heard>>);

impl Stranger {
    fn heard(&self) -> Option<Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Handler for Stranger {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let peer = request.extensions().get::<Arc<Peer>>();
        let heard = Heard {
            authorization: authorization.map(str::to_owned),
            client_certificates: peer.map_or(0, |peer| peer.certificates.len()),
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(heard);
        self.panicked()
    }

    fn panicked(&self) -> Response<Body> {
        response::json(StatusCode::OK, &json!({"identity": "stranger", "synced": true, "digest": "x"}))
    }
}

/// The code and the body of an answer of a server on this machine.
pub(crate) async fn get(port: u16, path: &str, headers: &[(&str, &str)]) -> Result<(u16, String)> {
    let mut config = kube::Config::new(format!("https://127.0.0.1:{port}").parse()?);
    config.accept_invalid_certs = true;
    let client = kube::Client::try_from(config)?;
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = client.send(request.body(kube::client::Body::empty())?).await?;
    let code = answer.status().as_u16();
    let body = answer.into_body().collect_bytes().await?;
    Ok((code, String::from_utf8_lossy(&body).into_owned()))
}

async fn bearer(control_plane: &ControlPlane, namespace: &str, name: &str) -> Result<String> {
    let file = control_plane.token_of_account(namespace, name, CLUSTER_AUDIENCE).await?;
    Ok(format!("Bearer {}", fs::read_to_string(file)?))
}

/// What the operator on a port tells Prometheus.
pub(crate) async fn metrics(control_plane: &ControlPlane, port: u16) -> Result<String> {
    control_plane.apply(READER).await?;
    // The operator keeps a refusal for a while: it is not asked before kube-apiserver knows of the right.
    let client = control_plane.client().await?;
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
        "user": "system:serviceaccount:default:metrics-reader",
        "nonResourceAttributes": {"verb": "get", "path": "/metrics"}}});
    wait::until("the right to read metrics", Duration::from_secs(20), || async {
        let review = done(&client, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", Some(&review)).await?;
        ensure!(review["status"]["allowed"] == true, "{}", review["status"]);
        Ok(())
    })
    .await?;
    let bearer = bearer(control_plane, "default", "metrics-reader").await?;
    let (code, body) = get(port, "/metrics", &[("authorization", &bearer)]).await?;
    ensure!(code == 200, "metrics answered {code} {body}");
    Ok(body)
}

/// The operator tells its metrics to who may get them, and to nobody else; probes are open.
pub(crate) async fn metrics_are_for_who_may_read_them(
    control_plane: &ControlPlane,
    kindsmith: &Kindsmith,
) -> Result<()> {
    let port = kindsmith.operator_port();
    let told = metrics(control_plane, port).await?;
    ensure!(told.contains("kindsmith_apiserver_replicas"), "{told}");
    let nobody = bearer(control_plane, "default", "nobody").await?;
    let replica = control_plane.token_of_account("default", "metrics-reader", "kindsmith-apiserver").await?;
    let replica = format!("Bearer {}", fs::read_to_string(replica)?);
    for (headers, wanted) in [
        (&[][..], 403),
        (&[("x-remote-user", "admin"), ("x-remote-group", "system:masters")][..], 403),
        (&[("authorization", nobody.as_str())][..], 403),
        (&[("authorization", nobody.as_str()), ("impersonate-user", "admin")][..], 403),
        (&[("authorization", "Bearer nonsense")][..], 401),
        (&[("authorization", replica.as_str())][..], 401),
    ] {
        let (code, body) = get(port, "/metrics", headers).await?;
        ensure!(code == wanted && !body.contains("kindsmith_"), "{headers:?} got {code} {body}");
    }
    for probe in ["/healthz", "/livez", "/readyz"] {
        let (code, body) = get(port, probe, &[("authorization", "Bearer nonsense")]).await?;
        ensure!((code, body.as_str()) == (200, "ok"), "{probe} answered {code} {body}");
    }
    let (code, _) = get(port, "/debug/pprof", &[]).await?;
    ensure!(code == 404, "{code}");
    Ok(())
}

/// Whoever may write a Lease leads the operator to a server of their own. What that is sent opens nothing else.
pub(crate) async fn nothing_of_worth_is_sent(control_plane: &ControlPlane, kindsmith: &Kindsmith) -> Result<()> {
    let client = control_plane.client().await?;
    let secret = Api::<Secret>::namespaced(client.clone(), NAMESPACE).get("kindsmith-serving-cert").await?;
    let data = secret.data.unwrap_or_default();
    let part = |name: &str| data.get(name).map(|bytes| bytes.0.clone()).with_context(|| format!("there is no {name}"));
    let certificate = Arc::new(ServingCertificate::default());
    certificate.load(&part("tls.crt")?, &part("tls.key")?)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stranger, ended) = (Arc::new(Stranger::default()), CancellationToken::new());
    let lifecycle = Lifecycle::new(ended.clone(), ShutdownTimes::at_once());
    let serving = tokio::spawn(serve(listener, certificate, Limits::default(), Arc::clone(&stranger), lifecycle));

    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases");
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "stranger", "labels": {REPLICA_LABEL: REPLICA_LABEL_VALUE},
            "annotations": {ADDRESS_ANNOTATION: address.to_string()}},
        "spec": {"holderIdentity": "stranger", "leaseDurationSeconds": 60, "renewTime": format!("{:.6}", Timestamp::now())}});
    done(&client, "POST", &leases, Some(&lease)).await?;
    let heard = wait::until("the operator to ask the stranger", Duration::from_secs(20), || async {
        stranger.heard().context("it has not asked")
    })
    .await?;
    done(&client, "DELETE", &format!("{leases}/stranger"), None).await?;
    ended.cancel();
    serving.await??;

    ensure!(heard.client_certificates == 0, "it showed a client certificate");
    let authorization = heard.authorization.context("it sent no token")?;
    let token = authorization.strip_prefix("Bearer ").context("it sent something else than a token")?;
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}});
    let review = done(&client, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", Some(&review)).await?;
    ensure!(review["status"]["authenticated"] != true, "kube-apiserver believes it: {}", review["status"]);
    let headers = [("authorization", authorization.as_str())];
    for (port, path, wanted) in [
        (control_plane.port(), "/api", 401),
        (control_plane.port(), "/api/v1/namespaces/kindsmith-system/secrets/kindsmith-ca", 401),
        (kindsmith.port(), "/apis/apps.example.com/v1alpha1/redises", 401),
        (kindsmith.port(), "/metrics", 401),
        (kindsmith.port(), "/kindsmith/registry/", 401),
        (kindsmith.operator_port(), "/metrics", 401),
        // What it is for.
        (kindsmith.port(), "/kindsmith/registry", 200),
    ] {
        let (code, body) = get(port, path, &headers).await?;
        ensure!(code == wanted, "{path} answered {code} {body}");
    }
    // Nor is a token of the cluster good for a report, whatever its account may do.
    let own = bearer(control_plane, NAMESPACE, "kindsmith-operator").await?;
    let (code, body) = get(kindsmith.port(), "/kindsmith/registry", &[("authorization", &own)]).await?;
    ensure!(code == 401, "the operator's own token got {code} {body}");
    Ok(())
}
