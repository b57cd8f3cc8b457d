//! Without a cluster: masters may do everything, everybody who was recognised may read what is served.

use async_trait::async_trait;

use super::{Attributes, Authorizer, AuthzError, Decision};
use crate::authn::{AUTHENTICATED, UserInfo};

/// Documents that everybody who was recognised may read, as by the role `system:discovery`.
const DOCUMENTS: [&str; 4] = ["/api", "/apis", "/openapi", "/version"];

/// Lets masters alone do things. That masters may is settled before this is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct MastersOnly;

#[async_trait]
impl Authorizer for MastersOnly {
    async fn authorize(&self, user: &UserInfo, attributes: &Attributes) -> Result<Decision, AuthzError> {
        let readable = match attributes {
            Attributes::NonResource { verb, path } => {
                verb == "get" && DOCUMENTS.iter().any(|held| path == held || path.starts_with(&format!("{held}/")))
            }
            Attributes::Resource { .. } => false,
        };
        let recognised = user.groups.iter().any(|group| group == AUTHENTICATED);
        Ok(if readable && recognised { Decision::Allow } else { Decision::Deny { reason: String::new() } })
    }
}
