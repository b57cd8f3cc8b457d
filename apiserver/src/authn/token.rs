//! Users of bearer tokens: the cluster is asked (TokenReview), and asked again after ten seconds.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::{Api, Client, api::PostParams};
use moka::future::Cache;
use sha2::{Digest as _, Sha256};

use super::UserInfo;

/// How long an answer holds.
const ANSWER_AGE_MAX: Duration = Duration::from_secs(10);

/// Answers that are kept.
const ANSWERS_MAX: u64 = 4096;

/// How long the cluster may take.
const REVIEW_DEADLINE: Duration = Duration::from_secs(10);

/// Asks the cluster about tokens. A token is never kept, only its SHA-256.
pub struct TokenReviews {
    api: Api<TokenReview>,
    answers: Cache<[u8; 32], Result<UserInfo, String>>,
}

impl TokenReviews {
    /// Asks the cluster of a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let answers = Cache::builder().max_capacity(ANSWERS_MAX).time_to_live(ANSWER_AGE_MAX).build();
        Self { api: Api::all(client), answers }
    }

    /// The user of a token. Answers are kept, failures to get one are not.
    pub(super) async fn review(&self, token: &str) -> Result<UserInfo, String> {
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let asked = self.answers.try_get_with(key, self.ask(token)).await;
        asked.unwrap_or_else(|error: Arc<String>| Err(error.to_string()))
    }

    async fn ask(&self, token: &str) -> Result<Result<UserInfo, String>, String> {
        let review = TokenReview {
            spec: TokenReviewSpec { token: token.to_owned(), ..TokenReviewSpec::default() },
            ..TokenReview::default()
        };
        let params = PostParams::default();
        let asked = tokio::time::timeout(REVIEW_DEADLINE, self.api.create(&params, &review)).await;
        let status = asked
            .map_err(|_| "the token review did not end in time".to_owned())?
            .map_err(|error| format!("the token cannot be reviewed: {error}"))?
            .status
            .unwrap_or_default();
        if status.authenticated != Some(true) {
            return Ok(Err("the token is not believed".to_owned()));
        }
        let user = status.user.unwrap_or_default();
        Ok(Ok(UserInfo {
            name: user.username.unwrap_or_default(),
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>(),
        }))
    }
}
