//! From a decision to the answer that a client gets.

use std::sync::Arc;

use super::{Attributes, Authorizer, Decision, authorize, forbidden_message};
use crate::{
    authn::UserInfo,
    encode::status::{ApiError, Named},
};

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
    /// 403 when they may not, 500 when nobody can say.
    pub async fn permit(&self, attributes: &Attributes) -> Result<(), ApiError> {
        match authorize(self.authorizer.as_ref(), &self.user, attributes).await {
            Ok(Decision::Allow) => Ok(()),
            Ok(Decision::Deny { reason }) => Err(self.forbidden(attributes, &reason)),
            Err(error) => {
                tracing::warn!(%error, user = self.user.name, "authorization failed");
                Err(ApiError::Internal(error.to_string()))
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
