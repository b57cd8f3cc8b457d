//! Users of bearer tokens: the cluster is asked (TokenReview), and asked again after ten seconds.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::{Api, Client, api::PostParams};
use sha2::{Digest as _, Sha256};

use super::{UserInfo, turns::Turns};
use crate::review_cache::{Failure, ReviewCache};

/// Answers that are kept.
const ANSWERS_MAX: u64 = 4096;

/// The audience of tokens for what replicas tell. The operator asks for it by the same name.
const REPLICA_AUDIENCE: &str = "kindsmith-apiserver";

/// How long the cluster may take.
const REVIEW_DEADLINE: Duration = Duration::from_secs(10);

/// Whom a token is meant for. Its issuer wrote that into it, and it is worth nothing to anybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// kube-apiserver, and what answers behind it as if it were kube-apiserver.
    Cluster,
    /// A replica of Kindsmith's API server, which tells with it what it serves.
    Replica,
}

impl Audience {
    /// Returns the audiences that a review names. None are those of kube-apiserver.
    fn of_review(self) -> Option<Vec<String>> {
        match self {
            Self::Cluster => None,
            Self::Replica => Some(vec![REPLICA_AUDIENCE.to_owned()]),
        }
    }

    /// Reports whether an answer is about this audience. A server that knows no audiences names none
    /// (k8s.io/api/authentication/v1, TokenReviewStatus).
    fn is_answered(self, audiences: Option<&[String]>) -> bool {
        match self {
            Self::Cluster => true,
            Self::Replica => audiences.unwrap_or_default().iter().any(|audience| audience == REPLICA_AUDIENCE),
        }
    }
}

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
    answers: ReviewCache<([u8; 32], Audience), Option<UserInfo>, ReviewError>,
    turns: Turns,
}

impl TokenReviews {
    /// Asks the cluster of a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { api: Api::all(client), answers: ReviewCache::new(ANSWERS_MAX), turns: Turns::default() }
    }

    /// The user of a token for an audience that came from an address. That there was no answer is kept for a moment.
    pub(super) async fn review(
        &self,
        token: &str,
        audience: Audience,
        address: IpAddr,
    ) -> Result<UserInfo, ReviewError> {
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let asked = self.ask(token, audience, address);
        self.answers.answer((key, audience), asked).await?.ok_or(ReviewError::NotBelieved)
    }

    async fn ask(&self, token: &str, audience: Audience, address: IpAddr) -> Result<Option<UserInfo>, ReviewError> {
        let review = TokenReview {
            spec: TokenReviewSpec { token: token.to_owned(), audiences: audience.of_review() },
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
        if status.authenticated != Some(true) || !audience.is_answered(status.audiences.as_deref()) {
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
            reviews
                .review(&format!("{last}-{token}"), Audience::Cluster, IpAddr::from([10, 0, 0, last]))
                .await
                .unwrap_err()
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
    async fn a_token_counts_for_the_audience_it_is_meant_for_alone() {
        let answered = |audiences: &'static str| {
            let (client, cluster) = counting::cluster(201, Duration::ZERO, audiences);
            (TokenReviews::new(client), cluster)
        };
        let address = IpAddr::from([10, 0, 0, 1]);
        // A cluster that knows no audiences says nothing of them.
        for (answer, is_believed) in [
            (r#"{"metadata":{},"spec":{},"status":{"authenticated":true,"user":{"username":"a"}}}"#, false),
            (
                r#"{"metadata":{},"spec":{},"status":{"authenticated":true,"user":{"username":"a"},"audiences":["other"]}}"#,
                false,
            ),
            (
                r#"{"metadata":{},"spec":{},"status":{"authenticated":true,"user":{"username":"a"},
                    "audiences":["kindsmith-apiserver"]}}"#,
                true,
            ),
        ] {
            let (reviews, cluster) = answered(answer);
            let user = reviews.review("token", Audience::Replica, address).await;
            assert_eq!(user.is_ok(), is_believed, "{answer}");
            assert!(reviews.review("token", Audience::Cluster, address).await.is_ok());
            assert_eq!(cluster.asked.load(Ordering::SeqCst), 2, "an answer for one audience was taken for the other");
        }
    }

    #[tokio::test]
    async fn one_token_is_asked_for_once_also_when_there_is_no_answer() {
        for (code, busy) in [(201, false), (500, true)] {
            let (reviews, cluster) = counting(code);
            let address = IpAddr::from([10, 0, 0, 1]);
            let answers = join_all((0..100).map(|_| reviews.review("token", Audience::Cluster, address))).await;
            assert!(answers.iter().all(|answer| matches!(answer, Err(ReviewError::NoAnswer(_))) == busy));
            assert!(reviews.review("token", Audience::Cluster, address).await.is_err());
            let asked = cluster.asked.load(Ordering::SeqCst);
            assert_eq!(asked, 1, "{code}");
        }
    }
}
