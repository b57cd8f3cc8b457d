//! Writes the finalizers of a definition, under the state that they were decided on.

use kindsmith_crds::ApplicationDefinition;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    call::{FIELD_MANAGER, is_status, within},
    error::ActionError,
};

pub(super) async fn set_finalizers(
    client: &Client,
    name: &str,
    basis: Option<&str>,
    finalizers: &[String],
) -> Result<(), ActionError> {
    let resource = ApiResource::erase::<ApplicationDefinition>(&());
    // The answer is not read as our type: a definition that does not parse has finalizers too.
    let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patch = json!({"metadata": {"resourceVersion": basis, "finalizers": finalizers}});
    match within(api.patch(name, &params, &Patch::Merge(&patch)), ActionError::SetFinalizers).await {
        // It is gone, or has moved on: it is looked at again.
        Err(ActionError::SetFinalizers(error)) if is_status(&error, 404) || is_status(&error, 409) => Ok(()),
        outcome => outcome.map(drop),
    }
}
