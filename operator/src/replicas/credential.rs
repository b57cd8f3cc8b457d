//! The token that replicas are asked with: meant for them alone, so that it is worth nothing to who gets hold of it.
//!
//! Neither the operator's own token nor what stands in a kubeconfig is ever sent to an address that a Lease names.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderValue;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, api::PostParams};
use serde::Deserialize;
use tokio::{io::AsyncReadExt as _, sync::Mutex, time::timeout};

use super::Fault;

/// The audience of tokens that replicas take, and nobody else.
pub const REPLICA_AUDIENCE: &str = "kindsmith-apiserver";

/// The ServiceAccount that a token is asked for, where none is in a file.
pub const OPERATOR_ACCOUNT: &str = "kindsmith-operator";

/// How long a token holds that is asked for.
const LIFETIME: Duration = Duration::from_secs(3600);

/// A token is replaced after this part of its life, as the kubelet does it (pkg/kubelet/token/token_manager.go).
const RENEWED_AFTER: f64 = 0.8;

/// How long it holds that there was no token.
const FAILURE_AGE_MAX: Duration = Duration::from_secs(5);

/// How long the cluster or the disk may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// The longest token, in bytes.
const TOKEN_BYTES_MAX: u64 = 64 * 1024;

/// Where the token comes from that replicas are asked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaToken {
    /// From a file, in which somebody replaces it before it expires: a projected volume of a pod.
    File(PathBuf),
    /// From the cluster, by a TokenRequest for the operator's ServiceAccount.
    Requested,
}

/// Tokens, as they are needed.
pub(super) enum Tokens {
    /// Read from a file each time.
    File(PathBuf),
    /// Asked for, and kept.
    Requested(Box<Requests>),
}

/// Who is asked, and what was said last.
pub(super) struct Requests {
    accounts: Api<ServiceAccount>,
    held: Mutex<Option<Held>>,
}

/// What the cluster said last, and until when it is kept.
pub(super) struct Held {
    said: Result<HeaderValue, Fault>,
    until: Instant,
}

/// What a token says of itself.
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    aud: Audiences,
}

/// One audience or several (RFC 7519, section 4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Several(Vec<String>),
}

impl Default for Audiences {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Tokens {
    pub(super) fn new(client: Client, namespace: &str, source: ReplicaToken) -> Self {
        match source {
            ReplicaToken::File(path) => Self::File(path),
            ReplicaToken::Requested => Self::Requested(Box::new(Requests {
                accounts: Api::namespaced(client, namespace),
                held: Mutex::default(),
            })),
        }
    }

    /// Returns the value of the header with the current token.
    ///
    /// # Errors
    /// When there is none that is meant for replicas alone.
    pub(super) async fn authorization(&self) -> Result<HeaderValue, Fault> {
        let requests = match self {
            Self::File(path) => return read(path).await,
            Self::Requested(requests) => requests,
        };
        let mut held = requests.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| Instant::now() < held.until) {
            return held.said.clone();
        }
        let asked = Instant::now();
        let said = request(&requests.accounts).await;
        let kept = if said.is_ok() { LIFETIME.mul_f64(RENEWED_AFTER) } else { FAILURE_AGE_MAX };
        *held = Some(Held { said: said.clone(), until: asked + kept });
        said
    }
}

async fn read(path: &Path) -> Result<HeaderValue, Fault> {
    let unreadable = |error: &dyn std::fmt::Display| Fault::Credentials(format!("{}: {error}", path.display()));
    let mut text = String::new();
    let reading = async {
        let file = tokio::fs::File::open(path).await?;
        file.take(TOKEN_BYTES_MAX).read_to_string(&mut text).await
    };
    let read = timeout(DEADLINE, reading).await.map_err(|error| unreadable(&error))?;
    read.map_err(|error| unreadable(&error))?;
    authorization(text.trim()).map_err(|error| unreadable(&error))
}

