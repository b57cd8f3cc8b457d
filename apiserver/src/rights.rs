//! Rights that this process misses: told in the log with the rule that grants each, once a minute, while it goes on trying.

use std::{
    fmt::Display,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use kindsmith_schema::missing_right::{Failure, MissingRight, MissingRights};
use kube::{Client, client::Body};
use tokio_util::sync::CancellationToken;

/// The pause before it is asked again whether reviews may be made.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// How long the cluster may take to answer.
const ASK_DEADLINE: Duration = Duration::from_secs(10);

/// What is asked of the cluster for each request, and where: TokenReviews and SubjectAccessReviews.
const REVIEWS: [(&str, &str); 2] = [
    ("reviews of tokens", "/apis/authentication.k8s.io/v1/tokenreviews"),
    ("reviews of rights", "/apis/authorization.k8s.io/v1/subjectaccessreviews"),
];

/// Rights that are missing.
#[derive(Debug, Default)]
pub struct Rights {
    missing: Mutex<MissingRights>,
}

impl Rights {
    fn held(&self) -> MutexGuard<'_, MissingRights> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that something failed; it is tried again.
    pub fn failed(&self, what: &str, error: &impl Display) {
        let failure = self.held().failed(what, &error.to_string(), Instant::now());
        match failure {
            Failure::Missing(right) => tracing::error!("{what}: {right}; trying again"),
            Failure::Known => {}
            Failure::Other => tracing::warn!(%error, "{what}: failed, trying again"),
        }
    }

    /// Says that something went well.
    pub fn went_well(&self, what: &str) {
        self.held().granted(what);
    }

    /// The right that something misses, as a sentence.
    pub fn missing(&self, what: &str) -> Option<String> {
        self.held().of(what).map(ToString::to_string)
    }
}

/// What an error says: where a right is missing, with the rule that grants it.
pub fn told(error: &impl Display) -> String {
    let text = error.to_string();
    MissingRight::parse(&text).map_or(text, |right| right.to_string())
}

/// Says until `shutdown` which reviews may not be made, and ends once both may be. Without them everybody but masters is
/// refused; who serves discovery to masters is ready all the same, since the whole cluster needs discovery.
pub async fn try_reviews(client: Client, rights: &Rights, shutdown: CancellationToken) {
    for (what, path) in REVIEWS {
        while let Err(error) = try_review(&client, path).await {
            rights.failed(what, &error);
            if shutdown.run_until_cancelled(tokio::time::sleep(ASK_EVERY)).await.is_none() {
                return;
            }
        }
        rights.went_well(what);
    }
}

/// Makes a review that asks nothing: whoever may make it is told what is wrong with it.
async fn try_review(client: &Client, path: &str) -> Result<(), kube::Error> {
    let request = http::Request::post(path).header(http::header::CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(b"{\"spec\":{}}".to_vec())).map_err(kube::Error::HttpError)?;
    let asked = tokio::time::timeout(ASK_DEADLINE, client.send(request)).await;
    let Ok(answer) = asked else { return Ok(()) };
    let answer = answer?;
    if answer.status() != http::StatusCode::FORBIDDEN {
        return Ok(());
    }
    let body = answer.into_body().collect_bytes().await?;
    let status: kube::core::Status = serde_json::from_slice(&body).map_err(kube::Error::SerdeError)?;
    Err(kube::Error::Api(Box::new(status)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review_cache::counting;

    #[tokio::test(start_paused = true)]
    async fn reviews_that_may_not_be_made_are_told_with_their_rule_until_they_may() {
        let body = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","reason":"Forbidden","code":403,
            "message":"subjectaccessreviews.authorization.k8s.io is forbidden: User \"ann\" cannot create resource \"subjectaccessreviews\" in API group \"authorization.k8s.io\" at the cluster scope"}"#;
        let (refusing, _) = counting::cluster(403, Duration::ZERO, body);
        let (rights, shutdown) = (Rights::default(), CancellationToken::new());
        let trying = try_reviews(refusing, &rights, shutdown.clone());
        assert!(tokio::time::timeout(10 * ASK_EVERY, trying).await.is_err(), "it goes on trying");
        let told = rights.missing(REVIEWS[0].0).unwrap();
        let rule = r#"{apiGroups: ["authorization.k8s.io"], resources: ["subjectaccessreviews"], verbs: [create]}"#;
        assert!(told.ends_with(rule), "{told}");
        // Whoever may make one is told that it asks nothing.
        let (permitting, _) = counting::cluster(400, Duration::ZERO, body);
        try_reviews(permitting, &rights, shutdown).await;
        assert_eq!(rights.missing(REVIEWS[0].0), None);
    }
}
