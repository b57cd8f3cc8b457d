//! Users of bearer tokens: the cluster is asked (TokenReview), and asked again after ten seconds.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::{Api, Client, api::PostParams};
use sha2::{Digest as _, Sha256};

use super::{UserInfo, turns::Turns};
use crate::review_cache::{Failure, ReviewCache};

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

impl Failure for ReviewError {
    fn is_no_answer(&self) -> bool {
        matches!(self, Self::NoAnswer(_))
    }
}

/// Asks the cluster about tokens. A token is never kept, only its SHA-256.
pub struct TokenReviews {
    api: Api<TokenReview>,
    answers: ReviewCache<[u8; 32], Option<UserInfo>, ReviewError>,
    turns: Turns,
}

impl TokenReviews {
    /// Asks the cluster of a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { api: Api::all(client), answers: ReviewCache::new(ANSWERS_MAX), turns: Turns::default() }
    }

    /// The user of a token that came from an address. That there was no answer is kept for a moment.
    pub(super) async fn review(&self, token: &str, address: IpAddr) -> Result<UserInfo, ReviewError> {
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        self.answers.answer(key, self.ask(token, address)).await?.ok_or(ReviewError::NotBelieved)
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
    use std::sync::{Arc, atomic::Ordering};

    use futures::future::join_all;

    use super::*;
    use crate::{
        authn::turns::{REVIEWS_MAX, REVIEWS_OF_ADDRESS_MAX},
        review_cache::counting::{self, Reviews},
    };

    /// How long a review takes.
    const TAKES: Duration = Duration::from_millis(20);

    fn counting(code: u16) -> (TokenReviews, Arc<Reviews>) {
        let (client, reviews) = counting::cluster(
            code,
            TAKES,
            r#"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","metadata":{},"spec":{},
                "status":{"authenticated":false}}"#,
        );
        (TokenReviews::new(client), reviews)
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
