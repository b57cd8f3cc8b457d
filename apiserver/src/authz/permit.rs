//! From a decision to the answer that a client gets.

use std::sync::Arc;

use super::{Attributes, Authorizer, AuthzError, Decision, authorize, forbidden_message};
use crate::{
    authn::UserInfo,
    encode::status::{ApiError, Named},
};

/// Seconds after which to ask again when nobody can say what a user may.
const RETRY_AFTER_SECONDS: u32 = 5;

/// A user, and who says what they may.
#[derive(Clone)]
pub struct Requester {
    /// The user.
    pub user: UserInfo,
    /// Who says what they may.
    pub authorizer: Arc<dyn Authorizer>,
}

impl Requester {
    /// Whether they may.
    ///
    /// # Errors
    /// 403 when they may not, 500 when the question is refused, 503 when nobody answers at present.
    pub async fn permit(&self, attributes: &Attributes) -> Result<(), ApiError> {
        match authorize(self.authorizer.as_ref(), &self.user, attributes).await {
            Ok(Decision::Allow) => Ok(()),
            Ok(Decision::Deny { reason }) => Err(self.forbidden(attributes, &reason)),
            Err(error) => {
                tracing::warn!(%error, user = self.user.name, "authorization failed");
                Err(match error {
                    AuthzError::Refused(_) => ApiError::Internal(error.to_string()),
                    AuthzError::NoAnswer(_) => {
                        let message = "authorization cannot be decided now; try again".to_owned();
                        ApiError::Unavailable { message, retry_after: RETRY_AFTER_SECONDS }
                    }
                })
            }
        }
    }

    fn forbidden(&self, attributes: &Attributes, reason: &str) -> ApiError {
        let named = match attributes {
            Attributes::NonResource { .. } => None,
            Attributes::Resource { group, resource, name, .. } => Some(Named {
                group: group.clone(),
                resource: resource.clone(),
                kind: String::new(),
                name: name.clone(),
            }),
        };
        ApiError::Forbidden { named, message: forbidden_message(&self.user, attributes, reason), causes: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;

    struct Failing(AuthzError);

    #[async_trait]
    impl Authorizer for Failing {
        async fn authorize(&self, _: &UserInfo, _: &Attributes) -> Result<Decision, AuthzError> {
            Err(self.0.clone())
        }
    }

    #[tokio::test]
    async fn who_cannot_be_judged_now_may_try_again() {
        let asked = |error| async move {
            let requester = Requester { user: UserInfo::default(), authorizer: Arc::new(Failing(error)) };
            let attributes = Attributes::NonResource { verb: "get".to_owned(), path: "/metrics".to_owned() };
            let error = requester.permit(&attributes).await.unwrap_err();
            (error.code(), error.retry_after())
        };
        assert_eq!(
            asked(AuthzError::NoAnswer("connection refused".to_owned())).await,
            (503, Some(RETRY_AFTER_SECONDS))
        );
        assert_eq!(asked(AuthzError::Refused("no such user".to_owned())).await, (500, None));
    }
}
