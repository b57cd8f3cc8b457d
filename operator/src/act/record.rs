//! Records the generation of a definition that was accepted, and deletes records that were superseded.

use kindsmith_schema::{form::DefinitionForm, succession::AcceptedGeneration};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams},
};

use crate::{
    call::{FIELD_MANAGER, is_status, within},
    error::ActionError,
    records,
};

/// What is to be recorded.
pub(super) struct Accepted<'a> {
    pub form: DefinitionForm,
    pub name: &'a str,
    pub state: &'a str,
    pub revision: i64,
}

/// Reads the definition again and records it, if it still is what was accepted. Of two who do so, one is told that the
/// record is there already.
pub(super) async fn write(client: &Client, namespace: &str, accepted: &Accepted<'_>) -> Result<(), ActionError> {
    let Accepted { form, name, state, revision } = accepted;
    let kind = GroupVersionKind::gvk(form.group(), form.version(), "ApplicationDefinition");
    let definitions = Api::<DynamicObject>::all_with(client.clone(), &ApiResource::from_gvk(&kind));
    let Some(definition) = within(definitions.get_opt(name), ActionError::Record).await? else { return Ok(()) };
    let packed = |error: String| ActionError::Pack(error);
    let definition = serde_json::to_value(&definition).map_err(|error| packed(error.to_string()))?;
    if form.state(&definition) != *state {
        // It moved on, and is judged anew.
        return Ok(());
    }
    let record = AcceptedGeneration::pack(*form, &definition, *revision).map_err(|error| packed(error.to_string()))?;
    let object: DynamicObject =
        serde_json::from_value(record.object(namespace)).map_err(|error| packed(error.to_string()))?;
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &records::resource());
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    within(api.create(&params, &object), ActionError::Record).await?;
    tracing::debug!(definition = name, state, "recorded as accepted");
    Ok(())
}

pub(super) async fn forget(client: &Client, namespace: &str, names: &[String]) -> Result<(), ActionError> {
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &records::resource());
    for name in names {
        match within(api.delete(name, &DeleteParams::default()), ActionError::Record).await {
            Err(ActionError::Record(error)) if is_status(&error, 404) => {}
            outcome => drop(outcome?),
        }
    }
    Ok(())
}
