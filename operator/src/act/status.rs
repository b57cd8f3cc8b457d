//! Writes the status of a definition, under the state that it was decided on. Then Events say what changed.

use k8s_openapi::api::core::v1::ObjectReference;
use kindsmith_crds::ApplicationDefinition;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use kube_runtime::events::{Event, EventType};
use serde_json::Value;

use super::Actor;
use crate::{
    call::{FIELD_MANAGER, within},
    decide::{Severity, Transition},
    error::ActionError,
};

/// Says what changed. What cannot be said is in the status all the same.
pub(super) async fn tell(actor: &Actor, name: &str, uid: &str, transitions: &[Transition]) {
    let resource = ApiResource::erase::<ApplicationDefinition>(&());
    let definition = ObjectReference {
        api_version: Some(resource.api_version),
        kind: Some(resource.kind),
        name: Some(name.to_owned()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    };
    for Transition { severity, reason, note } in transitions {
        let event = Event {
            type_: match severity {
                Severity::Normal => EventType::Normal,
                Severity::Warning => EventType::Warning,
            },
            reason: reason.clone(),
            note: Some(note.clone()),
            action: "WriteStatus".to_owned(),
            secondary: None,
        };
        match within(actor.recorder.publish(&event, &definition), ActionError::Tell).await {
            Ok(()) => actor.health.went_well("Events about definitions"),
            Err(error) => actor.health.failed("Events about definitions", &error),
        }
    }
}

pub(super) async fn write(client: &Client, name: &str, patch: &Value) -> Result<(), ActionError> {
    let resource = ApiResource::erase::<ApplicationDefinition>(&());
    // The answer is not read as our type: a definition that does not parse has a status too.
    let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    within(api.patch_status(name, &params, &Patch::Merge(patch)), ActionError::WriteStatus).await?;
    tracing::debug!(definition = name, "status written");
    Ok(())
}
