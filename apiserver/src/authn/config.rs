//! What the cluster says about front proxies and CAs: ConfigMap `kube-system/extension-apiserver-authentication`.
//!
//! Source: k8s.io/apiserver/pkg/server/options/authentication_dynamic_request_header.go.

use std::collections::BTreeMap;

use super::chain::CaPool;

/// Why it cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{key} of the authentication settings cannot be read: {reason}")]
pub struct ConfigError {
    key: &'static str,
    reason: String,
}

/// Which certificates and headers are believed. The empty one believes nothing.
#[derive(Clone, Debug, Default)]
pub struct AuthenticationConfig {
    client_ca: Option<CaPool>,
    front_proxy_ca: Option<CaPool>,
    allowed_names: Vec<String>,
    pub(super) username_headers: Vec<String>,
    pub(super) uid_headers: Vec<String>,
    pub(super) group_headers: Vec<String>,
    pub(super) extra_prefixes: Vec<String>,
}

impl AuthenticationConfig {
    /// Client certificates of one CA, no front proxy.
    ///
    /// # Errors
    /// When the CA cannot be read.
    pub fn client_ca(pem: &str) -> Result<Self, ConfigError> {
        let pool = CaPool::from_pem(pem).map_err(|reason| ConfigError { key: "client-ca-file", reason })?;
        Ok(Self { client_ca: Some(pool), ..Self::default() })
    }

    /// The data of the ConfigMap. What is not in it is not believed.
    ///
    /// # Errors
    /// When a member cannot be read.
    pub fn from_configmap(data: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let pool = |key: &'static str| {
            let pem = data.get(key).filter(|pem| !pem.trim().is_empty());
            pem.map(|pem| CaPool::from_pem(pem).map_err(|reason| ConfigError { key, reason })).transpose()
        };
        let list = |key: &'static str| match data.get(key).filter(|text| !text.trim().is_empty()) {
            None => Ok(Vec::new()),
            Some(text) => serde_json::from_str::<Vec<String>>(text)
                .map_err(|error| ConfigError { key, reason: error.to_string() }),
        };
        Ok(Self {
            client_ca: pool("client-ca-file")?,
            front_proxy_ca: pool("requestheader-client-ca-file")?,
            allowed_names: list("requestheader-allowed-names")?,
            username_headers: list("requestheader-username-headers")?,
            uid_headers: list("requestheader-uid-headers")?,
            group_headers: list("requestheader-group-headers")?,
            extra_prefixes: list("requestheader-extra-headers-prefix")?,
        })
    }

    pub(super) fn client_ca_pool(&self) -> Option<&CaPool> {
        self.client_ca.as_ref()
    }

    pub(super) fn front_proxy_ca(&self) -> Option<&CaPool> {
        self.front_proxy_ca.as_ref()
    }

    /// Whether a certificate of this name may be a front proxy. No names means any.
    pub(super) fn allows_front_proxy(&self, name: &str) -> bool {
        self.allowed_names.is_empty() || self.allowed_names.iter().any(|allowed| allowed == name)
    }
}
