//! Writes the Secret of a certificate.
//!
//! Several operators may do this at the same time: a Secret is created or replaced under the state that was seen, never
//! blindly, so that one wins and the others look again. A serving certificate is written only while the authority's
//! Secret is still as it was seen: who looks at an old one would sign with an authority that has gone.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ObjectMeta, PostParams, Preconditions},
};

use kube_runtime::events::{Event, EventType, Recorder, Reporter};

use super::Actor;
use crate::{
    call::{FIELD_MANAGER, is_status, within},
    certificates::{CertificateWork, Data, ROTATED_ANNOTATION, SECRET_TYPE},
    error::ActionError,
    ours::{MANAGED_BY_LABEL, MANAGED_BY_VALUE},
};

pub(super) async fn write(
    actor: &Actor,
    name: &str,
    existing: Option<&Secret>,
    work: &CertificateWork,
) -> Result<(), ActionError> {
    let api = Api::<Secret>::namespaced(actor.client.clone(), &actor.namespace);
    if let CertificateWork::Leaf { authority_version, .. } = work {
        let authority = within(api.get_opt(&actor.ca_secret), ActionError::ReadSecret).await?;
        if authority.and_then(|authority| authority.resource_version()) != *authority_version {
            return Err(ActionError::OutdatedAuthority);
        }
    }
    let data = work.data(Timestamp::now(), actor.lifetimes, &actor.sans)?;
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let existing = match existing {
        // Its type, or all of it, cannot be changed: it has to make room.
        Some(fixed) if fixed.type_.as_deref() != Some(SECRET_TYPE) || fixed.immutable == Some(true) => {
            remove(&api, fixed).await?;
            None
        }
        existing => existing,
    };
    let object = object(name, &actor.namespace, existing, data, work.served());
    let written = match existing {
        Some(_) => within(api.replace(name, &params, &object), ActionError::WriteSecret).await?,
        None => within(api.create(&params, &object), ActionError::WriteSecret).await?,
    };
    tracing::info!(secret = name, "written: {work}");
    // What was never there is no fault.
    let severity = if work.repairs() && existing.is_some() { EventType::Warning } else { EventType::Normal };
    tell(actor, &written, work, severity).await;
    Ok(())
}

/// Says with an Event what was done and why. What cannot be said is in the log.
async fn tell(actor: &Actor, written: &Secret, work: &CertificateWork, severity: EventType) {
    let event = Event {
        type_: severity,
        reason: work.event_reason().to_owned(),
        note: Some(work.to_string()),
        action: "WriteSecret".to_owned(),
        secondary: None,
    };
    // A recorder that remembers would count a second repair under the note of the first.
    let recorder = Recorder::new(actor.client.clone(), Reporter::from(FIELD_MANAGER));
    match within(recorder.publish(&event, &written.object_ref(&())), ActionError::Tell).await {
        Ok(()) => actor.health.went_well("Events about certificates"),
        Err(error) => actor.health.failed("Events about certificates", &error),
    }
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
fn object(name: &str, namespace: &str, existing: Option<&Secret>, data: Data, served: Option<&str>) -> Secret {
    let metadata = existing.map(|existing| existing.metadata.clone()).unwrap_or_else(|| ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        ..ObjectMeta::default()
    });
    let mut object = Secret { metadata, type_: Some(SECRET_TYPE.to_owned()), data: Some(data), ..Secret::default() };
    object.labels_mut().insert(MANAGED_BY_LABEL.to_owned(), MANAGED_BY_VALUE.to_owned());
    if let Some(served) = served {
        object.annotations_mut().insert(ROTATED_ANNOTATION.to_owned(), served.to_owned());
    }
    object
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    #[test]
    fn what_others_put_on_a_secret_stays() {
        let mut existing = object("kindsmith-ca", "system", None, Data::new(), None);
        existing.metadata.resource_version = Some("7".to_owned());
        existing.annotations_mut().insert("theirs".to_owned(), "kept".to_owned());
        let data = Data::from([("tls.crt".to_owned(), ByteString(b"new".to_vec()))]);
        let written = object("kindsmith-ca", "system", Some(&existing), data.clone(), None);
        assert_eq!(written.metadata, existing.metadata);
        assert_eq!(written.data, Some(data));
        assert_eq!(written.type_.as_deref(), Some("kubernetes.io/tls"));
    }

    #[test]
    fn what_was_asked_for_is_noted_with_the_certificate() {
        let written = object("kindsmith-ca", "system", None, Data::new(), Some("today"));
        assert_eq!(written.annotations()["kindsmith.dev/rotated"], "today");
    }
}
