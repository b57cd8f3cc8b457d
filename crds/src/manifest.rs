//! The CustomResourceDefinition of ApplicationDefinition, for installing and for serving it ourselves.

use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::ApplicationDefinition;

/// The CustomResourceDefinition of ApplicationDefinition, as JSON.
///
/// # Errors
/// None in practice: serialization of the generated type cannot fail, but the error is passed on.
pub fn custom_resource_definition() -> Result<Value, serde_json::Error> {
    let mut crd = serde_json::to_value(ApplicationDefinition::crd())?;
    if let Some(conditions) =
        crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/conditions")
    {
        // Conditions are a map by type, so that several writers can own one each.
        conditions["x-kubernetes-list-type"] = json!("map");
        conditions["x-kubernetes-list-map-keys"] = json!(["type"]);
    }
    if let Some(scope) = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/scope") {
        // As of a CustomResourceDefinition: instances could not be addressed under another scope.
        scope["x-kubernetes-validations"] = json!([{"rule": "self == oldSelf", "message": "field is immutable"}]);
    }
    Ok(crd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_is_a_cluster_scoped_crd_with_a_status() {
        let crd = custom_resource_definition().unwrap();
        assert_eq!(crd["metadata"]["name"], "applicationdefinitions.kindsmith.dev");
        assert_eq!(crd["spec"]["scope"], "Cluster");
        assert_eq!(crd["spec"]["names"]["shortNames"], json!(["appdef"]));
        let version = &crd["spec"]["versions"][0];
        assert_eq!(version["subresources"]["status"], json!({}));
        let schema = version.pointer("/schema/openAPIV3Schema/properties/spec/properties/versions/items/properties/schema/properties/openAPIV3Schema").unwrap();
        assert_eq!(schema["x-kubernetes-preserve-unknown-fields"], true);
        let scope = version.pointer("/schema/openAPIV3Schema/properties/spec/properties/scope").unwrap();
        assert_eq!(scope["x-kubernetes-validations"][0]["message"], "field is immutable");
        assert_eq!(
            version
                .pointer("/schema/openAPIV3Schema/properties/status/properties/conditions/x-kubernetes-list-map-keys")
                .unwrap(),
            &json!(["type"])
        );
    }
}
