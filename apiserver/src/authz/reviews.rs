//! Asks the cluster who may do what (SubjectAccessReview), and asks again after ten seconds.

use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::{Api, Client, api::PostParams};
use rand::Rng as _;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Attributes, Authorizer, AuthzError, Decision, Requirement};
use crate::{
    authn::{UNAUTHENTICATED, UserInfo},
    review_cache::{Failure, ReviewCache},
};

/// Answers that are kept.
const ANSWERS_MAX: u64 = 8192;

/// Questions with more bytes than this are asked anew each time, so that nobody can fill the memory with them.
const QUESTION_BYTES_MAX: usize = 10_000;

/// How long the cluster may take.
const REVIEW_DEADLINE: Duration = Duration::from_secs(10);

/// Questions to the cluster at once.
const REVIEWS_MAX: usize = 50;

/// Of these, about users who are not known.
const REVIEWS_OF_NOBODY_MAX: usize = 10;

/// How often a question is asked when the cluster fails to answer.
const REVIEW_TRIES: u32 = 5;

/// Asks the cluster.
pub struct SubjectAccessReviews {
    api: Api<SubjectAccessReview>,
    answers: ReviewCache<String, Decision, AuthzError>,
    turns: Semaphore,
    turns_of_nobody: Semaphore,
}

impl SubjectAccessReviews {
    /// Asks the cluster of a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            api: Api::all(client),
            answers: ReviewCache::new(ANSWERS_MAX),
            turns: Semaphore::new(REVIEWS_MAX),
            turns_of_nobody: Semaphore::new(REVIEWS_OF_NOBODY_MAX),
        }
    }

    /// Asks about a user. Those who are not known do not wait for each other: they would take the places of those who are.
    async fn ask_for(&self, user: &UserInfo, spec: &Value) -> Result<Decision, AuthzError> {
        let _turn = if user.groups.iter().any(|group| group == UNAUTHENTICATED) {
            Some(self.turns_of_nobody.try_acquire().map_err(|_| AuthzError::Busy)?)
        } else {
            None
        };
        self.ask(spec).await
    }

    async fn ask(&self, spec: &Value) -> Result<Decision, AuthzError> {
        let review: SubjectAccessReview = serde_json::from_value(json!({"metadata": {}, "spec": spec}))
            .map_err(|error| AuthzError::Refused(error.to_string()))?;
        let mut pause = Duration::from_millis(500);
        let mut tries = 0;
        loop {
            tries += 1;
            let params = PostParams::default();
            let asked = async {
                let _turn = self.turns.acquire().await;
                self.api.create(&params, &review).await
            };
            let asked = tokio::time::timeout(REVIEW_DEADLINE, asked).await;
            let failure = match asked {
                Ok(Ok(review)) => {
                    let status = review.status.unwrap_or_default();
                    return Ok(if status.allowed {
                        Decision::Allow
                    } else {
                        Decision::Deny { reason: status.reason.unwrap_or_default() }
                    });
                }
                Ok(Err(kube::Error::Api(status))) if status.code < 500 && status.code != 429 => {
                    return Err(AuthzError::Refused(status.message));
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the review did not end in time".to_owned(),
            };
            if tries == REVIEW_TRIES {
                return Err(AuthzError::NoAnswer(failure));
            }
            let jittered = pause.mul_f64(1.0 + rand::rng().random::<f64>() * 0.2);
            tokio::time::sleep(jittered).await;
            pause = pause.mul_f64(1.5);
        }
    }
}

fn requirements(list: &[Requirement]) -> Value {
    list.iter()
        .map(|held| {
            let mut requirement = json!({"key": held.key, "operator": held.operator});
            if !held.values.is_empty() {
                requirement["values"] = json!(held.values);
            }
            requirement
        })
        .collect()
}