async fn request(accounts: &Api<ServiceAccount>) -> Result<HeaderValue, Fault> {
    let wanted = TokenRequest {
        spec: Some(TokenRequestSpec {
            audiences: Some(vec![REPLICA_AUDIENCE.to_owned()]),
            expiration_seconds: i64::try_from(LIFETIME.as_secs()).ok(),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let refused = |error: &dyn std::fmt::Display| {
        Fault::Credentials(format!(
            "a token of the ServiceAccount {OPERATOR_ACCOUNT} cannot be had: {error}. A file with a token of the audience \
             {REPLICA_AUDIENCE} can be named with --replica-token-file"
        ))
    };
    let params = PostParams::default();
    let asked = timeout(DEADLINE, accounts.create_token_request(OPERATOR_ACCOUNT, &params, &wanted)).await;
    let given = asked.map_err(|error| refused(&error))?.map_err(|error| refused(&error))?;
    let token = given.status.and_then(|status| status.token);
    authorization(&token.unwrap_or_default()).map_err(|error| refused(&error))
}

/// Refuses a token that is worth something to anybody else, such as the operator's own. Who issued it, and whether it holds
/// still, is for replicas to find out.
fn authorization(token: &str) -> Result<HeaderValue, &'static str> {
    const OTHER: &str = "the token is not one for kindsmith-apiserver alone";
    let payload = token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok()).ok_or(OTHER)?;
    let claims: Claims = serde_json::from_slice(&payload).map_err(|_| OTHER)?;
    let is_for_replicas = match &claims.aud {
        Audiences::One(one) => one == REPLICA_AUDIENCE,
        Audiences::Several(several) => matches!(several.as_slice(), [one] if one == REPLICA_AUDIENCE),
    };
    if !is_for_replicas {
        return Err(OTHER);
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| OTHER)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use http::Response;
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    fn token(audiences: &Value) -> String {
        let payload = URL_SAFE_NO_PAD.encode(json!({"aud": audiences, "sub": "x"}).to_string());
        format!("e30.{payload}.c2ln")
    }

    #[tokio::test]
    async fn a_token_that_others_take_is_never_sent() {
        let folder = std::env::temp_dir().join(format!("kindsmith-token-{:016x}", rand::random::<u64>()));
        let tokens = Tokens::File(folder.clone());
        assert!(tokens.authorization().await.is_err(), "there is no file");
        let own = "https://kubernetes.default.svc";
        for refused in [json!([own]), json!(own), json!([REPLICA_AUDIENCE, own]), json!([]), Value::Null] {
            std::fs::write(&folder, token(&refused)).unwrap();
            let error = tokens.authorization().await.unwrap_err().to_string();
            assert!(error.contains("for kindsmith-apiserver alone"), "{refused}: {error}");
            assert!(!error.contains("c2ln"), "{error}");
        }
        for garbage in ["", "opaque", "a.b.c", "e30.e30.x\ny"] {
            std::fs::write(&folder, garbage).unwrap();
            assert!(tokens.authorization().await.is_err(), "{garbage}");
        }
        for taken in [json!([REPLICA_AUDIENCE]), json!(REPLICA_AUDIENCE)] {
            let token = token(&taken);
            std::fs::write(&folder, format!("{token}\n")).unwrap();
            let value = tokens.authorization().await.unwrap();
            assert_eq!(value.to_str().unwrap(), format!("Bearer {token}"), "it is read anew");
            assert!(value.is_sensitive());
        }
        std::fs::remove_file(&folder).unwrap();
    }

    #[tokio::test]
    async fn a_token_is_asked_for_once_and_so_is_a_refusal() {
        for (code, audience, is_given) in [
            (201, REPLICA_AUDIENCE, true),
            (201, "https://kubernetes.default.svc", false),
            (404, REPLICA_AUDIENCE, false),
        ] {
            let asked = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&asked);
            let service = tower::service_fn(move |request: http::Request<Body>| {
                counted.fetch_add(1, Ordering::SeqCst);
                assert_eq!(request.uri().path(), "/api/v1/namespaces/system/serviceaccounts/kindsmith-operator/token");
                let status = json!({"token": token(&json!([audience])), "expirationTimestamp": "2030-01-01T00:00:00Z"});
                let body = json!({"metadata": {}, "spec": {"audiences": []}, "status": status});
                let response = Response::builder().status(code).body(Body::from(body.to_string().into_bytes()));
                std::future::ready(response)
            });
            let tokens = Tokens::new(Client::new(service, "default"), "system", ReplicaToken::Requested);
            for _ in 0..3 {
                assert_eq!(tokens.authorization().await.is_ok(), is_given, "{code} {audience}");
            }
            assert_eq!(asked.load(Ordering::SeqCst), 1);
        }
    }
}
