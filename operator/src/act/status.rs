//! Writes the status of a definition: a merge patch under the state that it was decided on.

use kindsmith_crds::ApplicationDefinition;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use serde_json::Value;

use super::{FIELD_MANAGER, within};
use crate::error::ActionError;

pub(super) async fn write(client: &Client, name: &str, patch: &Value) -> Result<(), ActionError> {
    let resource = ApiResource::erase::<ApplicationDefinition>(&());
    // The answer is not read as our type: a definition that does not parse has a status too.
    let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    within(api.patch_status(name, &params, &Patch::Merge(patch)), ActionError::WriteStatus).await?;
    tracing::debug!(definition = name, "status written");
    Ok(())
}
