//! May they: every request is reviewed. The default is no.

use async_trait::async_trait;
use kindsmith_text::print::quoted;

use crate::authn::UserInfo;

/// Asks the cluster (SubjectAccessReview).
mod reviews;

/// Without a cluster: masters alone, and documents for everybody who was recognised.
mod masters;

/// From a decision to an answer.
mod permit;

pub use masters::MastersOnly;
pub use permit::Requester;
pub use reviews::SubjectAccessReviews;

/// The group that may do everything.
pub const MASTERS: &str = "system:masters";

/// One requirement of a selector, as reviews take it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// The label or field.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`.
    pub operator: String,
    /// The values.
    pub values: Vec<String>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Attributes {
    /// Something with a resource.
    Resource {
        /// The verb.
        verb: String,
        /// The API group.
        group: String,
        /// The version.
        version: String,
        /// The resource.
        resource: String,
        /// The subresource; empty for none.
        subresource: String,
        /// The namespace; empty for all, and for resources of the cluster.
        namespace: String,
        /// The name; empty for collections.
        name: String,
        /// Requirements of the field selector.
        field_selector: Vec<Requirement>,
        /// Requirements of the label selector.
        label_selector: Vec<Requirement>,
    },
    /// Something with a path.
    NonResource {
        /// The verb.
        verb: String,
        /// The path.
        path: String,
    },
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// They may.
    Allow,
    /// They may not.
    Deny {
        /// Why, if it was said.
        reason: String,
    },
}

/// There is no decision. The texts are for the log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AuthzError {
    /// The question is refused.
    #[error("authorization cannot be decided: {0}")]
    Refused(String),
    /// Nobody answers at present.
    #[error("authorization cannot be decided now: {0}")]
    NoAnswer(String),
    /// So much is asked for users who are not known that this has to wait.
    #[error("too many questions about users who are not known")]
    Busy,
}

/// Says who may do what.
#[async_trait]
pub trait Authorizer: Send + Sync + 'static {
    /// Whether a user may.
    async fn authorize(&self, user: &UserInfo, attributes: &Attributes) -> Result<Decision, AuthzError>;
}

/// Whether a user may, by the rules that hold everywhere first.
///
/// # Errors
/// When the authorizer has no answer.
pub async fn authorize(
    authorizer: &dyn Authorizer,
    user: &UserInfo,
    attributes: &Attributes,
) -> Result<Decision, AuthzError> {
    let probe = matches!(attributes, Attributes::NonResource { path, .. }
        if ["/healthz", "/readyz", "/livez"].iter().any(|probe| path == probe || path.starts_with(&format!("{probe}/"))));
    if probe || user.groups.iter().any(|group| group == MASTERS) {
        return Ok(Decision::Allow);
    }
    authorizer.authorize(user, attributes).await
}

/// The text of a refusal, as kube-apiserver words it.
///
/// Source: k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go.
#[must_use]
pub fn forbidden_message(user: &UserInfo, attributes: &Attributes, reason: &str) -> String {
    let text = match attributes {
        Attributes::NonResource { verb, path } => {
            format!("forbidden: User {} cannot {verb} path {}", quoted(&user.name), quoted(path))
        }
        Attributes::Resource { verb, group, resource, subresource, namespace, name, .. } => {
            let qualified = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
            let subject = if name.is_empty() {
                format!("{qualified} is forbidden")
            } else {
                format!("{qualified} {} is forbidden", quoted(name))
            };
            let with_subresource =
                if subresource.is_empty() { resource.clone() } else { format!("{resource}/{subresource}") };
            let place = if namespace.is_empty() {
                "at the cluster scope".to_owned()
            } else {
                format!("in the namespace {}", quoted(namespace))
            };
            format!(
                "{subject}: User {} cannot {verb} resource {} in API group {} {place}",
                quoted(&user.name),
                quoted(&with_subresource),
                quoted(group)
            )
        }
    };
    if reason.is_empty() { text } else { format!("{text}: {reason}") }
}
