//! From a decision to the answer that a client gets.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use super::{Attributes, Authorizer, AuthzError, Decision, authorize, forbidden_message};
use crate::{
    authn::UserInfo,
    encode::status::{ApiError, Named},
};

/// Seconds after which to ask again when nobody can say what a user may.
const RETRY_AFTER_SECONDS: u32 = 5;

/// Seconds after which to ask again when too much is asked at once.
const BUSY_RETRY_AFTER_SECONDS: u32 = 1;

/// How the headers begin that ask to act for somebody else
/// (k8s.io/apiserver/pkg/endpoints/filters/impersonation/impersonation.go). kube-apiserver takes them off what it passes on.
const IMPERSONATE: &str = "impersonate-";

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
    /// 403 when they may not, 500 when the question is refused, 503 when nobody answers at present, 429 when too much is asked
    /// for users who are not known.
    pub async fn permit(&self, attributes: &Attributes) -> Result<(), ApiError> {
        match authorize(self.authorizer.as_ref(), &self.user, attributes).await {
            Ok(Decision::Allow) => Ok(()),
            Ok(Decision::Deny { reason }) => Err(self.forbidden(attributes, &reason)),
            Err(error @ AuthzError::Busy) => {
                Err(ApiError::TooManyRequests { message: error.to_string(), retry_after: BUSY_RETRY_AFTER_SECONDS })
            }
            Err(error) => {
                tracing::warn!(%error, user = self.user.name, "authorization failed");
                Err(match error {
                    AuthzError::Refused(_) => ApiError::Internal(error.to_string()),
                    AuthzError::NoAnswer(_) | AuthzError::Busy => {
                        let message = "authorization cannot be decided now; try again".to_owned();
                        ApiError::Unavailable { message, retry_after: RETRY_AFTER_SECONDS }
                    }
                })
            }
        }
    }

    /// Refuses to act for somebody else: a request is never done as its sender where it asks for less.
    ///
    /// # Errors
    /// 403 when there is a header that kube-apiserver would act for somebody else by.
    pub fn refuse_impersonation(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let Some(header) = headers.keys().map(HeaderName::as_str).find(|name| name.starts_with(IMPERSONATE)) else {
            return Ok(());
        };
        let value = headers.get(header).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let (group, resource, subresource) = match header.strip_prefix(IMPERSONATE).unwrap_or_default() {
            "group" => ("", "groups", ""),
            "uid" => ("authentication.k8s.io", "uids", ""),
            other => match other.strip_prefix("extra-") {
                Some(key) => ("authentication.k8s.io", "userextras", key),
                None => ("", "users", ""),
            },
        };
        let attributes = Attributes::Resource {
            verb: "impersonate".to_owned(),
            group: group.to_owned(),
            version: String::new(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: String::new(),
            name: value.unwrap_or_default(),
            field_selector: Vec::new(),
            label_selector: Vec::new(),
        };
        Err(self.forbidden(&attributes, "impersonation is not supported here"))
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

    #[test]
    fn nobody_acts_for_somebody_else() {
        let user = UserInfo { name: "ann".to_owned(), ..UserInfo::default() };
        let authorizer = Arc::new(Failing(AuthzError::Refused(String::new())));
        let requester = Requester { user, authorizer };
        let refusal = |name: &'static str, value: &str| {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())]);
            requester.refuse_impersonation(&headers).map_err(|error| (error.code(), error.to_string()))
        };
        let said = |text: &str| Err((403, format!("{text}: impersonation is not supported here")));
        assert_eq!(refusal("x-remote-user", "bob"), Ok(()));
        assert_eq!(
            refusal("impersonate-user", "bob"),
            said(
                "users \"bob\" is forbidden: User \"ann\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope"
            )
        );
        assert_eq!(
            refusal("impersonate-extra-scopes", ""),
            said(
                "userextras.authentication.k8s.io is forbidden: User \"ann\" cannot impersonate resource \"userextras/scopes\" \
                 in API group \"authentication.k8s.io\" at the cluster scope"
            )
        );
        for name in ["impersonate-group", "impersonate-uid", "impersonate-something-new"] {
            assert_eq!(refusal(name, "x").unwrap_err().0, 403);
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
        assert_eq!(asked(AuthzError::Busy).await, (429, Some(BUSY_RETRY_AFTER_SECONDS)));
    }
}
