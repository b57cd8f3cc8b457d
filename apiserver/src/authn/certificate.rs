//! Users of client certificates: the common name is the user, organisations are groups.

use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{
    UserInfo,
    chain::{CaPool, common_name},
};
use crate::server::Peer;

/// The user of a peer's certificate.
pub(super) fn user(ca: &CaPool, peer: &Peer) -> Result<UserInfo, String> {
    ca.verify(peer)?;
    let own = peer.certificates.first().ok_or("no client certificate")?;
    let (_, parsed) = X509Certificate::from_der(own).map_err(|error| error.to_string())?;
    let name = common_name(&parsed);
    if name.is_empty() {
        return Err("the client certificate has no common name".to_owned());
    }
    let groups = parsed.subject().iter_organization();
    let groups = groups.filter_map(|group| group.as_str().ok().map(str::to_owned)).collect();
    let digest: String = Sha256::digest(own).iter().map(|byte| format!("{byte:02x}")).collect();
    let extra = [("authentication.kubernetes.io/credential-id".to_owned(), vec![format!("X509SHA256={digest}")])];
    Ok(UserInfo { name, groups, extra: extra.into(), ..UserInfo::default() })
}
