//! Users of bearer tokens: the cluster is asked (TokenReview), and asked again after ten seconds.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::{Api, Client, api::PostParams};
use moka::future::Cache;
use sha2::{Digest as _, Sha256};

use super::{UserInfo, turns::Turns};

/// How long an answer holds.
const ANSWER_AGE_MAX: Duration = Duration::from_secs(10);

/// How long it holds that there was no answer.
const FAILURE_AGE_MAX: Duration = Duration::from_secs(1);

/// Answers that are kept.
const ANSWERS_MAX: u64 = 4096;

/// How long the cluster may take.
const REVIEW_DEADLINE: Duration = Duration::from_secs(10);

/// Why a token has no user.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum ReviewError {
    /// The cluster does not believe it.
    #[error("the token is not believed")]
    NotBelieved,
    /// The cluster did not say.
    #[error("the token cannot be reviewed: {0}")]
    NoAnswer(String),
    /// Too many tokens come from the address.
    #[error("too many tokens at once")]
    Busy,
}

/// Asks the cluster about tokens. A token is never kept, only its SHA-256.
pub struct TokenReviews {
    api: Api<TokenReview>,
    answers: Cache<[u8; 32], Option<UserInfo>>,
    failures: Cache<[u8; 32], ReviewError>,
    turns: Turns,
}

impl TokenReviews {
    /// Asks the cluster of a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let answers = Cache::builder().max_capacity(ANSWERS_MAX).time_to_live(ANSWER_AGE_MAX).build();
        let failures = Cache::builder().max_capacity(ANSWERS_MAX).time_to_live(FAILURE_AGE_MAX).build();
        Self { api: Api::all(client), answers, failures, turns: Turns::default() }
    }

    /// The user of a token that came from an address. That there was no answer is kept for a moment.
    pub(super) async fn review(&self, token: &str, address: IpAddr) -> Result<UserInfo, ReviewError> {
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(failure) = self.failures.get(&key).await {
            return Err(failure);
        }
        match self.answers.try_get_with(key, self.ask(token, address)).await {
            Ok(user) => user.ok_or(ReviewError::NotBelieved),
            Err(failure) => {
                let failure = Arc::unwrap_or_clone(failure);
                if matches!(failure, ReviewError::NoAnswer(_)) {
                    self.failures.insert(key, failure.clone()).await;
                }
                Err(failure)
            }
        }
    }

    async fn ask(&self, token: &str, address: IpAddr) -> Result<Option<UserInfo>, ReviewError> {
        let review = TokenReview {
            spec: TokenReviewSpec { token: token.to_owned(), ..TokenReviewSpec::default() },
            ..TokenReview::default()
        };
        let params = PostParams::default();
        let asked = async {
            let _turn = self.turns.take(address).await.ok_or(ReviewError::Busy)?;
            self.api.create(&params, &review).await.map_err(|error| ReviewError::NoAnswer(error.to_string()))
        };
        let asked = tokio::time::timeout(REVIEW_DEADLINE, asked).await;
        let status = asked.map_err(|_| ReviewError::NoAnswer("it did not end in time".to_owned()))??.status;
        let status = status.unwrap_or_default();
        if status.authenticated != Some(true) {
            return Ok(None);
        }
        let user = status.user.unwrap_or_default();
        Ok(Some(UserInfo {
            name: user.username.unwrap_or_default(),
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use http::{Request, Response};
    use kube::client::Body;

    use super::*;
    use crate::authn::turns::{REVIEWS_MAX, REVIEWS_OF_ADDRESS_MAX};

    /// How long a review takes.
    const TAKES: Duration = Duration::from_millis(20);

    /// A cluster that counts the reviews.
    #[derive(Default)]
    struct Reviews {
        asked: AtomicUsize,
        running: AtomicUsize,
        running_max: AtomicUsize,
    }

    fn counting(code: u16) -> (Arc<TokenReviews>, Arc<Reviews>) {
        let reviews = Arc::new(Reviews::default());
        let counted = Arc::clone(&reviews);
        let service = tower::service_fn(move |_: Request<Body>| {
            let reviews = Arc::clone(&counted);
            async move {
                reviews.asked.fetch_add(1, Ordering::SeqCst);
                let running = reviews.running.fetch_add(1, Ordering::SeqCst) + 1;
                reviews.running_max.fetch_max(running, Ordering::SeqCst);
                tokio::time::sleep(TAKES).await;
                reviews.running.fetch_sub(1, Ordering::SeqCst);
                let review = r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","metadata":{},"spec":{},
                    "status":{"authenticated":false}}"#;
                Response::builder().status(code).body(Body::from(review.as_bytes().to_vec()))
            }
        });
        (Arc::new(TokenReviews::new(Client::new(service, "default"))), reviews)
    }

    async fn of_addresses(reviews: &TokenReviews, addresses: u8, tokens_each: usize) -> Vec<ReviewError> {
        let asked = (0..addresses).flat_map(|last| (0..tokens_each).map(move |token| (last, token)));
        let asked = asked.map(|(last, token)| async move {
            reviews.review(&format!("{last}-{token}"), IpAddr::from([10, 0, 0, last])).await.unwrap_err()
        });
        join_all(asked).await
    }

    #[tokio::test]
    async fn made_up_tokens_are_reviewed_few_at_once() {
        let (reviews, cluster) = counting(201);
        let answers = of_addresses(&reviews, 1, 300).await;
        let busy = answers.iter().filter(|error| matches!(error, ReviewError::Busy)).count();
        assert_eq!(busy, 300 - REVIEWS_OF_ADDRESS_MAX);
        assert_eq!(cluster.running_max.load(Ordering::SeqCst), REVIEWS_OF_ADDRESS_MAX);
        let answers = of_addresses(&reviews, 100, REVIEWS_OF_ADDRESS_MAX).await;
        assert!(answers.iter().all(|error| matches!(error, ReviewError::NotBelieved)), "an address waits for others");
        assert_eq!(cluster.running_max.load(Ordering::SeqCst), REVIEWS_MAX);
    }

    #[tokio::test]
    async fn one_token_is_asked_for_once_also_when_there_is_no_answer() {
        for (code, busy) in [(201, false), (500, true)] {
            let (reviews, cluster) = counting(code);
            let address = IpAddr::from([10, 0, 0, 1]);
            let answers = join_all((0..100).map(|_| reviews.review("token", address))).await;
            assert!(answers.iter().all(|answer| matches!(answer, Err(ReviewError::NoAnswer(_))) == busy));
            assert!(reviews.review("token", address).await.is_err());
            let asked = cluster.asked.load(Ordering::SeqCst);
            assert_eq!(asked, 1, "{code}");
        }
    }
}
