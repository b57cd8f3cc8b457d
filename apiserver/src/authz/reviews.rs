//! Asks the cluster who may do what (SubjectAccessReview), and asks again after ten seconds.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::{Api, Client, api::PostParams};
use moka::future::Cache;
use rand::Rng as _;
use serde_json::{Value, json};

use super::{Attributes, Authorizer, AuthzError, Decision, Requirement};
use crate::authn::UserInfo;

/// How long an answer holds.
const ANSWER_AGE_MAX: Duration = Duration::from_secs(10);

/// Answers that are kept.
const ANSWERS_MAX: u64 = 8192;

/// Questions with more bytes than this are asked anew each time, so that nobody can fill the memory with them.
const QUESTION_BYTES_MAX: usize = 10_000;

/// How long the cluster may take.
const REVIEW_DEADLINE: Duration = Duration::from_secs(10);

/// How often a question is asked when the cluster fails to answer.
const REVIEW_TRIES: u32 = 5;

/// Asks the cluster.
pub struct SubjectAccessReviews {
    api: Api<SubjectAccessReview>,
    answers: Cache<String, Decision>,
}

impl SubjectAccessReviews {
    /// Asks the cluster of a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        let answers = Cache::builder().max_capacity(ANSWERS_MAX).time_to_live(ANSWER_AGE_MAX).build();
        Self { api: Api::all(client), answers }
    }

    async fn ask(&self, spec: &Value) -> Result<Decision, AuthzError> {
        let review: SubjectAccessReview = serde_json::from_value(json!({"metadata": {}, "spec": spec}))
            .map_err(|error| AuthzError::Refused(error.to_string()))?;
        let mut pause = Duration::from_millis(500);
        let mut tries = 0;
        loop {
            tries += 1;
            let params = PostParams::default();
            let asked = tokio::time::timeout(REVIEW_DEADLINE, self.api.create(&params, &review)).await;
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
            return self.ask(&spec).await;
        }
        let asked = self.answers.try_get_with(question, self.ask(&spec)).await;
        asked.map_err(|error: Arc<AuthzError>| (*error).clone())
    }
}
