//! Applies and deletes APIServices.

use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};

use crate::{
    call::{FIELD_MANAGER, is_status, within},
    decide::ExistingApiService,
    error::ActionError,
};

/// Server-side apply. One that is ours is brought into shape, whoever changed it, if it is still as it was seen: who
/// saw an older one might bring an older bundle. Where there was none, the apply is not forced, so that what somebody
/// else made in this moment is a conflict and stays as it is.
pub(super) async fn apply(
    client: &Client,
    object: &APIService,
    existing: Option<&ExistingApiService>,
) -> Result<(), ActionError> {
    let name = object.name_any();
    let mut object = object.clone();
    let mut params = PatchParams::apply(FIELD_MANAGER);
    if let Some(ExistingApiService { uid, basis }) = existing {
        object.metadata.uid = Some(uid.clone());
        object.metadata.resource_version = basis.clone();
        params = params.force();
    }
    let api = Api::<APIService>::all(client.clone());
    within(api.patch(&name, &params, &Patch::Apply(&object)), ActionError::ApplyApiService).await?;
    tracing::info!(api_service = name, "registered");
    Ok(())
}

pub(super) async fn delete(client: &Client, name: &str, uid: &str) -> Result<(), ActionError> {
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
        ..DeleteParams::default()
    };
    let api = Api::<APIService>::all(client.clone());
    match within(api.delete(name, &params), ActionError::DeleteApiService).await {
        Err(ActionError::DeleteApiService(error)) if is_status(&error, 404) => Ok(()),
        outcome => {
            outcome?;
            tracing::info!(api_service = name, "unregistered");
            Ok(())
        }
    }
}
