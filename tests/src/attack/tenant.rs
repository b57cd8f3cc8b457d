//! A tenant of a side: who attacks, or is attacked.

use std::{future::Future, path::Path, pin::Pin, sync::Arc};

use anyhow::Result;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Request, header};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper_util::rt::TokioExecutor;
use kube::{
    Client, Config,
    client::{Body, ConfigExt as _},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

use crate::ControlPlane;

/// Who attacks, or is attacked, on one side.
#[derive(Clone)]
pub struct Tenant {
    pub(super) client: Client,
    /// The path of the namespaces of its group.
    pub(super) namespaces: &'static str,
    pub(super) namespace: &'static str,
    pub(super) slowly: Slowly,
}

impl Tenant {
    /// A user of a control plane who may do everything with the kinds of both sides.
    ///
    /// # Errors
    /// There can be no client for the user.
    pub async fn new(
        control_plane: &ControlPlane,
        user: &str,
        namespaces: &'static str,
        namespace: &'static str,
    ) -> Result<Self> {
        let groups = ["tenants", "system:authenticated"];
        let client = control_plane.client_as(user, &groups).await?;
        let slowly = slowly(&control_plane.kubeconfig_as(user, &groups)?).await?;
        Ok(Self { client, namespaces, namespace, slowly })
    }

    /// The path of its collection.
    #[must_use]
    pub fn collection(&self) -> String {
        format!("{}/{}/cups", self.namespaces, self.namespace)
    }

    /// An object of its kind.
    #[must_use]
    pub fn cup(&self, name: &str, spec: &Value) -> Value {
        let group = self.namespaces.split('/').nth(2).unwrap_or_default();
        json!({"apiVersion": format!("{group}/v1"), "kind": "Cup", "metadata": {"name": name}, "spec": spec})
    }

    /// The code of an answer, which is read; none where none came.
    pub async fn ask(&self, method: &str, path: &str, media_type: &str, body: impl Into<Vec<u8>>) -> Option<u16> {
        let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, media_type);
        let answer = self.client.send(request.body(Body::from(body.into())).ok()?).await.ok()?;
        let code = answer.status().as_u16();
        answer.into_body().collect_bytes().await.ok()?;
        Some(code)
    }

    /// An answer that is not read.
    pub(super) async fn unread(&self, path: &str) -> Option<http::Response<Body>> {
        self.client.send(Request::get(path).body(Body::empty()).ok()?).await.ok()
    }
}

/// Posts a body to a path of which all but the first byte does not come.
pub(super) type Slowly = Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

pub(super) async fn slowly(kubeconfig: &Path) -> Result<Slowly> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let server = config.cluster_url.to_string();
    let client =
        hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(config.rustls_https_connector()?);
    Ok(Arc::new(move |path| {
        let first = stream::once(async { Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b"{"))) });
        let body = StreamBody::new(first.chain(stream::pending()).boxed());
        let request = Request::post(format!("{}{path}", server.trim_end_matches('/')))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, "1000")
            .body(body);
        let client = client.clone();
        Box::pin(async move {
            client.request(request?).await?;
            Ok(())
        })
    }))
}
