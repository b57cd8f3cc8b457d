//! Who asks: front proxy, client certificate, bearer token, in this order.
//!
//! Sources: k8s.io/apiserver/pkg/authentication/request/{headerrequest,x509}, pkg/authentication/token. Headers that name a
//! user are believed from a client alone whose certificate the front-proxy CA has issued; all of them are taken off the
//! request whoever sent them.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use http::{header, request::Parts};

use crate::{encode::status::ApiError, server::Peer};

/// Chains of certificates.
mod chain;

/// What the cluster says about front proxies and CAs.
mod config;

/// Users whom a front proxy names.
mod front_proxy;

/// Users of client certificates.
mod certificate;

/// Users of bearer tokens.
mod token;

/// Reviews at once.
mod turns;

/// Follows what the cluster says.
mod watch;

#[cfg(test)]
mod tests;

pub use config::{AuthenticationConfig, ConfigError};
use token::ReviewError;
pub use token::{Audience, TokenReviews};
pub(crate) use watch::SETTINGS;
pub use watch::watch_authentication_config;

/// The group of everybody who was recognised.
pub const AUTHENTICATED: &str = "system:authenticated";

/// The group of everybody else.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";

/// The name of everybody else.
pub const ANONYMOUS: &str = "system:anonymous";

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// The name.
    pub name: String,
    /// The uid; often empty.
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// What else is known.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Why it is not known who asks.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AuthnError {
    /// Credentials were shown that we do not believe. The text is for the log.
    #[error("credentials are not believed: {0}")]
    Unauthorized(String),
    /// So many credentials of the peer's address are looked at already that these have to wait.
    #[error("too many credentials at once")]
    Busy,
}

impl From<AuthnError> for ApiError {
    fn from(error: AuthnError) -> Self {
        match error {
            AuthnError::Unauthorized(_) => Self::Unauthorized,
            AuthnError::Busy => Self::TooManyRequests { message: error.to_string(), retry_after: 1 },
        }
    }
}

/// Recognises users.
pub struct Authenticators {
    config: Arc<ArcSwap<AuthenticationConfig>>,
    tokens: Option<TokenReviews>,
}

impl Authenticators {
    /// Recognises users by what `config` says, and tokens by asking the cluster.
    #[must_use]
    pub fn new(config: Arc<ArcSwap<AuthenticationConfig>>, tokens: Option<TokenReviews>) -> Self {
        Self { config, tokens }
    }

    /// Recognises users by certificates of one CA alone.
    ///
    /// # Errors
    /// When the CA cannot be read.
    pub fn client_certificates_only(ca_pem: &str) -> Result<Self, ConfigError> {
        let config = AuthenticationConfig::client_ca(ca_pem)?;
        Ok(Self { config: Arc::new(ArcSwap::from_pointee(config)), tokens: None })
    }

    /// Whether a peer is a front proxy that is believed.
    #[must_use]
    pub fn is_front_proxy(&self, peer: &Peer) -> bool {
        let config = self.config.load();
        let verified = config.front_proxy_ca().map(|ca| ca.verify(peer));
        matches!(verified, Some(Ok(name)) if config.allows_front_proxy(&name))
    }

    /// Says who asks, and takes credentials and names off the request. A token counts where it is meant for the audience.
    ///
    /// # Errors
    /// When credentials were shown and none is believed, and when too many credentials come at once.
    pub async fn authenticate(
        &self,
        parts: &mut Parts,
        peer: &Peer,
        audience: Audience,
    ) -> Result<UserInfo, AuthnError> {
        let config = self.config.load_full();
        let named = front_proxy::take_headers(&mut parts.headers, &config);
        let authorization = parts.headers.remove(header::AUTHORIZATION);
        let mut failures = Vec::new();
        if let Some(user) = named {
            match config.front_proxy_ca().map(|ca| ca.verify(peer)) {
                Some(Ok(name)) if config.allows_front_proxy(&name) => {
                    return user.map(authenticated).map_err(AuthnError::Unauthorized);
                }
                Some(Ok(name)) => failures.push(format!("{name:?} is not allowed to be a front proxy")),
                // As upstream: headers of somebody else are as good as none.
                Some(Err(_)) | None => {}
            }
        }
        if !peer.certificates.is_empty() {
            match config.client_ca_pool().map(|ca| certificate::user(ca, peer)) {
                Some(Ok(user)) => return Ok(authenticated(user)),
                Some(Err(reason)) => failures.push(reason),
                None => {}
            }
        }
        let token = authorization
            .as_ref()
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .filter(|token| !token.is_empty());
        if let Some(token) = token {
            match &self.tokens {
                Some(tokens) => match tokens.review(token, audience, peer.address.ip()).await {
                    Ok(user) => return Ok(authenticated(user)),
                    Err(ReviewError::Busy) => return Err(AuthnError::Busy),
                    Err(error) => failures.push(error.to_string()),
                },
                None => failures.push("bearer tokens are not taken here".to_owned()),
            }
        }
        if failures.is_empty() {
            return Ok(UserInfo {
                name: ANONYMOUS.to_owned(),
                groups: vec![UNAUTHENTICATED.to_owned()],
                ..UserInfo::default()
            });
        }
        Err(AuthnError::Unauthorized(failures.join("; ")))
    }
}

/// Adds the group of everybody who was recognised.
fn authenticated(mut user: UserInfo) -> UserInfo {
    let decided = user.groups.iter().any(|group| group == AUTHENTICATED || group == UNAUTHENTICATED);
    if user.name != ANONYMOUS && !decided {
        user.groups.push(AUTHENTICATED.to_owned());
    }
    user
}