/// `spec` of a SubjectAccessReview.
fn spec(user: &UserInfo, attributes: &Attributes) -> Value {
    let mut spec = json!({"user": user.name, "uid": user.uid, "groups": user.groups, "extra": user.extra});
    match attributes {
        Attributes::NonResource { verb, path } => {
            spec["nonResourceAttributes"] = json!({"verb": verb, "path": path});
        }
        Attributes::Resource {
            verb,
            group,
            version,
            resource,
            subresource,
            namespace,
            name,
            field_selector,
            label_selector,
        } => {
            let mut held = json!({"verb": verb, "group": group, "version": version, "resource": resource,
                "subresource": subresource, "namespace": namespace, "name": name});
            for (member, selector) in [("fieldSelector", field_selector), ("labelSelector", label_selector)] {
                if !selector.is_empty() {
                    held[member] = json!({"requirements": requirements(selector)});
                }
            }
            spec["resourceAttributes"] = held;
        }
    }
    spec
}

#[async_trait]
impl Authorizer for SubjectAccessReviews {
    async fn authorize(&self, user: &UserInfo, attributes: &Attributes) -> Result<Decision, AuthzError> {
        let spec = spec(user, attributes);
        let question = spec.to_string();
        if question.len() > QUESTION_BYTES_MAX {
            return self.ask_for(user, &spec).await;
        }
        self.answers.answer(question, self.ask_for(user, &spec)).await
    }
}

impl Failure for AuthzError {
    fn is_no_answer(&self) -> bool {
        matches!(self, Self::NoAnswer(_))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::Ordering};

    use futures::future::{join, join_all};

    use super::*;
    use crate::review_cache::counting::{self, Reviews};

    /// How long a review takes.
    const TAKES: Duration = Duration::from_millis(50);

    fn counting(code: u16) -> (SubjectAccessReviews, Arc<Reviews>) {
        let (client, reviews) = counting::cluster(
            code,
            TAKES,
            r#"{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","metadata":{},"spec":{},
                "status":{"allowed":true}}"#,
        );
        (SubjectAccessReviews::new(client), reviews)
    }

    fn user(name: &str, group: &str) -> UserInfo {
        UserInfo { name: name.to_owned(), groups: vec![group.to_owned()], ..UserInfo::default() }
    }

    async fn ask_for_paths(reviews: &SubjectAccessReviews, user: &UserInfo, paths: usize) -> Vec<bool> {
        let asked = (0..paths).map(|path| async move {
            let attributes = Attributes::NonResource { verb: "get".to_owned(), path: format!("/{path}") };
            match reviews.authorize(user, &attributes).await {
                Ok(Decision::Allow) => true,
                Err(AuthzError::Busy) => false,
                other => panic!("{other:?}"),
            }
        });
        join_all(asked).await
    }

    #[tokio::test]
    async fn made_up_paths_are_reviewed_few_at_once_and_who_is_known_does_not_wait_for_them() {
        let (reviews, cluster) = counting(201);
        let (nobody, alice) = (user("system:anonymous", UNAUTHENTICATED), user("alice", "dev"));
        let (of_nobody, of_alice) =
            join(ask_for_paths(&reviews, &nobody, 300), ask_for_paths(&reviews, &alice, 200)).await;
        assert_eq!(of_nobody.iter().filter(|answered| **answered).count(), REVIEWS_OF_NOBODY_MAX);
        assert!(of_alice.iter().all(|answered| *answered), "a user who is known was refused");
        assert_eq!(cluster.running_max.load(Ordering::SeqCst), REVIEWS_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn that_there_was_no_answer_holds_for_a_moment() {
        let (reviews, cluster) = counting(500);
        let alice = user("alice", "dev");
        let attributes = Attributes::NonResource { verb: "get".to_owned(), path: "/".to_owned() };
        let asked = join_all((0..100).map(|_| reviews.authorize(&alice, &attributes))).await;
        assert!(asked.iter().all(|answer| matches!(answer, Err(AuthzError::NoAnswer(_)))), "{asked:?}");
        let tries = cluster.asked.load(Ordering::SeqCst);
        assert!(tries <= usize::try_from(REVIEW_TRIES).unwrap(), "{tries} reviews of one question");
        assert!(matches!(reviews.authorize(&alice, &attributes).await, Err(AuthzError::NoAnswer(_))));
        assert_eq!(cluster.asked.load(Ordering::SeqCst), tries, "asked again at once");
    }
}
