//! Writes the Secret of a certificate.
//!
//! Replicas may do this at the same time: a Secret is created or replaced under the state that was seen, never blindly,
//! so that one wins and the others look again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ObjectMeta, PostParams, Preconditions},
};

use super::{FIELD_MANAGER, is_status, within};
use crate::{
    certificates::{CertificateWork, SECRET_TYPE, secret},
    decide::{MANAGED_BY_LABEL, MANAGED_BY_VALUE},
    error::ActionError,
};

pub(super) async fn write(
    client: &Client,
    namespace: &str,
    name: &str,
    existing: Option<&Secret>,
    work: &CertificateWork,
    sans: &BTreeSet<String>,
) -> Result<(), ActionError> {
    let data = secret(work, Timestamp::now(), sans)?;
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let existing = match existing {
        // Its type, or all of it, cannot be changed: it has to make room.
        Some(fixed) if fixed.type_.as_deref() != Some(SECRET_TYPE) || fixed.immutable == Some(true) => {
            remove(&api, fixed).await?;
            None
        }
        existing => existing,
    };
    let object = object(name, namespace, existing, data);
    match existing {
        Some(_) => within(api.replace(name, &params, &object), ActionError::WriteSecret).await?,
        None => within(api.create(&params, &object), ActionError::WriteSecret).await?,
    };
    match work {
        CertificateWork::Ca { reason, .. } => tracing::info!(secret = name, "new authority issued: {reason}"),
        CertificateWork::Leaf { reason, .. } => tracing::info!(secret = name, "new certificate issued: {reason}"),
        CertificateWork::Bundle { .. } => tracing::info!(secret = name, "bundle of authorities written"),
    }
    Ok(())
}

async fn remove(api: &Api<Secret>, fixed: &Secret) -> Result<(), ActionError> {
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: fixed.uid(), resource_version: fixed.resource_version() }),
        ..DeleteParams::default()
    };
    match within(api.delete(&fixed.name_any(), &params), ActionError::WriteSecret).await {
        Err(ActionError::WriteSecret(error)) if is_status(&error, 404) => Ok(()),
        outcome => outcome.map(drop),
    }
}

/// The whole Secret. Labels and annotations of others stay; the resource version makes the write conditional.
fn object(name: &str, namespace: &str, existing: Option<&Secret>, data: BTreeMap<String, ByteString>) -> Secret {
    let metadata = existing.map(|existing| existing.metadata.clone()).unwrap_or_else(|| ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        ..ObjectMeta::default()
    });
    let mut object = Secret { metadata, type_: Some(SECRET_TYPE.to_owned()), data: Some(data), ..Secret::default() };
    object.labels_mut().insert(MANAGED_BY_LABEL.to_owned(), MANAGED_BY_VALUE.to_owned());
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_put_on_a_secret_stays() {
        let mut existing = object("kindsmith-ca", "system", None, BTreeMap::new());
        existing.metadata.resource_version = Some("7".to_owned());
        existing.annotations_mut().insert("theirs".to_owned(), "kept".to_owned());
        let data = BTreeMap::from([("tls.crt".to_owned(), ByteString(b"new".to_vec()))]);
        let written = object("kindsmith-ca", "system", Some(&existing), data.clone());
        assert_eq!(written.metadata, existing.metadata);
        assert_eq!(written.data, Some(data));
        assert_eq!(written.type_.as_deref(), Some("kubernetes.io/tls"));
    }
}
