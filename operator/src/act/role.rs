//! Writes and deletes ClusterRoles of kinds.

use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, PostParams, Preconditions},
};

use crate::{
    call::{FIELD_MANAGER, is_status, within},
    error::ActionError,
};

/// Creates it, or replaces the one that was seen. One of somebody else with the same name stays as it is.
pub(super) async fn write(client: &Client, object: &ClusterRole) -> Result<(), ActionError> {
    let api = Api::<ClusterRole>::all(client.clone());
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    if object.metadata.resource_version.is_some() {
        within(api.replace(&object.name_any(), &params, object), ActionError::WriteRole).await.map(drop)
    } else {
        within(api.create(&params, object), ActionError::WriteRole).await.map(drop)
    }
}

pub(super) async fn delete(client: &Client, name: &str, uid: &str) -> Result<(), ActionError> {
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
        ..DeleteParams::default()
    };
    let api = Api::<ClusterRole>::all(client.clone());
    match within(api.delete(name, &params), ActionError::WriteRole).await {
        Err(ActionError::WriteRole(error)) if is_status(&error, 404) => Ok(()),
        outcome => outcome.map(drop),
    }
}
