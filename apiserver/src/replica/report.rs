//! What this replica says it serves: its identity, its registry and the certificate that the next handshake shows.

use std::sync::Arc;

use http::{Method, Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::{
    encode::{response, status::ApiError},
    registry::{Snapshot, snapshot::Sync},
    server::{Body, ServingCertificate},
};

/// Where a replica is asked. Who asks needs `get` on this path (`nonResourceURLs`), and a token of an audience of its own.
pub const REPORT_PATH: &str = "/kindsmith/registry";

/// The parameter with which a client says which registry it knows already: it is then told that and no definitions.
const KNOWN: &str = "digest=";

/// Answers for one replica.
pub struct ReplicaReport {
    identity: String,
    certificate: Arc<ServingCertificate>,
}

impl ReplicaReport {
    /// Answers for the replica of that identity, which serves that certificate.
    #[must_use]
    pub fn new(identity: String, certificate: Arc<ServingCertificate>) -> Self {
        Self { identity, certificate }
    }

    /// Answers a request of [`REPORT_PATH`].
    ///
    /// # Errors
    /// 405 for a method other than GET.
    pub fn answer(
        &self,
        snapshot: &Snapshot,
        method: &Method,
        query: Option<&str>,
    ) -> Result<Response<Body>, ApiError> {
        if method != Method::GET {
            return Err(ApiError::MethodNotAllowed);
        }
        let known = query.and_then(|query| query.split('&').find_map(|part| part.strip_prefix(KNOWN)));
        let mut answer = json!({
            "identity": self.identity,
            "synced": snapshot.sync == Sync::Done,
            "digest": snapshot.digest(),
            "certificateSha256": self.certificate.fingerprint(),
        });
        if known != Some(snapshot.digest()) {
            let generations = snapshot.generations();
            let definitions: Map<String, Value> =
                generations.map(|(uid, generation)| (uid.to_owned(), generation.into())).collect();
            answer["definitions"] = Value::Object(definitions);
        }
        Ok(response::json(StatusCode::OK, &answer))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn ask(query: Option<&str>) -> Value {
        let report = ReplicaReport::new("one".to_owned(), Arc::default());
        let answer = report.answer(&Snapshot::default(), &Method::GET, query).unwrap();
        serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    #[tokio::test]
    async fn definitions_are_told_once() {
        let first = ask(None).await;
        assert_eq!(first["identity"], "one");
        assert_eq!(first["synced"], false);
        assert_eq!(first["definitions"], json!({}));
        assert_eq!(first["certificateSha256"], Value::Null, "it has none yet");
        let digest = first["digest"].as_str().unwrap();
        assert_eq!(ask(Some(&format!("digest={digest}"))).await.get("definitions"), None);
        assert_eq!(ask(Some("digest=other")).await["definitions"], json!({}));
    }

    #[test]
    fn it_is_read_alone() {
        let report = ReplicaReport::new("one".to_owned(), Arc::default());
        let refused = report.answer(&Snapshot::default(), &Method::POST, None);
        assert!(matches!(refused, Err(ApiError::MethodNotAllowed)));
    }
}
